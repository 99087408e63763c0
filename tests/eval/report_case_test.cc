// What the page holds of a case: grids, colours, which cases.
#include "eval/report_case.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <numeric>
#include <set>

#include "eval/case_choice.h"
#include "eval/class_colours.h"
#include "eval/report_grid.h"
#include "tests/eval/demo_run.h"

namespace voxgrad {
namespace {

using detail::Box;
using detail::Display;
using detail::Grid;
using nlohmann::json;
using testing_data::demo_case;

/// A case of so many voxels (x, y, z) with a box of label 1.
ReportCase boxed(std::array<int64_t, 3> dims, const Box& box, size_t channels = 1) {
  ReportCase c;
  c.name = "a";
  c.header = make_nifti_header(dims, {1, 1, 1}, {-5, -7, -9});
  const Shape shape{dims[2], dims[1], dims[0]};
  for (size_t k = 0; k < channels; ++k) c.channels.push_back({std::to_string(k), "", Tensor::zeros(shape)});
  c.truth = Tensor::zeros(shape, DType::i32);
  for (int64_t z = box.begin[2]; z < box.end[2]; ++z)
    for (int64_t y = box.begin[1]; y < box.end[1]; ++y)
      for (int64_t x = box.begin[0]; x < box.end[0]; ++x)
        c.truth.mutable_data<int32_t>()[(z * dims[1] + y) * dims[0] + x] = 1;
  return c;
}

const std::vector<std::string> kNames = {"background", "lesion"};

TEST(ReportCases, WorstMedianBestThenTheWidestGap) {
  EXPECT_EQ(spread_by_score({0.5, 0.1, 0.9, 0.3, 0.7}), (std::vector<size_t>{1, 0, 2, 3, 4}));
  EXPECT_EQ(spread_by_score({0.5, {}, 0.1}), (std::vector<size_t>{2, 0, 1})) << "without a score: last";
  EXPECT_EQ(spread_by_score({{}, 0.1}), (std::vector<size_t>{1, 0}));
  EXPECT_TRUE(spread_by_score({}).empty());
  std::vector<Score> many;
  for (int i = 0; i < 40; ++i) many.emplace_back((i * 7) % 40);
  const std::vector<size_t> order = spread_by_score(many);
  EXPECT_EQ(std::set<size_t>(order.begin(), order.end()).size(), many.size()) << "each once";
  EXPECT_EQ(*many[order[3]], 29) << "the middle of 19 and 39";
  EXPECT_EQ(*many[order[4]], 9) << "the middle of 0 and 19";
}

TEST(ReportCases, ColoursOfClassesAreApartAndLeaveMagentaAlone) {
  const std::vector<std::string> colours = class_colours(117);
  const auto channel = [](const std::string& c, size_t i) {
    return std::stoi(c.substr(1 + 2 * i, 2), nullptr, 16);
  };
  for (size_t a = 0; a < colours.size(); ++a) {
    const int r = channel(colours[a], 0), g = channel(colours[a], 1), b = channel(colours[a], 2);
    EXPECT_FALSE(r > g + 40 && b > g + 40) << colours[a] << " is of the hue of uncertainty";
    EXPECT_GT(std::max({r, g, b}) - std::min({r, g, b}), 40) << colours[a] << " is grey";
    for (size_t o = a + 1; o < colours.size(); ++o) {
      int difference = 0;
      for (size_t i = 0; i < 3; ++i)
        difference = std::max(difference, std::abs(channel(colours[a], i) - channel(colours[o], i)));
      EXPECT_GE(difference, 15) << colours[a] << " " << colours[o];
    }
  }
  EXPECT_EQ(class_colours(3), std::vector<std::string>(colours.begin(), colours.begin() + 3));
}

TEST(ReportCases, SmallVolumesAreWholeAndLargeOnesSharpNearTheLabels) {
  const Box box{{100, 110, 20}, {120, 130, 30}};
  const CaseView small = view_of(boxed({60, 50, 40}, {{10, 10, 10}, {20, 20, 20}}), kNames);
  EXPECT_EQ(small.notes, "");
  EXPECT_EQ(json::parse(small.description)["levels"].size(), 1u);

  const CaseView large = view_of(boxed({300, 320, 60}, box), kNames);
  const json d = json::parse(large.description);
  ASSERT_EQ(d["levels"].size(), 2u);
  EXPECT_EQ(d["levels"][0]["stride"], json({1, 1, 1}));
  EXPECT_EQ(d["box"]["shape"], json({20, 20, 10})) << "labels: the box around them, every voxel";
  EXPECT_NE(large.notes.find("Near the labels, image and uncertainty have full resolution"),
            std::string::npos);
  EXPECT_NE(large.notes.find("Farther away they are means of 3 \u00d7 3 \u00d7 3 voxels"), std::string::npos)
      << large.notes;
  EXPECT_NE(large.notes.find("Contours have full resolution everywhere"), std::string::npos);

  // Labels everywhere: the image is thinned, the contours are not.
  const CaseView full = view_of(boxed({300, 320, 60}, {{0, 0, 0}, {300, 320, 60}}), kNames);
  const json f = json::parse(full.description);
  ASSERT_EQ(f["levels"].size(), 1u);
  EXPECT_EQ(f["levels"][0]["stride"], json({2, 2, 1}));
  EXPECT_EQ(f["box"]["stride"], json({1, 1, 1}));
  EXPECT_NE(full.notes.find("means of 2 \u00d7 2 \u00d7 1 voxels"), std::string::npos) << full.notes;
  EXPECT_LT(full.blobs.back().second.size(), 20000u) << "a full label map";
}

TEST(ReportCases, TheBoundsAreOfAllChannels) {
  const ReportCase c = boxed({200, 200, 100}, {{90, 90, 40}, {110, 110, 60}}, 4);
  const json d = json::parse(view_of(c, kNames).description);
  int64_t values = 0;
  for (const json& level : d["levels"]) {
    int64_t n = 1;
    for (const json& k : level["shape"]) n *= k.get<int64_t>();
    values += 4 * n;
  }
  EXPECT_LE(values, kReportFocus + kReportContext);
  EXPECT_GT(values, (kReportFocus + kReportContext) / 16);
  EXPECT_EQ(d["channels"].size(), 4u);
}

TEST(ReportCases, BlocksAreMeansAndTheLastOneIsCut) {
  NiftiHeader header = make_nifti_header({5, 1, 2}, {1, 1, 1});
  header.sform_code = header.qform_code = 0;  // as stored
  const Display display(header);
  Tensor image = Tensor::empty({2, 1, 5});
  std::iota(image.mutable_data<float>(), image.mutable_data<float>() + 10, 0.0F);
  image.mutable_data<float>()[9] = NAN;
  const Grid grid{whole(display), {2, 1, 2}, {3, 1, 1}};
  EXPECT_EQ(block_means(image.data<float>(), grid, display), (std::vector<float>{3, 5, 4}));
}

TEST(ReportCases, PicturesStateNoOrientation) {
  const auto known = [](const NiftiHeader& h) { return detail::orientation_of(h).known; };
  EXPECT_TRUE(known(make_nifti_header({40, 30, 20}, {1, 1, 1})));
  EXPECT_TRUE(known(make_nifti_header({40, 30, 1}, {1, 1, 1}, {-20, -15, 7}))) << "a slice of a scan";
  EXPECT_FALSE(known(make_nifti_header({40, 30, 1}, {1, 1, 1}))) << "what converters of pictures write";
  NiftiHeader none = make_nifti_header({40, 30, 20}, {1, 1, 1}, {1, 2, 3});
  none.sform_code = none.qform_code = 0;
  EXPECT_FALSE(known(none));
}

TEST(ReportCases, ClassesThatAreAbsentAreNot) {
  ReportCase c = boxed({20, 20, 20}, {{2, 2, 2}, {8, 8, 8}});
  c.mask = Tensor::zeros({20, 20, 20}, DType::i32);
  c.raters = {{"rater a", Tensor::zeros({20, 20, 20}, DType::i32)}};
  c.raters[0].labels.mutable_data<int32_t>()[0] = 3;
  const std::vector<std::string> names = {"background", "one", "two", "three", "four"};
  const CaseView view = view_of(c, names);
  EXPECT_EQ(view.classes, (std::vector<size_t>{1, 3})) << "of truth and rater";
  ASSERT_EQ(view.sizes.size(), 1u);
  EXPECT_EQ(view.sizes[0].label, 1u);
  EXPECT_DOUBLE_EQ(view.sizes[0].truth, 0.216);
  const std::string html = viewer(view, 0, names, {"", "#111111", "", "#333333", ""}, false);
  EXPECT_NE(html.find(">one</th>"), std::string::npos);
  EXPECT_EQ(html.find(">two</th>"), std::string::npos);
  EXPECT_NE(html.find("3 classes are absent in truth and prediction"), std::string::npos);
}

TEST(ReportCases, PetIsInverseAndWholeNumbersStayExact) {
  ReportCase c = boxed({16, 16, 16}, {{4, 4, 4}, {8, 8, 8}});
  float* v = c.channels[0].image.mutable_data<float>();
  for (int64_t i = 0; i < 16 * 16 * 16; ++i) v[i] = static_cast<float>(i % 3000 - 1000);
  c.channels[0].unit = "HU";
  c.channels.push_back({"FDG-PET", "", c.channels[0].image});
  c.channels.push_back({"petrous", "", c.channels[0].image});
  const json channels = json::parse(view_of(c, kNames).description)["channels"];
  EXPECT_EQ(channels[0]["step"], 1.0);
  EXPECT_EQ(channels[0]["low"], -1000.0);
  EXPECT_EQ(channels[0]["inverse"], false);
  EXPECT_EQ(channels[1]["inverse"], true);
  EXPECT_EQ(channels[2]["inverse"], false);
}

TEST(ReportCases, TheFirstWindowIsOfWhatIsNearTheLabels) {
  ReportCase c = boxed({60, 60, 60}, {{20, 20, 20}, {30, 30, 30}});
  float* v = c.channels[0].image.mutable_data<float>();
  for (int64_t i = 0; i < 60 * 60 * 60; ++i) v[i] = i % 60 < 45 ? static_cast<float>(i % 7) / 7 : 5000;
  const json window = json::parse(view_of(c, kNames).description)["channels"][0]["window"];
  EXPECT_NEAR(window[1].get<double>(), 6.0 / 7, 1e-3);
  c.truth = Tensor();
  EXPECT_EQ(json::parse(view_of(c, kNames).description)["channels"][0]["window"][1], 5000.0)
      << "without labels: of all";
}

TEST(ReportCases, ProbabilitiesOfTheLargestClasses) {
  ReportCase c = boxed({16, 16, 16}, {{4, 4, 4}, {8, 8, 8}});
  const int64_t voxels = 16 * 16 * 16;
  std::vector<std::string> names = {"background"};
  for (int k = 1; k <= 12; ++k) {
    names.push_back("class " + std::to_string(k));
    c.truth.mutable_data<int32_t>()[100 + k] = k;
  }
  c.probabilities = Tensor::zeros({13, 16, 16, 16});
  EXPECT_EQ(c.probabilities.numel(), 13 * voxels);
  const CaseView view = view_of(c, names);
  const json list = json::parse(view.description)["probabilities"];
  EXPECT_EQ(list.size(), kReportProbabilityClasses);
  EXPECT_EQ(list[0]["class"], 1) << "64 voxels";
  EXPECT_NE(view.notes.find("4 classes have none"), std::string::npos);
}

TEST(ReportCases, SamplesAndRatersArePacked) {
  const auto demo = demo_case(3);
  ReportCase c;
  c.header = demo.header;
  c.channels = {{"T1", "", demo.image}};
  c.mask = demo.mask;
  for (size_t m = 0; m < demo.samples.size(); ++m)
    c.samples.push_back({"sample " + std::to_string(m + 1), demo.samples[m]});
  c.truth = demo.truth;
  c.raters = {{"rater x", demo.samples[0]}};
  const json d = json::parse(view_of(c, {"background", "a", "b"}).description);
  std::vector<std::string> solid, dashed;
  for (const json& l : d["labels"]) (l["role"] == "solid" ? solid : dashed).push_back(l["name"]);
  EXPECT_EQ(solid, (std::vector<std::string>{"prediction", "sample 1", "sample 2", "sample 3", "sample 4"}));
  EXPECT_EQ(dashed, (std::vector<std::string>{"truth", "rater x"}));
}

}  // namespace
}  // namespace voxgrad
