// pad: adds a border with a constant value to a volume.
#include "autograd/ops/common.h"
#include "tensor/layout.h"
#include "tensor/volume.h"

namespace voxgrad::ops {
namespace {

Shape shape(const Attrs& a, std::span<const Shape> in) {
  const Volume v = volume_of("pad", in[0]);
  const auto &b = a.list("before"), &e = a.list("after");
  for (size_t i = 0; i < 3; ++i)
    require(b[i] >= 0 && e[i] >= 0, "[pad] expected borders of at least 0 voxels, got ", b[i], " and ", e[i]);
  return {v.n, v.d + b[0] + e[0], v.h + b[1] + e[1], v.w + b[2] + e[2], v.c};
}

void forward(ForwardCall& c) {
  shift_volume(c.in[0], to_triple(c.attrs.list("before")), c.attrs.number("value"), c.out);
}

void backward(BackwardCall& c) {
  const auto& b = c.attrs.list("before");
  c.grad_in[0] = Tensor::empty(c.shapes[0], c.grad_out.dtype());
  shift_volume(c.grad_out, {-b[0], -b[1], -b[2]}, 0, c.grad_in[0]);
}

std::vector<OpSample> samples() {
  const auto attrs = [](const Triple& before, const Triple& after, double value) {
    return Attrs{{"before", to_list(before)}, {"after", to_list(after)}, {"value", value}};
  };
  return {{"all sides", attrs({1, 2, 1}, {2, 0, 3}, 0), {sample_normal({2, 2, 3, 2, 2}, 0)}},
          {"with a value, depth 1", attrs({0, 1, 1}, {0, 1, 1}, -1.5), {sample_normal({1, 1, 2, 3, 3}, 0)}},
          {"nothing", attrs({0, 0, 0}, {0, 0, 0}, 1), {sample_normal({1, 1, 1, 1, 1}, 0)}}};
}

}  // namespace

// The op is affine. It is linear only if the value is 0.
const Op pad_op{.name = "pad",
                .equation = "y[n, v, c] = x[n, v - before, c] inside x, `value` outside",
                .shape = shape,
                .forward = forward,
                .backward = backward,
                .flops = flops_an_element<0>,
                .samples = samples};

Var pad(const Var& x, Triple before, Triple after, double value) {
  return apply(pad_op, {{"before", to_list(before)}, {"after", to_list(after)}, {"value", value}}, {x});
}

}  // namespace voxgrad::ops
