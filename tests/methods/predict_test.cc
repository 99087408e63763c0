// Predictions of a tiny trained model: on the grid of the input, the same whatever the grouping.
#include "eval/calibrate.h"
#include "io/file.h"
#include "io/nifti.h"
#include "methods/prediction.h"
#include "tests/methods/trained_phantom.h"

namespace voxgrad {
namespace {

using testing::TrainTest;

TEST_P(TrainTest, OtherSamplesThanTauOutWasFittedForAreTold) {
  ASSERT_EQ(train(options("run"), "pgrd", {"sampling.readout=softmax", "sampling.mean=samples"}).end,
            TrainEnd::finished);
  LoadedModel model = load("run");
  EXPECT_EQ(model.file.constants.count("tau_out"), 1u);
  EXPECT_TRUE(model.method->warnings().empty());
  model.method->config().set("sampling.samples=5");
  ASSERT_EQ(model.method->warnings().size(), 1u);
  EXPECT_NE(model.method->warnings()[0].find("fitted for M = 2, S = 2"), std::string::npos);
}

TEST_P(TrainTest, PredictionsLieOnTheInputsGridAndDoNotDependOnGrouping) {
  ASSERT_EQ(train(options("run")).end, TrainEnd::finished);
  LoadedModel model = load("run");
  EXPECT_TRUE(model.file.complete);
  PredictOptions p;
  p.images = {data() + "/imagesTr"};
  p.output = folder_ + "/out";
  model.method->config().set("sampling.samples=3");
  p.save_probabilities = p.save_samples = true;
  EXPECT_EQ(predict_files(*model.method, p).size(), 6u);
  NiftiHeader image, mask;
  read_volume(data() + "/imagesTr/phantom_001_0000.nii.gz", &image);
  const Tensor labels = read_volume(p.output + "/phantom_001.nii.gz", &mask);
  EXPECT_EQ(image.dims, mask.dims);
  EXPECT_EQ(image.affine(), mask.affine());
  EXPECT_EQ(mask.intent_code, 1002);
  for (const float l : labels.to_vector<float>()) EXPECT_TRUE(l == 0 || l == 1 || l == 2);
  const Tensor probabilities = read_volume(p.output + "/probabilities/phantom_001.nii.gz");
  EXPECT_EQ(probabilities.dim(0), 3);
  const int64_t voxels = probabilities.numel() / 3;
  for (int64_t i = 0; i < voxels; ++i) {
    const float* q = probabilities.data<float>() + i;
    EXPECT_NEAR(q[0] + q[voxels] + q[2 * voxels], 1, 1e-5);
  }
  EXPECT_TRUE(file_exists(p.output + "/samples/phantom_001/sample_003.nii.gz"));
  EXPECT_TRUE(file_exists(p.output + "/entropy/phantom_001.nii.gz"));
  const std::string before = read_text(p.output + "/probabilities/phantom_001.nii.gz");
  p.work.memory = 1;  // one sample at a time
  predict_files(*model.method, p);
  EXPECT_EQ(read_text(p.output + "/probabilities/phantom_001.nii.gz"), before);
  // What an earlier prediction left of a case goes: it is not of the new mask. Foreign files stay.
  write_text(p.output + "/samples/phantom_001/sample_of_mine.nii.gz", "");
  p.save_probabilities = false;
  model.method->config().set("sampling.samples=2");
  predict_files(*model.method, p);
  EXPECT_FALSE(file_exists(p.output + "/probabilities/phantom_001.nii.gz"));
  EXPECT_TRUE(file_exists(p.output + "/samples/phantom_001/sample_002.nii.gz"));
  EXPECT_FALSE(file_exists(p.output + "/samples/phantom_001/sample_003.nii.gz"));
  EXPECT_TRUE(file_exists(p.output + "/samples/phantom_001/sample_of_mine.nii.gz"));
}

// Whatever a method gives is scored under its name, and can be written.
TEST_P(TrainTest, EveryEstimateHasARowAndCanBeWritten) {
  for (const std::string& name : method_names()) {
    ASSERT_EQ(train(options(name), name).end, TrainEnd::finished);
    LoadedModel model = load(name);
    std::vector<std::string> keys, rows;
    for (const EstimateInfo& info : model.method->estimates()) keys.push_back(info.key);
    EXPECT_EQ(keys.back(), name);
    const RunScores all = scores(name);
    for (const ScoreRow& row : all.rows) {
      rows.push_back(row.key);
      EXPECT_EQ(row.table.cases.size(), 2u);
      EXPECT_TRUE(file_exists(RunFolder{folder_ + "/" + name}.metrics_csv(row.key)));
      // The raters judge probabilities, with samples or without.
      EXPECT_TRUE(row.table.cases[0].values.contains("nll_raters")) << row.key;
      EXPECT_EQ(row.table.risk_coverage.cases, 2) << row.key;
    }
    EXPECT_EQ(rows, keys);
    EXPECT_EQ(all.method()->key, name);
    PredictOptions p;
    p.images = {data() + "/imagesTr/phantom_001_0000.nii.gz"};
    p.output = folder_ + "/out-" + name;
    p.save_probabilities = p.save_samples = true;
    p.estimates = keys;
    predict_files(*model.method, p);
    // Scores of samples where there are several.
    EXPECT_EQ(all.method()->table.cases[0].values.contains("ged_squared"),
              list_folder(p.output + "/samples/phantom_001").size() > 1)
        << name;
    const auto read = [&](const std::string& file) {
      return read_volume(p.output + file + "/phantom_001.nii.gz").to_vector<float>();
    };
    EXPECT_EQ(read("/estimates/" + name), read("/probabilities"));
    for (size_t i = 0; i + 1 < keys.size(); ++i)
      EXPECT_NE(read("/estimates/" + keys[i]), read("/probabilities")) << keys[i];
    // What an earlier prediction left goes.
    p.estimates = {keys[0]};
    predict_files(*model.method, p);
    for (const std::string& key : keys)
      EXPECT_EQ(file_exists(p.output + "/estimates/" + key + "/phantom_001.nii.gz"), key == keys[0]) << key;
    p.estimates = {"posterior"};
    try {
      predict_files(*model.method, p);
      FAIL() << "expected an error";
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::usage);
      EXPECT_NE(std::string(e.what()).find("expected one of " + keys[0]), std::string::npos) << e.what();
    }
  }
}

// The samples of every method that has several.
TEST_P(TrainTest, ProgressCountsWhatIsEvaluated) {
  for (const std::string& name : method_names()) {
    ASSERT_EQ(train(options(name), name, {"plan.max_patch_voxels=512"}).end, TrainEnd::finished);
    LoadedModel model = load(name);
    PredictOptions p;
    p.images = {data() + "/imagesTr"};
    for (const EstimateInfo& info : model.method->estimates()) p.estimates.push_back(info.key);
    for (const int64_t memory :
         {int64_t{1}, int64_t{1} << 30}) {  // windows and samples by themselves, and in groups
      p.output = cat(folder_, "/", name, memory);
      p.work.memory = memory;
      std::vector<CaseProgress> seen;
      p.progress = [&](const CaseProgress& c) { seen.push_back(c); };
      predict_files(*model.method, p);
      int64_t complete = 0;
      for (size_t i = 0; i < seen.size(); ++i) {
        EXPECT_EQ(seen[i].cases, 6);
        EXPECT_LE(seen[i].done, seen[i].total);
        const bool last = i + 1 == seen.size() || seen[i + 1].index != seen[i].index;
        if (!last) continue;
        EXPECT_GT(seen[i].windows, 1);
        EXPECT_EQ(seen[i].done, seen[i].total) << name << " " << seen[i].text();
        ++complete;
      }
      EXPECT_EQ(complete, 6);
      EXPECT_EQ(seen.back().eta_seconds, 0);
    }
  }
}

// What is evaluated outside of steps is announced: the counts reach their totals.
TEST_P(TrainTest, TrainingSaysHowManyEvaluationsThereAre) {
  TrainRequest o = options("run");
  std::map<std::string, std::vector<TrainProgress>> pieces;  // by what is done
  o.progress = [&](const TrainProgress& p) {
    if (p.stage.ends_with(": window evaluation")) pieces[p.stage].push_back(p);
  };
  ASSERT_EQ(train(o, "pgrd", {"plan.max_patch_voxels=512", "sampling.readout=softmax"}).end,
            TrainEnd::finished);
  for (const char* piece : {"the validation of prior", "the start of denoiser", "calibration"})
    ASSERT_TRUE(pieces.contains(std::string(piece) + ": window evaluation")) << piece;
  for (const auto& [name, seen] : pieces) {
    for (size_t i = 0; i < seen.size(); ++i) {
      const bool last = i + 1 == seen.size() || seen[i + 1].step < seen[i].step;
      EXPECT_LE(seen[i].step, seen[i].steps) << name;
      EXPECT_EQ(last, seen[i].step == seen[i].steps) << name << " " << seen[i].step << "/" << seen[i].steps;
    }
  }
}

// Three cases of 1, 1 and 8 windows: after the small ones a fifth is done.
TEST(CaseClock, TimeIsEstimatedByTheSizeOfTheCases) {
  std::vector<CaseProgress> seen;
  CaseClock clock({1, 1, 8}, [&](const CaseProgress& p) { seen.push_back(p); });
  const auto left = [&] { return seen.back().eta_seconds / seen.back().seconds; };
  clock.begin("a");
  EXPECT_EQ(seen.back().eta_seconds, 0);
  clock.evaluate(1, 2);
  clock.advance(2);
  EXPECT_NEAR(left(), 9, 1e-9);
  clock.begin("b");
  clock.begin("c");
  EXPECT_NEAR(left(), 4, 1e-9);
  clock.evaluate(8, 2);
  clock.advance(8);
  EXPECT_NEAR(left(), 2.0 / 3, 1e-9);
  EXPECT_EQ(seen.back().cases, 3);
}

TEST_P(TrainTest, AFitAtTheEndOfItsRangeIsSaid) {
  std::vector<std::string> said;
  TrainRequest o = options("run");
  o.message = [&](const std::string& text) { said.push_back(text); };
  ASSERT_EQ(train(o).end, TrainEnd::finished);
  const LoadedModel model = load("run");
  Method& method = *model.method;
  const auto lines = [](const std::vector<std::string>& texts) {
    return std::count_if(texts.begin(), texts.end(),
                         [](const std::string& t) { return t.find("value that is tried") != t.npos; });
  };
  // A network of four steps has learnt nothing: whatever was fitted is said in training, scores and
  // prediction.
  EXPECT_EQ(lines(said), lines(method.warnings()));
  EXPECT_EQ(lines(scores("run").notes), lines(method.warnings()));
  method.constants["prior_temperature"] = 3;
  method.constants["tau_out"] = 0.3;
  EXPECT_EQ(lines(method.warnings()), 0);
  method.constants["prior_temperature"] = TemperatureFit::kHigh;
  EXPECT_EQ(lines(method.warnings()), 1);
  EXPECT_EQ(lines(method.notes()), 1);
  method.constants["tau_out"] = TauOutFit::kLow;
  EXPECT_EQ(lines(method.warnings()), 2);
}

TEST_P(TrainTest, SamplesDifferAndDependOnTheSeedAlone) {
  for (const std::string& method : method_names()) {
    ASSERT_EQ(train(options(method), method).end, TrainEnd::finished);
    LoadedModel model = load(method);
    bool several = false;
    const auto predict = [&](uint64_t seed, int64_t memory) {
      PredictOptions p;
      p.images = {data() + "/imagesTr/phantom_001_0000.nii.gz"};
      p.output = folder_ + "/out-" + method;
      p.work.seed = seed;
      p.work.memory = memory;
      p.save_samples = p.save_probabilities = true;
      predict_files(*model.method, p);
      std::string all;
      for (const std::string& file : list_folder(p.output + "/samples/phantom_001"))
        all += read_text(p.output + "/samples/phantom_001/" + file);
      const std::string map = p.output + "/mutual_information/phantom_001.nii.gz";
      several = list_folder(p.output + "/samples/phantom_001").size() > 1;
      EXPECT_EQ(file_exists(map), several) << method << ": a map of zeros would look like certainty";
      if (several) {
        const std::vector<float> mi = read_volume(map).to_vector<float>();
        EXPECT_GT(*std::max_element(mi.begin(), mi.end()), 0) << method;
      }
      return all + read_text(p.output + "/probabilities/phantom_001.nii.gz");
    };
    const std::string one = predict(1, int64_t{1} << 30);
    EXPECT_EQ(predict(1, 1), one) << method;
    // The samples of these are networks or heads, without random numbers.
    const bool fixed = method == "ensemble" || method == "m-heads";
    EXPECT_EQ(predict(2, 1) != one, several && !fixed) << method;
  }
}

TEST_P(TrainTest, PredictNeverReplacesItsInput) {
  ASSERT_EQ(train(options("run")).end, TrainEnd::finished);
  LoadedModel model = load("run");
  const std::string scans = folder_ + "/scans";
  make_folders(scans);
  make_folders(folder_ + "/channels");
  for (const std::string& copy : {scans + "/a.nii.gz", folder_ + "/channels/a_0000.nii.gz"})
    write_text(copy, read_text(data() + "/imagesTr/phantom_001_0000.nii.gz"));
  const std::string before = read_text(scans + "/a.nii.gz");
  PredictOptions p;
  p.images = {scans + "/a.nii.gz"};
  for (const std::string& folder :
       {scans, folder_ + "/channels", data() + "/labelsTr", data() + "/labelsTr/"}) {
    p.images = {folder == folder_ + "/channels" ? folder : scans + "/a.nii.gz"};
    p.output = folder;
    try {
      predict_files(*model.method, p);
      FAIL() << folder;
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::usage) << e.what();
    }
  }
  EXPECT_EQ(read_text(scans + "/a.nii.gz"), before);
}

}  // namespace
}  // namespace voxgrad
