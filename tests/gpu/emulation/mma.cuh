// tensor/gemm/cuda/mma.cuh as plain loops, with the layouts of fragments from the PTX manual.
#pragma once
#include "tensor/core/cuda/device.cuh"

namespace voxgrad::cuda {

namespace fragment {
using Lanes = std::array<const bf16*, 32>;
inline Lanes rows(const bf16* p) {
  if (reinterpret_cast<uintptr_t>(p) % 16 != 0) ::emulation::fail("ldmatrix: a row that is not aligned");
  return ::emulation::all_lanes(p);
}
inline uint32_t pair(bf16 low, bf16 high) { return low.bits | static_cast<uint32_t>(high.bits) << 16; }
inline float half_of(uint32_t pair, int which) {
  bf16 v;
  v.bits = static_cast<uint16_t>(pair >> 16 * which);
  return to_float(v);
}
}  // namespace fragment

// Lane l gives row l % 8 of matrix l / 8. It gets elements (l / 4, 2 (l % 4)) and the next one,
// of each matrix.
inline void load_matrices(uint32_t (&r)[4], const bf16* p) {
  const auto rows = fragment::rows(p);
  const int l = ::emulation::lane();
  for (int k = 0; k < 4; ++k) {
    const bf16* const row = rows[static_cast<size_t>(8 * k + l / 4)] + 2 * (l % 4);
    r[k] = fragment::pair(row[0], row[1]);
  }
}

inline void load_matrices_transposed(uint32_t (&r)[4], const bf16* p) {
  const auto rows = fragment::rows(p);
  const int l = ::emulation::lane();
  for (int k = 0; k < 4; ++k) {
    const auto first = static_cast<size_t>(8 * k + 2 * (l % 4));
    r[k] = fragment::pair(rows[first][l / 4], rows[first + 1][l / 4]);
  }
}

inline void multiply_add(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  struct Fragment {
    uint32_t a[4], b[2];
  };
  const Fragment mine{{a[0], a[1], a[2], a[3]}, {b0, b1}};
  const char* const all = ::emulation::exchange(&mine, sizeof mine);
  const auto of_lane = [&](int lane) { return reinterpret_cast<const Fragment*>(all + 64 * lane); };
  // The rows of A and the columns of B that the lane has.
  const int l = ::emulation::lane(), row = l / 4, column = 2 * (l % 4);
  float rows[2][16], columns[2][16];
  for (int k = 0; k < 16; ++k)
    for (int i = 0; i < 2; ++i) {
      rows[i][k] = fragment::half_of(of_lane(row * 4 + k % 8 / 2)->a[i + 2 * (k / 8)], k % 2);
      columns[i][k] = fragment::half_of(of_lane((column + i) * 4 + k % 8 / 2)->b[k / 8], k % 2);
    }
  for (int i = 0; i < 4; ++i)
    for (int k = 0; k < 16; ++k) c[i] += rows[i / 2][k] * columns[i % 2][k];
}

}  // namespace voxgrad::cuda
