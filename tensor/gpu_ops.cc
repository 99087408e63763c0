#include "tensor/core/calls.h"
#include "tensor/core/gpu.h"
#include "tensor/core/kernel.h"
#include "tensor/core/reduce.h"
#include "tensor/core/volume.h"
#include "tensor/optimizer/ref/optimizer.h"

namespace voxgrad::gpu {
namespace {

cuda::Context* of(const Tensor& t) { return context(t.device()); }
float f32(double v) { return static_cast<float>(v); }

// Tables (statistics, scales) are f32 beside activations of any type.
float* table(const Tensor& t) { return t.defined() ? t.mutable_data_on_device<float>() : nullptr; }

// A value of one f32 element on the device.
float* scalar(const Tensor& t) {
  require(t.numel() == 1, "[", current_op(), "] expected one element, got ", t.shape());
  return table(t);
}

struct Places {
  int64_t n, places, channels;
};
Places places_of(const Tensor& x) {
  Places s{x.dim(0), 1, x.dim(-1)};
  for (int i = 1; i + 1 < x.rank(); ++i) s.places *= x.dim(i);
  return s;
}

int64_t rows_of(const Tensor& x) { return x.dim(-1) ? x.numel() / x.dim(-1) : 0; }

cuda::VolumeShape shape_of(const Tensor& t) {
  const Volume v = volume_of(current_op(), t.shape());
  return {v.n, v.d, v.h, v.w, v.c};
}

}  // namespace

void copy(const Tensor& from, const Tensor& to) {
  if (from.nbytes() == 0) return;
  const cuda::MemoryFns& m = module().memory;
  if (!from.device().is_cuda()) {
    check(m.upload(of(to), to.raw(), from.raw(), from.nbytes()));
  } else if (!to.device().is_cuda()) {
    check(m.download(of(from), to.raw(), from.raw(), from.nbytes()));
  } else {
    require(from.device() == to.device(), "[copy] expected one CUDA device, got ", from.device().str(),
            " and ", to.device().str());
    check(m.copy(of(from), to.raw(), from.raw(), from.nbytes()));
  }
}

double read_item(const Tensor& t) {
  const Tensor host = Tensor::empty_on(Device::cpu(), t.shape(), t.dtype());
  copy(t, host);
  return host.item();
}

void zero(const Tensor& t) { check(module().memory.zero(of(t), t.raw(), t.nbytes())); }

namespace {
Result kl_gaussian(const Tensor& mq, const Tensor& sq, const Tensor& mp, const Tensor& sp) {
  Result r(mq.device());
  check(module().loss.kl_gaussian(of(mq), mq.numel(), table(mq), table(sq), table(mp), table(sp), r.data()));
  return r;
}
}  // namespace

double kl_gaussian_sum(const Tensor& mq, const Tensor& sq, const Tensor& mp, const Tensor& sp) {
  return kl_gaussian(mq, sq, mp, sp).read();
}

void kl_gaussian_sum(const Tensor& mq, const Tensor& sq, const Tensor& mp, const Tensor& sp, double divisor,
                     Tensor& value) {
  kl_gaussian(mq, sq, mp, sp).divided(divisor, value);
}

void kl_gaussian_backward(const Tensor& mq, const Tensor& sq, const Tensor& mp, const Tensor& sp,
                          double divisor, const Tensor& upstream, Tensor& dmq, Tensor& dsq, Tensor& dmp,
                          Tensor& dsp) {
  check(module().loss.kl_gaussian_backward(of(mq), mq.numel(), table(mq), table(sq), table(mp), table(sp),
                                           divisor, scalar(upstream), table(dmq), table(dsq), table(dmp),
                                           table(dsp)));
}

void softmax_forward(const Tensor& x, double temperature, Tensor& y) {
  check(module().softmax.forward(of(x), x.dtype(), rows_of(x), x.dim(-1), x.raw(), f32(1 / temperature),
                                 y.raw()));
}

void softmax_backward(const Tensor& y, const Tensor& dy, double temperature, Tensor& dx) {
  check(module().softmax.backward(of(y), y.dtype(), rows_of(y), y.dim(-1), y.raw(), dy.raw(),
                                  f32(1 / temperature), dx.raw()));
}

void log_softmax_forward(const Tensor& x, Tensor& y) {
  check(module().softmax.log_forward(of(x), x.dtype(), rows_of(x), x.dim(-1), x.raw(), y.raw()));
}

void log_softmax_backward(const Tensor& y, const Tensor& dy, Tensor& dx) {
  check(module().softmax.log_backward(of(y), y.dtype(), rows_of(y), y.dim(-1), y.raw(), dy.raw(), dx.raw()));
}

namespace {
int32_t* labels(const Tensor& t) { return t.mutable_data_on_device<int32_t>(); }
double* doubles(const Tensor& t) { return t.mutable_data_on_device<double>(); }
}  // namespace

namespace {
Result cross_entropy(const Tensor& logits, const Tensor& label) {
  Result r(logits.device());
  check(module().loss.cross_entropy(of(logits), logits.dtype(), rows_of(logits), logits.dim(-1), logits.raw(),
                                    labels(label), r.data()));
  return r;
}
}  // namespace

double cross_entropy_sum(const Tensor& logits, const Tensor& label) {
  return cross_entropy(logits, label).read();
}
void cross_entropy_sum(const Tensor& logits, const Tensor& label, double divisor, Tensor& value) {
  cross_entropy(logits, label).divided(divisor, value);
}

void cross_entropy_backward(const Tensor& logits, const Tensor& label, double divisor, const Tensor& upstream,
                            Tensor& dlogits) {
  check(module().loss.cross_entropy_backward(of(logits), logits.dtype(), rows_of(logits), logits.dim(-1),
                                             logits.raw(), labels(label), divisor, scalar(upstream),
                                             dlogits.raw()));
}

void soft_dice_sums(const Tensor& logits, const Tensor& label, Tensor& p, Tensor& sums) {
  check(module().loss.soft_dice_sums(of(logits), logits.dtype(), rows_of(logits), logits.dim(-1),
                                     logits.raw(), labels(label), p.raw(), doubles(sums)));
}

void soft_dice_value(const Tensor& sums, int64_t first, double smooth, Tensor& value) {
  check(module().loss.soft_dice_value(of(sums), sums.dim(1), first, smooth, doubles(sums), scalar(value)));
}

void soft_dice_slopes(const Tensor& sums, int64_t first, double smooth, const Tensor& upstream, Tensor& hit,
                      Tensor& all) {
  check(module().loss.soft_dice_slopes(of(sums), sums.dim(1), first, smooth, doubles(sums), scalar(upstream),
                                       doubles(hit), doubles(all)));
}

void soft_dice_backward(const Tensor& p, const Tensor& label, const Tensor& hit, const Tensor& all,
                        Tensor& dlogits) {
  check(module().loss.soft_dice_backward(of(p), p.dtype(), rows_of(p), p.dim(-1), p.raw(), labels(label),
                                         doubles(hit), doubles(all), dlogits.raw()));
}

void scaled_difference(const Tensor& x, const Tensor& y, double divisor, const Tensor& upstream, Tensor& dx) {
  check(module().loss.scaled_difference(of(x), x.dtype(), x.numel(), x.raw(), y.raw(), divisor,
                                        scalar(upstream), dx.raw()));
}

namespace {
std::array<int32_t, 3> modes_of(const Interpolations& along) {
  return {static_cast<int32_t>(along[0]), static_cast<int32_t>(along[1]), static_cast<int32_t>(along[2])};
}
}  // namespace

void resample_forward(const Tensor& x, const Interpolations& along, Tensor& y) {
  const cuda::VolumeShape in = shape_of(x), out = shape_of(y);
  check(module().grid.resample(of(x), x.dtype(), modes_of(along).data(), &in, &out, x.raw(), y.raw()));
}

void resample_backward(const Tensor& dy, const Interpolations& along, Tensor& dx) {
  const cuda::VolumeShape in = shape_of(dx), out = shape_of(dy);
  check(module().grid.resample_backward(of(dy), dy.dtype(), modes_of(along).data(), &in, &out, dy.raw(),
                                        dx.raw()));
}

void max_pool_forward(const Tensor& x, const std::array<int64_t, 3>& size, Tensor& y, Tensor& tap) {
  const cuda::VolumeShape in = shape_of(x);
  check(module().grid.max_pool(of(x), x.dtype(), &in, size.data(), x.raw(), y.raw(),
                               tap.mutable_data_on_device<uint8_t>()));
}

void max_pool_backward(const Tensor& tap, const Tensor& dy, const std::array<int64_t, 3>& size, Tensor& dx) {
  const cuda::VolumeShape in = shape_of(dx);
  check(module().grid.max_pool_backward(of(dy), dy.dtype(), &in, size.data(),
                                        tap.mutable_data_on_device<uint8_t>(), dy.raw(), dx.raw()));
}

void avg_pool_forward(const Tensor& x, const std::array<int64_t, 3>& size, Tensor& y) {
  const cuda::VolumeShape in = shape_of(x);
  check(module().grid.avg_pool(of(x), x.dtype(), &in, size.data(), x.raw(), y.raw()));
}

void avg_pool_backward(const Tensor& dy, const std::array<int64_t, 3>& size, Tensor& dx) {
  const cuda::VolumeShape in = shape_of(dx);
  check(module().grid.avg_pool_backward(of(dy), dy.dtype(), &in, size.data(), dy.raw(), dx.raw()));
}

void copy_columns(const Tensor& x, int64_t from, Tensor& y, int64_t to, int64_t count) {
  check(module().layout.copy_columns(of(x), x.dtype(), rows_of(x), x.raw(), x.dim(-1), from, y.raw(),
                                     y.dim(-1), to, count));
}

void shift_volume(const Tensor& x, const std::array<int64_t, 3>& offset, double value, Tensor& y) {
  const cuda::VolumeShape from = shape_of(x), to = shape_of(y);
  check(module().layout.shift_volume(of(x), x.dtype(), &from, x.raw(), offset.data(), value, &to, y.raw()));
}

void transpose_last(const Tensor& x, Tensor& y) {
  const int64_t rows = x.dim(-2), columns = x.dim(-1), each = rows * columns;
  check(module().layout.transpose(of(x), x.dtype(), each ? x.numel() / each : 0, rows, columns, x.raw(),
                                  y.raw()));
}

void broadcast_places(const Tensor& x, double factor, Tensor& y) {
  const Places s = places_of(y);
  check(module().layout.broadcast_places(of(y), y.dtype(), s.n, s.places, s.channels, x.raw(), f32(factor),
                                         y.raw()));
}

namespace {

template <class Factors>
void upload(const Tensor& to, const Factors& factors) {
  check(module().memory.upload(of(to), to.raw(), &factors, sizeof factors));
}

cuda::OptimBuffers buffers(const Tensor& param, const Tensor& grad, const Tensor& m, const Tensor& v,
                           const Tensor& ema) {
  return {table(param), table(grad), table(m), table(v), table(ema), param.numel()};
}

}  // namespace

void set_constants(UpdateBuffers& u, const AdamStep& o) { upload(u.constants, ref::AdamFactors<float>(o)); }
void set_constants(UpdateBuffers& u, const SgdStep& o) { upload(u.constants, ref::SgdFactors<float>(o)); }

void adam_step(Tensor& param, const Tensor& grad, Tensor& m, Tensor& v, Tensor& ema, const AdamStep& o) {
  UpdateBuffers u = make_update_buffers(param.device());
  gpu::set_constants(u, o);
  const cuda::OptimBuffers b = buffers(param, grad, m, v, ema);
  check(module().optim.adam(of(param), &b, u.constants.raw(), nullptr));
}

void sgd_step(Tensor& param, const Tensor& grad, Tensor& momentum, Tensor& ema, const SgdStep& o) {
  UpdateBuffers u = make_update_buffers(param.device());
  gpu::set_constants(u, o);
  const cuda::OptimBuffers b = buffers(param, grad, momentum, Tensor(), ema);
  check(module().optim.sgd(of(param), &b, u.constants.raw(), nullptr));
}

namespace {
cuda::ClipNorm clip(const Tensor& grad, const UpdateBuffers& u, double clip_norm) {
  run_on_cuda(SumOfSquares{.device = grad.device(),
                           .type = grad.dtype(),
                           .n = grad.numel(),
                           .x = grad.raw(),
                           .sum = doubles(u.squares)});
  return {doubles(u.squares), clip_norm, nullptr};
}
}  // namespace

void adam_step(Tensor& param, const Tensor& grad, Tensor& m, Tensor& v, Tensor& ema, UpdateBuffers& u,
               double clip_norm) {
  const cuda::ClipNorm c = clip(grad, u, clip_norm);
  const cuda::OptimBuffers b = buffers(param, grad, m, v, ema);
  check(module().optim.adam(of(param), &b, u.constants.raw(), &c));
}

void sgd_step(Tensor& param, const Tensor& grad, Tensor& momentum, Tensor& ema, UpdateBuffers& u,
              double clip_norm) {
  const cuda::ClipNorm c = clip(grad, u, clip_norm);
  const cuda::OptimBuffers b = buffers(param, grad, momentum, Tensor(), ema);
  check(module().optim.sgd(of(param), &b, u.constants.raw(), &c));
}

}  // namespace voxgrad::gpu
