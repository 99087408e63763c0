// The residual diffusion process and random numbers on a CUDA device.
#include "tensor/core/gpu.h"
#include "tensor/process/process.h"

namespace voxgrad::gpu {
namespace {

cuda::Context* of(const Tensor& t) { return context(t.device()); }
float* f32(const Tensor& t) { return t.defined() ? t.mutable_data_on_device<float>() : nullptr; }
int64_t width_of(const Tensor& x) { return x.dim(0) ? x.numel() / x.dim(0) : 0; }
bool shared(const Tensor& pi, const Tensor& x) { return pi.numel() != x.numel(); }

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

void random(Tensor& y, const Philox& generator, uint64_t first, bool normal, const Tensor& offset) {
  const cuda::RandomKey key{generator.seed, static_cast<uint32_t>(generator.stream), generator.draw,
                            offset.defined() ? offset.mutable_data_on_device<int64_t>() : nullptr};
  const auto function = normal ? module().random.normal : module().random.uniform;
  check(function(of(y), &key, first, y.numel(), f32(y)));
}

void random_columns(const Tensor& table, Stream stream, const Tensor& key, const Tensor& y) {
  const cuda::RandomKey generator{0, static_cast<uint32_t>(stream), 0, key.mutable_data_on_device<int64_t>()};
  check(module().random.columns(of(table), &generator, table.dim(0), table.dim(1), y.dim(1), f32(table),
                                f32(y)));
}

}  // namespace voxgrad::gpu
