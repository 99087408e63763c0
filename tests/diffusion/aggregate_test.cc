#include "diffusion/aggregate.h"

#include <gtest/gtest.h>

#include <cmath>

namespace voxgrad {
namespace {

TEST(Readout, SoftmaxOfAOneHotNeverReachesOne) {
  // A perfect one-hot at tau = 1 has p_max .475 (4 classes), .731 (2); at .2 .980 and .993.
  const auto top = [](int64_t classes, double tau) {
    Tensor y = Tensor::zeros({1, classes});
    y.mutable_data<float>()[0] = 1;
    return readout(y, "softmax", tau).data<float>()[0];
  };
  EXPECT_NEAR(top(4, 1), 0.475, 5e-4);
  EXPECT_NEAR(top(2, 1), 0.731, 5e-4);
  EXPECT_NEAR(top(4, 0.2), 0.980, 5e-4);
  EXPECT_NEAR(top(2, 0.2), 0.993, 5e-4);
}

TEST(Readout, ClipRenormalises) {
  const Tensor y = Tensor::from<float>({2, 3}, {1.5f, 0.5f, -1, -1, -1, -1});
  const Tensor p = readout(y, "clip", 1);
  EXPECT_FLOAT_EQ(p.data<float>()[0], 2.0f / 3);
  EXPECT_FLOAT_EQ(p.data<float>()[1], 1.0f / 3);
  EXPECT_FLOAT_EQ(p.data<float>()[2], 0);
  EXPECT_FLOAT_EQ(p.data<float>()[3], 1.0f / 3);
}

TEST(Readout, UnknownKindIsAUsageError) {
  try {
    readout(Tensor::zeros({1, 2}), "argmax", 1);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::usage);
  }
}

TEST(Aggregator, MeanEntropyAndMutualInformation) {
  SampleAggregator a;
  a.add(Tensor::from<float>({2, 2}, {1, 0, 0.5f, 0.5f}));
  a.add(Tensor::from<float>({2, 2}, {0, 1, 0.5f, 0.5f}));
  EXPECT_EQ(a.count(), 2);
  EXPECT_FLOAT_EQ(a.mean().data<float>()[0], 0.5f);
  // Both voxels have entropy log 2; in the first samples disagree (all of it is mutual information), in the
  // second every sample is itself undecided (none is).
  EXPECT_NEAR(a.entropy().data<float>()[0], std::log(2), 1e-6);
  EXPECT_NEAR(a.entropy().data<float>()[1], std::log(2), 1e-6);
  EXPECT_NEAR(a.mutual_information().data<float>()[0], std::log(2), 1e-6);
  EXPECT_NEAR(a.mutual_information().data<float>()[1], 0, 1e-6);
}

TEST(EarlyStop, AsksAfterEveryFourthSampleAndStopsWithinTheTolerance) {
  const Tensor yes = Tensor::from<float>({1, 2}, {0, 1}), no = Tensor::from<float>({1, 2}, {1, 0});
  // Means of class 1 after 4, 8 and 12 samples: 1, 3/4, 2/3.
  const std::vector<bool> votes{1, 1, 1, 1, 1, 0, 1, 0, 1, 0, 1, 0};
  const auto stops_after = [&](double tolerance) {
    EarlyStop stop(tolerance);
    for (size_t i = 0; i < votes.size(); ++i)
      if (stop.add(votes[i] ? yes : no)) return i + 1;
    return size_t{0};
  };
  EXPECT_EQ(stops_after(0.26), 8u);
  EXPECT_EQ(stops_after(0.24), 12u);
  EXPECT_EQ(stops_after(0.05), 0u);
  EXPECT_EQ(stops_after(0), 0u);
}

TEST(Aggregate, WeightsCountASampleSoManyTimes) {
  const Tensor a = Tensor::from<float>({2, 2}, {0.9f, 0.1f, 0.5f, 0.5f}),
               b = Tensor::from<float>({2, 2}, {0.2f, 0.8f, 0.25f, 0.75f});
  SampleAggregator weighted, repeated;
  weighted.add(a);
  weighted.add(b, 3);
  repeated.add(a);
  for (int i = 0; i < 3; ++i) repeated.add(b);
  for (int64_t i = 0; i < 4; ++i)  // a few roundings of f32
    EXPECT_NEAR(weighted.mean().data<float>()[i], repeated.mean().data<float>()[i], 1e-6);
  for (int64_t i = 0; i < 2; ++i) {
    EXPECT_NEAR(weighted.entropy().data<float>()[i], repeated.entropy().data<float>()[i], 1e-6);
    EXPECT_NEAR(weighted.mutual_information().data<float>()[i],
                repeated.mutual_information().data<float>()[i], 1e-6);
  }
  EXPECT_EQ(weighted.count(), 2);
  EXPECT_THROW(weighted.add(a, 0), Error);
}

// The readouts and the estimate of the sampler clip: NaN must not become a probability.
TEST(Readout, NanStaysNan) {
  const Tensor y0 = Tensor::from<float>({2, 3}, {0.2f, NAN, 0.5f, 0, -1, -2});
  for (const char* kind : {"softmax", "clip"})
    for (int64_t k = 0; k < 3; ++k) EXPECT_TRUE(std::isnan(readout(y0, kind, 0.5).data<float>()[k])) << kind;
  EXPECT_FLOAT_EQ(readout(y0, "clip", 1).data<float>()[3], 1.0f / 3) << "all classes 0: uniform";
}

}  // namespace
}  // namespace voxgrad
