#include "tensor/optimizer/optimizer.h"

#include <cstring>

#include "tensor/core/kernel.h"
#include "tensor/core/reduce.h"
#include "tensor/optimizer/calls.h"
#include "tensor/optimizer/cpu/optimizer.h"
#include "tensor/optimizer/ref/optimizer.h"

namespace voxgrad {
namespace {

void expect_like(const Tensor& param, const Tensor& t, const char* op, const char* what) {
  require(t.defined() && t.numel() == param.numel() && t.dtype() == param.dtype(), "[", op, "] expected ",
          what, " with ", param.numel(), " elements of ", param.dtype(), ", got ",
          t.defined() ? cat(t.dtype(), " ", t.shape()) : "an undefined tensor");
}

void plain_adam(const AdamUpdate& c) {
  visit_float(c.type, c.kOp, [&]<class T>(T) {
    ref::adam_step(c.n, *as<AdamFactors<T>>(c.factors), as<T>(c.param), as<T>(c.grad), as<T>(c.m), as<T>(c.v),
                   as<T>(c.ema));
  });
}

void plain_sgd(const SgdUpdate& c) {
  visit_float(c.type, c.kOp, [&]<class T>(T) {
    ref::sgd_step(c.n, *as<SgdFactors<T>>(c.factors), as<T>(c.param), as<T>(c.grad), as<T>(c.momentum),
                  as<T>(c.ema));
  });
}

void plain_squares(const SumOfSquares& c) {
  visit_float(c.type, c.kOp, [&]<class T>(T) { *c.sum = ref::sum_of_squares(c.n, as<T>(c.x)); });
}

// The vector kernels have no bf16: f32 alone.
template <class Call>
const char* vectors_decline(const Call& c) {
  const char* const why = simd_declines(c);
  return why ? why : f32_declines(c);
}

constexpr Implementation<AdamUpdate> kAdam[] = {
    kCuda<AdamUpdate>,
    {"vectors", vectors_decline, cpu::adam_step},
    {"ref", nullptr, plain_adam},
};
constexpr Implementation<SgdUpdate> kSgd[] = {
    kCuda<SgdUpdate>,
    {"vectors", vectors_decline, cpu::sgd_step},
    {"ref", nullptr, plain_sgd},
};
constexpr Implementation<SumOfSquares> kSquares[] = {
    kCuda<SumOfSquares>,
    {"vectors", vectors_decline, cpu::sum_of_squares},
    {"ref", nullptr, plain_squares},
};

constexpr int64_t kFactorBytes = std::max(sizeof(AdamFactors<double>), sizeof(SgdFactors<double>));

template <class Factors>
Tensor bytes_of(const Factors& factors) {
  Tensor t = Tensor::empty_on(Device::cpu(), {kFactorBytes}, DType::u8);
  std::memset(t.raw(), 0, kFactorBytes);
  std::memcpy(t.raw(), &factors, sizeof factors);
  return t;
}

// The factors of a step for elements of a type, on the CPU: u8 [kFactorBytes].
Tensor factors_of(const AdamStep& o, DType type) {
  return visit_float(type, AdamUpdate::kOp, [&]<class T>(T) { return bytes_of(ref::adam_factors<T>(o)); });
}
Tensor factors_of(const SgdStep& o, DType type) {
  return visit_float(type, SgdUpdate::kOp, [&]<class T>(T) { return bytes_of(ref::sgd_factors<T>(o)); });
}

AdamUpdate adam_call(Tensor& param, const Tensor& grad, Tensor& m, Tensor& v, Tensor& ema,
                     const Tensor& factors) {
  const char* const op = AdamUpdate::kOp;
  expect_like(param, grad, op, "gradient");
  expect_like(param, m, op, "first moment");
  expect_like(param, v, op, "second moment");
  if (ema.defined()) expect_like(param, ema, op, "average");
  return {.device = device_of(param, grad, m, v, ema, factors),
          .type = param.dtype(),
          .n = param.numel(),
          .factors = elements<uint8_t>(factors),
          .param = param.raw(),
          .grad = grad.raw(),
          .m = m.raw(),
          .v = v.raw(),
          .ema = elements(ema, param.dtype()),
          .squares = nullptr,
          .clip_norm = 0};
}

SgdUpdate sgd_call(Tensor& param, const Tensor& grad, Tensor& momentum, Tensor& ema, const Tensor& factors) {
  const char* const op = SgdUpdate::kOp;
  expect_like(param, grad, op, "gradient");
  expect_like(param, momentum, op, "momentum");
  if (ema.defined()) expect_like(param, ema, op, "average");
  return {.device = device_of(param, grad, momentum, ema, factors),
          .type = param.dtype(),
          .n = param.numel(),
          .factors = elements<uint8_t>(factors),
          .param = param.raw(),
          .grad = grad.raw(),
          .momentum = momentum.raw(),
          .ema = elements(ema, param.dtype()),
          .squares = nullptr,
          .clip_norm = 0};
}

void add_squares(const Tensor& x, double* sum) {
  run(kSquares, {.device = x.device(), .type = x.dtype(), .n = x.numel(), .x = x.raw(), .sum = sum});
}

// Clips by the norm of the gradient, which it computes into the buffers.
template <class Call>
void clip(Call& call, const Tensor& grad, UpdateBuffers& buffers, double clip_norm) {
  require(gpu::runs_on(grad, buffers.constants, buffers.squares), "[", Call::kOp,
          "] expected tensors on a CUDA device");
  double* const squares = elements<double>(buffers.squares);
  add_squares(grad, squares);
  call.squares = squares;
  call.clip_norm = clip_norm;
}

}  // namespace

void adam_step(Tensor& param, const Tensor& grad, Tensor& m, Tensor& v, Tensor& ema, const AdamStep& o) {
  require(o.step >= 1, "[", AdamUpdate::kOp, "] expected a step of at least 1, got ", o.step);
  const Tensor factors = factors_of(o, param.dtype()).to(param.device());
  run(kAdam, adam_call(param, grad, m, v, ema, factors));
}

void sgd_step(Tensor& param, const Tensor& grad, Tensor& momentum, Tensor& ema, const SgdStep& o) {
  const Tensor factors = factors_of(o, param.dtype()).to(param.device());
  run(kSgd, sgd_call(param, grad, momentum, ema, factors));
}

UpdateBuffers make_update_buffers(const Device& device) {
  return {Tensor::empty_on(device, {kFactorBytes}, DType::u8), Tensor::empty_on(device, {1}, DType::f64)};
}

void set_constants(UpdateBuffers& buffers, const AdamStep& o) {
  buffers.constants.copy_from(factors_of(o, DType::f32));
}
void set_constants(UpdateBuffers& buffers, const SgdStep& o) {
  buffers.constants.copy_from(factors_of(o, DType::f32));
}

void adam_step(Tensor& param, const Tensor& grad, Tensor& m, Tensor& v, Tensor& ema, UpdateBuffers& buffers,
               double clip_norm) {
  AdamUpdate call = adam_call(param, grad, m, v, ema, buffers.constants);
  clip(call, grad, buffers, clip_norm);
  run(kAdam, call);
}

void sgd_step(Tensor& param, const Tensor& grad, Tensor& momentum, Tensor& ema, UpdateBuffers& buffers,
              double clip_norm) {
  SgdUpdate call = sgd_call(param, grad, momentum, ema, buffers.constants);
  clip(call, grad, buffers, clip_norm);
  run(kSgd, call);
}

double sum_of_squares(const Tensor& x) {
  require(x.defined(), "[", SumOfSquares::kOp, "] expected a defined tensor");
  const Result sum(x.device());
  add_squares(x, sum.data());
  return sum.read();
}

}  // namespace voxgrad
