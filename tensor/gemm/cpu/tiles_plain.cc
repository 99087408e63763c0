// Tiles as plain loops, with the same bits as the instructions (tiles.h).
#include <cmath>
#include <cstring>
#include <limits>

#include "tensor/core/dtype.h"
#include "tensor/gemm/cpu/tiles.h"
#include "tensor/gemm/cpu/tiles_kernels.h"

namespace voxgrad::cpu {
namespace {

constexpr float kSmallest = std::numeric_limits<float>::min();  // 2^-126, the smallest normal number

float without_denormal(float x) { return std::abs(x) < kSmallest ? std::copysign(0.0f, x) : x; }

// x y + c, rounded once to nearest even. x, y and c are not denormal. A tiny result becomes zero. As in all
// x86 instructions, a result is tiny if it is below 2^-126 after rounding to 24 bits without a bound on the
// exponent. So exact results from 2^-126 - 2^-151 on are not tiny, but fma() has rounded those near the
// bound to 2^-126 and cannot tell. There the sum in double is exact, because c is 0 or at least 2^-126, and
// x y has 16 bits.
float flushed_fma(float x, float y, float c) {
  constexpr double kTiny = 0x1p-126 - 0x1p-151;
  const float r = std::fma(x, y, c);
  if (!(std::abs(r) <= kSmallest)) return r;
  return std::abs(static_cast<double>(x) * y + c) < kTiny ? std::copysign(0.0f, r) : r;
}

float flushed_sum(float a, float b) { return flushed_fma(a, 1.0f, b); }

class PlainTiles {
 public:
  template <int N>
  void zero(TileNumber<N>) {
    std::memset(tiles_[N], 0, sizeof tiles_[N]);
  }
  template <int N>
  void load(TileNumber<N>, const void* from, int64_t stride) {
    for (int64_t i = 0; i < kTileRows; ++i)
      std::memcpy(tiles_[N][i], static_cast<const char*>(from) + i * stride, kTileRowBytes);
  }
  template <int N>
  void store(TileNumber<N>, void* to, int64_t stride) const {
    for (int64_t i = 0; i < kTileRows; ++i)
      std::memcpy(static_cast<char*>(to) + i * stride, tiles_[N][i], kTileRowBytes);
  }

  /// TDPBF16PS, after its pseudocode in the Intel SDM, volume 2. For each row m and column n there are two
  /// sums, one of the first and one of the second products of the pairs:
  ///   even = fma(a[m][2 k], b[k][2 n], even), odd = fma(a[m][2 k + 1], b[k][2 n + 1], odd), k ascending,
  ///   c[m][n] = c[m][n] + (even + odd).
  /// The products are not rounded ("FP32 FMA with DAZ=FTZ=1, RNE rounding"). Denormal inputs count as zero,
  /// also in c. Denormal results become zero, whatever MXCSR says. Bochs (cpu/avx/amx.cc) does the same. The
  /// intrinsics guide writes one sum in another order; this code follows the SDM. If the instruction
  /// gives NaN, this gives NaN too, but perhaps with other bits.
  template <int C, int A, int B>
  void dot(TileNumber<C>, TileNumber<A>, TileNumber<B>) {
    static_assert(A != B && A != C && B != C, "the instruction is undefined for equal tiles");
    float a[kTileRows][kTilePairs][2], b[kTileRows][kTilePairs][2], c[kTileRows][kTilePairs];
    widen(tiles_[A], a);
    widen(tiles_[B], b);
    std::memcpy(c, tiles_[C], sizeof c);
    for (int64_t m = 0; m < kTileRows; ++m)
      for (int64_t n = 0; n < kTilePairs; ++n) {
        float even = 0, odd = 0;
        for (int64_t k = 0; k < kTilePairs; ++k) {
          even = flushed_fma(a[m][k][0], b[k][n][0], even);
          odd = flushed_fma(a[m][k][1], b[k][n][1], odd);
        }
        c[m][n] = flushed_sum(without_denormal(c[m][n]), flushed_sum(even, odd));
      }
    std::memcpy(tiles_[C], c, sizeof c);
  }

 private:
  using Bytes = unsigned char[kTileRows][kTileRowBytes];

  static void widen(const Bytes& tile, float (&out)[kTileRows][kTilePairs][2]) {
    bf16 numbers[kTileRows][kTilePairs][2];
    std::memcpy(numbers, tile, sizeof numbers);
    for (int64_t i = 0; i < kTileRows; ++i)
      for (int64_t k = 0; k < kTilePairs; ++k)
        for (int64_t h = 0; h < 2; ++h) out[i][k][h] = without_denormal(static_cast<float>(numbers[i][k][h]));
  }

  Bytes tiles_[8] = {};
};

}  // namespace

const TileKernels& plain_tile_kernels() {
  static const TileKernels table = TileCode<PlainTiles>::table();
  return table;
}

}  // namespace voxgrad::cpu
