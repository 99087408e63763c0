// Rows of sums for bf16. An element is a pair of channels, and sums are f32. Also measures how many
// operations the instruction can do at most.
#include "tensor/gemm/cpu/isa/row.h"

namespace voxgrad::VOXGRAD_ISA {
namespace {

double dot_chains(int64_t steps, float* result) {
  constexpr int kChains = 24;
  Vec sum[kChains];
#pragma GCC unroll 24
  for (int i = 0; i < kChains; ++i)
    sum[i] = broadcast(0.01f * static_cast<float>(i + 1));  // the compiler would merge equal chains
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
