// A small time-conditioned network with all that a GroupSampler needs, for tests of sampling.
#pragma once
#include "methods/group_sampler.h"
#include "tensor/core/random.h"

namespace voxgrad::test {

struct SmallSampling {
  static constexpr double kSd = 0.3;

  /// guided: with a prior; else the network has no input for it, and the process is centred on 0.
  SmallSampling(const Triple& shape, int64_t patch, bool guided = true)
      : schedule("cosine", 1000, false), net("net", config(guided)) {
    plan.patch = {patch, patch, patch};
    plan.channel_names = {"image"};
    plan.normalisation = {"zscore"};
    plan.label_names = {"background", "one"};
    plan.features = {4, 8};
    plan.strides = config().unet.strides;
    plan.kernels = config().unet.kernels;
    net.parameters().allocate(0);
    const Tensor values = net.parameters().values(), z = random_normal(values.shape(), {1, Stream::test, 0});
    for (int64_t i = 0; i < z.numel(); ++i) values.mutable_data<float>()[i] += 0.1f * z.data<float>()[i];
    image = random_normal({shape[0], shape[1], shape[2], 1}, {1, Stream::test, 1});
    if (guided) pi = random_uniform({shape[0], shape[1], shape[2], 2}, {1, Stream::test, 2});
    options.sampler.steps = 3;
    use("ddim");
  }
  static DenoiserConfig config(bool guided = true) {
    DenoiserConfig c;
    c.unet.in_channels = guided ? 5 : 3;
    c.unet.features = {4, 8};
    c.unet.strides = {{1, 1, 1}, {2, 2, 2}};
    c.unet.kernels = {{3, 3, 3}, {3, 3, 3}};
    c.time_features = 8;
    return c;
  }
  void use(const std::string& kind) {
    options.sampler.kind = kind;
    options.sampler.eta = kind == "ddim" ? 0.5 : 0;  // noise in the steps too
  }
  GroupSampler sampler() const {
    return GroupSampler({plan, schedule, net, kSd, image, pi, name, 17, options, work});
  }

  Plan plan;
  NoiseSchedule schedule;
  Denoiser net;
  Tensor image, pi;  // pi is undefined without a prior
  std::string name = "case";
  SamplingOptions options;
  Work work;
};

}  // namespace voxgrad::test
