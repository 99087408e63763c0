// Training end to end on a tiny phantom: the same bits with any number of threads and after a stop, clear
// refusals, and predictions on the grid of the input.
#include <gtest/gtest.h>

#include "data/phantom.h"
#include "eval/report.h"
#include "eval/run_report.h"
#include "io/file.h"
#include "io/sha256.h"
#include "methods/prediction.h"
#include "methods/trainer.h"
#include "run/log.h"
#include "tensor/conv.h"
#include "tensor/parallel.h"
#include "tests/temporary_folder.h"

namespace voxgrad {
namespace {

constexpr int kLoads = 4;  // polls while the three training cases and the calibration case are read

class TrainTest : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    PhantomOptions o;
    o.cases = 6;
    o.size = 16;
    o.seed = 3;
    o.modality = GetParam();
    write_phantom(data(), o);
  }
  void TearDown() override { set_thread_count(2); }

  std::string data() const { return folder_ + "/data"; }
  static Config config() {
    Config c = default_config();
    c.set("plan.base_features", int64_t{4});
    c.set("train.max_steps", int64_t{4});
    c.set("train.checkpoint_every", int64_t{1});
    c.set("sampling.samples", int64_t{2});
    c.set("sampling.steps", int64_t{2});
    return c;
  }
  TrainOptions options(const std::string& run) const {
    TrainOptions o;
    o.dataset = data();
    o.method = "pgrd";
    o.run = folder_ + "/" + run;
    o.seed = 5;
    return o;
  }
  std::string hash(const std::string& run) const {
    return sha256_of_file(folder_ + "/" + run + "/model.safetensors") +
           sha256_of_file(folder_ + "/" + run + "/checkpoint.safetensors");
  }
  const testing::TemporaryFolder temporary_;
  const std::string folder_ = temporary_.path();
};

TEST_P(TrainTest, TheSameBitsWithAnyNumberOfThreads) {
  for (const std::string precision : {"fp32", "bf16"}) {
    Config c = config();
    c.set("train.precision", precision);
    for (const int threads : {1, 3}) {
      set_thread_count(threads);
      EXPECT_EQ(train(options(precision + std::to_string(threads)), c).end, TrainEnd::finished);
    }
    EXPECT_EQ(hash(precision + "1"), hash(precision + "3")) << precision;
    EXPECT_EQ(read_text(folder_ + "/" + precision + "1/metrics.json"),
              read_text(folder_ + "/" + precision + "3/metrics.json"));
  }
  const auto weights = [&](const std::string& run) {
    return load_model({folder_ + "/" + run}).method->parameters(0).values().to_vector<float>();
  };
  EXPECT_NE(weights("fp321"), weights("bf161"));
  // A model trained in bf16 holds f32 weights, and computes in either.
  EXPECT_EQ(load_model({folder_ + "/bf161"}).method->config().text("train.precision"), "bf16");
  EXPECT_EQ(load_model({folder_ + "/bf161"}, "fp32").method->config().text("train.precision"), "fp32");
}

TEST_P(TrainTest, StoppedAnywhereAndResumedGivesTheSameBits) {
  Config c = config();
  c.set("sampling.readout", std::string("softmax"));  // tau_out is fitted
  ASSERT_EQ(train(options("whole"), c).end, TrainEnd::finished);
  // Stop after every few polls until it ends by itself.
  TrainOptions o = options("pieces");
  int stops = 0;
  for (int round = 0; round < 50; ++round) {
    int polls = 0;
    o.stop_requested = [&polls] { return ++polls > kLoads + 3; };
    o.resume = round > 0;
    const TrainResult r = train(o, c);
    if (r.end == TrainEnd::finished || r.end == TrainEnd::already_finished) break;
    EXPECT_EQ(r.end, TrainEnd::stopped);
    EXPECT_FALSE(r.stopped_at.empty());
    if (++stops == 5) o.stop_requested = {};
    if (stops >= 5) {
      o.stop_requested = {};
      EXPECT_EQ(train(o, c).end, TrainEnd::finished);
      break;
    }
  }
  EXPECT_GT(stops, 1);
  EXPECT_EQ(hash("whole"), hash("pieces"));
  EXPECT_EQ(load_model({folder_ + "/pieces"}).method->constants.count("tau_out"), 1u);
  // A finished run changes nothing.
  const std::string before = hash("pieces");
  o.resume = true;
  EXPECT_EQ(train(o, c).end, TrainEnd::already_finished);
  EXPECT_EQ(hash("pieces"), before);
}

TEST_P(TrainTest, NumbersThatAreNotFiniteEndTheTraining) {
  Config c = config();
  c.set("train.max_steps", int64_t{200});
  c.set("prior.optimizer", std::string("sgd"));  // every step makes the weights about -9 times as large
  c.set("prior.schedule", std::string("constant"));
  c.set("prior.learning_rate", 10.0);
  c.set("prior.weight_decay", 1.0);
  c.set("prior.momentum", 0.0);
  try {
    train(options("run"), c);
    ADD_FAILURE() << "expected an error";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::diverged);
    EXPECT_NE(std::string(e.what()).find("a lower"), std::string::npos) << e.what();
  }
}

TEST_P(TrainTest, RefusesToOverwriteAndToResumeSomethingElse) {
  ASSERT_EQ(train(options("run"), config()).end, TrainEnd::finished);
  const auto code = [&](const TrainOptions& o, const Config& c) {
    try {
      train(o, c);
    } catch (const Error& e) {
      return e.code();
    }
    return ErrorCode::internal;
  };
  EXPECT_EQ(code(options("run"), config()), ErrorCode::usage);
  TrainOptions other = options("stopped");
  int polls = 0;
  other.stop_requested = [&polls] { return ++polls > kLoads + 2; };
  ASSERT_EQ(train(other, config()).end, TrainEnd::stopped);
  other.stop_requested = {};
  other.resume = true;
  other.seed = 6;
  EXPECT_EQ(code(other, config()), ErrorCode::usage);
  other.seed = 5;
  other.method = "unet";
  EXPECT_EQ(code(other, config()), ErrorCode::usage);
  // A finished run too, and a folder that is not there.
  TrainOptions finished = options("run");
  finished.resume = true;
  EXPECT_EQ(train(finished, config()).end, TrainEnd::already_finished);
  finished.seed = 6;
  EXPECT_EQ(code(finished, config()), ErrorCode::usage);
  finished = options("run");
  finished.resume = true;
  finished.method = "unet";
  EXPECT_EQ(code(finished, config()), ErrorCode::usage);
  finished = options("misspelt");
  finished.resume = true;
  EXPECT_EQ(code(finished, config()), ErrorCode::usage);
  EXPECT_FALSE(file_exists(folder_ + "/misspelt"));
}

// The report of a run that was stopped and resumed: its log has lines of every kind.
TEST_P(TrainTest, ItsReportCanBeMade) {
  TrainOptions o = options("run");
  int polls = 0;
  o.stop_requested = [&polls] { return ++polls > kLoads + 2; };
  ASSERT_EQ(train(o, config()).end, TrainEnd::stopped);
  o.stop_requested = {};
  o.resume = true;
  ASSERT_EQ(train(o, config()).end, TrainEnd::finished);
  const std::string html = report_html(read_run(o.run));
  for (const char* const text : {"Loss, prior", "Loss, denoiser", "prior + temperature"})
    EXPECT_NE(html.find(text), std::string::npos) << text;
}

TEST_P(TrainTest, PredictionsLieOnTheInputsGridAndDoNotDependOnGrouping) {
  ASSERT_EQ(train(options("run"), config()).end, TrainEnd::finished);
  LoadedModel model = load_model({folder_ + "/run"});
  EXPECT_TRUE(model.complete);
  PredictOptions p;
  p.images = {data() + "/imagesTr"};
  p.output = folder_ + "/out";
  p.sampling = sample_options(model.method->config());
  p.sampling.samples = 3;
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
  p.sampling.memory = 1;  // one sample at a time
  predict_files(*model.method, p);
  EXPECT_EQ(read_text(p.output + "/probabilities/phantom_001.nii.gz"), before);
  // What an earlier prediction left of a case goes: it is not of the new mask. Foreign files stay.
  write_text(p.output + "/samples/phantom_001/sample_of_mine.nii.gz", "");
  p.save_probabilities = false;
  p.sampling.samples = 2;
  predict_files(*model.method, p);
  EXPECT_FALSE(file_exists(p.output + "/probabilities/phantom_001.nii.gz"));
  EXPECT_TRUE(file_exists(p.output + "/samples/phantom_001/sample_002.nii.gz"));
  EXPECT_FALSE(file_exists(p.output + "/samples/phantom_001/sample_003.nii.gz"));
  EXPECT_TRUE(file_exists(p.output + "/samples/phantom_001/sample_of_mine.nii.gz"));
}

TEST_P(TrainTest, AStoppedRunIsMarkedUnfinished) {
  TrainOptions o = options("run");
  int polls = 0;
  o.stop_requested = [&polls] { return ++polls > kLoads + 2; };
  ASSERT_EQ(train(o, config()).end, TrainEnd::stopped);
  LoadedModel model = load_model({folder_ + "/run"});
  EXPECT_FALSE(model.complete);
}

TEST_P(TrainTest, AModelIsCompleteWhenOnlyItsScoresAreMissing) {
  TrainOptions o = options("run");
  o.method = "unet";
  bool scoring = false;
  o.progress = [&scoring](const TrainProgress& p) { scoring = p.stage == "validation"; };
  o.stop_requested = [&scoring] { return scoring; };
  ASSERT_EQ(train(o, config()).end, TrainEnd::stopped);
  EXPECT_TRUE(load_model({folder_ + "/run"}).complete);
}

TEST_P(TrainTest, AStopBetweenStagesLosesNothingOfTheLog) {
  const auto validations = [&](const std::string& run) {
    int n = 0;
    for (const LogLine& line : read_log(RunFolder{folder_ + "/" + run}.log()))
      n += std::holds_alternative<ValidationLine>(line);
    return n;
  };
  ASSERT_EQ(train(options("whole"), config()).end, TrainEnd::finished);
  EXPECT_EQ(validations("whole"), 1);
  for (int extra = 3; extra < 9; ++extra) {  // around the prior's last step and its validation
    TrainOptions o = options("run" + std::to_string(extra));
    int polls = 0;
    o.stop_requested = [&] { return ++polls > kLoads + extra; };
    ASSERT_EQ(train(o, config()).end, TrainEnd::stopped);
    o.stop_requested = {};
    o.resume = true;
    ASSERT_EQ(train(o, config()).end, TrainEnd::finished);
    EXPECT_EQ(validations(o.run.substr(folder_.size() + 1)), 1) << extra;
  }
}

TEST_P(TrainTest, AResumptionWithOtherArithmeticIsSaidAndRecorded) {
  TrainOptions o = options("run");
  std::string said;
  o.message = [&said](const std::string& text) { said += text + "\n"; };
  const auto resume_until = [&](int extra) {
    int polls = 0;
    o.stop_requested = [&polls, extra] { return ++polls > kLoads + extra; };
    ASSERT_EQ(train(o, config()).end, TrainEnd::stopped);
    o.resume = true;
  };
  resume_until(2);
  resume_until(1);
  EXPECT_EQ(said.find("goes on with"), std::string::npos) << said;
  const bool before = winograd_allowed();
  allow_winograd(!before);
  resume_until(1);
  allow_winograd(before);
  EXPECT_NE(said.find("goes on with"), std::string::npos) << said;
  std::vector<bool> winograd;
  for (const LogLine& line : read_log(RunFolder{o.run}.log()))
    if (const auto* start = std::get_if<StartLine>(&line)) winograd.push_back(start->runtime.winograd);
  EXPECT_EQ(winograd, (std::vector<bool>{before, before, !before}));
}

TEST_P(TrainTest, WhatCannotBeSampledIsRefusedBeforeTraining) {
  for (const char* wrong : {"sampling.steps=2000", "denoiser.time_features=7"}) {
    Config c = config();
    c.set(wrong);
    try {
      train(options("never"), c);
      FAIL() << wrong;
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::usage) << e.what();
    }
    EXPECT_FALSE(file_exists(folder_ + "/never/config.toml"));
  }
}

TEST_P(TrainTest, PredictNeverReplacesItsInput) {
  ASSERT_EQ(train(options("run"), config()).end, TrainEnd::finished);
  LoadedModel model = load_model({folder_ + "/run"});
  const std::string scans = folder_ + "/scans";
  make_folders(scans);
  make_folders(folder_ + "/channels");
  for (const std::string& copy : {scans + "/a.nii.gz", folder_ + "/channels/a_0000.nii.gz"})
    write_text(copy, read_text(data() + "/imagesTr/phantom_001_0000.nii.gz"));
  const std::string before = read_text(scans + "/a.nii.gz");
  PredictOptions p;
  p.images = {scans + "/a.nii.gz"};
  p.sampling = sample_options(model.method->config());
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

INSTANTIATE_TEST_SUITE_P(Modality, TrainTest, ::testing::Values("mri", "ct"),
                         [](const auto& modality) { return std::string(modality.param); });

TEST(Model, MissingAndForeignFilesAreNamed) {
  try {
    load_model({"/nonexistent-run"});
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::data);
    EXPECT_NE(std::string(e.what()).find("/nonexistent-run/model.safetensors"), std::string::npos);
  }
}

TEST(Method, UnknownNamesListTheKnownOnes) {
  try {
    make_method("segnet", {}, default_config());
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::usage);
    EXPECT_NE(std::string(e.what()).find("pgrd"), std::string::npos);
  }
}

}  // namespace
}  // namespace voxgrad
