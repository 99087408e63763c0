// The scores of the CURVAS challenges at their edges, by hand, and `voxgrad evaluate --profile`.
#include "eval/curvas.h"

#include <gtest/gtest.h>

#include <cmath>

#include "eval/evaluate.h"
#include "io/file.h"
#include "tests/io/testing.h"

namespace voxgrad {
namespace {

using testing::expect_error;

Tensor line(const std::vector<int32_t>& labels) {
  return Tensor::from<int32_t>({1, 1, static_cast<int64_t>(labels.size())}, labels);
}
/// Probabilities of two classes from those of class 1.
Tensor foreground(const std::vector<float>& p) {
  Tensor out = Tensor::empty({1, 1, static_cast<int64_t>(p.size()), 2});
  for (size_t i = 0; i < p.size(); ++i) {
    out.mutable_data<float>()[2 * i] = 1 - p[i];
    out.mutable_data<float>()[2 * i + 1] = p[i];
  }
  return out;
}
ScoreMap tumour(const std::vector<float>& p, const std::vector<Tensor>& annotations) {
  return curvas_scores(CurvasProfile::curvas_2025, {{}, foreground(p), annotations, {}});
}

TEST(Curvas, EmptyMasksAreAPerfectDiceAndHaveNoBox) {
  const ScoreMap s = tumour({0, 0.05f, 0}, {line({0, 0, 0}), line({0, 0, 0})});
  EXPECT_EQ(s.at("curvas_dice"), 1);
  EXPECT_FALSE(s.contains("curvas_ece"));
  EXPECT_FALSE(s.contains("curvas_crps"));  // the raters' volumes are equal
  EXPECT_FLOAT_EQ(static_cast<float>(s.at("curvas_crps_uncut")), 0.05f);
}

// Thresholds are exclusive on both sides: p = .8 and four of five raters are not above .8.
TEST(Curvas, ThresholdsAreExclusiveAndExact) {
  std::vector<Tensor> raters(4, line({1, 0}));
  raters.push_back(line({0, 0}));
  // The five lower thresholds agree; at .8 both maps are empty.
  EXPECT_NEAR(tumour({0.8f, 0.1f}, raters).at("curvas_dice"), (5 * 2 / (2 + 1e-6) + 1) / 6, 1e-12);
  // A little more p, and at .8 only the prediction has a voxel.
  EXPECT_NEAR(tumour({0.81f, 0}, raters).at("curvas_dice"), 5 * 2 / (2 + 1e-6) / 6, 1e-12);
}

// Bins are closed below: .58 and .6 lie in different ones, .58 and .59 do not. p = 1 has a bin of its own.
TEST(Curvas, BinsAreClosedBelow) {
  const std::vector<Tensor> rater{line({1, 0, 1})};
  const double p = 0.58f, q = 0.59f, r = 0.6f;
  EXPECT_NEAR(tumour({0.58f, 0.59f, 1}, rater).at("curvas_ece"), std::fabs(1 - p - q) / 3, 1e-12);
  EXPECT_NEAR(tumour({0.58f, 0.6f, 1}, rater).at("curvas_ece"), (1 - p + r) / 3, 1e-12);
  // Two bins at the top: an error at .99 and a right voxel at 1 do not cancel.
  EXPECT_NEAR(tumour({0.99f, 0.99f, 1}, {line({0, 1, 1})}).at("curvas_ece"), (2 * 0.99f - 1.0) / 3, 1e-7);
}

TEST(Curvas, TheBoxIsTwentyVoxelsBelowAndNineteenAbove) {
  std::vector<int32_t> marked(64, 0);
  marked[30] = 1;
  std::vector<float> p(64, 0);
  p[30] = 1;
  const auto ece_with_an_error_at = [&](size_t i) {
    std::vector<float> q = p;
    q[i] = 1;
    return tumour(q, {line(marked)}).at("curvas_ece");
  };
  EXPECT_EQ(ece_with_an_error_at(9), 0);
  EXPECT_NEAR(ece_with_an_error_at(10), 1.0 / 40, 1e-12);
  EXPECT_NEAR(ece_with_an_error_at(49), 1.0 / 40, 1e-12);
  EXPECT_EQ(ece_with_an_error_at(50), 0);
  marked[30] = 0;
  marked[2] = 1;  // the box is cut at the border
  p.assign(64, 0);
  p[2] = 1;
  EXPECT_NEAR(ece_with_an_error_at(0), 1.0 / 22, 1e-12);
}

TEST(Curvas, CrpsOfOneVolumeIsADistance) {
  EXPECT_EQ(normal_crps(3, 5, 0), 2);
  EXPECT_FALSE(curvas_crps(3, 5, 0));
  EXPECT_NEAR(normal_crps(0, 0, 1), 2 / std::sqrt(2 * M_PI) - 1 / std::sqrt(M_PI), 1e-15);
  // The integral of CURVAS is cut at 3 sd: a value far away costs less than 3 sd.
  EXPECT_EQ(curvas_crps(1e6, 0, 1), curvas_crps(4, 0, 1));
  EXPECT_NEAR(normal_crps(1e6, 0, 1), 1e6, 1);
  EXPECT_THROW(normal_crps(0, 0, -1), Error);
  EXPECT_THROW(curvas_crps(0, 0, std::nan("")), Error);
}

TEST(Curvas, ConsensusLeavesOutWhereRatersDisagree) {
  CurvasCase c;
  c.annotations = {line({1, 1, 0, 0}), line({1, 0, 0, 0})};
  c.prediction = line({1, 1, 1, 0});
  c.probabilities = Tensor::zeros({1, 1, 4, 4});
  const float p[] = {0.75f, 0.5f, 0.5f, 0};
  for (int i = 0; i < 4; ++i) {
    c.probabilities.mutable_data<float>()[4 * i] = 1 - p[i];
    c.probabilities.mutable_data<float>()[4 * i + 1] = p[i];
  }
  c.image = Tensor::full({1, 1, 4}, 1);
  const ScoreMap s = curvas_scores(CurvasProfile::curvas_2024, c);
  EXPECT_NEAR(s.at("curvas_dice.1"), 2.0 / 3, 1e-15);
  EXPECT_NEAR(s.at("curvas_confidence.1"), (0.75 + 1 - 0.25) / 2, 1e-15);
  EXPECT_FALSE(s.contains("curvas_dice.2"));  // no consensus about class 2
  EXPECT_FALSE(s.contains("curvas_confidence.2"));
  EXPECT_NEAR(s.at("curvas_dice.mean_foreground"), 2.0 / 3, 1e-15);
  EXPECT_EQ(s.at("curvas_crps_uncut.3"), 0);
  c.image = Tensor::full({1, 1, 4}, -1000);
  EXPECT_FALSE(curvas_scores(CurvasProfile::curvas_2024, c).contains("curvas_ece"));
}

TEST(Curvas, RefusesWhatItCannotScore) {
  expect_error([] { tumour({0.5f}, {}); }, ErrorCode::internal, {"at least one annotation"});
  expect_error([] { tumour({std::nanf("")}, {line({0})}); }, ErrorCode::data, {"from 0 to 1", "voxel 0"});
  expect_error([] { tumour({0.5f}, {line({2})}); }, ErrorCode::data, {"labels from 0 to 1, got 2"});
  expect_error(
      [] {
        curvas_scores(CurvasProfile::curvas_2024, {{}, foreground({0.5f}), {line({0})}, {}});
      },
      ErrorCode::internal, {"expected 4 classes"});
  expect_error([] { curvas_profile("curvas"); }, ErrorCode::usage, {"curvas-2024", "got curvas"});
}

class EvaluateProfile : public ::testing::Test {
 protected:
  EvaluateProfile() : root_(::testing::TempDir() + "voxgrad_evaluate_profile") {
    std::filesystem::remove_all(root_);
    for (const char* f : {"/labelsTr", "/p/probabilities", "/ratersTr/r1", "/ratersTr/r2", "/imagesTr"})
      make_folders(root_ + f);
    write("/labelsTr/a", labels_);
    write("/p/a", labels_);
    options_.truth = root_ + "/labelsTr";
    options_.prediction = root_ + "/p";
  }
  ~EvaluateProfile() override { std::filesystem::remove_all(root_); }

  void write(const std::string& name, const Tensor& volume) {
    write_volume(root_ + name + ".nii.gz", make_nifti_header({4, 1, 1}, {1, 2, 3}), volume);
  }
  void write_probabilities(int64_t classes) {
    Tensor p = Tensor::zeros({classes, 1, 1, 4});
    for (int64_t i = 0; i < 4; ++i) p.mutable_data<float>()[labels_.data<int32_t>()[i] * 4 + i] = 1;
    write("/p/probabilities/a", p);
  }
  const Tensor labels_ = line({0, 1, 1, 0});
  std::string root_;
  EvaluateOptions options_;
};

TEST_F(EvaluateProfile, Curvas2025NeedsTwoClassesProbabilitiesAndRaters) {
  options_.profile = "curvas-2025";
  const auto evaluates = [this] { evaluate(options_); };
  expect_error(evaluates, ErrorCode::data, {"/p/probabilities", "expected probabilities for curvas-2025"});
  write_probabilities(3);
  expect_error(evaluates, ErrorCode::data, {"ratersTr/RATER/a.nii.gz: missing", "curvas-2025"});
  for (const char* rater : {"/ratersTr/r1/a", "/ratersTr/r2/a"}) write(rater, labels_);
  expect_error(evaluates, ErrorCode::data,
               {"/p/probabilities/a.nii.gz: expected 2 classes", "curvas-2025, got 3"});
  write_probabilities(2);
  const Evaluation e = evaluate(options_);
  EXPECT_NEAR(e.table.cases[0].values.at("curvas_dice"), 4 / (4 + 1e-6), 1e-12);
  EXPECT_EQ(e.table.cases[0].values.at("curvas_crps_uncut"), 0);
  EXPECT_TRUE(e.table.cases[0].values.contains("dsc.1"));
  EXPECT_NE(to_json(e).find("\"profile\": \"curvas-2025\""), std::string::npos);
  EXPECT_EQ(to_json(e).find("without_prediction"), std::string::npos);
  ASSERT_EQ(e.notes.size(), 1u);
  EXPECT_EQ(e.notes[0],
            "1 case has another number of annotations than 5, which the cases of curvas-2025 have");
}

TEST_F(EvaluateProfile, Curvas2024ReadsTheCt) {
  options_.profile = "curvas-2024";
  write_probabilities(4);
  for (const char* rater : {"/ratersTr/r1/a", "/ratersTr/r2/a"}) write(rater, labels_);
  const auto evaluates = [this] { evaluate(options_); };
  expect_error(evaluates, ErrorCode::data, {"imagesTr/a_0000.nii.gz: missing", "--images DIR"});
  write("/imagesTr/a_0000", Tensor::full({1, 1, 4}, 20));
  EXPECT_EQ(evaluate(options_).table.cases[0].values.at("curvas_dice.1"), 1);
  options_.images = root_ + "/else";
  expect_error(evaluates, ErrorCode::data, {"/else/a_0000.nii.gz: missing"});
  make_folders(options_.images);
  write("/else/a", Tensor::full({1, 1, 4}, -1000));  // no voxel above 0: no box
  EXPECT_FALSE(evaluate(options_).table.cases[0].values.contains("curvas_ece"));
  write("/else/a", Tensor::full({2, 1, 1, 4}, 0));
  expect_error(evaluates, ErrorCode::data, {"/else/a.nii.gz: expected one volume"});
}

}  // namespace
}  // namespace voxgrad
