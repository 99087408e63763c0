// A small time-conditioned network with all that a GroupSampler needs, for tests of sampling.
#pragma once
#include "methods/group_sampler.h"
#include "tensor/random.h"

namespace voxgrad::test {

struct SmallSampling {
  static constexpr double kSd = 0.3;

  SmallSampling(const Triple& shape, int64_t patch)
      : schedule("cosine", 1000, false),
        time(parameters, "net.time", 8, 8),
        net(parameters, "net", config()),
        head(parameters, "net.head", config().features, 1, 2) {
    plan.patch = {patch, patch, patch};
    plan.channel_names = {"image"};
    plan.label_names = {"background", "one"};
    plan.features = {4, 8};
    plan.strides = config().strides;
    plan.kernels = config().kernels;
    parameters.allocate(0);
    const Tensor z = random_normal(parameters.values().shape(), {1, Stream::test, 0});
    for (int64_t i = 0; i < z.numel(); ++i)
      parameters.values().mutable_data<float>()[i] += 0.1f * z.data<float>()[i];
    image = random_normal({shape[0], shape[1], shape[2], 1}, {1, Stream::test, 1});
    pi = random_uniform({shape[0], shape[1], shape[2], 2}, {1, Stream::test, 2});
    options.sampler.steps = 3;
    use("ddim");
  }
  static UNetConfig config() {
    UNetConfig c;
    c.in_channels = 5;
    c.features = {4, 8};
    c.strides = {{1, 1, 1}, {2, 2, 2}};
    c.kernels = {{3, 3, 3}, {3, 3, 3}};
    c.embedding = 8;
    return c;
  }
  void use(const std::string& kind) {
    options.sampler.kind = kind;
    options.sampler.eta = kind == "ddim" ? 0.5 : 0;  // noise in the steps too
  }
  GroupSampler sampler() const {
    return GroupSampler({plan, schedule, net, time, head, kSd, image, pi, 17, options});
  }

  Plan plan;
  NoiseSchedule schedule;
  Parameters parameters;
  TimeEmbedding time;
  UNet net;
  Heads head;
  Tensor image, pi;
  SampleOptions options;
};

}  // namespace voxgrad::test
