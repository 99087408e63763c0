// metrics.json and its CSV there and back, rows of format 1, and what is refused.
#include "run/scores.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "run/folder.h"
#include "tests/io/testing.h"

namespace voxgrad {
namespace {

using testing::expect_error;

ScoreTable table() {
  ScoreTable t;
  t.class_names = {"background", "anterior", "posterior"};
  t.options.classes = 3;
  t.options.nsd_tolerance = 2;
  for (int i = 0; i < 3; ++i) {
    CaseScores c;
    c.name = "case_" + std::to_string(i);
    c.values = {{"dsc.mean_foreground", 0.5 + 0.1 * i}, {"nll", 0.3 - 0.1 * i}};
    if (i == 1) c.values["dsc.2"] = 0.25;
    t.cases.push_back(c);
    t.reliability.add(0.75, i != 0);
    t.foreground_reliability.add(0.65, i == 0);
  }
  t.pooled = {{"ece_top15", 0.125}};
  t.risk_coverage = {{0, 0.5, 1}, {0.125, 0.25, 0.5}, {0, 0.125, 0.5}, 3};
  t.casewise_risk_coverage = {{0, 1}, {0.25, 0.25}, {0, 0.25}, 3};
  return t;
}

RunScores run() {
  RunScores r;
  r.rows = {{"prior", "prior", RowRole::baseline, table()},
            {"pgrd-mean", "PGRD, mean of samples", RowRole::variant, table()},
            {"pgrd", "PGRD (M = 16, S = 5)", RowRole::method, table()}};
  r.notes = {"a note"};
  r.split = "fold 0";
  return r;
}

TEST(Scores, SummaryCountsOnlyCasesThatHaveAScore) {
  const auto s = summarise(table());
  EXPECT_NEAR(s.at("dsc.mean_foreground").mean, 0.6, 1e-15);
  EXPECT_NEAR(*s.at("dsc.mean_foreground").std, 0.1, 1e-15);
  EXPECT_EQ(s.at("dsc.2").count, 1);
  EXPECT_FALSE(s.at("dsc.2").std);
}

TEST(Scores, ReliabilityAddsUp) {
  Reliability a(2), b(2);
  a.add(0.5, true);  // the first bin's upper edge is in it
  a.add(0.75, false);
  b.add(0, false);
  a += b;
  EXPECT_EQ(a.count, (std::vector<int64_t>{2, 1}));
  EXPECT_EQ(a.correct, (std::vector<double>{1, 0}));
  EXPECT_EQ(a.confidence, (std::vector<double>{0.5, 0.75}));
  EXPECT_EQ(a.total(), 3);
  expect_error([&] { a += Reliability(3); }, ErrorCode::internal, {"expected 2 bins, got 3"});
}

TEST(Scores, RiskCurvesAreAveragedOverCases) {
  RiskCurve a;
  a += RiskCurve{};
  EXPECT_EQ(a.cases, 0);
  a += {{0, 1}, {0.5, 0.5}, {0, 0.5}, 1};
  a += {{0, 1}, {0.25, 0}, {0, 0}, 3};
  EXPECT_EQ(a.cases, 4);
  EXPECT_EQ(a.selective_risk, (std::vector<double>{0.3125, 0.125}));
  EXPECT_EQ(a.generalised_risk, (std::vector<double>{0, 0.125}));
  expect_error(
      [&] {
        a += {{0, 0.5, 1}, {0, 0, 0}, {0, 0, 0}, 1};
      },
      ErrorCode::internal, {"equal coverages"});
}

TEST(Scores, RiskCurvesOfAFileAreChecked) {
  const auto with = [](const std::string& curve) {
    return [curve] { run_scores_from_json(R"({"cases": {}, "risk_coverage": )" + curve + "}", "FILE"); };
  };
  expect_error(
      with(R"({"cases": 1, "coverage": [0, 1], "selective_risk": [0.5], "generalised_risk": [0, 1]})"),
      ErrorCode::data, {"FILE", "risk_coverage.selective_risk", "expected 2 numbers", "got 1"});
  expect_error(with(R"({"cases": 1, "coverage": [], "selective_risk": [], "generalised_risk": []})"),
               ErrorCode::data, {"FILE", "risk_coverage.coverage", "got 0"});
  expect_error(
      with(R"({"cases": 1, "coverage": [0, null], "selective_risk": [0, 1], "generalised_risk": [0, 1]})"),
      ErrorCode::data, {"FILE", "risk_coverage.coverage.1", "a number"});
  expect_error(with(R"({"cases": 0, "coverage": [0], "selective_risk": [0], "generalised_risk": [0]})"),
               ErrorCode::data, {"FILE", "risk_coverage.cases"});
}

TEST(Scores, JsonHasTheDocumentedShape) {
  const auto j = nlohmann::json::parse(to_json(table()));
  EXPECT_DOUBLE_EQ(j["cases"]["case_1"]["dsc"]["2"].get<double>(), 0.25);
  EXPECT_FALSE(j["cases"]["case_0"]["dsc"].contains("2"));
  EXPECT_NEAR(j["mean"]["dsc"]["mean_foreground"].get<double>(), 0.6, 1e-15);
  EXPECT_EQ(j["labels"]["1"], "anterior");
  EXPECT_EQ(j["pooled"]["ece_top15"], 0.125);
  EXPECT_EQ(j["reliability"]["count"].size(), 15u);
  const std::string text = to_json(table());
  EXPECT_EQ(text.find("null"), std::string::npos);
  const auto r = nlohmann::json::parse(to_json(run()));
  EXPECT_EQ(r["format"], kRunFormat);
  EXPECT_EQ(r["rows"][1]["key"], "pgrd-mean");
  EXPECT_EQ(r["rows"][1]["label"], "PGRD, mean of samples");
  EXPECT_EQ(r["rows"][1]["role"], "variant");
  EXPECT_EQ(r["rows"][1]["metrics"]["options"]["nsd_tolerance_mm"], 2.0);
}

TEST(Scores, ARunComesBack) {
  const std::string text = to_json(run());
  const RunScores back = run_scores_from_json(text, "FILE");
  ASSERT_EQ(back.rows.size(), 3u);
  EXPECT_EQ(back.rows[2].label, "PGRD (M = 16, S = 5)");
  EXPECT_EQ(back.method(), &back.rows[2]);
  EXPECT_EQ(back.rows[0].role, RowRole::baseline);
  EXPECT_EQ(back.rows[0].table.cases[1].values, table().cases[1].values);
  EXPECT_EQ(back.rows[0].table.pooled, table().pooled);
  EXPECT_EQ(back.rows[0].table.class_names, table().class_names);
  EXPECT_EQ(back.rows[0].table.reliability.count, table().reliability.count);
  EXPECT_EQ(back.rows[0].table.foreground_reliability.count, table().foreground_reliability.count);
  EXPECT_GT(back.rows[0].table.foreground_reliability.total(), 0);
  EXPECT_EQ(back.rows[0].table.risk_coverage.coverage, table().risk_coverage.coverage);
  EXPECT_EQ(back.rows[0].table.risk_coverage.selective_risk, table().risk_coverage.selective_risk);
  EXPECT_EQ(back.rows[0].table.risk_coverage.generalised_risk, table().risk_coverage.generalised_risk);
  EXPECT_EQ(back.rows[0].table.casewise_risk_coverage.cases, 3);
  EXPECT_EQ(back.rows[0].table.foreground_risk_coverage.cases, 0);
  EXPECT_EQ(back.notes, run().notes);
  EXPECT_EQ(back.split, "fold 0");
  EXPECT_EQ(to_json(back), text);
  EXPECT_EQ(run_scores_from_json(to_json(RunScores{}), "FILE").method(), nullptr);
}

TEST(Scores, OfOnePredictionAreOneRow) {
  const RunScores one = run_scores_from_json(to_json(table()), "FILE");
  ASSERT_EQ(one.rows.size(), 1u);
  EXPECT_EQ(one.rows[0].key, "prediction");
  EXPECT_EQ(one.rows[0].label, "prediction");
  EXPECT_EQ(one.method(), &one.rows[0]);
  EXPECT_EQ(to_json(one.rows[0].table), to_json(table()));
}

TEST(Scores, ReadsFormat1) {
  const std::string text = R"json({"rows": [
    {"name": "prior + temperature", "metrics": {"cases": {"a": {"nll": 0.5, "none": null}}}},
    {"name": "PGRD (M = 8, S = 4)", "metrics": {"cases": {"a": {"nll": 0.25}}, "pooled": {"ece_top15": 0.5}}}],
    "notes": ["n"], "split": "s"})json";
  const RunScores old = run_scores_from_json(text, "FILE");
  ASSERT_EQ(old.rows.size(), 2u);
  EXPECT_EQ(old.rows[0].key, "prior + temperature");
  EXPECT_EQ(old.rows[0].label, "prior + temperature");
  EXPECT_EQ(old.rows[0].role, RowRole::baseline);
  EXPECT_EQ(old.rows[0].table.cases[0].values, (ScoreMap{{"nll", 0.5}}));
  EXPECT_EQ(old.method(), &old.rows[1]);
  EXPECT_EQ(old.rows[1].table.pooled, (ScoreMap{{"ece_top15", 0.5}}));
  // A key that is no part of a file's name is not written again.
  expect_error([&] { to_json(old); }, ErrorCode::internal,
               {"letters, digits and '-'", "prior + temperature"});
}

TEST(Scores, DamageIsNamedWithFileAndField) {
  const std::string row = R"({"key": "a", "label": "A", "role": "method", "metrics": {"cases": {}}})";
  const auto rows = [](const std::string& list) { return "{\"format\": 2, \"rows\": [" + list + "]}"; };
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string text = row;
    text.replace(text.find(from), from.size(), to);
    return rows(text);
  };
  const std::pair<std::string, std::string> wrong[] = {
      {"{", "expected JSON, got: parse error"},
      {"[]", "expected a JSON object, got a list"},
      {"{}", "cases: expected an object, got nothing"},
      {"{\"rows\": 3}", "rows: expected a list, got 3"},
      {"{\"rows\": [3]}", "rows.0: expected a JSON object, got 3"},
      {"{\"rows\": [{\"name\": \"x\"}]}", "rows.0.metrics: expected an object, got nothing"},
      {"{\"format\": 3, \"rows\": []}", "format: expected 2, got 3"},
      {"{\"format\": 2}", "rows: expected a list, got nothing"},
      {"{\"cases\": {\"a\": 1}}", "cases.a: expected an object, got 1"},
      {"{\"cases\": {\"a\": {\"b\": {\"c\": {}}}}}", "cases.a.b.c: expected a number, got an object"},
      {"{\"cases\": {}, \"reliability\": {\"confidence\": [1], \"accuracy\": [], \"count\": []}}",
       "reliability.count: expected lists of one length"},
      {"{\"cases\": {}, \"reliability\": {\"confidence\": [1], \"accuracy\": [1], \"count\": [-1]}}",
       "reliability.count.0: expected a whole number of at least 0, got -1"},
      {"{\"cases\": {}, \"reliability\": {\"confidence\": [1], \"accuracy\": [null], \"count\": [1]}}",
       "reliability.accuracy.0: expected a number, got null"},
      {"{\"cases\": {}, \"options\": {\"classes\": 1e9}}", "options.classes: expected a whole number"},
      {"{\"cases\": {}, \"labels\": {\"1\": 1}}", "labels.1: expected text, got 1"},
      {with("\"a\"", "\"../a\""), "rows.0.key: expected letters, digits and '-', got ../a"},
      {with("\"a\"", "\"\""), "rows.0.key: expected letters, digits and '-', got "},
      {with("\"label\": \"A\", ", ""), "rows.0.label: expected text, got nothing"},
      {with("\"method\"", "\"other\""), "rows.0.role: expected baseline, variant or method, got other"},
      {rows(row + "," + row), "rows.1.key: expected a key that no other row has, got a"},
      {rows(row + R"(,{"key": "b", "label": "B", "role": "method", "metrics": {"cases": {}}})"),
       "rows.1.role: expected one row of the method, got a second one"},
      {"{\"format\": 2, \"rows\": [], \"notes\": [1]}", "notes.0: expected text, got 1"},
      {"{\"format\": 2, \"rows\": [], \"split\": 1}", "split: expected text, got 1"}};
  for (const auto& [text, message] : wrong)
    expect_error([&] { run_scores_from_json(text, "RUN/FILE"); }, ErrorCode::data,
                 {"[metrics] RUN/FILE: " + message});
  EXPECT_EQ(run_scores_from_json(rows(row), "FILE").rows.size(), 1u);
}

TEST(Scores, CsvLeavesAbsentScoresEmptyAndQuotesNames) {
  ScoreTable t = table();
  t.cases[2].name = "a,\"b\"";
  const std::string csv = to_csv(t);
  EXPECT_EQ(csv.substr(0, csv.find('\n')), "case,dsc.2,dsc.mean_foreground,nll");
  EXPECT_NE(csv.find("\ncase_0,,0.5,"), std::string::npos);
  EXPECT_NE(csv.find("\n\"a,\"\"b\"\"\","), std::string::npos);
}

TEST(RunFolder, NamesItsFiles) {
  const RunFolder run{"runs/a"};
  EXPECT_EQ(run.model(), "runs/a/model.safetensors");
  EXPECT_EQ(run.checkpoint(), "runs/a/checkpoint.safetensors");
  EXPECT_EQ(run.config(), "runs/a/config.toml");
  EXPECT_EQ(run.log(), "runs/a/log.jsonl");
  EXPECT_EQ(run.metrics(), "runs/a/metrics.json");
  EXPECT_EQ(run.metrics_csv("prior"), "runs/a/metrics-prior.csv");
  EXPECT_EQ(run.manifest(), "runs/a/manifest.json");
  EXPECT_EQ(run.validation_map("case_1", "mask"), "runs/a/validation/case_1/mask.nii.gz");
  EXPECT_EQ(run.validation_map("case_1", RunFolder::sample_map(2)),
            "runs/a/validation/case_1/sample_2.nii.gz");
}

TEST(RunFolder, TellsWhichRatersOfACaseAreKept) {
  const testing::TemporaryFolder folder;
  const RunFolder run{folder.path()};
  std::filesystem::create_directories(run.validation_case("a"));
  for (const char* file : {"rater_b x.nii.gz", "rater_a.nii.gz", "rater_c.txt", "mask.nii.gz"})
    testing::put_file(run.validation_case("a") + "/" + file, "");
  EXPECT_EQ(run.kept_raters("a"), (std::vector<std::string>{"a", "b x"}));
}

}  // namespace
}  // namespace voxgrad
