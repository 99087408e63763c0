// Rows of sums for f32. Also measures how many operations the instructions can do at most, with enough
// independent chains of multiply-adds to fill the pipes.
#include "tensor/gemm/cpu/isa/row.h"

namespace voxgrad::VOXGRAD_ISA {
namespace {

constexpr int kChains = VOXGRAD_LEVEL == 3   ? 24
                        : VOXGRAD_LEVEL == 2 ? 6
                                             : 3;  // chains of 16 floats that fit in registers

double fma_chains(int64_t steps, float* result) {
  Vec sum[kChains];
#pragma GCC unroll 24
  for (int i = 0; i < kChains; ++i)
    sum[i] = load(result + 16 * i);  // unknown to the compiler, which would merge equal chains
  const Vec factor = broadcast(0.999f), offset = broadcast(0.001f);
  for (int64_t s = 0; s < steps; ++s)
#pragma GCC unroll 24
    for (int i = 0; i < kChains; ++i) sum[i] = fma(sum[i], factor, offset);
#pragma GCC unroll 24
  for (int i = 0; i < kChains; ++i) store(result + 16 * i, sum[i]);
  return 2.0 * 16 * kChains * static_cast<double>(steps);
}

}  // namespace

const cpu::RowKernels& row_kernels() {
  static const cpu::RowKernels table = make_row_kernels<Single>(fma_chains);
  return table;
}

}  // namespace voxgrad::VOXGRAD_ISA
