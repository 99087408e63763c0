#include "eval/evaluate.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "io/file.h"

namespace voxgrad {
namespace {

class EvaluateFolders : public testing::Test {
 protected:
  void SetUp() override {
    root_ = testing::TempDir() + "voxgrad_evaluate_" +
            testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::remove_all(root_);
    for (const char* f :
         {"/labelsTr", "/p/probabilities", "/p/samples/a", "/posterior", "/ratersTr/r1", "/ratersTr/r2"})
      make_folders(root_ + f);
    for (const char* name : {"a", "b"}) {
      write("/labelsTr/" + std::string(name), {0, 1, 1, 0, 0, 0, 0, 0});
      write("/p/" + std::string(name), {0, 1, 0, 0, 0, 0, 0, 0});
    }
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  NiftiHeader grid() const { return make_nifti_header({4, 2, 1}, {1, 2, 3}); }
  void write(const std::string& name, const std::vector<int32_t>& labels) {
    write_volume(root_ + name + ".nii.gz", grid(), Tensor::from<int32_t>({1, 2, 4}, labels), 1002);
  }
  void write_p(const std::string& name, float foreground) {
    Tensor p = Tensor::full({2, 1, 2, 4}, foreground);
    for (int i = 0; i < 8; ++i) p.mutable_data<float>()[i] = 1 - foreground;
    write_volume(root_ + name + ".nii.gz", grid(), p);
  }
  EvaluateOptions options() const {
    EvaluateOptions o;
    o.truth = root_ + "/labelsTr";
    o.prediction = root_ + "/p";
    return o;
  }
  void expect_data_error(const EvaluateOptions& o, const std::string& part) {
    try {
      evaluate(o);
      ADD_FAILURE() << "expected an error with " << part;
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::data);
      EXPECT_NE(std::string(e.what()).find(part), std::string::npos) << e.what();
    }
  }
  std::string root_;
};

// Distances are in mm, which nobody guesses.
TEST_F(EvaluateFolders, ATruthWithoutSpacingIsRefused) {
  NiftiHeader header = grid();
  header.pixdim[1] = 0;
  header.sform_code = 0;
  write_volume(root_ + "/labelsTr/a.nii.gz", header, Tensor::zeros({1, 2, 4}, DType::i32), 1002);
  expect_data_error(options(), "a.nii.gz: pixdim[2]: expected a spacing in mm along y");
}

// What `check` says of a geometry, scores say too.
TEST_F(EvaluateFolders, TheGeometryOfTheTruthIsRefusedOrNoted) {
  NiftiHeader header = grid();
  header.xyzt_units = 3;  // micrometres
  write_volume(root_ + "/labelsTr/a.nii.gz", header, Tensor::zeros({1, 2, 4}, DType::i32), 1002);
  expect_data_error(options(), "xyzt_units: expected mm, got um");
  header = grid();
  header.pixdim[0] = 2;  // the sform says 1
  for (const char* file : {"/labelsTr/a.nii.gz", "/p/a.nii.gz"})
    write_volume(root_ + file, header, Tensor::zeros({1, 2, 4}, DType::i32), 1002);
  std::string notes;
  for (const std::string& n : evaluate(options()).notes) notes += n + "\n";
  EXPECT_NE(notes.find("labelsTr/a.nii.gz: pixdim says 2 mm along x, the affine 1"), std::string::npos)
      << notes;
}

TEST_F(EvaluateFolders, AClassThatOnlyThePredictionHasIsAskedAbout) {
  write("/p/a", {0, 1, 2, 0, 0, 0, 0, 0});
  expect_data_error(options(),
                    "/p/a.nii.gz: expected labels from 0 to 1, which the truth has, got 2; for further "
                    "classes use --classes");
  EvaluateOptions three = options();
  three.classes = 3;
  EXPECT_EQ(evaluate(three).table.options.classes, 3);
}

TEST_F(EvaluateFolders, ClassesMayBeAVectorAlongTheFifthDimension) {
  for (const char* name : {"/p/probabilities/a", "/p/probabilities/b"}) write_p(name, 0.4f);
  const std::string want = to_json(evaluate(options()).table);
  for (const char* name : {"a", "b"}) {
    const std::string path = root_ + "/p/probabilities/" + name + ".nii.gz";
    NiftiImage image = read_nifti(path);
    image.header.dims = {4, 2, 1, 1, 2};
    image.header.pixdim = {1, 2, 3, 1, 1};
    write_nifti(path, image);
  }
  EXPECT_EQ(to_json(evaluate(options()).table), want);
}

TEST_F(EvaluateFolders, ARaterWhoLacksACaseIsNoted) {
  write("/ratersTr/r1/a", {0, 1, 1, 0, 0, 0, 0, 0});
  write("/ratersTr/r1/b", {0, 1, 1, 0, 0, 0, 0, 0});
  write("/ratersTr/r2/b", {0, 1, 1, 0, 0, 0, 0, 0});
  std::string notes;
  for (const std::string& n : evaluate(options()).notes) notes += n + "\n";
  EXPECT_NE(notes.find("rater r2 has no annotation of a: cases have 1 to 2 annotations"), std::string::npos)
      << notes;
  write("/ratersTr/r2/a", {0, 1, 1, 0, 0, 0, 0, 0});
  for (const std::string& n : evaluate(options()).notes)
    EXPECT_EQ(n.find("annotation"), std::string::npos) << n;
}

TEST_F(EvaluateFolders, MasksAloneGiveOverlapAndANote) {
  const Evaluation e = evaluate(options());
  ASSERT_EQ(e.table.cases.size(), 2u);
  EXPECT_NEAR(e.table.cases[0].values.at("dsc.1"), 2.0 / 3, 1e-12);
  EXPECT_FALSE(e.table.cases[0].values.contains("nll"));
  ASSERT_EQ(e.notes.size(), 1u);
  EXPECT_NE(e.notes[0].find("/p/probabilities"), std::string::npos);
}

TEST_F(EvaluateFolders, ProbabilitiesPosteriorSamplesAndRaters) {
  for (const char* name : {"a", "b"}) {
    write_p("/p/probabilities/" + std::string(name), 0.4f);
    write_p("/posterior/" + std::string(name), 0.25f);
  }
  write("/p/samples/a/0", {0, 1, 1, 0, 0, 0, 0, 0});
  write("/p/samples/a/1", {0, 1, 0, 0, 0, 0, 0, 0});
  write("/ratersTr/r1/a", {0, 1, 1, 0, 0, 0, 0, 0});
  write("/ratersTr/r2/a", {0, 1, 0, 0, 0, 0, 0, 0});
  EvaluateOptions o = options();
  o.posterior = root_ + "/posterior";
  const Evaluation e = evaluate(o);
  const ScoreMap& a = e.table.cases[0].values;
  const double exact = -(2 * std::log(0.25) + 6 * std::log(0.75)) / 8,
               got = -(2 * std::log(0.4) + 6 * std::log(0.6)) / 8;
  EXPECT_NEAR(a.at("nll"), got, 1e-6);
  EXPECT_NEAR(a.at("nll_excess"), got - exact, 1e-6);
  EXPECT_NEAR(a.at("kl_posterior"), 0.25 * std::log(0.25 / 0.4) + 0.75 * std::log(0.75 / 0.6), 1e-6);
  EXPECT_NEAR(a.at("ged_squared"), 0, 1e-12);
  EXPECT_DOUBLE_EQ(a.at("hm_iou"), 1);
  EXPECT_NEAR(a.at("ged_squared_unbiased"), -0.5, 1e-12);  // d is 1/2 for each of the pairs that differ
  // The raters disagree about one voxel: one gives log .4 there, the other log .6.
  EXPECT_NEAR(a.at("nll_raters"), got + (std::log(0.4) - std::log(0.6)) / 16, 1e-6);
  EXPECT_NEAR(a.at("ece_top15_raters"), (0.75 + 0.875) / 2 - 0.6, 1e-6);
  EXPECT_TRUE(a.contains("nll_raters_foreground"));
  EXPECT_FALSE(e.table.cases[1].values.contains("ged_squared"));
  EXPECT_FALSE(e.table.cases[1].values.contains("nll_raters"));
  ASSERT_EQ(e.notes.size(), 1u);
  EXPECT_EQ(e.notes[0].rfind("rater r1 has no annotation of b; rater r2", 0), 0u) << e.notes[0];
}

TEST_F(EvaluateFolders, RatersNeedProbabilitiesButNoSamples) {
  for (const char* name : {"a", "b"}) write_p("/p/probabilities/" + std::string(name), 0.4f);
  for (const char* rater : {"/ratersTr/r1/a", "/ratersTr/r2/a"}) write(rater, {1, 1, 1, 1, 1, 1, 1, 1});
  const ScoreMap a = evaluate(options()).table.cases[0].values;
  EXPECT_NEAR(a.at("nll_raters"), -std::log(0.4), 1e-6);
  EXPECT_FALSE(a.contains("ged_squared"));
}

TEST_F(EvaluateFolders, ClassNamesFromEitherKindOfDatasetJson) {
  write_text(root_ + "/dataset.json",
             R"({"channel_names": {"0": "MRI"}, "labels": {"background": 0, "cell": 1, "rim": 2}})");
  EXPECT_EQ(evaluate(options()).table.class_names, (std::vector<std::string>{"background", "cell", "rim"}));
  write_text(root_ + "/dataset.json",
             R"({"modality": {"0": "MRI"}, "labels": {"0": "background", "1": "cell"}})");
  EXPECT_EQ(evaluate(options()).table.options.classes, 2);
  write_text(root_ + "/dataset.json",
             R"({"channel_names": {"0": "MRI"}, "labels": {"background": 0, "cell": 2}})");
  expect_data_error(options(), "dataset.json: labels");
}

// The rules of `check` and `train` hold here too.
TEST_F(EvaluateFolders, WhatADataSetMayNotHaveIsRefused) {
  write_text(root_ + "/dataset.json",
             R"({"channel_names": {"0": "MRI"}, "labels": {"background": 0, "ignore": 1}})");
  expect_data_error(options(), "\"ignore\" (nnU-Net leaves its voxels out of the loss) is not supported");
  remove_file(root_ + "/dataset.json");
  write_volume(root_ + "/labelsTr/a.nii", grid(), Tensor::zeros({1, 2, 4}, DType::i32));
  expect_data_error(options(), "the volume is there twice");
}

TEST_F(EvaluateFolders, WrongInputsNameTheFile) {
  write("/p/b", {0, 255, 0, 0, 0, 0, 0, 0});
  expect_data_error(options(), "/p/b.nii.gz: expected labels from 0 to 1, which the truth has, got 255");
  write_volume(root_ + "/p/b.nii.gz", make_nifti_header({4, 2, 1}, {1, 2, 3}, {0.5, 0, 0}),
               Tensor::zeros({1, 2, 4}, DType::i32));
  expect_data_error(options(), "/p/b.nii.gz: expected the grid of ");
  write_volume(root_ + "/p/b.nii.gz", make_nifti_header({2, 4, 1}, {1, 2, 3}),
               Tensor::zeros({1, 4, 2}, DType::i32));
  expect_data_error(options(), "extents 2 x 4 x 1, expected 4 x 2 x 1");
  remove_file(root_ + "/p/b.nii.gz");
  expect_data_error(options(), "/p/b.nii.gz: missing");
  EvaluateOptions o = options();
  o.prediction = root_ + "/nowhere";
  expect_data_error(o, "expected a folder");
}

TEST_F(EvaluateFolders, ProbabilitiesMustBeDistributions) {
  write_p("/p/probabilities/a", 0.5f);
  expect_data_error(options(), "/p/probabilities/b.nii.gz: missing");
  write_volume(root_ + "/p/probabilities/b.nii.gz", grid(), Tensor::full({2, 1, 2, 4}, 0.75));
  expect_data_error(options(), "add up to 1");
  write_volume(root_ + "/p/probabilities/b.nii.gz", grid(), Tensor::full({2, 1, 2, 4}, -0.5));
  expect_data_error(options(), "from 0 to 1");
}

}  // namespace
}  // namespace voxgrad
