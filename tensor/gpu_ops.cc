#include "tensor/core/gpu.h"
#include "tensor/core/kernel.h"
#include "tensor/layout/calls.h"

namespace voxgrad::gpu {
namespace {

cuda::Context* of(const Tensor& t) { return context(t.device()); }
void* raw(const Tensor& t) { return t.defined() ? t.raw() : nullptr; }
float f32(double v) { return static_cast<float>(v); }

// Tables (statistics, scales) are f32 beside activations of any type.
float* table(const Tensor& t) { return t.defined() ? t.mutable_data_on_device<float>() : nullptr; }

// A value of one f32 element on the device.
float* scalar(const Tensor& t) {
  require(t.numel() == 1, "[", current_op(), "] expected one element, got ", t.shape());
  return table(t);
}

// An f64 value in device memory that the host reads.
class Result {
 public:
  explicit Result(const Tensor& like, int64_t n = 1)
      : values_(Tensor::empty_on(like.device(), {n}, DType::f64)) {}
  double* data() const { return values_.mutable_data_on_device<double>(); }
  double read() const { return read_item(values_); }
  /// value = the first number / divisor, on the device.
  void divided(double divisor, const Tensor& value) const {
    check(module().reduce.quotient(of(values_), data(), divisor, scalar(value)));
  }

 private:
  Tensor values_;
};

struct Places {
  int64_t n, places, channels;
};
Places places_of(const Tensor& x) {
  Places s{x.dim(0), 1, x.dim(-1)};
  for (int i = 1; i + 1 < x.rank(); ++i) s.places *= x.dim(i);
  return s;
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

void convert(const Tensor& from, const Tensor& to) {
  check(module().element.convert(of(from), from.dtype(), to.dtype(), from.numel(), from.raw(), to.raw()));
}

void unary_forward(Unary f, const Tensor& x, double parameter, Tensor& y) {
  check(module().element.unary(of(x), static_cast<cuda::Unary>(f), x.dtype(), x.numel(), x.raw(),
                               f32(parameter), y.raw()));
}

void unary_backward(Unary f, const Tensor& value, double parameter, const Tensor& dy, Tensor& dx) {
  check(module().element.unary_backward(of(dy), static_cast<cuda::Unary>(f), dy.dtype(), dy.numel(),
                                        value.raw(), f32(parameter), dy.raw(), dx.raw()));
}

void binary(cuda::Binary f, const Tensor& a, const Tensor& b, Tensor& y) {
  check(module().element.binary(of(a), f, a.dtype(), a.numel(), a.raw(), b.raw(), y.raw()));
}

void scale(const Tensor& x, double factor, double offset, Tensor& y) {
  check(module().element.scale(of(x), x.dtype(), x.numel(), x.raw(), f32(factor), f32(offset), y.raw()));
}

void axpby(const Tensor& p, const Tensor& a, const Tensor& q, const Tensor& b, Tensor& y) {
  const int64_t rows = a.dim(0), width = rows ? a.numel() / rows : 0;
  check(module().element.axpby(of(a), a.dtype(), rows, width, table(p), a.raw(), table(q), raw(b), y.raw()));
}

void dropout(const Tensor& x, uint32_t threshold, double keep, const Tensor& key, uint64_t first, Tensor& y) {
  const cuda::RandomKey generator{0, static_cast<uint32_t>(Stream::dropout), 0,
                                  key.mutable_data_on_device<int64_t>()};
  check(module().random.dropout(of(x), &generator, x.dtype(), first, x.numel(), x.raw(), threshold, f32(keep),
                                y.raw()));
}

void channel_affine(const Tensor& x, const Tensor& factor, int64_t factor_rows, const Tensor& shift,
                    int64_t shift_rows, Tensor& y) {
  const Places s = places_of(x);
  check(module().element.channel_affine(of(x), x.dtype(), s.n, s.places, s.channels, x.raw(), table(factor),
                                        factor_rows, table(shift), shift_rows, y.raw()));
}

void channel_sum(const Tensor& x, const Tensor& y, double weight, int64_t rows, Tensor& sum) {
  Places s = places_of(x);
  if (rows == 1) s.places *= s.n, s.n = 1;
  check(module().reduce.channel_sum(of(x), x.dtype(), s.n, s.places, s.channels, x.raw(), raw(y), weight,
                                    table(sum)));
}

void time_embedding(const Tensor& t, double max_period, Tensor& y) {
  check(module().element.time_embedding(of(y), y.dim(0), y.dim(1), max_period, table(t), table(y)));
}

namespace {
Result sum(const Tensor& x) {
  Result r(x);
  check(module().reduce.sum(of(x), x.dtype(), x.numel(), x.raw(), r.data()));
  return r;
}
Result distance(const Tensor& x, const Tensor& y) {
  Result r(x);
  check(module().reduce.squared_distance(of(x), x.dtype(), x.numel(), x.raw(), y.raw(), r.data()));
  return r;
}
}  // namespace

double sum_all(const Tensor& x) { return sum(x).read(); }
double squared_distance(const Tensor& x, const Tensor& y) { return distance(x, y).read(); }
void sum_all(const Tensor& x, double divisor, Tensor& value) { sum(x).divided(divisor, value); }
void squared_distance(const Tensor& x, const Tensor& y, double divisor, Tensor& value) {
  distance(x, y).divided(divisor, value);
}

void fill(const Tensor& x, double value) {
  check(module().element.fill(of(x), x.dtype(), x.numel(), value, x.raw()));
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

void gemm(const cuda::GemmCall& call, const Tensor& a, const Tensor& b, Tensor& c) {
  check(module().gemm.multiply(of(c), &call, a.raw(), b.raw(), c.raw()));
}

}  // namespace voxgrad::gpu
