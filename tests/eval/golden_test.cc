// Every score against values computed with numpy and scipy (tests/golden/eval_metrics.py makes the file).
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "eval/agreement.h"
#include "eval/calibrate.h"
#include "eval/curvas.h"
#include "eval/ranked.h"
#include "eval/scores.h"
#include "eval/statistics.h"
#include "tests/eval/mean_softmax.h"

namespace voxgrad {
namespace {

constexpr int64_t D = 6, H = 9, W = 10, K = 3;
const Spacing kSpacing{4.0, 1.4, 1.7};

std::map<std::string, double> golden() {
  std::ifstream file(VOXGRAD_SOURCE_DIR "/tests/golden/eval_metrics.txt");
  std::map<std::string, double> values;
  std::string key;
  for (double value; file >> key >> value;) values[key] = value;
  return values;
}

Tensor labels(int64_t shift) {
  Tensor out = Tensor::zeros({D, H, W}, DType::i32);
  int32_t* v = out.mutable_data<int32_t>();
  for (int64_t z = 0; z < D; ++z)
    for (int64_t y = 0; y < H; ++y)
      for (int64_t x = 0; x < W; ++x, ++v) {
        const auto ball = [&](int64_t cz, int64_t cx) {
          return (z - cz) * (z - cz) + (y - 4) * (y - 4) + (x - cx - shift) * (x - cx - shift);
        };
        if (ball(2, 3) <= 5 + shift % 2) *v = 1;
        if (ball(3, 6) <= 3) *v = 2;
      }
  return out;
}

/// If `certain` is above 0, every `certain`-th voxel has the probability 1 for the predicted class.
Tensor probabilities(const Tensor& prediction, uint64_t salt, int64_t classes = K, int64_t certain = 0) {
  Tensor out = Tensor::empty({D, H, W, classes});
  const int32_t* y = prediction.data<int32_t>();
  float* p = out.mutable_data<float>();
  std::vector<double> w(static_cast<size_t>(classes));
  for (int64_t i = 0; i < D * H * W; ++i) {
    double sum = 0;
    for (size_t c = 0; c < w.size(); ++c) {
      const uint64_t element = static_cast<uint64_t>(i) * w.size() + c + 7919 * salt;
      const uint64_t hash = ((element * 2654435761u) % (uint64_t{1} << 32)) >> 20;
      const bool predicted = y[i] == static_cast<int32_t>(c);
      w[c] = static_cast<double>(1 + hash % 50 + (predicted ? 90 : 0));
      if (certain > 0 && i % certain == 0) w[c] = predicted ? 1 : 0;
      sum += w[c];
    }
    for (const double v : w) *p++ = static_cast<float>(v / sum);
  }
  return out;
}

CaseInput golden_case() {
  CaseInput in;
  in.name = "golden";
  in.truth = labels(0);
  in.prediction = labels(1);
  in.spacing = kSpacing;
  in.probabilities = probabilities(in.prediction, 0);
  in.posterior = probabilities(in.truth, 11);
  for (uint64_t s : {1, 2, 3, 4})
    in.sample_probabilities.push_back(probabilities(labels(static_cast<int64_t>(s)), s));
  for (int64_t s : {0, 1, 2, 3}) in.samples.push_back(labels(s));
  for (int64_t s : {0, 2, 1, 0, 3, 5}) in.annotations.push_back(labels(s));
  return in;
}

TEST(Golden, AllScoresOfACase) {
  const auto expected = golden();
  ASSERT_GT(expected.size(), 40u);
  ScoreOptions options;
  options.classes = K;
  options.nsd_tolerance = 1.5;
  const ScoredCase scored = score_case(golden_case(), options);
  int compared = 0;
  for (const auto& [key, value] : scored.scores.values) {
    const auto it = expected.find(key);
    if (it == expected.end()) continue;
    // Maps are kept in f32, hence 1e-6 for the means of them.
    EXPECT_NEAR(value, it->second, key.find("entropy") == 0 || key.find("mutual") == 0 ? 1e-6 : 1e-9) << key;
    ++compared;
  }
  EXPECT_EQ(compared, 51);
  EXPECT_NEAR(scored.scores.values.at("nll_excess"), expected.at("nll") - expected.at("nll_posterior"), 1e-9);
  EXPECT_NEAR(*ece(scored.reliability), expected.at("ece_top15"), 1e-9);
}

/// The probabilities in fourths, so that many voxels have the same confidence. The first class takes the
/// rest.
Tensor coarse_probabilities() {
  Tensor out = probabilities(labels(1), 5);
  float* p = out.mutable_data<float>();
  for (int64_t i = 0; i < D * H * W; ++i, p += K) {
    for (int64_t c = 0; c < K; ++c) p[c] = std::nearbyint(p[c] * 4) / 4;
    p[0] = 1 - p[1] - p[2];
  }
  return out;
}

/// Compares the areas and four points of the curves. The curve of voxels has the point of coverage k / 100 at
/// k.
void expect_risk(const SelectiveRisk& got, const std::map<std::string, double>& expected,
                 const std::string& suffix) {
  EXPECT_NEAR(got.aurc, expected.at("aurc" + suffix), 1e-12);
  EXPECT_NEAR(got.augrc, expected.at("augrc" + suffix), 1e-12);
  for (const size_t k : {0, 3, 37, 100}) {
    const std::string at = suffix + '.' + std::to_string(k);
    EXPECT_NEAR(got.curve.selective_risk[k], expected.at("selective_risk" + at), 1e-12) << at;
    EXPECT_NEAR(got.curve.generalised_risk[k], expected.at("generalised_risk" + at), 1e-12) << at;
  }
}

TEST(Golden, RiskCoverage) {
  const auto expected = golden();
  const CaseInput in = golden_case();
  expect_risk(*selective_risk(RankedVoxels(in.probabilities, in.truth)), expected, "");
  const Tensor near = foreground_region(in.truth, kSpacing);
  expect_risk(*selective_risk(RankedVoxels(in.probabilities, in.truth, near)), expected, "_foreground");
  std::vector<double> confidence, risk;
  for (int i = 0; i < 12; ++i) {
    confidence.push_back((5 * i * i + i) % 7);
    risk.push_back(i * i % 13 / 16.0);
  }
  const SelectiveRisk cases = *selective_risk(confidence, risk);
  EXPECT_NEAR(cases.aurc, expected.at("aurc.cases"), 1e-12);
  EXPECT_NEAR(cases.augrc, expected.at("augrc.cases"), 1e-12);
  EXPECT_NEAR(cases.curve.selective_risk.back(), expected.at("selective_risk.cases.100"), 1e-12);
}

TEST(Golden, EqualConfidences) {
  const auto expected = golden();
  const Tensor p = coarse_probabilities(), truth = labels(0);
  const RankedVoxels ranked(p, truth);
  int groups = 0;
  ranked.ascending([&](const ConfidenceGroup&) { ++groups; });
  EXPECT_LT(groups, 5);
  const Reliability bins = top_label_reliability(p, truth);
  EXPECT_NEAR(*average_ce(bins), expected.at("average_ce_top15.coarse"), 1e-12);
  EXPECT_NEAR(*maximum_ce(bins), expected.at("mce_top15.coarse"), 1e-12);
  EXPECT_NEAR(*adaptive_ce(ranked), expected.at("adaptive_ce_top15.coarse"), 1e-12);
  EXPECT_NEAR(*skce(ranked), expected.at("skce.coarse"), 1e-12);
  expect_risk(*selective_risk(ranked), expected, ".coarse");
}

TEST(Golden, DistanceTransformAndRegion) {
  const auto expected = golden();
  const Tensor truth = labels(0);
  Tensor mask = Tensor::empty(truth.shape(), DType::u8);
  for (int64_t i = 0; i < truth.numel(); ++i) mask.mutable_data<uint8_t>()[i] = truth.data<int32_t>()[i] != 0;
  double sum = 0, largest = 0;
  const Tensor squared = squared_distance(mask, kSpacing);
  for (double d : squared.to_vector<double>()) {
    sum += std::sqrt(d);
    largest = std::max(largest, std::sqrt(d));
  }
  EXPECT_NEAR(sum, expected.at("distance_sum"), 1e-9);
  EXPECT_NEAR(largest, expected.at("distance_max"), 1e-12);
  const Tensor region = foreground_region(truth, kSpacing);
  EXPECT_EQ(static_cast<double>(region_voxels(region, truth.shape())), expected.at("region_voxels"));
}

TEST(Golden, Statistics) {
  const auto expected = golden();
  std::vector<double> a, b, rounded;
  for (int i = 0; i < 17; ++i) {
    a.push_back((37 * i * i + 11 * i) % 101 / 100.0);
    b.push_back(a.back() - 0.03 + (53 * i) % 19 / 200.0);
    rounded.push_back(std::round(b.back() * 10) / 10);
  }
  const PairedComparison c = compare_paired(a, b);
  std::vector<double> difference;
  for (size_t i = 0; i < a.size(); ++i) difference.push_back(a[i] - b[i]);
  EXPECT_NEAR(*c.t, expected.at("t"), 1e-9);
  EXPECT_NEAR(*c.p, expected.at("p"), 1e-10);
  EXPECT_EQ(c.wilcoxon_p, wilcoxon_p_value(difference));
  EXPECT_NEAR(*spearman(a, rounded), expected.at("spearman"), 1e-12);
  EXPECT_NEAR(quantile(a, 0.95), expected.at("quantile"), 1e-12);
  EXPECT_NEAR(student_t_p_value(0.1, 1), expected.at("student.0.1.1"), 1e-12);
  EXPECT_NEAR(student_t_p_value(2.5, 4), expected.at("student.2.5.4"), 1e-12);
  EXPECT_NEAR(student_t_p_value(8, 30), expected.at("student.8.0.30"), 1e-17);
  EXPECT_NEAR(student_t_p_value(1.96, 1000), expected.at("student.1.96.1000"), 1e-11);
}

TEST(Golden, RankTestsAndCorrection) {
  const auto expected = golden();
  std::vector<double> fifty, tied, many;
  for (int i = 1; i <= 50; ++i) fifty.push_back((i % 3 ? i : -i) / 8.0);
  for (int i = 0; i < 14; ++i) tied.push_back(((7 * i * i + 3 * i) % 11 - 3) / 4.0);
  for (int i = 0; i < 80; ++i) many.push_back(((13 * i * i + 5 * i) % 47 - 20) / 8.0);
  // Counts are exact, so only the last division rounds.
  EXPECT_NEAR(*wilcoxon_p_value(fifty), expected.at("wilcoxon.50"), 1e-15);
  EXPECT_NEAR(*wilcoxon_p_value(tied), expected.at("wilcoxon.tied"), 1e-15);
  fifty.push_back(-51 / 8.0);  // now the approximation
  EXPECT_NEAR(*wilcoxon_p_value(fifty), expected.at("wilcoxon.51"), 1e-12);
  EXPECT_NEAR(*wilcoxon_p_value(many), expected.at("wilcoxon.many"), 1e-12);
  for (const char* z : {"-1.5", "0.5", "2.9", "3.1", "8.0", "30.0"}) {
    const double want = expected.at(std::string("normal.") + z);
    EXPECT_NEAR(normal_upper_tail(std::stod(z)) / want, 1, 1e-12) << z;
  }
  const std::vector<double> adjusted = holm({0.04, 0.001, 0.02, 0.8, 0.02, 0.011});
  for (size_t i = 0; i < adjusted.size(); ++i)
    EXPECT_NEAR(adjusted[i], expected.at("holm." + std::to_string(i)), 1e-15) << i;
}

/// The scores of a profile, all of those in the file with the prefix and no others.
void expect_profile(const ScoreMap& got, const std::map<std::string, double>& expected,
                    const std::string& prefix) {
  size_t compared = 0;
  for (const auto& [key, value] : expected)
    if (key.starts_with(prefix)) {
      ASSERT_TRUE(got.contains(key.substr(prefix.size()))) << key;
      // The reference integrates numerically, to about 1e-10.
      EXPECT_NEAR(got.at(key.substr(prefix.size())), value, 1e-9) << key;
      ++compared;
    }
  EXPECT_GT(compared, 3u);
  EXPECT_EQ(got.size(), compared);
}

TEST(Golden, CurvasProfiles) {
  const auto expected = golden();
  const auto organs = [](int64_t shift) {
    Tensor out = labels(shift);
    int32_t* v = out.mutable_data<int32_t>();
    for (int64_t i = 0; i < out.numel(); ++i) {
      const int64_t z = i / (H * W) - 1, y = i / W % H - 1, x = i % W - 2 - shift;
      if (z * z + y * y + x * x <= 2) v[i] = 3;
    }
    return out;
  };
  CurvasCase three;
  three.prediction = organs(1);
  three.probabilities = probabilities(three.prediction, 3, 4, 7);
  for (int64_t s : {0, 1, 2}) three.annotations.push_back(organs(s));
  three.image = Tensor::full({D, H, W}, -1000);
  // Four voxels of two inner slices mark the box in the plane, y 1 to 7 and x 2 to 8.
  float* hu = three.image.mutable_data<float>();
  hu[2 * H * W + 1 * W + 5] = hu[2 * H * W + 7 * W + 6] = 40;
  hu[3 * H * W + 3 * W + 2] = hu[3 * H * W + 4 * W + 8] = 40;
  hu[2 * W] = 0;  // not above 0
  expect_profile(curvas_scores(CurvasProfile::curvas_2024, three), expected, "curvas2024.");

  const auto tumour = [](int64_t shift) {
    Tensor out = labels(shift);
    for (int64_t i = 0; i < out.numel(); ++i)
      out.mutable_data<int32_t>()[i] = std::min(out.data<int32_t>()[i], 1);
    return out;
  };
  CurvasCase one;
  one.probabilities = probabilities(tumour(1), 4, 2, 7);
  for (int64_t s : {0, 1, 2, 3, 5}) one.annotations.push_back(tumour(s));
  expect_profile(curvas_scores(CurvasProfile::curvas_2025, one), expected, "curvas2025.");
}

TEST(Golden, ContinuousRankedProbabilityScore) {
  const auto expected = golden();
  for (const char* value : {"0.0", "96.0", "101.5", "104.9", "130.0"}) {
    const double v = std::stod(value);
    EXPECT_NEAR(*curvas_crps(v, 100, 4), expected.at(std::string("crps_cut.") + value), 1e-9) << value;
    EXPECT_NEAR(normal_crps(v, 100, 4), expected.at(std::string("crps_uncut.") + value), 1e-9) << value;
  }
}

TEST(Golden, FittedScalars) {
  const auto expected = golden();
  const CaseInput in = golden_case();
  // A fit's interpolation is off by up to 1e-4 in log x (eval/calibrate.h). The minimum is flat: that gives
  // the NLL to 1e-8, and f32 maps to 1e-7.
  const auto nll_at = [&](double t) { return *nll(apply_temperature(in.probabilities, t), in.truth); };
  TemperatureFit temperature;
  temperature.add(in.probabilities, in.truth);
  EXPECT_NEAR(std::log(temperature.best() / expected.at("temperature")), 0, 1e-4);
  EXPECT_NEAR(nll_at(temperature.best()), expected.at("nll_at_temperature"), 1e-7);
  EXPECT_NEAR(nll_at(0.5), expected.at("nll_at_half_temperature"), 1e-7);

  const auto nll_read_out = [&](double t) {
    return *nll(mean_softmax(in.sample_probabilities, t), in.truth);
  };
  TauOutFit tau;
  tau.begin_case(in.truth);
  for (const Tensor& sample : in.sample_probabilities) tau.add_sample(sample);
  tau.end_case();
  EXPECT_NEAR(std::log(tau.best() / expected.at("tau_out")), 0, 1e-4);
  EXPECT_NEAR(nll_read_out(tau.best()), expected.at("nll_at_tau_out"), 1e-7);
  EXPECT_NEAR(nll_read_out(0.5), expected.at("nll_at_half_tau_out"), 1e-7);
}

}  // namespace
}  // namespace voxgrad
