#include "tensor/core/finite.h"

#include <atomic>
#include <bit>
#include <cmath>
#include <cstring>

#include "tensor/core/parallel.h"
#include "tensor/core/reduce.h"

namespace voxgrad {
namespace {

// All exponent bits set. Only NaN and infinity have that.
template <class Bits>
constexpr Bits kAllOnes = 0;
template <>
constexpr uint16_t kAllOnes<uint16_t> = 0x7f80;  // bf16
template <>
constexpr uint32_t kAllOnes<uint32_t> = 0x7f800000;
template <>
constexpr uint64_t kAllOnes<uint64_t> = 0x7ff0000000000000;

// Counts without an early exit, so that the compiler can use vectors. Then searches only a range
// that has one.
template <class Bits>
int64_t first_in(const Bits* x, int64_t n) {
  constexpr int64_t kTile = 1 << 15;
  constexpr Bits kMask = kAllOnes<Bits>;
  std::atomic<int64_t> first = n;
  parallel_ranges(n, kTile, [&](int64_t begin, int64_t end) {
    uint32_t bad = 0;
    for (int64_t i = begin; i < end; ++i) bad += (x[i] & kMask) == kMask;
    if (bad == 0) return;
    int64_t i = begin, known = first;
    while ((x[i] & kMask) != kMask) ++i;
    while (i < known && !first.compare_exchange_weak(known, i)) {
    }
  });
  return first < n ? first.load() : -1;
}

}  // namespace

int64_t first_not_finite(const Tensor& x) {
  if (!x.defined()) return -1;
  const DType type = x.dtype();
  if (type != DType::f32 && type != DType::f64 && type != DType::bf16) return -1;
  if (x.device().is_cuda()) {
    if (type == DType::f32 && std::isfinite(sum_all(x))) return -1;
    return first_not_finite(x.to(Device::cpu()));
  }
  switch (type) {
    case DType::f32:
      return first_in(static_cast<const uint32_t*>(x.raw()), x.numel());
    case DType::f64:
      return first_in(static_cast<const uint64_t*>(x.raw()), x.numel());
    default:
      return first_in(static_cast<const uint16_t*>(x.raw()), x.numel());
  }
}

std::string describe_not_finite(const Tensor& x) {
  int64_t rest = first_not_finite(x);
  if (rest < 0) return "";
  const double value = x.view(rest, {1}).to(Device::cpu()).to(DType::f64).item();
  std::string at;
  for (int axis = x.rank() - 1; axis >= 0; rest /= x.dim(axis), --axis)
    at = cat(rest % x.dim(axis), at.empty() ? "" : ", ", at);
  return cat(value, " at [", at, "] of ", x.shape());
}

}  // namespace voxgrad
