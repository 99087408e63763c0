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
    t.add(c);
  }
  return t;
}

TEST(Scores, SummaryCountsOnlyCasesThatHaveAScore) {
  const auto s = summarise(table());
  EXPECT_NEAR(s.at("dsc.mean_foreground").mean, 0.6, 1e-15);
  EXPECT_NEAR(*s.at("dsc.mean_foreground").std, 0.1, 1e-15);
  EXPECT_EQ(s.at("dsc.2").count, 1);
  EXPECT_FALSE(s.at("dsc.2").std);
  const ScoreMap pooled = pooled_scores(table());
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

TEST(Scores, RunFileRoundTrip) {
  RunScores run;
  run.rows = {{"prior", table()}, {"PGRD", table()}};
  run.notes = {"a note"};
  run.split = "fold 0";
  const std::string text = to_json(run);
  const RunScores back = run_scores_from_json(text, "metrics.json");
  ASSERT_EQ(back.rows.size(), 2u);
  EXPECT_EQ(back.rows[1].name, "PGRD");
  EXPECT_EQ(back.rows[0].table.cases[1].values, table().cases[1].values);
  EXPECT_EQ(back.rows[0].table.class_names, table().class_names);
  EXPECT_EQ(back.rows[0].table.reliability.count, table().reliability.count);
  EXPECT_EQ(to_json(back), text);
  EXPECT_EQ(run_scores_from_json(to_json(table()), "metrics.json").rows.size(), 1u);
}

TEST(Scores, DamagedRunFilesAreDataErrors) {
  for (const char* text :
       {"{", "[]", "{\"rows\": [{\"name\": \"x\"}]}", "{\"cases\": {\"a\": 1}}",
        "{\"cases\": {}, \"reliability\": {\"confidence\": [1], \"accuracy\": [], \"count\": []}}"}) {
    try {
      run_scores_from_json(text, "RUN/metrics.json");
      FAIL() << text;
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::data);
      EXPECT_NE(std::string(e.what()).find("RUN/metrics.json"), std::string::npos);
    }
  }
}

TEST(Scores, CsvLeavesAbsentScoresEmptyAndQuotesNames) {
  ScoreTable t = table();
  t.cases[2].name = "a,\"b\"";
  const std::string csv = to_csv(t);
  EXPECT_EQ(csv.substr(0, csv.find('\n')), "case,dsc.2,dsc.mean_foreground,entropy_foreground,nll");
  EXPECT_NE(csv.find("\ncase_0,,0.5,"), std::string::npos);
  EXPECT_NE(csv.find("\n\"a,\"\"b\"\"\","), std::string::npos);
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
