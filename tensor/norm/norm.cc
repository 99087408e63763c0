#include "tensor/norm/norm.h"

#include "tensor/core/convert.h"
#include "tensor/core/cpu/dispatch.h"
#include "tensor/core/gpu.h"
#include "tensor/norm/cpu/norm.h"
#include "tensor/norm/ref/norm.h"

namespace voxgrad {
namespace {

using ref::NormProblem;

void expect(const Tensor& t, const Shape& shape, DType dtype, const char* op, const char* what) {
  require(t.defined() && t.shape() == shape && t.dtype() == dtype, "[", op, "] expected ", what, " ", dtype,
          " ", shape, ", got ", t.defined() ? cat(t.dtype(), " ", t.shape()) : "an undefined tensor");
}

NormProblem make_problem(const Tensor& x, int64_t groups, const char* op) {
  require(x.defined() && x.rank() >= 2, "[", op, "] expected x [N, ..., C]");
  NormProblem p{x.dim(0), 1, x.dim(-1), groups, x.dim(0)};
  for (int i = 1; i + 1 < x.rank(); ++i) p.places *= x.dim(i);
  require(groups >= 1 && p.channels % groups == 0, "[", op, "] expected groups that divide ", p.channels,
          " channels, got ", groups);
  return p;
}

NormProblem check_act(const Tensor& x, const Tensor& mean, const Tensor& rstd, const Tensor& scale,
                      const Tensor& shift, const char* op) {
  require(mean.defined() && mean.rank() == 2, "[", op, "] expected mean [N, G]");
  NormProblem p = make_problem(x, mean.dim(1), op);
  expect(mean, {p.n, p.groups}, parameter_dtype(x.dtype()), op, "mean");
  expect(rstd, {p.n, p.groups}, parameter_dtype(x.dtype()), op, "rstd");
  require(scale.defined() && scale.rank() == 2, "[", op, "] expected scale [N, C] or [1, C]");
  p.modulated = scale.dim(0) == 1 ? 1 : p.n;
  expect(scale, {p.modulated, p.channels}, parameter_dtype(x.dtype()), op, "scale");
  expect(shift, {p.modulated, p.channels}, parameter_dtype(x.dtype()), op, "shift");
  return p;
}

double elements(const NormProblem& p) { return static_cast<double>(p.n * p.places * p.channels); }
std::string text(const NormProblem& p) {
  return cat("n", p.n, " places ", p.places, " channels ", p.channels, " groups ", p.groups);
}

}  // namespace

void norm_stats(const Tensor& x, int64_t groups, double eps, Tensor& mean, Tensor& rstd) {
  const char* const op = "norm_stats";
  const NormProblem p = make_problem(x, groups, op);
  expect(mean, {p.n, groups}, parameter_dtype(x.dtype()), op, "mean");
  expect(rstd, {p.n, groups}, parameter_dtype(x.dtype()), op, "rstd");
  if (gpu::runs_on(x, mean, rstd)) return gpu::norm_stats(x, groups, eps, mean, rstd);
  if (x.dtype() == DType::bf16)
    return cpu::dispatch_bf16(
        op, nullptr, 5 * elements(p), [&] { return text(p); },
        [&](const auto& k) {
          cpu::norm_stats(k, p, x.data<bf16>(), eps, mean.mutable_data<float>(), rstd.mutable_data<float>());
        },
        [&] { norm_stats(converted(x, DType::f32), groups, eps, mean, rstd); });
  visit_float(x.dtype(), op, [&]<class T>(T) {
    cpu::dispatch<T>(
        op, nullptr, 5 * elements(p), [&] { return text(p); },
        [&](const auto& k) {
          return cpu::norm_stats(k, p, x.data<T>(), eps, mean.mutable_data<T>(), rstd.mutable_data<T>());
        },
        [&] { return ref::norm_stats(p, x.data<T>(), eps, mean.mutable_data<T>(), rstd.mutable_data<T>()); });
  });
}

void norm_act_forward(const Tensor& x, const Tensor& mean, const Tensor& rstd, const Tensor& scale,
                      const Tensor& shift, Act act, double slope, Tensor& y) {
  const char* const op = "norm_act_forward";
  const NormProblem p = check_act(x, mean, rstd, scale, shift, op);
  expect(y, x.shape(), x.dtype(), op, "y");
  if (gpu::runs_on(x, mean, rstd, scale, shift, y))
    return gpu::norm_act_forward(x, mean, rstd, scale, shift, act, slope, y);
  if (x.dtype() == DType::bf16)
    return cpu::dispatch_bf16(
        op, nullptr, 5 * elements(p), [&] { return text(p); },
        [&](const auto& k) {
          cpu::norm_act_forward(k, p, x.data<bf16>(), mean.data<float>(), rstd.data<float>(),
                                scale.data<float>(), shift.data<float>(), act, static_cast<float>(slope),
                                y.mutable_data<bf16>());
        },
        [&] {
          Tensor y32 = Tensor::empty(y.shape());
          norm_act_forward(converted(x, DType::f32), mean, rstd, scale, shift, act, slope, y32);
          convert(y32, y);
        });
  visit_float(x.dtype(), op, [&]<class T>(T) {
    cpu::dispatch<T>(
        op, nullptr, 5 * elements(p), [&] { return text(p); },
        [&](const auto& k) {
          return cpu::norm_act_forward(k, p, x.data<T>(), mean.data<T>(), rstd.data<T>(), scale.data<T>(),
                                       shift.data<T>(), act, static_cast<T>(slope), y.mutable_data<T>());
        },
        [&] {
          return ref::norm_act_forward(p, x.data<T>(), mean.data<T>(), rstd.data<T>(), scale.data<T>(),
                                       shift.data<T>(), act, static_cast<T>(slope), y.mutable_data<T>());
        });
  });
}

void norm_act_backward(const Tensor& x, const Tensor& mean, const Tensor& rstd, const Tensor& scale,
                       const Tensor& shift, Act act, double slope, const Tensor& dy, Tensor& dx,
                       Tensor& dscale, Tensor& dshift) {
  const char* const op = "norm_act_backward";
  const NormProblem p = check_act(x, mean, rstd, scale, shift, op);
  expect(dy, x.shape(), x.dtype(), op, "dy");
  expect(dx, x.shape(), x.dtype(), op, "dx");
  expect(dscale, {p.n, p.channels}, parameter_dtype(x.dtype()), op, "dscale");
  expect(dshift, {p.n, p.channels}, parameter_dtype(x.dtype()), op, "dshift");
  if (gpu::runs_on(x, mean, rstd, scale, shift, dy, dx, dscale, dshift))
    return gpu::norm_act_backward(x, mean, rstd, scale, shift, act, slope, dy, dx, dscale, dshift);
  if (x.dtype() == DType::bf16)
    return cpu::dispatch_bf16(
        op, nullptr, 20 * elements(p), [&] { return text(p); },
        [&](const auto& k) {
          cpu::norm_act_backward(k, p, x.data<bf16>(), mean.data<float>(), rstd.data<float>(),
                                 scale.data<float>(), shift.data<float>(), act, static_cast<float>(slope),
                                 dy.data<bf16>(), dx.mutable_data<bf16>(), dscale.mutable_data<float>(),
                                 dshift.mutable_data<float>());
        },
        [&] {
          Tensor dx32 = Tensor::empty(dx.shape());
          norm_act_backward(converted(x, DType::f32), mean, rstd, scale, shift, act, slope,
                            converted(dy, DType::f32), dx32, dscale, dshift);
          convert(dx32, dx);
        });
  visit_float(x.dtype(), op, [&]<class T>(T) {
    cpu::dispatch<T>(
        op, nullptr, 20 * elements(p), [&] { return text(p); },
        [&](const auto& k) {
          return cpu::norm_act_backward(k, p, x.data<T>(), mean.data<T>(), rstd.data<T>(), scale.data<T>(),
                                        shift.data<T>(), act, static_cast<T>(slope), dy.data<T>(),
                                        dx.mutable_data<T>(), dscale.mutable_data<T>(),
                                        dshift.mutable_data<T>());
        },
        [&] {
          return ref::norm_act_backward(p, x.data<T>(), mean.data<T>(), rstd.data<T>(), scale.data<T>(),
                                        shift.data<T>(), act, static_cast<T>(slope), dy.data<T>(),
                                        dx.mutable_data<T>(), dscale.mutable_data<T>(),
                                        dshift.mutable_data<T>());
        });
  });
}

}  // namespace voxgrad
