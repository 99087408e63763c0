// Samples drawn on the device. They are those of the CPU up to rounding. One graph for each step gives the
// bits of work that is queued call by call.
#include "methods/group_sampler.h"
#include "methods/segmenter.h"
#include "tests/gpu/gpu_check.h"
#include "tests/methods/small_sampling.h"

namespace voxgrad {
namespace {

struct Sampling : test::SmallSampling {
  Sampling(const Device& device, const Triple& shape, const std::string& kind) : SmallSampling(shape, 4) {
    if (device.is_cuda()) net.parameters().move_to(device);
    options.samples = 4;
    use(kind);
  }
  // Two groups of one sample and one of two, then the mean of their first estimates.
  std::vector<Tensor> draw() {
    GroupSampler s = sampler();
    std::vector<Tensor> all;
    for (const int64_t first : {0, 1, 2}) {
      for (const Tensor& t : s.draw(first, first < 2 ? 1 : 2)) all.push_back(t.clone());
      replayed.push_back(s.replayed());
    }
    all.push_back(s.first_estimate());
    return all;
  }

  std::vector<bool> replayed;
};

class GpuSampling : public test::OnGpu, public testing::WithParamInterface<std::string> {
 protected:
  void TearDown() override { device_options().graphs = true; }
};

TEST_P(GpuSampling, AGraphHasTheBitsOfSingleWorkAndTheSamplesAreThoseOfTheCpu) {
  // One window that covers the volume, and two that overlap. Each voxel is covered at least once.
  for (const Triple& shape :
       GetParam() == "ddim" ? std::vector<Triple>{{4, 4, 4}, {4, 4, 5}} : std::vector<Triple>{{4, 4, 5}}) {
    Sampling cpu(Device::cpu(), shape, GetParam()), replayed(Device::cuda(), shape, GetParam()),
        single(Device::cuda(), shape, GetParam());
    const std::vector<Tensor> want = cpu.draw(), graph = replayed.draw();
    EXPECT_EQ(replayed.replayed, (std::vector<bool>{true, true, true}));
    device_options().graphs = false;
    const std::vector<Tensor> plain = single.draw();
    device_options().graphs = true;
    EXPECT_EQ(single.replayed, (std::vector<bool>{false, false, false}));
    ASSERT_EQ(graph.size(), want.size());
    for (size_t i = 0; i < want.size(); ++i) {
      EXPECT_FALSE(graph[i].device().is_cuda());
      test::expect_same_bits(graph[i], plain[i]);
      // Sums in another order, through three evaluations of the network.
      EXPECT_LE(test::relative_error(graph[i], want[i]), 1e-5) << i;
    }
  }
}

class GpuSamplingWindows : public test::OnGpu {};

TEST_F(GpuSamplingWindows, SharesNotKeptGiveTheSameBits) {
  Sampling s(Device::cuda(), {4, 4, 5}, "ddim");
  s.options.sampler.steps = 3;
  const auto draw = [&](bool keeps) {
    GroupSampler sampler = s.sampler();
    EXPECT_EQ(sampler.keeps_shares(), keeps);
    EXPECT_EQ(sampler.group() > 1, keeps);
    return sampler.draw(0, 1)[0];
  };
  const Tensor kept = draw(true);
  s.work.device_memory = 1;
  test::expect_same_bits(draw(false), kept);
}

// From how many steps of groups of one size on a recording is of use.
TEST_F(GpuSamplingWindows, AGraphIsRecordedForThreeStepsOfGroupsOfOneSize) {
  Sampling s(Device::cuda(), {4, 4, 4}, "ddim");
  const auto replayed = [&](int64_t steps, const std::vector<int64_t>& counts) {
    s.options.sampler.steps = steps;
    GroupSampler sampler = s.sampler();
    std::vector<bool> all;
    int64_t first = 0;
    for (const int64_t count : counts) {
      sampler.draw(first, count);
      all.push_back(sampler.replayed());
      first += count;
    }
    return all;
  };
  s.options.samples = 3;
  // The last group is short.
  EXPECT_EQ(replayed(2, {2, 1}), (std::vector<bool>{false, false}));
  EXPECT_EQ(replayed(1, {1, 1, 1}), (std::vector<bool>{false, true, true}));
}

TEST_F(GpuSamplingWindows, OfThePriorAreBlendedAsOnTheCpu) {
  Sampling s(Device::cpu(), {4, 4, 5}, "ddim");
  Segmenter prior("prior", {}, s.plan, unet_config(s.plan, Runtime(), 1));
  prior.parameters().allocate(3);
  const Tensor cpu = prior.volume_probabilities(s.image, 1.3, s.work);
  prior.parameters().move_to(Device::cuda());
  const Tensor device = prior.volume_probabilities(s.image, 1.3, s.work);
  EXPECT_TRUE(device.device().is_cuda());
  EXPECT_LE(test::relative_error(device, cpu), 1e-5);
}

INSTANTIATE_TEST_SUITE_P(Samplers, GpuSampling, testing::Values("ddim", "ddpm", "dpmpp"),
                         [](const auto& sampler) { return sampler.param; });

}  // namespace
}  // namespace voxgrad
