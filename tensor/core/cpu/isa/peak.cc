// The most that an instruction set can do: independent chains of multiply-adds, enough to fill the pipes.
#include "tensor/core/cpu/isa/tables.h"
#include "tensor/core/cpu/isa/vec.h"

namespace voxgrad::VOXGRAD_ISA {
namespace {

constexpr int kChains = VOXGRAD_LEVEL == 3   ? 24
                        : VOXGRAD_LEVEL == 2 ? 6
                                             : 3;  // of 16 floats: what the registers hold

double fma_chains(int64_t steps, float* result) {
  Vec sum[kChains];
#pragma GCC unroll 24
  for (int i = 0; i < kChains; ++i)
    sum[i] = load(result + 16 * i);  // numbers that the compiler does not know: it would merge equal chains
  const Vec factor = broadcast(0.999f), offset = broadcast(0.001f);
  for (int64_t s = 0; s < steps; ++s)
#pragma GCC unroll 24
    for (int i = 0; i < kChains; ++i) sum[i] = fma(sum[i], factor, offset);
#pragma GCC unroll 24
  for (int i = 0; i < kChains; ++i) store(result + 16 * i, sum[i]);
  return 2.0 * 16 * kChains * static_cast<double>(steps);
}

}  // namespace

void fill_peak(cpu::KernelTable& t) { t.fma_chains = fma_chains; }

}  // namespace voxgrad::VOXGRAD_ISA
