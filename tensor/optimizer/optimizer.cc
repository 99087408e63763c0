#include "tensor/optimizer/optimizer.h"

#include <algorithm>

#include "tensor/core/calls.h"
#include "tensor/core/cpu/dispatch.h"
#include "tensor/core/gpu.h"
#include "tensor/core/kernel.h"
#include "tensor/core/reduce.h"
#include "tensor/optimizer/cpu/optimizer.h"
#include "tensor/optimizer/ref/optimizer.h"

namespace voxgrad {
namespace {

void expect_like(const Tensor& param, const Tensor& t, const char* op, const char* what) {
  require(t.defined() && t.numel() == param.numel() && t.dtype() == param.dtype(), "[", op, "] expected ",
          what, " with ", param.numel(), " elements of ", param.dtype(), ", got ",
          t.defined() ? cat(t.dtype(), " ", t.shape()) : "an undefined tensor");
}

std::string text(const Tensor& t) { return cat(t.numel(), " elements"); }

}  // namespace

void adam_step(Tensor& param, const Tensor& grad, Tensor& m, Tensor& v, Tensor& ema, const AdamStep& o) {
  const char* const op = "adam_step";
  expect_like(param, grad, op, "gradient");
  expect_like(param, m, op, "first moment");
  expect_like(param, v, op, "second moment");
  if (ema.defined()) expect_like(param, ema, op, "average");
  require(o.step >= 1, "[", op, "] expected a step of at least 1, got ", o.step);
  if (gpu::runs_on(param, grad, m, v, ema)) return gpu::adam_step(param, grad, m, v, ema, o);
  visit_float(param.dtype(), op, [&]<class T>(T) {
    cpu::dispatch<T>(
        op, nullptr, 15.0 * static_cast<double>(param.numel()), [&] { return text(param); },
        [&](const auto& k) {
          return cpu::adam_step(k, param.mutable_data<T>(), grad.data<T>(), m.mutable_data<T>(),
                                v.mutable_data<T>(), ema.defined() ? ema.mutable_data<T>() : nullptr,
                                param.numel(), o);
        },
        [&] {
          return ref::adam_step(param.mutable_data<T>(), grad.data<T>(), m.mutable_data<T>(),
                                v.mutable_data<T>(), ema.defined() ? ema.mutable_data<T>() : nullptr,
                                param.numel(), o);
        });
  });
}

void sgd_step(Tensor& param, const Tensor& grad, Tensor& momentum, Tensor& ema, const SgdStep& o) {
  const char* const op = "sgd_step";
  expect_like(param, grad, op, "gradient");
  expect_like(param, momentum, op, "momentum");
  if (ema.defined()) expect_like(param, ema, op, "average");
  if (gpu::runs_on(param, grad, momentum, ema)) return gpu::sgd_step(param, grad, momentum, ema, o);
  visit_float(param.dtype(), op, [&]<class T>(T) {
    cpu::dispatch<T>(
        op, nullptr, 8.0 * static_cast<double>(param.numel()), [&] { return text(param); },
        [&](const auto& k) {
          return cpu::sgd_step(k, param.mutable_data<T>(), grad.data<T>(), momentum.mutable_data<T>(),
                               ema.defined() ? ema.mutable_data<T>() : nullptr, param.numel(), o);
        },
        [&] {
          return ref::sgd_step(param.mutable_data<T>(), grad.data<T>(), momentum.mutable_data<T>(),
                               ema.defined() ? ema.mutable_data<T>() : nullptr, param.numel(), o);
        });
  });
}

UpdateBuffers make_update_buffers(const Device& device) {
  const int64_t bytes = std::max(sizeof(ref::AdamFactors<float>), sizeof(ref::SgdFactors<float>));
  return {Tensor::empty_on(device, {bytes}, DType::u8), Tensor::empty_on(device, {1}, DType::f64)};
}

void set_constants(UpdateBuffers& buffers, const AdamStep& o) { gpu::set_constants(buffers, o); }
void set_constants(UpdateBuffers& buffers, const SgdStep& o) { gpu::set_constants(buffers, o); }

void adam_step(Tensor& param, const Tensor& grad, Tensor& m, Tensor& v, Tensor& ema, UpdateBuffers& buffers,
               double clip_norm) {
  const char* const op = "adam_step";
  expect_like(param, grad, op, "gradient");
  expect_like(param, m, op, "first moment");
  expect_like(param, v, op, "second moment");
  if (ema.defined()) expect_like(param, ema, op, "average");
  require(gpu::runs_on(param, grad, m, v, ema, buffers.constants, buffers.squares), "[", op,
          "] expected tensors on a CUDA device");
  gpu::adam_step(param, grad, m, v, ema, buffers, clip_norm);
}

void sgd_step(Tensor& param, const Tensor& grad, Tensor& momentum, Tensor& ema, UpdateBuffers& buffers,
              double clip_norm) {
  const char* const op = "sgd_step";
  expect_like(param, grad, op, "gradient");
  expect_like(param, momentum, op, "momentum");
  if (ema.defined()) expect_like(param, ema, op, "average");
  require(gpu::runs_on(param, grad, momentum, ema, buffers.constants, buffers.squares), "[", op,
          "] expected tensors on a CUDA device");
  gpu::sgd_step(param, grad, momentum, ema, buffers, clip_norm);
}

double sum_of_squares(const Tensor& x) {
  const char* const op = "sum_of_squares";
  require(x.defined(), "[", op, "] expected a defined tensor");
  if (gpu::runs_on(x)) {
    const Result r(x.device());
    run_on_cuda(
        SumOfSquares{.device = x.device(), .type = x.dtype(), .n = x.numel(), .x = x.raw(), .sum = r.data()});
    return r.read();
  }
  return visit_float(x.dtype(), op, [&]<class T>(T) {
    return cpu::dispatch<T>(
        op, nullptr, 2.0 * static_cast<double>(x.numel()), [&] { return text(x); },
        [&](const auto& k) { return cpu::sum_of_squares(k, x.data<T>(), x.numel()); },
        [&] { return ref::sum_of_squares(x.data<T>(), x.numel()); });
  });
}

}  // namespace voxgrad
