// reshape: the same elements with another shape, without a copy.
#include "autograd/ops/common.h"

namespace voxgrad::ops {
namespace {

Shape shape(const Attrs& a, std::span<const Shape> in) {
  Shape s;
  for (const int64_t extent : a.list("shape")) s.push_back(extent);
  require(s.numel() == in[0].numel(), "[reshape] expected a shape of ", in[0].numel(), " elements for ",
          in[0], ", got ", s);
  return s;
}

void forward(ForwardCall& c) { c.out = c.in[0].reshape(c.out.shape()); }

void backward(BackwardCall& c) { c.grad_in[0] = c.grad_out.reshape(c.shapes[0]); }

Tensor recompute(const Attrs& a, std::span<const Tensor> in, std::span<const Tensor>) {
  const Shape s = in[0].shape();
  return in[0].reshape(shape(a, {&s, 1}));
}

std::vector<OpSample> samples() {
  return {{"volume to matrix", {{"shape", std::vector<int64_t>{24, 3}}}, {sample_normal({2, 3, 2, 2, 3}, 0)}},
          {"one element", {{"shape", std::vector<int64_t>{1, 1, 1}}}, {sample_normal({1}, 0)}}};
}

}  // namespace

const Op reshape_op{.name = "reshape",
                    .equation = "y has the elements of x in another shape",
                    .shape = shape,
                    .forward = forward,
                    .backward = backward,
                    .recompute = recompute,
                    .flops = flops_an_element<0>,
                    .linear = true,
                    .samples = samples};

Var reshape(const Var& x, const Shape& to) {
  return apply(reshape_op, {{"shape", std::vector<int64_t>(to.begin(), to.end())}}, {x});
}

}  // namespace voxgrad::ops
