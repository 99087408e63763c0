#include "eval/report.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <regex>

#include "eval/figures.h"
#include "eval/run_report.h"
#include "eval/svg.h"
#include "io/file.h"
#include "io/sha256.h"
#include "tests/eval/demo_run.h"

namespace voxgrad {
namespace {

using testing_data::demo_case;
using testing_data::write_demo_run;

size_t count_of(const std::string& text, const std::string& part) {
  size_t n = 0;
  for (size_t at = 0; (at = text.find(part, at)) != std::string::npos; at += part.size()) ++n;
  return n;
}

/// A fresh folder; kept where VOXGRAD_REPORT_DEMO names one, to look at.
class ReportOfARun : public testing::Test {
 protected:
  void SetUp() override {
    const char* keep = std::getenv("VOXGRAD_REPORT_DEMO");
    kept_ = keep != nullptr;
    folder_ = (kept_ ? std::string(keep) + "/" : testing::TempDir() + "voxgrad_report_") +
              testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::remove_all(folder_);
    make_folders(folder_);
  }
  void TearDown() override {
    if (!kept_) std::filesystem::remove_all(folder_);
  }
  std::string folder_;
  bool kept_ = false;
};

TEST_F(ReportOfARun, HasEveryPartAndLoadsNothing) {
  write_demo_run(folder_, 2);
  const std::string html = report_html(read_run(folder_));
  for (const char* part : {"not a medical device",
                           "pgrd on demonstration",
                           "prior + temperature",
                           "Paired differences",
                           "Reliability diagram",
                           "hippocampus_101",
                           "Fold 0:",
                           "2 h 15 min",
                           "tau_out 0.231",
                           "Radiological convention",
                           "2 of 10 scored cases are shown, chosen by Dice",
                           "contains images and names of the cases that it shows",
                           "2026-11-28T15:54:16Z",
                           "voxgrad train &#39;my data&#39; -o run",
                           "T1, FDG PET",
                           "/data/demonstration",
                           "All voxels",
                           "Near the foreground",
                           "mean of 6 neighbouring steps",
                           "Loss, prior",
                           "Loss and its terms, denoiser",
                           "quarter resolution",
                           "Validation: dsc",
                           "taken unchanged, weights aaaaaaaaaaaa<",
                           "600 steps, from scratch, weights bbbbbbbbbbbb<",
                           "PGRD (M = 16, S = 5) \u2212 prior<",
                           "this page tests the report &lt;and nothing else&gt;",
                           "NSD tolerance: 1 mm"})
    EXPECT_NE(html.find(part), std::string::npos) << part;
  EXPECT_EQ(count_of(html, "class=\"case\""), 2u);
  EXPECT_EQ(count_of(html, "<svg"), 3 * 2 + 1 + 3u) << "two diagrams a row, bars, curves";
  EXPECT_EQ(html.find("Missing in this run"), std::string::npos);
  // Self-contained: no address but the name of the SVG dialect, nothing that loads.
  std::string rest = std::regex_replace(html, std::regex("xmlns=\"http://www.w3.org/2000/svg\""), "");
  for (const char* part : {"http://", "https://", "src=\"", "@import", "url(", "<link"})
    EXPECT_EQ(rest.find(part), std::string::npos) << part;
  EXPECT_LT(html.size(), 1800u << 10) << "two cases of 70,000 voxels in two channels";
  EXPECT_EQ(html, report_html(read_run(folder_)));
}

TEST_F(ReportOfARun, SaysWhatIsMissing) {
  write_text(RunFolder{folder_}.metrics(), to_json(RunScores{}));
  const std::string html = report_html(read_run(folder_));
  for (const char* part : {"training curves: ", "facts of the run: ", "pictures of cases: "})
    EXPECT_NE(html.find(part), std::string::npos) << part;
  EXPECT_EQ(html.find("class=\"case\""), std::string::npos);
}

// As runs of earlier versions left them.
TEST_F(ReportOfARun, MapsOfOneChannelAreShownAndWhatTheyLackIsSaid) {
  const RunFolder run{folder_};
  write_text(run.manifest(), "{\"format\": 2, \"modality\": \"ct\"}");
  auto c = demo_case(1);
  make_folders(run.validation_case("a"));
  write_volume(run.validation_map("a", "image"), c.header, c.image);
  write_volume(run.validation_map("a", "truth"), c.header, c.truth);
  write_volume(run.validation_map("a", "mask"), c.header, c.mask);
  const Report report = read_run(folder_);
  ASSERT_EQ(report.cases.size(), 1u);
  EXPECT_EQ(report.cases[0].description.find("\"unit\":\"HU\""), std::string::npos)
      << "nothing is below 0: these are no Hounsfield units";
  c.image.mutable_data<float>()[0] = -1000;
  write_volume(run.validation_map("a", "image"), c.header, c.image);
  EXPECT_NE(read_run(folder_).cases[0].description.find("\"unit\":\"HU\""), std::string::npos);
  EXPECT_EQ(report.class_names, (std::vector<std::string>{"background", "label 1", "label 2"}));
  EXPECT_EQ(report.missing.back(),
            "maps of a: the entropy, the probabilities, the names of the channels, and every channel after "
            "the first");
}

TEST_F(ReportOfARun, AsManyCasesAsAskedForFromTheWorstOn) {
  write_demo_run(folder_, 5);
  const auto dice = [&](size_t most) {
    std::vector<double> values;
    for (const CaseView& c : read_run(folder_, most).cases) values.push_back(*c.score);
    return values;
  };
  const std::vector<double> all = dice(6), three = dice(3);
  ASSERT_EQ(all.size(), 5u);
  EXPECT_TRUE(std::is_sorted(all.begin(), all.end()));
  EXPECT_EQ(three, (std::vector<double>{all[0], all[2], all[4]})) << "the worst, the median, the best";
  EXPECT_EQ(dice(1), std::vector<double>{all[0]});
  EXPECT_TRUE(dice(0).empty());
}

TEST_F(ReportOfARun, DamagedOrEmptyFoldersAreDataErrors) {
  const auto expect_data_error = [&](const std::string& part) {
    try {
      read_run(folder_);
      ADD_FAILURE() << "expected an error with " << part;
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::data) << e.what();
      EXPECT_NE(std::string(e.what()).find(part), std::string::npos) << e.what();
    }
  };
  expect_data_error("found none of them");
  const RunFolder run{folder_};
  write_text(run.metrics(), "{\"rows\": 3}");
  expect_data_error(run.metrics() + ": rows: expected a list, got 3");
  write_text(run.metrics(), to_json(RunScores{}));
  write_text(run.log(), "{\"kind\": \"step\", \"stage\": \"prior\", \"step\": \"one\"}\n");
  expect_data_error(run.log() + ":1: step: expected a whole number");
  write_text(run.log(), "");
  write_text(run.manifest(), "{\"format\": 3}");
  expect_data_error(run.manifest() + ": format: expected 2, got 3");
  write_text(run.model(), "a model");
  const std::string other(64, 'a'), scores = sha256_of_file(run.metrics());
  write_text(run.manifest(), "{\"format\": 2, \"model_sha256\": \"" + other + "\"}");
  expect_data_error(run.model() + ": expected the file that " + run.manifest() + " records, of SHA-256 " +
                    other);
  write_text(run.manifest(), "{\"format\": 2, \"scores_sha256\": \"" + other + "\"}");
  expect_data_error(run.metrics() + ": expected the file that " + run.manifest() + " records");
  write_text(run.manifest(), "{\"format\": 2, \"scores_sha256\": \"" + scores + "\", \"model_sha256\": \"" +
                                 sha256_of_file(run.model()) + "\"}");
  const auto c = demo_case(1);
  make_folders(folder_ + "/validation/a");
  write_volume(folder_ + "/validation/a/image.nii.gz", c.header, c.image);
  write_volume(folder_ + "/validation/a/truth.nii.gz", make_nifti_header({40, 48, 36}, {1, 1, 1}), c.truth);
  expect_data_error("/validation/a/truth.nii.gz: expected the grid of ");
}

// A run as version 1 wrote it.
TEST_F(ReportOfARun, OfFormat1) {
  const RunFolder run{folder_};
  const std::string metrics = R"json({"rows": [
    {"name": "prior", "metrics": {"cases": {"a": {"dsc": {"mean_foreground": 0.5}, "nll": 0.2}}}},
    {"name": "PGRD (M = 8, S = 4)", "metrics": {"cases": {"a": {"dsc": {"mean_foreground": 0.75}, "nll": 0.1}}}}],
    "notes": [], "split": "Fold 0."})json";
  const std::string manifest = R"json({"voxgrad": "0.1.0", "compiler": "g++ 12.2.0", "build": "release",
    "kernels": "avx2", "winograd": true, "libraries": {"zlib": "1.2.13"},
    "system": {"cpu": "A CPU", "logical_cpus": 4}, "status": "finished", "method": "pgrd",
    "dataset": "old", "modality": "ct", "seed": 3, "seconds": 60.0, "threads": 4,
    "constants": {"tau_out": 0.25}})json";
  const std::string start = R"json({"arithmetic":{"device":"cpu","kernels":"avx2","winograd":true},)json"
                            R"json("kind":"start","stage":"prior","step":0,"voxgrad":"0.1.0"})json";
  const std::string step = R"json({"grad_norm":1.0,"kind":"step","loss":0.5,"lr":0.001,"seconds":1.0,)json"
                           R"json("stage":"prior","step":)json";
  const std::string validation =
      R"json({"kind":"validation","nll_calibration":0.3,"nll_training":0.2,"stage":"prior"})json";
  write_text(run.metrics(), metrics);
  write_text(run.manifest(), manifest);
  write_text(run.log(), start + "\n" + step + "1}\n" + step + "2}\n" + validation + "\n");
  const Report report = read_run(folder_);
  const std::string html = report_html(report);
  for (const char* part : {"pgrd on old", "PGRD (M = 8, S = 4) \u2212 prior<", "Loss, prior", "avx2",
                           "A CPU, 4 CPUs", "tau_out 0.25", "Validation, prior, nll_training", "zlib 1.2.13"})
    EXPECT_NE(html.find(part), std::string::npos) << part;
  ASSERT_EQ(report.missing.size(), 1u);
  EXPECT_NE(report.missing[0].find("pictures of cases"), std::string::npos);
}

// What prints alike is equally good.
TEST(Report, BoldIsWhatPrintsBetter) {
  RunScores scores;
  const auto row = [](const char* key, double dsc) {
    ScoreRow r{key, key, RowRole::baseline, {}};
    for (int i = 0; i < 6; ++i) r.table.cases.push_back({cat("case", i), {{"dsc.mean_foreground", dsc}}});
    return r;
  };
  const auto bold = [&](double a, double b, double c) {
    scores.rows = {row("x", a), row("y", b), row("z", c)};
    const std::string table = detail::summary_table(scores);
    size_t n = 0;
    for (size_t at = table.find("\"best\""); at != std::string::npos; at = table.find("\"best\"", at + 1))
      ++n;
    return n;
  };
  EXPECT_EQ(bold(0.5, 0.6, 0.4), 1u);
  EXPECT_EQ(bold(0.6001, 0.6002, 0.4), 2u);
  EXPECT_EQ(bold(0.6001, 0.6002, 0.6), 0u);
  // Of five cases nothing follows, however far the means lie apart.
  const auto few = [&](const char* key, RowRole role, double dsc) {
    ScoreRow r = row(key, dsc);
    r.role = role;
    r.table.cases.pop_back();
    return r;
  };
  scores.rows = {few("x", RowRole::baseline, 0.1), few("own", RowRole::method, 0.9)};
  EXPECT_EQ(detail::summary_table(scores).find("\"best\""), std::string::npos);
  const std::string differences = detail::comparison_table(scores);
  EXPECT_NE(differences.find("too few cases"), std::string::npos) << differences;
  EXPECT_EQ(differences.find(" to "), std::string::npos) << "an interval: " << differences;
}

// A mean that is not shown to differ from the best is bold too, and no method is called better by it.
TEST(Report, WhatIsNotShownToDifferIsNotCalledWorse) {
  RunScores scores;
  const auto row = [](const char* key, RowRole role, const std::vector<double>& dice) {
    ScoreRow r{key, key, role, {}};
    for (size_t i = 0; i < dice.size(); ++i)
      r.table.cases.push_back({cat("case", i), {{"dsc.mean_foreground", dice[i]}}});
    return r;
  };
  const std::vector<double> base{.5, .6, .7, .8, .55, .65}, best{.52, .62, .69, .83, .56, .66};
  std::vector<double> close = best, worse = best;
  for (size_t i = 0; i < best.size(); ++i) {
    close[i] += i % 2 == 0 ? .02 : -.03;  // differs without a direction
    worse[i] -= .1;
  }
  scores.rows = {row("worse", RowRole::baseline, worse), row("close", RowRole::baseline, close),
                 row("own", RowRole::method, best)};
  const std::string table = detail::summary_table(scores);
  const auto is_bold = [&](const std::string& label) {
    const size_t at = table.find(">" + label + "</th>"), end = table.find("</tr>", at);
    return table.substr(at, end - at).find("\"best\"") != std::string::npos;
  };
  EXPECT_TRUE(is_bold("own"));
  EXPECT_TRUE(is_bold("close"));
  EXPECT_FALSE(is_bold("worse"));
  const std::string differences = detail::comparison_table(scores);
  EXPECT_NE(differences.find("<td class=\"left\">own</td>"), std::string::npos) << differences;
  EXPECT_NE(differences.find("<td class=\"left\">not shown</td>"), std::string::npos) << differences;
  // All differences have one sign, but one case makes nearly all of the mean: the t-test does not agree.
  std::vector<double> one = best;
  for (double& v : one) v -= .001;
  one[0] -= .4;
  scores.rows = {row("one", RowRole::baseline, one), row("own", RowRole::method, best)};
  const std::string doubtful = detail::comparison_table(scores);
  EXPECT_NE(doubtful.find("<td class=\"left\">not shown</td>"), std::string::npos) << doubtful;
  EXPECT_EQ(doubtful.find("<td class=\"left\">own</td>"), std::string::npos) << doubtful;
  scores.rows[0] = row("worse", RowRole::baseline, {.9, .95, .9, .95, .9, .95});
  EXPECT_NE(detail::comparison_table(scores).find("<td class=\"left\">worse</td>"), std::string::npos);
}

// Six cases of one sign: Wilcoxon's p is 2 / 2^6. Three such comparisons: Holm's is three times as much.
TEST(Report, PairedDifferencesHaveTheRankTestAndItsCorrection) {
  RunScores scores;
  const auto row = [](const char* key, RowRole role, double shift) {
    ScoreRow r{key, key, role, {}};
    for (int i = 0; i < 6; ++i)
      r.table.cases.push_back(
          {cat("case", i), {{"dsc.mean_foreground", 0.5 + 0.02 * i * i + shift * (1 + 0.1 * i)}}});
    return r;
  };
  scores.rows = {row("a", RowRole::baseline, 0.1), row("b", RowRole::baseline, 0.2),
                 row("c", RowRole::baseline, -0.1), row("own", RowRole::method, 0)};
  const std::string table = detail::comparison_table(scores);
  EXPECT_NE(table.find("<td>0.031</td><td>0.094</td><td>6</td>"), std::string::npos) << table;
  // Comparisons of too few cases do not count.
  scores.rows[0].table.cases.pop_back();
  scores.rows[1].table.cases.pop_back();
  EXPECT_NE(detail::comparison_table(scores).find("<td>0.031</td><td>0.031</td><td>6</td>"),
            std::string::npos);
  scores.rows.erase(scores.rows.begin(), scores.rows.begin() + 2);
  EXPECT_NE(detail::comparison_table(scores).find("<td>0.031</td><td>0.031</td><td>6</td>"),
            std::string::npos);
}

// A class that is missed has no HD95: the table says over how many cases a mean is.
TEST(Report, ClassesHaveScoresAndCounts) {
  RunScores scores;
  ScoreRow r{"ours", "ours", RowRole::method, {}};
  r.table.class_names = {"background", "liver", "<spleen>", "never"};
  r.table.cases = {{"a", {{"dsc.1", 0.5}, {"dsc.2", 0.0}, {"hd95.1", 3}}},
                   {"b", {{"dsc.1", 0.75}, {"dsc.2", 0.5}, {"hd95.1", 5}, {"hd95.2", 7}}}};
  scores.rows = {r};
  const std::string table = detail::class_table(scores);
  for (const char* part : {"liver</th><td>0.625 ", "&lt;spleen&gt;</th><td>0.250 ", "<td>4.00 ",
                           "<td>7.00 <span "
                           "class=\"unit\">1 of 2</span>"})
    EXPECT_NE(table.find(part), std::string::npos) << part << "\n" << table;
  EXPECT_EQ(table.find("never"), std::string::npos);
  scores.rows[0].table.class_names = {"background", "liver"};
  EXPECT_EQ(detail::class_table(scores), "");
}

// The method is told by its role, wherever its row stands.
TEST(Report, TheMethodIsARole) {
  RunScores scores;
  const auto row = [](const char* key, RowRole role, double dsc) {
    ScoreRow r{key, key, role, {}};
    r.table.cases = {{"a", {{"dsc.mean_foreground", dsc}}}, {"b", {{"dsc.mean_foreground", dsc}}}};
    return r;
  };
  scores.rows = {row("theirs", RowRole::baseline, 0.5), row("ours", RowRole::method, 0.75),
                 row("ours-mean", RowRole::variant, 0.7)};
  EXPECT_EQ(detail::main_row(scores).key, "ours");
  const std::string table = detail::comparison_table(scores);
  for (const char* part : {"ours \u2212 theirs<", "ours \u2212 ours-mean<", "0.2500"})
    EXPECT_NE(table.find(part), std::string::npos) << part;
  EXPECT_EQ(table.find("theirs \u2212"), std::string::npos);
  const std::string cases = detail::case_tables(scores);
  EXPECT_LT(cases.find("<summary>ours,"), cases.find("<summary>theirs,"));
  EXPECT_EQ(cases.find("<details open>"), 0u);
  scores.rows.erase(scores.rows.begin() + 1);
  EXPECT_EQ(detail::comparison_table(scores), "");
  EXPECT_EQ(detail::main_row(scores).key, "ours-mean");
}

TEST(Report, EscapesWhatComesFromFiles) {
  Report r;
  r.title = "<b>&\"title\"";
  r.scores.rows.resize(1);
  r.scores.rows[0].label = "<i>method</i>";
  r.scores.rows[0].table.cases = {{"<script>case", {{"nll", 0.5}}}};
  r.class_names = {"background", "</script><script>alert(1)<!--<script"};
  const auto c = demo_case(1);
  ReportCase shown;
  shown.name = "</script>case";
  shown.header = c.header;
  shown.channels = {{"<!--<script", "", c.image}};
  r.cases = {view_of(shown, r.class_names)};
  const std::string html = report_html(r);
  EXPECT_EQ(html.find("<b>&"), std::string::npos);
  EXPECT_EQ(html.find("<i>method"), std::string::npos);
  EXPECT_EQ(html.find("<script>case"), std::string::npos);
  EXPECT_EQ(html.find("alert(1)") == std::string::npos, false);
  EXPECT_EQ(html.find("</script><script>alert"), std::string::npos);
  // "<!--<script" in a script's data would hide its end.
  const std::string open = "<script type=\"application/json\" id=\"classes\">";
  const size_t begin = html.find(open) + open.size(), end = html.find("</script>", begin);
  const std::string data = html.substr(begin, end - begin);
  EXPECT_EQ(data.find('<'), std::string::npos);
  EXPECT_NE(data.find("\\u003c!--\\u003cscript"), std::string::npos);
  EXPECT_EQ(html.find("<!--<script"), std::string::npos) << "of a channel";
}

TEST(Svg, TicksAndLabels) {
  EXPECT_EQ(nice_ticks(0, 1), (std::vector<double>{0, 0.2, 0.4, 0.6000000000000001, 0.8, 1}));
  EXPECT_EQ(nice_ticks(3, 97), (std::vector<double>{20, 40, 60, 80}));
  EXPECT_EQ(label_of(-0.125), "\u22120.125");
  EXPECT_EQ(label_of(12345.6), "12346");
  EXPECT_EQ(escape_markup("a<b & \"c\"\x01"), "a&lt;b &amp; &quot;c&quot;");
}

TEST(Figures, SmoothingIsAMeanOfNeighbours) {
  EXPECT_EQ(smoothed({1, 2, 6, 3}, 3), (std::vector<double>{1.5, 3, 11.0 / 3, 4.5}));
  EXPECT_EQ(smoothed({1, 2, 6}, 1), (std::vector<double>{1, 2, 6}));
  EXPECT_EQ(smoothed({2, 4}, 25), (std::vector<double>{3, 3}));
  EXPECT_EQ(smoothed({}, 5), std::vector<double>{});
  EXPECT_EQ(smoothing_window(40), 5u);
  EXPECT_EQ(smoothing_window(1200), 12u);
  EXPECT_EQ(smoothing_window(100000), 25u);
}

TEST(Figures, ALongLegendHasLinesOfItsOwn) {
  const std::vector<double> x = {1, 2}, y = {1, 2};
  PlotOptions options;
  options.y_label = "Loss";
  options.width = 300;
  const auto height = [](const std::string& svg) {
    std::smatch m;
    return std::regex_search(svg, m, std::regex("viewBox=\"0 0 [0-9.]+ ([0-9.]+)")) ? std::stod(m[1]) : 0;
  };
  EXPECT_EQ(height(line_plot({{"a", x, y}, {"b", x, y}}, options)), options.height);
  const std::string long_name(20, 'n');
  EXPECT_EQ(height(line_plot({{long_name, x, y}, {long_name, x, y}, {long_name, x, y}}, options)),
            options.height + 3 * 18);
}

TEST(Figures, EmptyAndOddDataDoNotBreakThePicture) {
  PlotOptions log_scale;
  log_scale.log_y = true;
  EXPECT_EQ(line_plot({}, {}), "");
  EXPECT_EQ(line_plot({{"a", {1, 2}, {NAN, NAN}}}, {}), "");
  EXPECT_EQ(line_plot({{"a", {1, 2}, {0, -1}}}, log_scale), "");
  EXPECT_EQ(reliability_diagram(Reliability(15), "x", "y"), "");
  EXPECT_EQ(case_bars({}, {}, {}), "");
  for (const std::string& svg :
       {line_plot({{"a", {1}, {3}}}, {}), line_plot({{"a", {1, 2}, {5, 5}}}, log_scale),
        training_plot({{"a", std::vector<double>(5000, 1), std::vector<double>(5000, 2)}}, {}, 25),
        case_bars({"one"}, {0.5}, {})}) {
    EXPECT_NE(svg.find("</svg>"), std::string::npos);
    EXPECT_EQ(svg.find("nan"), std::string::npos);
    EXPECT_EQ(svg.find("inf"), std::string::npos);
    EXPECT_LT(svg.size(), 40000u);
  }
}

}  // namespace
}  // namespace voxgrad
