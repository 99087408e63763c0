// Conventions at the edges, by hand.
#include "eval/metrics.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "eval/agreement.h"
#include "eval/curvas.h"
#include "eval/distance.h"
#include "eval/ranked.h"
#include "eval/reliability.h"
#include "eval/selective.h"
#include "eval/statistics.h"
#include "eval/uncertainty.h"
#include "tensor/core/parallel.h"
#include "tensor/core/random.h"

namespace voxgrad {
namespace {

Tensor line(const std::vector<int32_t>& labels) {
  return Tensor::from<int32_t>({1, 1, static_cast<int64_t>(labels.size())}, labels);
}
Tensor map(const std::vector<float>& p, int64_t classes) {
  return Tensor::from<float>({1, 1, static_cast<int64_t>(p.size()) / classes, classes}, p);
}

TEST(Dice, AbsentClassesLeaveTheMean) {
  // Class 1: 2*1/(2+1); class 2 only in the truth: 0; class 3 in neither: no value.
  const ClassScores d = dice(line({0, 1, 1, 0}), line({0, 1, 2, 0}), 4);
  EXPECT_FALSE(d.per_class[0]);
  EXPECT_DOUBLE_EQ(*d.per_class[1], 2.0 / 3);
  EXPECT_DOUBLE_EQ(*d.per_class[2], 0);
  EXPECT_FALSE(d.per_class[3]);
  EXPECT_DOUBLE_EQ(*d.mean_foreground, 1.0 / 3);
  EXPECT_FALSE(dice(line({0, 0}), line({0, 0}), 2).mean_foreground);
}

TEST(Dice, RefusesForeignLabels) {
  try {
    dice(line({0, 3}), line({0, 1}), 2);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::data);
  }
}

TEST(Nll, ClampsAndKeepsToTheRegion) {
  const Tensor p = map({1, 0, 0.25f, 0.75f, 0.5f, 0.5f}, 2), y = line({1, 1, 0});
  EXPECT_NEAR(*nll(p, y), (-std::log(1e-10) - std::log(0.75) - std::log(0.5)) / 3, 1e-12);
  const Tensor region = Tensor::from<uint8_t>({1, 1, 3}, {0, 1, 0});
  EXPECT_NEAR(*nll(p, y, region), -std::log(0.75), 1e-12);
  EXPECT_NEAR(*brier(p, y, region), 2 * 0.25 * 0.25, 1e-12);
  EXPECT_FALSE(nll(p, y, Tensor::zeros({1, 1, 3}, DType::u8)));
}

TEST(Reliability, BinsAreOpenBelowAndClosedAbove) {
  Reliability r(4);
  for (double p : {0.0, 0.25, 0.250001, 0.5, 1.0}) r.add(p, true);
  EXPECT_EQ(r.count, (std::vector<int64_t>{2, 2, 0, 1}));
  // Two bins: confidence .5 with accuracy 1 of 2, confidence .75 with accuracy 1 of 1.
  Reliability two(2);
  two.add(0.5, true);
  two.add(0.5, false);
  two.add(0.75, true);
  EXPECT_NEAR(*ece(two), 0.25 / 3, 1e-15);
  EXPECT_FALSE(ece(Reliability(15)));
}

TEST(Reliability, PoolingDiffersFromTheMeanOfCases) {
  // One case right at confidence .8, one wrong: each is off by .2 and .8, pooled they are off by .3.
  const Tensor p = map({0.2f, 0.8f}, 2);
  Reliability pooled(15);
  pooled += top_label_reliability(p, line({1}));
  pooled += top_label_reliability(p, line({0}));
  EXPECT_NEAR(*ece_top_label(p, line({1})), 0.2, 1e-7);
  EXPECT_NEAR(*ece_top_label(p, line({0})), 0.8, 1e-7);
  EXPECT_NEAR(*ece(pooled), 0.3, 1e-7);
}

TEST(Reliability, AverageAndMaximumOverTheBinsThatHaveVoxels) {
  Reliability r(4);
  for (int i = 0; i < 100; ++i) r.add(0.5, i < 30);  // |.3 - .5|, in 100 voxels
  for (int i = 0; i < 99; ++i) r.add(1, false);      // |0 - 1|, in too few voxels for the maximum
  EXPECT_NEAR(*average_ce(r), (0.2 + 1) / 2, 1e-12);
  EXPECT_NEAR(*maximum_ce(r), 0.2, 1e-12);
  r.add(1, false);
  EXPECT_NEAR(*maximum_ce(r), 1, 1e-12);
  EXPECT_FALSE(average_ce(Reliability(15)));
  EXPECT_FALSE(maximum_ce(Reliability(15)));
}

TEST(Ranked, EqualConfidencesAreOneGroup) {
  // Right at .5 (the first of two equal classes), right and wrong at .75, wrong at 1.
  const Tensor p = map({0.5f, 0.5f, 0.25f, 0.75f, 0.75f, 0.25f, 0, 1}, 2), y = line({0, 1, 1, 0});
  const RankedVoxels voxels(p, y);
  std::vector<double> up, down;
  voxels.ascending([&](const ConfidenceGroup& g) {
    for (const double v : {g.confidence, 1.0 * g.count, 1.0 * g.right}) up.push_back(v);
  });
  voxels.descending([&](const ConfidenceGroup& g) {
    for (const double v : {g.confidence, 1.0 * g.count, 1.0 * g.right}) down.push_back(v);
  });
  EXPECT_EQ(up, (std::vector<double>{0.5, 1, 1, 0.75, 2, 1, 1, 1, 0}));
  EXPECT_EQ(down, (std::vector<double>{1, 1, 0, 0.75, 2, 1, 0.5, 1, 1}));
  EXPECT_EQ(RankedVoxels(p, y, Tensor::from<uint8_t>({1, 1, 4}, {0, 1, 0, 1})).size(), 2);
}

TEST(Ranked, ErrorsOfOneGroupAndOfNoVoxels) {
  // All confidences are .75 and 1 of 4 voxels is right: every error is |.25 - .75|, in any number of bins.
  const Tensor p = map({0.25f, 0.75f, 0.25f, 0.75f, 0.75f, 0.25f, 0.25f, 0.75f}, 2), y = line({0, 1, 1, 0});
  const RankedVoxels voxels(p, y);
  for (const int bins : {1, 2, 3, 15}) EXPECT_NEAR(*adaptive_ce(voxels, bins), 0.5, 1e-15) << bins;
  EXPECT_NEAR(*skce(voxels), 0.25, 1e-15);
  const RankedVoxels none(p, y, Tensor::zeros({1, 1, 4}, DType::u8));
  EXPECT_FALSE(adaptive_ce(none));
  EXPECT_FALSE(skce(none));
  // One class: the confidence is 1 and every voxel is right.
  const RankedVoxels sure(map({1, 1, 1}, 1), line({0, 0, 0}));
  EXPECT_EQ(*adaptive_ce(sure), 0);
  EXPECT_EQ(*skce(sure), 0);
}

TEST(Ranked, AdaptiveBinsHaveEqualNumbersOfVoxels) {
  // Two bins of two voxels: |(1 + 1) - (.5 + .625)| and |(1 + 0) - (.75 + .875)|.
  const Tensor p = map({0.5f, 0.5f, 0.625f, 0.375f, 0.75f, 0.25f, 0.875f, 0.125f}, 2), y = line({0, 0, 0, 1});
  EXPECT_NEAR(*adaptive_ce(RankedVoxels(p, y), 2), (0.875 + 0.625) / 4, 1e-15);
}

TEST(Ranked, SkceFadesWithTheDistanceOfTheConfidences) {
  // Residuals .5 at .5 and -1 at 1; their kernel is exp(-.5 / .2).
  const Tensor p = map({0.5f, 0.5f, 0, 1}, 2), y = line({0, 0});
  EXPECT_NEAR(*skce(RankedVoxels(p, y)), (0.25 + 1 - 2 * 0.5 * std::exp(-2.5)) / 4, 1e-15);
}

TEST(Ranked, RefusesWhatIsNoProbability) {
  const Tensor y = line({0, 1});
  for (const float bad : {std::nanf(""), -0.25f, 1.25f}) try {
      RankedVoxels(map({0.5f, 0.5f, 1, bad}, 2), y);
      ADD_FAILURE() << bad;
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::data);
      EXPECT_NE(std::string(e.what()).find("at voxel 1 for class 1"), std::string::npos) << e.what();
    }
}

TEST(Selective, CurvesOfThreeCasesByHand) {
  // Risks 0, then .5, then 1 as the confidence falls.
  const SelectiveRisk s = *selective_risk(std::vector<double>{1, 3, 2}, {1, 0, 0.5});
  EXPECT_EQ(s.curve.coverage, (std::vector<double>{0, 1.0 / 3, 2.0 / 3, 1}));
  EXPECT_EQ(s.curve.selective_risk, (std::vector<double>{0, 0, 0.25, 0.5}));
  EXPECT_EQ(s.curve.generalised_risk, (std::vector<double>{0, 0, 0.5 / 3, 0.5}));
  EXPECT_NEAR(s.aurc, (0 + 0.125 + 0.375) / 3, 1e-15);
  EXPECT_NEAR(s.augrc, (0 + 0.25 / 3 + (0.5 / 3 + 0.5) / 2) / 3, 1e-15);
  EXPECT_EQ(s.curve.cases, 3);
}

TEST(Selective, EqualConfidencesEnterTogether) {
  // One group: the selective risk is constant, the generalised risk rises in a line.
  for (const auto& risk : {std::vector<double>{1, 0, 0, 0}, {0, 0, 0, 1}}) {
    const SelectiveRisk s = *selective_risk(std::vector<double>{0.5, 0.5, 0.5, 0.5}, risk);
    EXPECT_DOUBLE_EQ(s.aurc, 0.25);
    EXPECT_DOUBLE_EQ(s.augrc, 0.125);
  }
  const Tensor p = map({0.25f, 0.75f, 0.75f, 0.25f}, 2);
  const SelectiveRisk voxels = *selective_risk(RankedVoxels(p, line({0, 0})));
  EXPECT_DOUBLE_EQ(voxels.aurc, 0.5);
  EXPECT_DOUBLE_EQ(voxels.augrc, 0.25);
  EXPECT_EQ(voxels.curve.coverage.size(), 101u);
  EXPECT_DOUBLE_EQ(voxels.curve.selective_risk[50], 0.5);
  EXPECT_DOUBLE_EQ(voxels.curve.generalised_risk[50], 0.25);
}

TEST(Selective, NothingToRankAndBadValues) {
  EXPECT_FALSE(selective_risk(std::vector<double>{}, {}));
  const Tensor p = map({1, 0}, 2);
  EXPECT_FALSE(selective_risk(RankedVoxels(p, line({0}), Tensor::zeros({1, 1, 1}, DType::u8))));
  // One class: all voxels are right.
  const SelectiveRisk sure = *selective_risk(RankedVoxels(map({1, 1}, 1), line({0, 0})));
  EXPECT_EQ(sure.aurc, 0);
  EXPECT_EQ(sure.augrc, 0);
  EXPECT_THROW(selective_risk(std::vector<double>{1}, {0, 1}), Error);
  EXPECT_THROW(selective_risk(std::vector<double>{std::nan("")}, {0}), Error);
}

TEST(Distance, MatchesBruteForceOnRandomMasks) {
  const Spacing spacing{3.0, 0.7, 1.3};
  const Philox random{5, Stream::test, 0};
  for (const Shape& shape : {Shape{5, 7, 6}, Shape{1, 9, 8}, Shape{4, 1, 1}}) {
    Tensor mask = Tensor::zeros(shape, DType::u8);
    uint8_t* m = mask.mutable_data<uint8_t>();
    for (int64_t i = 0; i < mask.numel(); ++i) m[i] = random.uniform(static_cast<uint64_t>(i)) < 0.1f;
    m[mask.numel() / 2] = 1;
    const std::vector<double> d = squared_distance(mask, spacing).to_vector<double>();
    const auto place = [&](int64_t i) {
      return Spacing{static_cast<double>(i / (shape[1] * shape[2])) * spacing[0],
                     static_cast<double>(i / shape[2] % shape[1]) * spacing[1],
                     static_cast<double>(i % shape[2]) * spacing[2]};
    };
    for (int64_t i = 0; i < mask.numel(); ++i) {
      double nearest = INFINITY;
      for (int64_t j = 0; j < mask.numel(); ++j) {
        if (!m[j]) continue;
        const Spacing a = place(i), b = place(j);
        nearest = std::min(nearest, (a[0] - b[0]) * (a[0] - b[0]) + (a[1] - b[1]) * (a[1] - b[1]) +
                                        (a[2] - b[2]) * (a[2] - b[2]));
      }
      ASSERT_NEAR(d[static_cast<size_t>(i)], nearest, 1e-9) << shape << " voxel " << i;
    }
  }
}

TEST(Distance, EmptyMaskAndInclusiveRadius) {
  EXPECT_EQ(squared_distance(Tensor::zeros({2, 2, 2}, DType::u8), {1, 1, 1}).data<double>()[3], INFINITY);
  // 0.7 mm steps: the tenth voxel is 7 mm away and inside a radius of 7 mm, whatever the rounding.
  std::vector<int32_t> labels(20, 0);
  labels[0] = 1;
  EXPECT_EQ(region_voxels(foreground_region(line(labels), {1, 1, 0.7}, 7), {1, 1, 20}), 11);
  EXPECT_EQ(region_voxels(foreground_region(line({0, 0}), {1, 1, 1}), {1, 1, 2}), 0);
}

TEST(Surface, TwoDimensionalImagesHaveContours) {
  Tensor square = Tensor::zeros({1, 5, 5}, DType::i32);
  for (int y = 1; y < 4; ++y)
    for (int x = 1; x < 4; ++x) square.mutable_data<int32_t>()[y * 5 + x] = 1;
  EXPECT_EQ(region_voxels(surface_voxels(square, 1), square.shape()), 8);
}

TEST(Surface, AVolumeOfOneVoxelIsASurface) {
  const Tensor one = Tensor::full({1, 1, 1}, 1, DType::i32), none = Tensor::zeros({1, 1, 1}, DType::i32);
  const SurfaceScores s = surface_scores(one, one, 1, {1, 1, 1}, 1);
  EXPECT_EQ(*s.nsd, 1);
  EXPECT_EQ(*s.hd95, 0);
  EXPECT_EQ(*surface_scores(one, none, 1, {1, 1, 1}, 1).nsd, 0);
}

TEST(Surface, ConventionsOfEmptyClasses) {
  const Tensor empty = line({0, 0, 0, 0, 0, 0}), one = line({0, 1, 1, 0, 0, 0}),
               moved = line({0, 0, 1, 1, 0, 0});
  const SurfaceScores missed = surface_scores(empty, one, 1, {1, 1, 2}, 1);
  EXPECT_FALSE(missed.hd95);
  EXPECT_DOUBLE_EQ(*missed.nsd, 0);
  EXPECT_FALSE(surface_scores(empty, empty, 1, {1, 1, 2}, 1).nsd);
  // Moved by one voxel of 2 mm: distances {2, 0} both ways; the 95th percentile is 1.9 mm.
  const SurfaceScores s = surface_scores(one, moved, 1, {1, 1, 2}, 1);
  EXPECT_NEAR(*s.hd95, 1.9, 1e-12);
  EXPECT_DOUBLE_EQ(*s.nsd, 0.5);
  EXPECT_DOUBLE_EQ(*surface_scores(one, moved, 1, {1, 1, 2}, 2).nsd, 1);
}

TEST(Agreement, IdenticalSetsAndEmptyMaps) {
  const Tensor a = line({0, 1, 1, 0}), b = line({0, 0, 1, 1}), empty = line({0, 0, 0, 0});
  EXPECT_DOUBLE_EQ(iou_distance(a, b, 2), 1 - 1.0 / 3);
  EXPECT_DOUBLE_EQ(iou_distance(empty, empty, 2), 0);
  EXPECT_DOUBLE_EQ(iou_distance(a, empty, 2), 1);
  const Agreement same = agreement({a, b}, {b, a}, 2);
  EXPECT_NEAR(same.ged_squared, 0, 1e-15);
  EXPECT_DOUBLE_EQ(same.hm_iou, 1);
  EXPECT_NEAR(same.diversity, 1.0 / 3, 1e-15);
}

TEST(Agreement, UnbiasedGedLeavesOutPairsOfAMapWithItself) {
  const Tensor a = line({0, 1, 1, 0}), b = line({0, 0, 1, 1});  // d(a, b) = 2/3
  const Agreement same = agreement({a, b}, {b, a}, 2);
  EXPECT_NEAR(*same.ged_squared_unbiased, 2.0 / 3 - 2.0 / 3 - 2.0 / 3, 1e-15);
  EXPECT_FALSE(agreement({a}, {a, b}, 2).ged_squared_unbiased);
  EXPECT_FALSE(agreement({a, b}, {a}, 2).ged_squared_unbiased);
  // Two annotators who agree are still two.
  EXPECT_NEAR(*agreement({a, b}, {a, a}, 2).ged_squared_unbiased, 2.0 / 3 - 2.0 / 3, 1e-15);
}

// A perfect model draws from the distribution of the raters. Its mean score must be 0 for any number of
// samples, which the biased one is not.
TEST(Agreement, UnbiasedGedOfAPerfectModelIsZeroOnAverage) {
  const std::vector<Tensor> maps{line({1, 1, 0, 0}), line({0, 1, 1, 0}), line({1, 1, 1, 0})};
  const Philox random{8, Stream::test, 4};
  const auto draw = [&](uint64_t round, uint64_t first, int count) {
    std::vector<Tensor> out;
    for (int i = 0; i < count; ++i)
      out.push_back(
          maps[static_cast<size_t>(random.below(round * 64 + first + static_cast<uint64_t>(i), 3))]);
    return out;
  };
  for (const int samples : {2, 8}) {
    std::vector<double> unbiased, biased;
    for (uint64_t round = 0; round < 2000; ++round) {
      const Agreement a = agreement(draw(round, 0, samples), draw(round, 32, 4), 2);
      unbiased.push_back(*a.ged_squared_unbiased);
      biased.push_back(a.ged_squared);
    }
    const double error = *std_of(unbiased) / std::sqrt(2000.0);
    EXPECT_NEAR(*mean_of(unbiased), 0, 4 * error) << samples;  // four standard errors of the mean
    EXPECT_GT(*mean_of(biased), 0.05) << samples;
  }
}

TEST(Agreement, AssignmentMatchesBruteForce) {
  const Philox random{6, Stream::test, 1};
  for (int round = 0; round < 20; ++round) {
    const int n = 1 + round % 6;
    std::vector<double> cost(static_cast<size_t>(n * n));
    for (size_t i = 0; i < cost.size(); ++i)
      cost[i] = random.uniform(i + 100 * static_cast<uint64_t>(round), 0, round % 2 ? 1 : 4);
    std::vector<int> order(static_cast<size_t>(n));
    for (int i = 0; i < n; ++i) order[static_cast<size_t>(i)] = i;
    const auto total = [&](const std::vector<int>& column) {
      double sum = 0;
      for (int i = 0; i < n; ++i) sum += cost[static_cast<size_t>(i * n + column[static_cast<size_t>(i)])];
      return sum;
    };
    const double found = total(assign(cost, n));
    double least = INFINITY;
    do least = std::min(least, total(order));
    while (std::next_permutation(order.begin(), order.end()));
    EXPECT_NEAR(found, least, 1e-12);
  }
}

TEST(Uncertainty, EntropyAndMutualInformation) {
  const std::vector<float> entropy = entropy_map(map({1, 0, 0.5f, 0.5f}, 2)).to_vector<float>();
  EXPECT_FLOAT_EQ(entropy[0], 0);
  EXPECT_FLOAT_EQ(entropy[1], std::log(2.0f));
  // Samples that contradict each other: all of the entropy is between them. Equal samples: none.
  const Tensor mi = mutual_information_map({map({1, 0, 0.5f, 0.5f}, 2), map({0, 1, 0.5f, 0.5f}, 2)});
  EXPECT_FLOAT_EQ(mi.data<float>()[0], std::log(2.0f));
  EXPECT_FLOAT_EQ(mi.data<float>()[1], 0);
}

TEST(Uncertainty, NoValueWithoutErrors) {
  const Tensor u = Tensor::from<float>({1, 1, 3}, {0.1f, 0.2f, 0.3f}), y = line({0, 1, 1});
  EXPECT_FALSE(error_uncertainty(u, y, y).auroc);
  const ErrorUncertainty e = error_uncertainty(u, line({0, 1, 0}), y);
  EXPECT_DOUBLE_EQ(*e.auroc, 1);
  EXPECT_NEAR(*e.spearman, std::sqrt(3.0) / 2, 1e-12);
  EXPECT_FALSE(error_uncertainty(Tensor::zeros({1, 1, 3}), line({0, 1, 0}), y).spearman);
}

TEST(Statistics, BootstrapCoversAndRepeats) {
  std::vector<double> values(40);
  const Philox random{9, Stream::test, 2};
  for (size_t i = 0; i < values.size(); ++i) values[i] = random.normal(i);
  const auto [low, high] = bootstrap_mean_interval(values, 0.95, 4000, 1);
  const double half = 1.96 * *std_of(values) / std::sqrt(40.0);
  EXPECT_NEAR(low, *mean_of(values) - half, 0.25 * half);
  EXPECT_NEAR(high, *mean_of(values) + half, 0.25 * half);
  EXPECT_EQ(bootstrap_mean_interval(values, 0.95, 4000, 1), std::make_pair(low, high));
}

TEST(Statistics, DegenerateSets) {
  EXPECT_FALSE(mean_of({}));
  EXPECT_FALSE(std_of({1}));
  EXPECT_FALSE(spearman({1, 1, 1}, {1, 2, 3}));
  EXPECT_FALSE(compare_paired({1, 2}, {0, 1}).p);  // the difference has no variance
  EXPECT_DOUBLE_EQ(compare_paired({1, 2}, {0, 1}).mean_difference, 1);
  EXPECT_DOUBLE_EQ(quantile({3}, 0.95), 3);
}

TEST(Statistics, WilcoxonByHand) {
  // Three differences of one sign: 2 of the 8 choices of signs are as extreme.
  EXPECT_DOUBLE_EQ(*wilcoxon_p_value({0.5, 1, 2}), 0.25);
  EXPECT_DOUBLE_EQ(*wilcoxon_p_value({-0.5, -1, -2}), 0.25);
  EXPECT_DOUBLE_EQ(*wilcoxon_p_value({0.5, 0, 1, 0, 2}), 0.25) << "zeros are dropped";
  EXPECT_DOUBLE_EQ(*wilcoxon_p_value({1, 1, 1}), 0.25) << "ties do not change one sign";
  EXPECT_DOUBLE_EQ(*wilcoxon_p_value({1, -1}), 1);
  EXPECT_DOUBLE_EQ(*wilcoxon_p_value({3}), 1);
  EXPECT_FALSE(wilcoxon_p_value({0, 0}));
  EXPECT_FALSE(wilcoxon_p_value({}));
  EXPECT_FALSE(compare_paired({1, 2}, {1, 2}).wilcoxon_p);
  for (const double bad : {std::nan(""), static_cast<double>(INFINITY)})
    EXPECT_THROW(wilcoxon_p_value({1, bad}), Error);
}

TEST(Statistics, HolmKeepsTheOrderAndStaysBelowOne) {
  EXPECT_TRUE(holm({}).empty());
  EXPECT_EQ(holm({0.25}), (std::vector<double>{0.25}));
  EXPECT_EQ(holm({0.5, 0.0625}), (std::vector<double>{0.5, 0.125}));
  EXPECT_EQ(holm({0.25, 0.25}), (std::vector<double>{0.5, 0.5})) << "not below the smaller one's";
  EXPECT_EQ(holm({0.75, 0.75}), (std::vector<double>{1, 1}));
  EXPECT_THROW(holm({1.5}), Error);
  EXPECT_THROW(holm({std::nan("")}), Error);
}

TEST(Sums, SameBitsWithAnyNumberOfThreads) {
  const int before = thread_count();
  const Shape shape{20, 50, 41};
  Tensor p = Tensor::empty({20, 50, 41, 2}), y = Tensor::empty(shape, DType::i32);
  const Philox random{3, Stream::test, 3};
  for (int64_t i = 0; i < y.numel(); ++i) {
    const float v = random.uniform(static_cast<uint64_t>(i));
    p.mutable_data<float>()[2 * i] = v;
    p.mutable_data<float>()[2 * i + 1] = 1 - v;
    y.mutable_data<int32_t>()[i] = random.uniform(static_cast<uint64_t>(i + y.numel())) > v;
  }
  const auto scores = [&] {
    const RankedVoxels ranked(p, y);
    const ScoreMap curvas = curvas_scores(CurvasProfile::curvas_2025, {{}, p, {y}, {}});
    return std::vector<double>{*nll(p, y),
                               *brier(p, y),
                               *ece_top_label(p, y),
                               *ece_class_marginal(p, y),
                               *skce(ranked),
                               selective_risk(ranked)->aurc,
                               curvas.at("curvas_ece"),
                               curvas.at("curvas_crps_uncut")};
  };
  set_thread_count(1);
  const std::vector<double> one = scores();
  set_thread_count(7);
  EXPECT_EQ(one, scores());
  set_thread_count(before);
}

}  // namespace
}  // namespace voxgrad
