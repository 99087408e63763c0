// slice_channels: y[..., c] = x[..., first + c], c < count.
#include "autograd/ops/common.h"
#include "tensor/core/reduce.h"
#include "tensor/layout/layout.h"

namespace voxgrad::ops {
namespace {

Shape shape(const Attrs& a, std::span<const Shape> in) {
  const int64_t first = a.integer("first"), count = a.integer("count");
  require(in[0].rank() >= 1 && first >= 0 && count >= 1 && first + count <= in[0][-1],
          "[slice_channels] expected channels within those of ", in[0], ", got ", count, " from ", first);
  Shape out = in[0];
  out.set(-1, count);
  return out;
}

void forward(ForwardCall& c) { copy_columns(c.in[0], c.attrs.integer("first"), c.out, 0, c.out.dim(-1)); }

void backward(BackwardCall& c) {
  const int64_t count = c.grad_out.dim(-1);
  c.grad_in[0] = Tensor::empty(c.shapes[0], c.grad_out.dtype());
  if (count != c.shapes[0][-1]) fill(c.grad_in[0], 0);
  copy_columns(c.grad_out, 0, c.grad_in[0], c.attrs.integer("first"), count);
}

std::vector<OpSample> samples() {
  const auto attrs = [](int64_t first, int64_t count) { return Attrs{{"first", first}, {"count", count}}; };
  return {{"middle", attrs(1, 2), {sample_normal({2, 3, 2, 2, 5}, 0)}},
          {"all, depth 1", attrs(0, 3), {sample_normal({1, 1, 2, 2, 3}, 0)}},
          {"last of a matrix", attrs(6, 1), {sample_normal({4, 7}, 0)}}};
}

}  // namespace

const Op slice_channels_op{.name = "slice_channels",
                           .equation = "y[..., c] = x[..., first + c], c < count",
                           .shape = shape,
                           .forward = forward,
                           .backward = backward,
                           .flops = flops_an_element<0>,
                           .linear = true,
                           .samples = samples};

Var slice_channels(const Var& x, int64_t first, int64_t count) {
  return apply(slice_channels_op, {{"first", first}, {"count", count}}, {x});
}

}  // namespace voxgrad::ops
