// Conversion between f32 and bf16, and addition of bf16 numbers.
#include "tensor/core/cpu/isa/vec.h"
#include "tensor/core/cpu/kernels.h"

namespace voxgrad::VOXGRAD_ISA {
namespace {

using cpu::Bf16Bits;

// Calls f(first, lanes) for n elements: sixteen at a time, then the rest.
template <class F>
VOXGRAD_INLINE void for_vectors(int64_t n, F&& f) {
  int64_t i = 0;
  for (; i + cpu::kLanes <= n; i += cpu::kLanes) f(i, int64_t{cpu::kLanes});
  if (i < n) f(i, n - i);
}

void from_f32(const float* x, Bf16Bits* y, int64_t n) {
  for_vectors(
      n, [&](int64_t i, int64_t lanes)
             __attribute__((always_inline)) { store_first(y + i, load_first(x + i, lanes), lanes); });
}

void to_f32(const Bf16Bits* x, float* y, int64_t n) {
  for_vectors(
      n, [&](int64_t i, int64_t lanes)
             __attribute__((always_inline)) { store_first(y + i, load_first(x + i, lanes), lanes); });
}

void add(Bf16Bits* sum, const Bf16Bits* x, int64_t n) {
  for_vectors(
      n, [&](int64_t i, int64_t lanes) __attribute__((always_inline)) {
        store_first(sum + i, load_first(sum + i, lanes) + load_first(x + i, lanes), lanes);
      });
}

}  // namespace

const cpu::Bf16Kernels& bf16_kernels() {
  static const cpu::Bf16Kernels table{from_f32, to_f32, add};
  return table;
}

}  // namespace voxgrad::VOXGRAD_ISA
