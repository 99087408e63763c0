// time_embedding: the sinusoidal embedding of time steps (Vaswani et al. 2017). Not differentiated.
#include "autograd/ops/common.h"
#include "tensor/embedding.h"

namespace voxgrad::ops {
namespace {

Shape shape(const Attrs& a, std::span<const Shape> in) {
  const int64_t size = a.integer("size");
  require(in[0].rank() == 1, "[time_embedding] expected time steps [N], got ", in[0]);
  require(size >= 2 && size % 2 == 0, "[time_embedding] expected an even size, got ", size);
  return {in[0][0], size};
}

void forward(ForwardCall& c) { voxgrad::time_embedding(c.in[0], c.attrs.number("max_period"), c.out); }

std::vector<OpSample> samples() {
  const auto attrs = [](int64_t size) { return Attrs{{"size", size}, {"max_period", 10000.0}}; };
  return {{"steps", attrs(8), {Tensor::from<double>({4}, {0, 1, 500, 1000})}},
          {"smallest", attrs(2), {Tensor::from<double>({1}, {3})}}};
}

}  // namespace

const Op time_embedding_op{
    .name = "time_embedding",
    .equation =
        "y[n,i] = sin(t[n] w_i), y[n, h + i] = cos(t[n] w_i); w_i = max_period^(-i / h), h = size / 2",
    .shape = shape,
    .forward = forward,
    .samples = samples};

Var time_embedding(const Tensor& t, int64_t size, double max_period) {
  const DType dtype = t.dtype() == DType::f64 ? DType::f64 : DType::f32;
  return apply(time_embedding_op, {{"size", size}, {"max_period", max_period}}, {Var(t.to(dtype))});
}

}  // namespace voxgrad::ops
