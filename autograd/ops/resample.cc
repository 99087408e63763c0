// resample: interpolates a volume on a grid with another number of voxels over the same extent.
#include "tensor/resample.h"

#include "autograd/ops/common.h"
#include "tensor/volume.h"

namespace voxgrad::ops {
namespace {

Interpolation mode_of(const Attrs& a) {
  const std::string& m = a.text("mode");
  if (m == "nearest") return Interpolation::nearest;
  if (m == "linear") return Interpolation::linear;
  require(m == "cubic", "[resample] expected nearest, linear or cubic, got ", m);
  return Interpolation::cubic;
}

Interpolations along(const Attrs& a) { return {mode_of(a), mode_of(a), mode_of(a)}; }

std::string name_of(Interpolation m) {
  return m == Interpolation::nearest ? "nearest" : m == Interpolation::linear ? "linear" : "cubic";
}

Shape shape(const Attrs& a, std::span<const Shape> in) {
  const Volume v = volume_of("resample", in[0]);
  const auto& s = a.list("size");
  require(s[0] >= 1 && s[1] >= 1 && s[2] >= 1 && v.d * v.h * v.w >= 1,
          "[resample] expected at least one voxel, got ", in[0], " to [", s[0], ", ", s[1], ", ", s[2], "]");
  return {v.n, s[0], s[1], s[2], v.c};
}

void forward(ForwardCall& c) { resample_forward(c.in[0], along(c.attrs), c.out); }

void backward(BackwardCall& c) {
  c.grad_in[0] = Tensor::empty(c.shapes[0], c.grad_out.dtype());
  resample_backward(c.grad_out, along(c.attrs), c.grad_in[0]);
}

double flops(const Attrs& a, std::span<const Shape>, const Shape& out) {
  const double taps = mode_of(a) == Interpolation::nearest ? 0 : mode_of(a) == Interpolation::linear ? 2 : 4;
  return 6 * taps * static_cast<double>(out.numel());  // an upper bound: all three axes are interpolated
}

std::vector<OpSample> samples() {
  const auto attrs = [](const Triple& size, const char* mode) {
    return Attrs{{"size", to_list(size)}, {"mode", std::string(mode)}};
  };
  return {{"twice as large", attrs({4, 6, 4}, "linear"), {sample_normal({2, 2, 3, 2, 3}, 0)}},
          {"smaller and larger", attrs({3, 2, 7}, "linear"), {sample_normal({1, 5, 6, 4, 2}, 0)}},
          {"many channels", attrs({2, 3, 5}, "linear"), {sample_normal({1, 3, 2, 3, 20}, 0)}},
          {"depth 1", attrs({1, 5, 3}, "linear"), {sample_normal({1, 1, 3, 4, 1}, 0)}},
          {"same size", attrs({2, 3, 4}, "linear"), {sample_normal({1, 2, 3, 4, 2}, 0)}},
          {"nearest", attrs({3, 2, 5}, "nearest"), {sample_normal({2, 2, 4, 3, 2}, 0)}},
          {"cubic", attrs({3, 4, 7}, "cubic"), {sample_normal({1, 5, 3, 4, 2}, 0)}},
          {"cubic, depth 1", attrs({1, 7, 3}, "cubic"), {sample_normal({2, 1, 3, 5, 17}, 0)}}};
}

}  // namespace

const Op resample_op{.name = "resample",
                     .equation =
                         "y[n,o,c] = sum_k w(p - k) x[n, clamp(k), c] on each axis, p = (o + 1/2) n_in / "
                         "n_out - 1/2; w: nearest, linear or cubic (Keys 1981 with a = -1/2)",
                     .shape = shape,
                     .forward = forward,
                     .backward = backward,
                     .flops = flops,
                     .linear = true,
                     .samples = samples};

Var resample(const Var& x, Triple size, Interpolation mode) {
  return apply(resample_op, {{"size", to_list(size)}, {"mode", name_of(mode)}}, {x});
}

}  // namespace voxgrad::ops
