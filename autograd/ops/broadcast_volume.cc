// broadcast_volume: copies one vector to all voxels of an example, [N, C] -> [N, D, H, W, C].
#include "autograd/ops/common.h"
#include "tensor/elementwise/channelwise.h"
#include "tensor/layout/layout.h"

namespace voxgrad::ops {
namespace {

Shape shape(const Attrs& a, std::span<const Shape> in) {
  const auto& s = a.list("size");
  require(in[0].rank() == 2, "[broadcast_volume] expected [N, C], got ", in[0]);
  require(s[0] >= 1 && s[1] >= 1 && s[2] >= 1, "[broadcast_volume] expected a size of at least one voxel");
  return {in[0][0], s[0], s[1], s[2], in[0][1]};
}

void forward(ForwardCall& c) { broadcast_places(c.in[0], 1, c.out); }

void backward(BackwardCall& c) {
  c.grad_in[0] = Tensor::empty(c.shapes[0], c.grad_out.dtype());
  channel_sum(c.grad_out, {}, 1, c.grad_in[0]);
}

std::vector<OpSample> samples() {
  return {{"volume", {{"size", to_list({2, 3, 4})}}, {sample_normal({2, 3}, 0)}},
          {"depth 1", {{"size", to_list({1, 3, 2})}}, {sample_normal({3, 1}, 0)}}};
}

}  // namespace

const Op broadcast_volume_op{.name = "broadcast_volume",
                             .equation = "y[n,z,y,x,c] = x[n,c]",
                             .shape = shape,
                             .forward = forward,
                             .backward = backward,
                             .flops = flops_an_element<0>,
                             .linear = true,
                             .samples = samples};

Var broadcast_volume(const Var& x, Triple size) {
  return apply(broadcast_volume_op, {{"size", to_list(size)}}, {x});
}

}  // namespace voxgrad::ops
