// Sampling in groups: what is shared between samples changes no sample, whatever the memory bound and the
// number of threads.
#include "methods/group_sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "methods/pgrd.h"
#include "methods/volume.h"
#include "tensor/core/parallel.h"
#include "tests/methods/small_sampling.h"

namespace voxgrad {
namespace {

struct Fixture : test::SmallSampling {
  explicit Fixture(const Triple& shape, bool guided = true) : SmallSampling(shape, 8, guided) {
    options.samples = 5;
  }
  std::vector<std::vector<float>> draw() const {
    GroupSampler s = sampler();
    std::vector<std::vector<float>> all;
    for (int64_t first = 0; first < options.samples; first += s.group())
      for (const Tensor& t : s.draw(first, std::min(s.group(), options.samples - first)))
        all.push_back(t.to_vector<float>());
    return all;
  }
};

class GroupSampling : public testing::TestWithParam<Triple> {
 protected:
  void TearDown() override { set_thread_count(2); }
};

TEST_P(GroupSampling, SharesKeptOrComputedAgainGiveTheSameBits) {
  Fixture f(GetParam());
  ASSERT_TRUE(f.sampler().keeps_shares());
  EXPECT_GE(f.sampler().group(), f.options.samples);
  const auto kept = f.draw();
  f.work.memory = 1;
  ASSERT_FALSE(f.sampler().keeps_shares());
  EXPECT_EQ(f.sampler().group(), 1);
  EXPECT_EQ(f.draw(), kept);
}

TEST_P(GroupSampling, TheSameBitsWithOneThreadAndTwo) {
  const Fixture f(GetParam());
  set_thread_count(1);
  const auto one = f.draw();
  set_thread_count(2);
  EXPECT_EQ(f.draw(), one);
}

// The first weight, of a linear layer, is not finite: the error names the op that reads it.
TEST_P(GroupSampling, SamplesThatAreNotFiniteAreRefused) {
  Fixture f(GetParam());
  f.net.parameters().values().mutable_data<float>()[0] = std::numeric_limits<float>::infinity();
  try {
    f.draw();
    FAIL() << "expected an error";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::diverged);
    EXPECT_NE(std::string(e.what()).find("[linear] expected a finite input"), std::string::npos) << e.what();
  }
}

// An output of any window that is not finite is refused; a single window of the volume's size is no
// exception.
TEST(Windows, OutputsThatAreNotFiniteAreRefused) {
  for (const Triple& shape : {Triple{8, 8, 8}, Triple{8, 8, 16}}) {
    for (const float bad :
         {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
      int64_t windows = 0;
      const auto f = [&](bool breaks) {
        windows = 0;
        return over_windows(shape, {8, 8, 8}, 2, 1, [&](const std::vector<Window>& w) {
          Tensor out = Tensor::full({static_cast<int64_t>(w.size()), 8, 8, 8, 2}, 0.5);
          windows += static_cast<int64_t>(w.size());
          if (breaks && windows == (shape[2] == 8 ? 1 : 3)) out.mutable_data<float>()[1023] = bad;
          return out;
        });
      };
      EXPECT_NO_THROW(f(false));
      EXPECT_EQ(windows, shape[2] == 8 ? 1 : 3);
      try {
        f(true);
        ADD_FAILURE() << "expected an error";
      } catch (const Error& e) {
        EXPECT_EQ(e.code(), ErrorCode::diverged);
        EXPECT_NE(std::string(e.what()).find("[windows] expected finite outputs of the network"),
                  std::string::npos)
            << e.what();
      }
    }
  }
}

// The loop that the sampler replaces: a sample at a time, the network reads all inputs at every step. Outputs
// lie in [0, 1]; three steps of a network whose first sums run in another order differ by less than 1e-5.
class GroupSamplingAsALoop : public testing::TestWithParam<std::tuple<Triple, std::string, bool>> {};

TEST_P(GroupSamplingAsALoop, OverSamplesStepsAndWindows) {
  const auto& [shape, kind, guided] = GetParam();
  Fixture f(shape, guided);
  const Tensor pi_of_case = guided ? f.pi : Tensor::zeros({shape[0], shape[1], shape[2], 2});
  f.use(kind);
  f.options.samples = 3;
  const auto samples = f.draw();
  const auto steps = reverse_steps(f.schedule, f.options.sampler);
  const auto some = [&](auto uses) { return std::any_of(steps.begin(), steps.end(), uses); };
  EXPECT_EQ(some([](const ReverseStep& s) { return s.previous != 0; }), kind == "dpmpp");
  EXPECT_EQ(some([](const ReverseStep& s) { return s.noise != 0; }), kind != "dpmpp");
  for (int64_t m = 0; m < f.options.samples; ++m) {
    const Shape one{1, shape[0], shape[1], shape[2], 2};
    Tensor state = start_noise("case", 17, m, one), before = Tensor::zeros(one);
    for (size_t i = 0; i < steps.size(); ++i) {
      const int64_t t = steps[i].t;
      const Tensor constants = process_constants(f.schedule, {t}, Fixture::kSd, steps[i]);
      const Tensor y0 = over_windows(shape, f.plan.patch, 2, 1, [&](const std::vector<Window>& w) {
        const Tensor r = gather_windows(state.reshape(pi_of_case.shape()), w, f.plan.patch),
                     pi = gather_windows(pi_of_case, w, f.plan.patch);
        Tensor in = Tensor::empty(r.shape());
        precondition_state(constants, r, in);
        std::vector<Var> inputs{Var(in), Var(gather_windows(f.image, w, f.plan.patch))};
        if (guided) inputs.emplace_back(pi);
        const Tensor out = f.net(inputs, Tensor::full({1}, static_cast<double>(t))).f.value();
        estimate_clean(constants, r, pi, out, in);
        return in;
      });
      if (steps[i].s == 0) {
        state = y0;
        break;
      }
      const Tensor z =
          random_normal(one, {sample_seed("case", 17, m), Stream::ancestral, static_cast<uint32_t>(i)});
      reverse_residual(constants, y0.reshape(one), pi_of_case, z, state, before);
    }
    const std::vector<float>& sample = samples[static_cast<size_t>(m)];
    for (size_t i = 0; i < sample.size(); ++i)
      ASSERT_NEAR(sample[i], state.data<float>()[i], 1e-5) << "sample " << m << ", element " << i;
  }
}

TEST_P(GroupSampling, TheFirstEstimateIsTheMeanOfOneStepWhateverTheStepsAndTheMemory) {
  Fixture f(GetParam());
  const auto first_estimate = [&] {
    GroupSampler s = f.sampler();
    for (int64_t first = 0; first < f.options.samples; first += s.group())
      s.draw(first, std::min(s.group(), f.options.samples - first));
    return s.first_estimate();
  };
  const auto of_three_steps = first_estimate().to_vector<float>();
  f.work.memory = 1;
  EXPECT_EQ(first_estimate().to_vector<float>(), of_three_steps);
  f.options.sampler.steps = 1;
  GroupSampler one_step = f.sampler();
  SampleAggregator mean;
  for (int64_t m = 0; m < f.options.samples; ++m) mean.add(readout(one_step.draw(m, 1)[0], "clip", 1));
  EXPECT_EQ(mean.mean().to_vector<float>(), of_three_steps);
  f.options.mean = "samples";
  EXPECT_FALSE(first_estimate().defined());
}

const auto shapes = testing::Values(Triple{8, 8, 8},    // one window that is the volume
                                    Triple{8, 12, 9});  // several that overlap
std::string name_of(const Triple& shape) { return cat(shape[0], "x", shape[1], "x", shape[2]); }
INSTANTIATE_TEST_SUITE_P(Shapes, GroupSampling, shapes,
                         [](const auto& shape) { return name_of(shape.param); });
INSTANTIATE_TEST_SUITE_P(Samplers, GroupSamplingAsALoop,
                         testing::Combine(shapes, testing::Values("ddim", "ddpm", "dpmpp"), testing::Bool()),
                         [](const auto& p) {
                           return name_of(std::get<0>(p.param)) + "_" + std::get<1>(p.param) +
                                  (std::get<2>(p.param) ? "" : "_without_prior");
                         });

TEST(EarlyStopOfPgrd, DrawsAPrefixOfTheSamplesWhateverTheMemory) {
  const Fixture f({8, 12, 9});
  Pgrd method;
  method.build(f.plan, Runtime());
  method.constants = {{"pi_temperature", 1}, {"residual_sd", Fixture::kSd}};
  uint64_t seed = 1;
  for (const auto& [name, p] : method.networks()) p->allocate(seed++);
  PreprocessedCase c;
  c.name = "case";
  c.image = f.image;
  const auto draw = [&](double tolerance, int64_t memory) {
    SamplingOptions o = f.options;
    o.samples = 11;
    o.stop_tolerance = tolerance;
    Work work;
    work.memory = memory;
    std::vector<std::vector<float>> all;
    const Tensor mean =
        method.draw(c, o, work, [&](const Tensor& raw) { all.push_back(raw.to_vector<float>()); });
    all.push_back(mean.to_vector<float>());
    return all;
  };
  const auto all = draw(0, int64_t{1} << 30);
  EXPECT_EQ(all.size(), 12u);  // and the mean of the first estimates
  const auto stopped =
      draw(1, int64_t{1} << 30);  // no mean changes by more than 1: asked for the second time, it stops
  EXPECT_EQ(stopped.size(), 9u);
  EXPECT_EQ(std::vector(stopped.begin(), stopped.begin() + 8), std::vector(all.begin(), all.begin() + 8));
  EXPECT_NE(stopped.back(), all.back());
  // Groups of 1, 2 and 3 samples, too.
  std::vector<int64_t> groups;
  for (int64_t memory = 1; groups.size() < 3 && memory < int64_t{1} << 30; memory += 1 << 12) {
    Fixture small({8, 12, 9});
    small.work.memory = memory;
    const int64_t group = small.sampler().group();
    if (!groups.empty() && groups.back() == group) continue;
    groups.push_back(group);
    EXPECT_EQ(draw(1, memory), stopped) << "groups of " << group;
  }
  EXPECT_EQ(groups, (std::vector<int64_t>{1, 2, 3}));
  EXPECT_EQ(draw(1e-12, int64_t{1} << 30), all);
}

}  // namespace
}  // namespace voxgrad
