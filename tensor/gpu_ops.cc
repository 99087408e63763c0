#include "tensor/core/gpu.h"
#include "tensor/core/reduce.h"

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

int64_t rows_of(const Tensor& x) { return x.dim(-1) ? x.numel() / x.dim(-1) : 0; }

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

void broadcast_places(const Tensor& x, double factor, Tensor& y) {
  const Places s = places_of(y);
  run_on_cuda(BroadcastPlaces{.device = y.device(),
                              .type = y.dtype(),
                              .n = s.n,
                              .places = s.places,
                              .channels = s.channels,
                              .x = x.raw(),
                              .factor = factor,
                              .y = y.raw()});
}

}

}  // namespace voxgrad::gpu
