// The residual diffusion process, windows and random numbers on a CUDA device.
#include "tensor/core/gpu.h"
#include "tensor/core/volume.h"
#include "tensor/process/process.h"

namespace voxgrad::gpu {
namespace {

cuda::Context* of(const Tensor& t) { return context(t.device()); }
float* f32(const Tensor& t) { return t.defined() ? t.mutable_data_on_device<float>() : nullptr; }
int64_t width_of(const Tensor& x) { return x.dim(0) ? x.numel() / x.dim(0) : 0; }
bool shared(const Tensor& pi, const Tensor& x) { return pi.numel() != x.numel(); }

cuda::VolumeShape shape_of(const Tensor& t) {
  const Volume v = volume_of(current_op(), t.shape());
  return {v.n, v.d, v.h, v.w, v.c};
}

}  // namespace

void noise_residual(const Tensor& constants, const Tensor& label, const Tensor& pi, const Tensor& eps,
                    Tensor& input, Tensor& target, Tensor& state) {
  check(module().process.noise(of(pi), pi.dim(0), width_of(pi), pi.dim(-1), f32(constants),
                               label.mutable_data_on_device<int32_t>(), f32(pi), f32(eps), f32(input),
                               f32(target), f32(state)));
}

void precondition_state(const Tensor& constants, const Tensor& state, Tensor& input) {
  check(module().process.precondition(of(state), state.dim(0), width_of(state), f32(constants), f32(state),
                                      f32(input)));
}

void estimate_clean(const Tensor& constants, const Tensor& state, const Tensor& pi, const Tensor& network,
                    Tensor& y0) {
  check(module().process.clean(of(state), state.dim(0), width_of(state), f32(constants), f32(state), f32(pi),
                               shared(pi, state), f32(network), f32(y0)));
}

void reverse_residual(const Tensor& constants, const Tensor& y0, const Tensor& pi, const Tensor& z,
                      Tensor& state, Tensor& previous) {
  check(module().process.reverse(of(state), state.dim(0), width_of(state), f32(constants), f32(y0), f32(pi),
                                 shared(pi, state), f32(z), f32(state), f32(previous)));
}

void clip_to_probabilities(const Tensor& x, Tensor& p) {
  check(module().process.clip_rows(of(x), x.numel() / x.dim(-1), x.dim(-1), f32(x), f32(p)));
}

void add_window(const Tensor& x, const Tensor& weight, const Triple& corner, Tensor& sum) {
  const cuda::VolumeShape patch = shape_of(x), volume = shape_of(sum);
  check(module().layout.add_window(of(x), &patch, f32(x), f32(weight), corner.data(), &volume, f32(sum)));
}

void divide_places(Tensor& sum, const Tensor& weight) {
  check(
      module().layout.divide_places(of(sum), sum.dim(0), weight.numel(), sum.dim(-1), f32(weight), f32(sum)));
}

void subsample(const Tensor& x, const Triple& factor, Tensor& y) {
  const cuda::VolumeShape from = shape_of(x), to = shape_of(y);
  check(module().layout.subsample(of(x), &from, x.mutable_data_on_device<int32_t>(), factor.data(), &to,
                                  y.mutable_data_on_device<int32_t>()));
}

}  // namespace voxgrad::gpu
