// Rows of sums in bf16: pairs of channels, sums in f32; and the most that the instruction can do.
#include "tensor/gemm/cpu/isa/row.h"

namespace voxgrad::VOXGRAD_ISA {
namespace {

double dot_chains(int64_t steps, float* result) {
  constexpr int kChains = 24;
  Vec sum[kChains];
#pragma GCC unroll 24
  for (int i = 0; i < kChains; ++i)
    sum[i] = broadcast(0.01f * static_cast<float>(i + 1));  // equal chains would be merged
  const Vec a = broadcast(0.5f), b = broadcast(0.25f);      // as pairs: (0, 0.5) and (0, 0.25)
  for (int64_t s = 0; s < steps; ++s)
#pragma GCC unroll 24
    for (int i = 0; i < kChains; ++i) sum[i] = dot(a, b, sum[i]);
#pragma GCC unroll 24
  for (int i = 0; i < kChains; ++i) store(result + 16 * i, sum[i]);
  return 4.0 * 16 * kChains * static_cast<double>(steps);
}

}  // namespace

const cpu::RowKernels& row_kernels_bf16() {
  static const cpu::RowKernels table = make_row_kernels<Pair>(dot_chains);
  return table;
}

}  // namespace voxgrad::VOXGRAD_ISA
