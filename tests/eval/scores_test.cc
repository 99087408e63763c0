#include "eval/scores.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

namespace voxgrad {
namespace {

ScoreTable table() {
  ScoreTable t;
  t.class_names = {"background", "anterior", "posterior"};
  t.options.classes = 3;
  for (int i = 0; i < 3; ++i) {
    ScoredCase c;
    c.scores.name = "case_" + std::to_string(i);
    c.scores.values = {{"dsc.mean_foreground", 0.5 + 0.1 * i},
                       {"nll", 0.3 - 0.1 * i},
                       {"entropy_foreground", 0.4 - 0.1 * i}};
    if (i == 1) c.scores.values["dsc.2"] = 0.25;
    c.reliability.add(0.75, i != 0);
    add(t, c);
  }
  pool(t);
  return t;
}

TEST(Scores, SummaryCountsOnlyCasesThatHaveAScore) {
  const auto s = summarise(table());
  EXPECT_NEAR(s.at("dsc.mean_foreground").mean, 0.6, 1e-15);
  EXPECT_NEAR(*s.at("dsc.mean_foreground").std, 0.1, 1e-15);
  EXPECT_EQ(s.at("dsc.2").count, 1);
  EXPECT_FALSE(s.at("dsc.2").std);
  const ScoreMap pooled = table().pooled;
  EXPECT_NEAR(pooled.at("ece_top15"), 0.75 - 2.0 / 3, 1e-15);
  EXPECT_NEAR(pooled.at("casewise_spearman"), 1, 1e-15);  // less entropy where the Dice is higher
}

TEST(Scores, JsonHasTheDocumentedShape) {
  const auto j = nlohmann::json::parse(to_json(table()));
  EXPECT_DOUBLE_EQ(j["cases"]["case_1"]["dsc"]["2"].get<double>(), 0.25);
  EXPECT_FALSE(j["cases"]["case_0"]["dsc"].contains("2"));
  EXPECT_NEAR(j["mean"]["dsc"]["mean_foreground"].get<double>(), 0.6, 1e-15);
  EXPECT_EQ(j["labels"]["1"], "anterior");
  EXPECT_EQ(j["reliability"]["count"].size(), 15u);
  const std::string text = to_json(table());
  EXPECT_EQ(text.find("null"), std::string::npos);
}

// The bytes of `voxgrad evaluate -o FILE`, which other programs read.
TEST(Scores, JsonOfOnePredictionHasTheseBytes) {
  ScoreTable t;
  t.class_names = {"background", "lesion"};
  ScoredCase c;
  c.scores = {"a", {{"dsc.1", 0.5}, {"dsc.mean_foreground", 0.5}, {"nll", 0.25}}};
  c.reliability = Reliability(2);
  c.reliability.add(0.75, true);
  t.reliability = Reliability(2);
  add(t, c);
  pool(t);
  EXPECT_EQ(to_json(t), R"({
  "cases": {
    "a": {
      "dsc": {
        "1": 0.5,
        "mean_foreground": 0.5
      },
      "nll": 0.25
    }
  },
  "count": {
    "dsc": {
      "1": 1.0,
      "mean_foreground": 1.0
    },
    "nll": 1.0
  },
  "labels": {
    "1": "lesion"
  },
  "mean": {
    "dsc": {
      "1": 0.5,
      "mean_foreground": 0.5
    },
    "nll": 0.25
  },
  "options": {
    "classes": 2,
    "foreground_radius_mm": 5.0,
    "nsd_tolerance_mm": 1.0
  },
  "pooled": {
    "ece_top15": 0.25
  },
  "reliability": {
    "accuracy": [
      0.0,
      1.0
    ],
    "confidence": [
      0.0,
      0.75
    ],
    "count": [
      0,
      1
    ]
  },
  "std": {}
}
)");
}

TEST(Scores, WithoutProbabilitiesOnlyOverlapAndSurfaces) {
  CaseInput in;
  in.prediction = in.truth = Tensor::full({2, 3, 4}, 1, DType::i32);
  const ScoredCase scored = score_case(in, {});
  for (const auto& [key, value] : scored.scores.values)
    EXPECT_TRUE(key.starts_with("dsc.") || key.starts_with("hd95.") || key.starts_with("nsd.")) << key;
  EXPECT_DOUBLE_EQ(scored.scores.values.at("dsc.mean_foreground"), 1);
  EXPECT_DOUBLE_EQ(scored.scores.values.at("hd95.1"), 0);
  EXPECT_EQ(scored.reliability.total(), 0);
}

TEST(Scores, RiskOverCasesUsesThePredictionAlone) {
  ScoreTable t;
  for (const double p : {0.9, 0.6}) {
    CaseInput in;
    in.name = cat("case ", p);
    in.truth = Tensor::from<int32_t>({1, 1, 2}, {1, 1});
    in.prediction = Tensor::from<int32_t>({1, 1, 2}, {0, p > 0.75 ? 1 : 0});
    const auto f = static_cast<float>(p);
    in.probabilities = Tensor::from<float>({1, 1, 2, 2}, {f, 1 - f, 1 - f, f});
    const ScoredCase scored = score_case(in, {});
    // Without predicted foreground the entropy is taken over all voxels, here with the same result.
    EXPECT_NEAR(scored.scores.values.at("entropy_predicted"), -p * std::log(p) - (1 - p) * std::log(1 - p),
                1e-6);
    add(t, scored);
    EXPECT_EQ(t.casewise_risk_coverage.cases, 0);
  }
  pool(t);
  // The confident case has Dice 2/3, the other one 0.
  EXPECT_NEAR(t.pooled.at("casewise_aurc"), (1.0 / 3 + (1.0 / 3 + 2.0 / 3) / 2) / 2, 1e-12);
  EXPECT_NEAR(t.pooled.at("casewise_augrc"), (1.0 / 12 + (1.0 / 6 + 2.0 / 3) / 2) / 2, 1e-12);
  EXPECT_EQ(t.casewise_risk_coverage.coverage, (std::vector<double>{0, 0.5, 1}));
  EXPECT_EQ(t.risk_coverage.cases, 2);
  EXPECT_DOUBLE_EQ(t.risk_coverage.selective_risk[100], 0.5);
  t.cases.pop_back();
  pool(t);
  EXPECT_FALSE(t.pooled.contains("casewise_aurc")) << "one case cannot be ranked";
  EXPECT_EQ(t.casewise_risk_coverage.cases, 0);
}

TEST(Scores, MeansOverRatersNeedTwoRatersAndNoSamples) {
  CaseInput in;
  in.prediction = in.truth = Tensor::zeros({1, 1, 2}, DType::i32);
  in.probabilities = Tensor::from<float>({1, 1, 2, 2}, {0.75f, 0.25f, 0.75f, 0.25f});
  in.annotations = {Tensor::from<int32_t>({1, 1, 2}, {0, 1})};
  EXPECT_FALSE(score_case(in, {}).scores.values.contains("nll_raters"));
  in.annotations.push_back(Tensor::from<int32_t>({1, 1, 2}, {0, 0}));
  const ScoreMap values = score_case(in, {}).scores.values;
  EXPECT_NEAR(values.at("nll_raters"), -(3 * std::log(0.75) + std::log(0.25)) / 4, 1e-9);
  EXPECT_NEAR(values.at("ece_top15_raters"), (0.25 + 0.25) / 2, 1e-9);
  EXPECT_FALSE(values.contains("nll_raters_foreground"));  // the truth has no foreground
  EXPECT_FALSE(values.contains("ged_squared"));
}

TEST(Scores, TruthWithoutForegroundHasNoForegroundScores) {
  CaseInput in;
  in.prediction = in.truth = Tensor::zeros({2, 3, 4}, DType::i32);
  in.probabilities = Tensor::full({2, 3, 4, 2}, 0.5);
  const ScoreMap values = score_case(in, {}).scores.values;
  EXPECT_NEAR(values.at("nll"), std::log(2.0), 1e-9);
  EXPECT_FALSE(values.contains("nll_foreground"));
  EXPECT_FALSE(values.contains("dsc.mean_foreground"));
}

}  // namespace
}  // namespace voxgrad
