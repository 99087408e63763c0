// crop: cuts a box out of a volume.
#include "autograd/ops/common.h"
#include "tensor/core/volume.h"
#include "tensor/layout/layout.h"

namespace voxgrad::ops {
namespace {

Shape shape(const Attrs& a, std::span<const Shape> in) {
  const Volume v = volume_of("crop", in[0]);
  const auto &b = a.list("begin"), &s = a.list("size");
  for (size_t i = 0; i < 3; ++i)
    require(b[i] >= 0 && s[i] >= 1 && b[i] + s[i] <= v.size()[i], "[crop] expected a box within ", in[0],
            ", got ", s[i], " voxels from ", b[i], " on axis ", i);
  return {v.n, s[0], s[1], s[2], v.c};
}

void forward(ForwardCall& c) {
  const auto& b = c.attrs.list("begin");
  shift_volume(c.in[0], {-b[0], -b[1], -b[2]}, 0, c.out);
}

void backward(BackwardCall& c) {
  c.grad_in[0] = Tensor::empty(c.shapes[0], c.grad_out.dtype());
  shift_volume(c.grad_out, to_triple(c.attrs.list("begin")), 0, c.grad_in[0]);
}

std::vector<OpSample> samples() {
  const auto attrs = [](const Triple& begin, const Triple& size) {
    return Attrs{{"begin", to_list(begin)}, {"size", to_list(size)}};
  };
  return {{"box", attrs({1, 0, 2}, {2, 3, 2}), {sample_normal({2, 4, 3, 5, 2}, 0)}},
          {"one voxel, depth 1", attrs({0, 1, 2}, {1, 1, 1}), {sample_normal({1, 1, 2, 3, 3}, 0)}},
          {"all", attrs({0, 0, 0}, {2, 3, 2}), {sample_normal({1, 2, 3, 2, 1}, 0)}}};
}

}  // namespace

const Op crop_op{.name = "crop",
                 .equation = "y[n, v, c] = x[n, begin + v, c], v < size",
                 .shape = shape,
                 .forward = forward,
                 .backward = backward,
                 .flops = flops_an_element<0>,
                 .linear = true,
                 .samples = samples};

Var crop(const Var& x, Triple begin, Triple size) {
  return apply(crop_op, {{"begin", to_list(begin)}, {"size", to_list(size)}}, {x});
}

}  // namespace voxgrad::ops
