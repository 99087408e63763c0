#include "tensor/norm/norm.h"

#include "tensor/core/convert.h"
#include "tensor/core/kernel.h"
#include "tensor/norm/calls.h"
#include "tensor/norm/cpu/norm.h"
#include "tensor/norm/ref/norm.h"

namespace voxgrad {
namespace {

void expect(const Tensor& t, const Shape& shape, DType dtype, const char* op, const char* what) {
  require(t.defined() && t.shape() == shape && t.dtype() == dtype, "[", op, "] expected ", what, " ", dtype,
          " ", shape, ", got ", t.defined() ? cat(t.dtype(), " ", t.shape()) : "an undefined tensor");
}

NormShape make_shape(const Tensor& x, int64_t groups, const char* op) {
  require(x.defined() && x.rank() >= 2, "[", op, "] expected x [N, ..., C]");
  NormShape s{x.dim(0), 1, x.dim(-1), groups, x.dim(0)};
  for (int i = 1; i + 1 < x.rank(); ++i) s.places *= x.dim(i);
  require(groups >= 1 && s.channels % groups == 0, "[", op, "] expected groups that divide ", s.channels,
          " channels, got ", groups);
  return s;
}

NormShape check_act(const Tensor& x, const Tensor& mean, const Tensor& rstd, const Tensor& scale,
                    const Tensor& shift, const char* op) {
  require(mean.defined() && mean.rank() == 2, "[", op, "] expected mean [N, G]");
  NormShape s = make_shape(x, mean.dim(1), op);
  const DType type = parameter_dtype(x.dtype());
  expect(mean, {s.n, s.groups}, type, op, "mean");
  expect(rstd, {s.n, s.groups}, type, op, "rstd");
  require(scale.defined() && scale.rank() == 2, "[", op, "] expected scale [N, C] or [1, C]");
  s.modulated = scale.dim(0) == 1 ? 1 : s.n;
  expect(scale, {s.modulated, s.channels}, type, op, "scale");
  expect(shift, {s.modulated, s.channels}, type, op, "shift");
  return s;
}

void plain_stats(const NormStats& c) {
  visit_float(c.type, c.kOp,
              [&]<class T>(T) { ref::norm_stats(c.shape, as<T>(c.x), c.eps, as<T>(c.mean), as<T>(c.rstd)); });
}

void plain_forward(const NormActForward& c) {
  visit_float(c.type, c.kOp, [&]<class T>(T) {
    ref::norm_act_forward(c.shape, as<T>(c.x), as<T>(c.mean), as<T>(c.rstd), as<T>(c.scale), as<T>(c.shift),
                          c.act, static_cast<T>(c.slope), as<T>(c.y));
  });
}

void plain_backward(const NormActBackward& c) {
  visit_float(c.type, c.kOp, [&]<class T>(T) {
    ref::norm_act_backward(c.shape, as<T>(c.x), as<T>(c.mean), as<T>(c.rstd), as<T>(c.scale), as<T>(c.shift),
                           c.act, static_cast<T>(c.slope), as<T>(c.dy), as<T>(c.dx), as<T>(c.dscale),
                           as<T>(c.dshift));
  });
}

void widened_stats(const NormStats& call);
void widened_forward(const NormActForward& call);
void widened_backward(const NormActBackward& call);

constexpr Implementation<NormStats> kStats[] = {
    kCuda<NormStats>,
    {"vectors", simd_declines, cpu::norm_stats},
    {"widened to f32", widened_declines, widened_stats},
    {"ref", nullptr, plain_stats},
};
constexpr Implementation<NormActForward> kForward[] = {
    kCuda<NormActForward>,
    {"vectors", simd_declines, cpu::norm_act_forward},
    {"widened to f32", widened_declines, widened_forward},
    {"ref", nullptr, plain_forward},
};
constexpr Implementation<NormActBackward> kBackward[] = {
    kCuda<NormActBackward>,
    {"vectors", simd_declines, cpu::norm_act_backward},
    {"widened to f32", widened_declines, widened_backward},
    {"ref", nullptr, plain_backward},
};

// A bf16 call as a call in f32, on a converted copy of x.
template <class Call>
Call in_f32(Call call, const Widened& x) {
  call.type = DType::f32;
  call.x = x.data();
  return call;
}

void widened_stats(const NormStats& c) { run(kStats, in_f32(c, Widened(c.x, c.shape.numel()))); }

void widened_forward(const NormActForward& c) {
  const Widened x(c.x, c.shape.numel()), y(c.shape.numel());
  NormActForward f = in_f32(c, x);
  f.y = y.data();
  run(kForward, f);
  y.round_to(c.y);
}

void widened_backward(const NormActBackward& c) {
  const Widened x(c.x, c.shape.numel()), dy(c.dy, c.shape.numel()), dx(c.shape.numel());
  NormActBackward f = in_f32(c, x);
  f.dy = dy.data();
  f.dx = dx.data();
  run(kBackward, f);
  dx.round_to(c.dx);
}

}  // namespace

std::string NormShape::str() const {
  return cat("n", n, " places ", places, " channels ", channels, " groups ", groups);
}

void norm_stats(const Tensor& x, int64_t groups, double eps, Tensor& mean, Tensor& rstd) {
  const char* const op = NormStats::kOp;
  const NormShape s = make_shape(x, groups, op);
  expect(mean, {s.n, groups}, parameter_dtype(x.dtype()), op, "mean");
  expect(rstd, {s.n, groups}, parameter_dtype(x.dtype()), op, "rstd");
  run(kStats, {.device = device_of(x, mean, rstd),
               .type = x.dtype(),
               .shape = s,
               .x = x.raw(),
               .eps = eps,
               .mean = mean.raw(),
               .rstd = rstd.raw()});
}

void norm_act_forward(const Tensor& x, const Tensor& mean, const Tensor& rstd, const Tensor& scale,
                      const Tensor& shift, Act act, double slope, Tensor& y) {
  const NormShape s = check_act(x, mean, rstd, scale, shift, NormActForward::kOp);
  expect(y, x.shape(), x.dtype(), NormActForward::kOp, "y");
  run(kForward, {.device = device_of(x, mean, rstd, scale, shift, y),
                 .type = x.dtype(),
                 .shape = s,
                 .x = x.raw(),
                 .mean = mean.raw(),
                 .rstd = rstd.raw(),
                 .scale = scale.raw(),
                 .shift = shift.raw(),
                 .act = act,
                 .slope = slope,
                 .y = y.raw()});
}

void norm_act_backward(const Tensor& x, const Tensor& mean, const Tensor& rstd, const Tensor& scale,
                       const Tensor& shift, Act act, double slope, const Tensor& dy, Tensor& dx,
                       Tensor& dscale, Tensor& dshift) {
  const char* const op = NormActBackward::kOp;
  const NormShape s = check_act(x, mean, rstd, scale, shift, op);
  const DType type = parameter_dtype(x.dtype());
  expect(dy, x.shape(), x.dtype(), op, "dy");
  expect(dx, x.shape(), x.dtype(), op, "dx");
  expect(dscale, {s.n, s.channels}, type, op, "dscale");
  expect(dshift, {s.n, s.channels}, type, op, "dshift");
  run(kBackward, {.device = device_of(x, mean, rstd, scale, shift, dy, dx, dscale, dshift),
                  .type = x.dtype(),
                  .shape = s,
                  .x = x.raw(),
                  .mean = mean.raw(),
                  .rstd = rstd.raw(),
                  .scale = scale.raw(),
                  .shift = shift.raw(),
                  .act = act,
                  .slope = slope,
                  .dy = dy.raw(),
                  .dx = dx.raw(),
                  .dscale = dscale.raw(),
                  .dshift = dshift.raw()});
}

}  // namespace voxgrad
