// mean_volume: the mean over D, H, W, [N, D, H, W, C] -> [N, C].
#include "autograd/ops/common.h"
#include "tensor/core/volume.h"
#include "tensor/elementwise/channelwise.h"
#include "tensor/layout/layout.h"

namespace voxgrad::ops {
namespace {

double weight(const Shape& x) { return 1.0 / static_cast<double>(x[1] * x[2] * x[3]); }

Shape shape(const Attrs&, std::span<const Shape> in) {
  const Volume v = volume_of("mean_volume", in[0]);
  require(v.d * v.h * v.w >= 1, "[mean_volume] expected at least one voxel, got ", in[0]);
  return {v.n, v.c};
}

void forward(ForwardCall& c) { channel_sum(c.in[0], {}, weight(c.in[0].shape()), c.out); }

void backward(BackwardCall& c) {
  c.grad_in[0] = Tensor::empty(c.shapes[0], c.grad_out.dtype());
  broadcast_places(c.grad_out, weight(c.shapes[0]), c.grad_in[0]);
}

std::vector<OpSample> samples() {
  return {{"volume", {}, {sample_normal({2, 3, 2, 2, 3}, 0)}},
          {"depth 1", {}, {sample_normal({1, 1, 2, 3, 1}, 0)}},
          {"one voxel", {}, {sample_normal({3, 1, 1, 1, 2}, 0)}}};
}

}  // namespace

const Op mean_volume_op{.name = "mean_volume",
                        .equation = "y[n,c] = mean over z, y, x of x[n,z,y,x,c]",
                        .shape = shape,
                        .forward = forward,
                        .backward = backward,
                        .flops = flops_an_input<1>,
                        .linear = true,
                        .samples = samples};

Var mean_volume(const Var& x) { return apply(mean_volume_op, {}, {x}); }

}  // namespace voxgrad::ops
