#include "tensor/core/convert.h"

#include "tensor/core/calls.h"
#include "tensor/core/cpu/kernels.h"
#include "tensor/core/cpu/tables.h"
#include "tensor/core/kernel.h"
#include "tensor/core/parallel.h"

VOXGRAD_BF16_KERNEL_TABLE(cpu::Bf16Kernels, bf16_kernels)

namespace voxgrad {
namespace {

constexpr int64_t kGrain = 1 << 15;

const cpu::Bf16Bits* bits_of(const bf16* p) { return reinterpret_cast<const cpu::Bf16Bits*>(p); }
cpu::Bf16Bits* bits_of(bf16* p) { return reinterpret_cast<cpu::Bf16Bits*>(p); }

void narrow(int64_t n, const float* from, bf16* to) {
  const cpu::Bf16Kernels* const k = cpu::bf16_kernels(cpu_isa());
  parallel_ranges(n, kGrain, [&](int64_t begin, int64_t end) {
    if (k)
      k->from_f32(from + begin, bits_of(to + begin), end - begin);
    else
      for (int64_t i = begin; i < end; ++i) to[i] = bf16(from[i]);
  });
}

void widen(int64_t n, const bf16* from, float* to) {
  const cpu::Bf16Kernels* const k = cpu::bf16_kernels(cpu_isa());
  parallel_ranges(n, kGrain, [&](int64_t begin, int64_t end) {
    if (k)
      k->to_f32(bits_of(from + begin), to + begin, end - begin);
    else
      for (int64_t i = begin; i < end; ++i) to[i] = static_cast<float>(from[i]);
  });
}

void plain_convert(const Convert& c) {
  if (c.type == DType::f32 && c.to == DType::bf16)
    narrow(c.n, as<float>(c.x), as<bf16>(c.y));
  else if (c.type == DType::bf16 && c.to == DType::f32)
    widen(c.n, as<bf16>(c.x), as<float>(c.y));
  else
    fail(ErrorCode::internal, "[convert] expected f32 and bf16, got ", c.type, " and ", c.to);
}

constexpr Implementation<Convert> kConvert[] = {kCuda<Convert>, {"ref", nullptr, plain_convert}};

}  // namespace

Widened::Widened(const void* elements, int64_t n) {
  if (!elements) return;
  values_ = Tensor::empty_on(Device::cpu(), {n});
  widen(n, static_cast<const bf16*>(elements), data());
}

Widened::Widened(int64_t n) : values_(Tensor::empty_on(Device::cpu(), {n})) {}

float* Widened::data() const { return values_.defined() ? values_.mutable_data<float>() : nullptr; }

void Widened::round_to(void* elements) const {
  if (elements) narrow(values_.numel(), data(), static_cast<bf16*>(elements));
}

void convert(const Tensor& x, Tensor& y) {
  require(x.defined() && y.defined() && x.shape() == y.shape(), "[convert] expected tensors of one shape");
  run(kConvert, {.device = device_of(x, y),
                 .type = x.dtype(),
                 .to = y.dtype(),
                 .n = x.numel(),
                 .x = x.raw(),
                 .y = y.raw()});
}

Tensor converted(const Tensor& x, DType dtype) {
  if (x.dtype() == dtype) return x;
  Tensor y = Tensor::empty(x.shape(), dtype);
  convert(x, y);
  return y;
}

Tensor rounded_to_bf16(const Tensor& x) { return converted(converted(x, DType::bf16), DType::f32); }

Tensor rounded_to_bf16(const float* x, int64_t n) {
  const Tensor narrowed = Tensor::empty_on(Device::cpu(), {n}, DType::bf16);
  Tensor y = Tensor::empty_on(Device::cpu(), {n});
  narrow(n, x, narrowed.mutable_data<bf16>());
  widen(n, narrowed.data<bf16>(), y.mutable_data<float>());
  return y;
}

void add_bf16(Tensor& sum, const Tensor& x) {
  require(sum.shape() == x.shape(), "[add_bf16] expected shape ", sum.shape(), ", got ", x.shape());
  bf16* const a = sum.mutable_data<bf16>();
  const bf16* const b = x.data<bf16>();
  const cpu::Bf16Kernels* const k = cpu::bf16_kernels(cpu_isa());
  parallel_ranges(sum.numel(), kGrain, [&](int64_t begin, int64_t end) {
    if (k)
      k->add(bits_of(a + begin), bits_of(b + begin), end - begin);
    else
      for (int64_t i = begin; i < end; ++i) a[i] = bf16(static_cast<float>(a[i]) + static_cast<float>(b[i]));
  });
}

}  // namespace voxgrad
