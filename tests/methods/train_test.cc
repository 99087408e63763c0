// Training end to end on a tiny phantom: the same bits with any number of threads and after a stop, clear
// refusals, and predictions on the grid of the input.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "data/phantom.h"
#include "eval/report.h"
#include "eval/run_report.h"
#include "io/file.h"
#include "io/sha256.h"
#include "methods/model.h"
#include "methods/prediction.h"
#include "methods/registry.h"
#include "methods/training.h"
#include "methods/validation.h"
#include "run/folder.h"
#include "run/log.h"
#include "run/manifest.h"
#include "tensor/conv.h"
#include "tensor/parallel.h"
#include "tests/temporary_folder.h"

namespace voxgrad {
namespace {

// Polls while the plan looks at three training cases, these and the calibration case are prepared, and the
// two scored ones are read and hashed.
constexpr int kLoads = 11;

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
  using Settings = std::vector<std::string>;
  /// A method that is trained in a moment; `more`: KEY=VALUE.
  static std::unique_ptr<Method> small(const std::string& name = "pgrd", const Settings& more = {}) {
    std::unique_ptr<Method> method = make_method(name);
    Config c = method->config();
    for (const char* s : {"plan.base_features=4", "train.max_steps=4", "train.checkpoint_every=1",
                          "sampling.samples=2", "sampling.steps=2"})
      c.set(s);
    for (const std::string& s : more) c.set(s);
    return method;
  }
  TrainRequest options(const std::string& run) const {
    TrainRequest r;
    r.run = folder_ + "/" + run;
    r.seed = 5;
    return r;
  }
  TrainResult train(TrainRequest request, const std::string& name = "pgrd", const Settings& more = {}) const {
    const std::unique_ptr<Method> method = small(name, more);
    request.runtime = Runtime(method->common.runtime, Device::cpu(), false);
    return train_method(*method, data(), request);
  }
  LoadedModel load(const std::string& run, const std::string& precision = "auto") const {
    LoadedModel model = open_model({folder_ + "/" + run});
    build(model, Runtime({.precision = precision}, Device::cpu(), false));
    return model;
  }
  RunScores scores(const std::string& run) const {
    const std::string file = RunFolder{folder_ + "/" + run}.metrics();
    return run_scores_from_json(read_text(file), file);
  }
  std::string hash(const std::string& run) const {
    return sha256_of_file(folder_ + "/" + run + "/model.safetensors") +
           sha256_of_file(folder_ + "/" + run + "/checkpoint.safetensors");
  }
  const testing::TemporaryFolder temporary_;
  const std::string folder_ = temporary_.path();
};

TEST_P(TrainTest, TheSameBitsWithAnyNumberOfThreads) {
  for (const std::string& method : method_names())
    for (const std::string precision : {"fp32", "bf16"}) {
      const std::string name = method + precision;
      for (const int threads : {1, 3}) {
        set_thread_count(threads);
        EXPECT_EQ(
            train(options(name + std::to_string(threads)), method, {"runtime.precision=" + precision}).end,
            TrainEnd::finished);
      }
      EXPECT_EQ(hash(name + "1"), hash(name + "3")) << name;
      EXPECT_EQ(read_text(folder_ + "/" + name + "1/metrics.json"),
                read_text(folder_ + "/" + name + "3/metrics.json"));
    }
  // A model trained in bf16 holds f32 weights and says nothing of it.
  EXPECT_NE(open_model({folder_ + "/pgrdfp321"}).file.digest,
            open_model({folder_ + "/pgrdbf161"}).file.digest);
  EXPECT_EQ(open_model({folder_ + "/pgrdfp321"}).file.config,
            open_model({folder_ + "/pgrdbf161"}).file.config);
  EXPECT_EQ(read_manifest(RunFolder{folder_ + "/pgrdbf161"}.manifest()).runtime.precision, "bf16");
}

TEST_P(TrainTest, StoppedAnywhereAndResumedGivesTheSameBits) {
  const Settings softmax{"sampling.readout=softmax", "sampling.mean=samples"};  // pgrd fits tau_out
  for (const std::string& method : method_names()) {
    const std::string whole = "whole-" + method, pieces = "pieces-" + method;
    ASSERT_EQ(train(options(whole), method, softmax).end, TrainEnd::finished);
    // Stop after every few polls until it ends by itself.
    TrainRequest o = options(pieces);
    int stops = 0;
    for (int round = 0; round < 50; ++round) {
      int polls = 0;
      o.stop_requested = [&polls] { return ++polls > kLoads + 3; };
      o.resume = round > 0;
      const TrainResult r = train(o, method, softmax);
      if (r.end == TrainEnd::finished || r.end == TrainEnd::already_finished) break;
      EXPECT_EQ(r.end, TrainEnd::stopped);
      EXPECT_FALSE(r.stopped_at.empty());
      if (++stops == 5) {
        o.stop_requested = {};
        o.resume = true;
        EXPECT_EQ(train(o, method, softmax).end, TrainEnd::finished);
        break;
      }
    }
    EXPECT_GT(stops, 0) << method;
    EXPECT_EQ(hash(whole), hash(pieces)) << method;
    // A finished run changes nothing.
    const std::string before = hash(pieces);
    o.resume = true;
    o.stop_requested = {};
    EXPECT_EQ(train(o, method, softmax).end, TrainEnd::already_finished);
    EXPECT_EQ(hash(pieces), before);
  }
}

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

TEST_P(TrainTest, NumbersThatAreNotFiniteEndTheTraining) {
  try {  // every step makes the weights about -9 times as large
    train(options("run"), "pgrd",
          {"train.max_steps=200", "prior.optimizer=sgd", "prior.schedule=constant", "prior.learning_rate=10",
           "prior.weight_decay=1", "prior.momentum=0"});
    ADD_FAILURE() << "expected an error";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::diverged);
    EXPECT_NE(std::string(e.what()).find("a lower"), std::string::npos) << e.what();
  }
}

TEST_P(TrainTest, RefusesToOverwriteAndToResumeSomethingElse) {
  ASSERT_EQ(train(options("run")).end, TrainEnd::finished);
  const auto code = [&](const TrainRequest& o, const std::string& method = "pgrd") {
    try {
      train(o, method);
    } catch (const Error& e) {
      return e.code();
    }
    return ErrorCode::internal;
  };
  EXPECT_EQ(code(options("run")), ErrorCode::usage);
  TrainRequest other = options("stopped");
  int polls = 0;
  other.stop_requested = [&polls] { return ++polls > kLoads + 2; };
  ASSERT_EQ(train(other).end, TrainEnd::stopped);
  other.stop_requested = {};
  other.resume = true;
  other.seed = 6;
  EXPECT_EQ(code(other), ErrorCode::usage);
  other.seed = 5;
  EXPECT_EQ(code(other, "unet"), ErrorCode::usage);
  // A finished run too, and a folder that is not there.
  TrainRequest finished = options("run");
  finished.resume = true;
  EXPECT_EQ(train(finished).end, TrainEnd::already_finished);
  EXPECT_EQ(code(finished, "unet"), ErrorCode::usage);
  finished.seed = 6;
  EXPECT_EQ(code(finished), ErrorCode::usage);
  finished = options("misspelt");
  finished.resume = true;
  EXPECT_EQ(code(finished), ErrorCode::usage);
  EXPECT_FALSE(file_exists(folder_ + "/misspelt"));
}

// The report of a run that was stopped and resumed: its log has lines of every kind.
TEST_P(TrainTest, ItsReportCanBeMade) {
  TrainRequest o = options("run");
  int polls = 0;
  o.stop_requested = [&polls] { return ++polls > kLoads + 2; };
  ASSERT_EQ(train(o).end, TrainEnd::stopped);
  o.stop_requested = {};
  o.resume = true;
  ASSERT_EQ(train(o).end, TrainEnd::finished);
  const std::string html = report_html(read_run(o.run));
  for (const char* const text :
       {"Loss and its terms, prior", "Loss and its terms, denoiser", "prior + temperature"})
    EXPECT_NE(html.find(text), std::string::npos) << text;
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

TEST_P(TrainTest, AStoppedRunIsMarkedUnfinished) {
  TrainRequest o = options("run");
  int polls = 0;
  o.stop_requested = [&polls] { return ++polls > kLoads + 2; };
  ASSERT_EQ(train(o).end, TrainEnd::stopped);
  EXPECT_FALSE(open_model({folder_ + "/run"}).file.complete);
}

TEST_P(TrainTest, AModelIsCompleteWhenOnlyItsScoresAreMissing) {
  TrainRequest o = options("run");
  bool scoring = false;
  o.progress = [&scoring](const TrainProgress& p) { scoring = p.stage == "validation"; };
  o.stop_requested = [&scoring] { return scoring; };
  ASSERT_EQ(train(o, "unet").end, TrainEnd::stopped);
  EXPECT_TRUE(open_model({folder_ + "/run"}).file.complete);
}

TEST_P(TrainTest, AStopBetweenStagesLosesNothingOfTheLog) {
  const auto validations = [&](const std::string& run) {
    int n = 0;
    for (const LogLine& line : read_log(RunFolder{folder_ + "/" + run}.log()))
      n += std::holds_alternative<ValidationLine>(line);
    return n;
  };
  ASSERT_EQ(train(options("whole")).end, TrainEnd::finished);
  EXPECT_EQ(validations("whole"), 1);
  for (int extra = 3; extra < 9; ++extra) {  // around the prior's last step and its validation
    TrainRequest o = options("run" + std::to_string(extra));
    int polls = 0;
    o.stop_requested = [&] { return ++polls > kLoads + extra; };
    ASSERT_EQ(train(o).end, TrainEnd::stopped);
    o.stop_requested = {};
    o.resume = true;
    ASSERT_EQ(train(o).end, TrainEnd::finished);
    EXPECT_EQ(validations(o.run.substr(folder_.size() + 1)), 1) << extra;
  }
}

TEST_P(TrainTest, AResumptionWithOtherArithmeticIsSaidAndRecorded) {
  TrainRequest o = options("run");
  std::string said;
  o.message = [&said](const std::string& text) { said += text + "\n"; };
  const auto resume_until = [&](int extra) {
    int polls = 0;
    o.stop_requested = [&polls, extra] { return ++polls > kLoads + extra; };
    ASSERT_EQ(train(o).end, TrainEnd::stopped);
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
    if (const auto* l = std::get_if<StartLine>(&line)) winograd.push_back(l->runtime.winograd);
  EXPECT_EQ(winograd, (std::vector<bool>{before, before, !before}));
}

TEST_P(TrainTest, WhatCannotBeSampledIsRefusedBeforeTraining) {
  for (const char* wrong : {"sampling.steps=2000", "denoiser.time_features=7"}) {
    try {
      train(options("never"), "pgrd", {wrong});
      FAIL() << wrong;
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::usage) << e.what();
    }
    EXPECT_FALSE(file_exists(folder_ + "/never/config.toml"));
  }
}

// Nine rows of a table share one prior.
TEST_P(TrainTest, APriorIsTakenFromAnotherRun) {
  ASSERT_EQ(train(options("unet"), "unet").end, TrainEnd::finished);
  TrainRequest o = options("pgrd");
  o.from = {parse_stage_source(folder_ + "/unet:prior")};
  std::string said;
  o.message = [&said](const std::string& text) { said += text + "\n"; };
  ASSERT_EQ(train(o).end, TrainEnd::finished);
  EXPECT_EQ(said.find("other cases"), std::string::npos) << said;
  const ModelFile unet = open_model({folder_ + "/unet"}).file, pgrd = open_model({folder_ + "/pgrd"}).file;
  EXPECT_EQ(pgrd.provenance.stages[0].from, unet.provenance.stages[0].digest);
  for (const auto& [name, tensor] : unet.weights)
    EXPECT_EQ(pgrd.weights.at(name).to_vector<float>(), tensor.to_vector<float>()) << name;
  // It is the prior that this run would have trained: the rest has the same bits too.
  ASSERT_EQ(train(options("both")).end, TrainEnd::finished);
  EXPECT_EQ(pgrd.digest, open_model({folder_ + "/both"}).file.digest);
  o = options("other");
  o.from = {parse_stage_source(folder_ + "/unet:prior")};
  try {
    train(o, "pgrd", {"plan.base_features=8"});
    FAIL() << "expected an error";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::usage);
    EXPECT_NE(std::string(e.what()).find("the same features"), std::string::npos) << e.what();
  }
  // Keys of a stage that is taken do not act: what it was trained with is said.
  said.clear();
  o.run = folder_ + "/keys";
  o.message = [&said](const std::string& text) { said += text + "\n"; };
  ASSERT_EQ(train(o, "pgrd", {"prior.dice=0.5"}).end, TrainEnd::finished);
  EXPECT_NE(said.find("was trained with prior.dice = 1.0"), std::string::npos) << said;
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

// Fits see the same cases whatever the memory.
TEST_P(TrainTest, AModelDoesNotDependOnTheMemory) {
  const auto digest = [&](const std::string& run, int64_t memory) {
    const std::unique_ptr<Method> method =
        small("pgrd", {"sampling.readout=softmax", "sampling.mean=samples", "train.max_steps=1"});
    const std::string data = folder_ + "/more";
    if (!is_folder(data)) {
      PhantomOptions o;
      o.cases = 16;
      o.size = 16;
      o.modality = GetParam();
      write_phantom(data, o);
    }
    MemoryBounds bounds;
    bounds.host = memory;
    EXPECT_EQ(train_method(*method, data, options(run), bounds).end, TrainEnd::finished);
    const ModelFile file = open_model({folder_ + "/" + run}).file;
    EXPECT_GE(file.constants.at("tau_out_cases"), 2);
    return file.digest;
  };
  EXPECT_EQ(digest("little", 1), digest("much", int64_t{1} << 30));
}

// The samples of every method that has several.
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
      const std::vector<float> mi =
          read_volume(p.output + "/mutual_information/phantom_001.nii.gz").to_vector<float>();
      several = list_folder(p.output + "/samples/phantom_001").size() > 1;
      EXPECT_EQ(*std::max_element(mi.begin(), mi.end()) > 0, several) << method;
      return all + read_text(p.output + "/probabilities/phantom_001.nii.gz");
    };
    const std::string one = predict(1, int64_t{1} << 30);
    EXPECT_EQ(predict(1, 1), one) << method;
    if (several) {
      EXPECT_NE(predict(2, 1), one) << method;
    }
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

INSTANTIATE_TEST_SUITE_P(Modality, TrainTest, ::testing::Values("mri", "ct"),
                         [](const auto& modality) { return std::string(modality.param); });

// Whatever a model says is compared with a range, and its weights with the plan, before it is used. Each of
// these has a right digest.
TEST_P(TrainTest, AModelOutsideItsRangesIsRefused) {
  ASSERT_EQ(train(options("run"), "pgrd", {"sampling.readout=softmax"}).end, TrainEnd::finished);
  const ModelFile good = read_model(folder_ + "/run/model.safetensors");
  make_folders(folder_ + "/edited");
  const RunFolder edited{folder_ + "/edited"};
  const auto refused = [&](const std::string& text, auto&& change) {
    ModelFile m = good;
    change(m);
    write_model(edited.model(), m);
    try {
      load("edited");
      ADD_FAILURE() << "expected an error: " << text;
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::data) << e.what();
      EXPECT_NE(std::string(e.what()).find(edited.model() + ": " + text), std::string::npos) << e.what();
    }
  };
  for (const auto& [name, value] : good.constants)
    for (const double wrong : {-1.0, 1e308, -1e308}) {
      refused("constants." + name + ": expected a number from ",
              [&](ModelFile& m) { m.constants[name] = wrong; });
    }
  EXPECT_EQ(good.constants.size(), 7u) << "a constant without a range";
  for (const char* name : {"prior_temperature", "pi_temperature", "residual_sd", "tau_out"})
    refused(cat("constants.", name), [&](ModelFile& m) { m.constants[name] = 0; });
  const auto plan = [&](const std::string& field, auto value) {
    refused(field, [&](ModelFile& m) {
      nlohmann::json j = nlohmann::json::parse(m.plan);
      j[field] = value;
      m.plan = j.dump();
    });
  };
  plan("patch", std::vector<int64_t>(3, int64_t{1} << 40));
  plan("features", std::vector<int64_t>(2, 1000000000));
  plan("batch_size", int64_t{1} << 32);
  // In range, but the weights are those of another network.
  refused("prior.encoder.0.conv1.weight: expected f32 ", [](ModelFile& m) {
    nlohmann::json j = nlohmann::json::parse(m.plan);
    for (auto& f : j["features"]) f = 4096;
    m.plan = j.dump();
  });
  refused("expected a tensor prior.",
          [](ModelFile& m) { m.weights.erase(m.weights.find("prior.head.0.weight")); });
  refused("config: [config] denoiser.time_features: expected an even number", [](ModelFile& m) {
    const std::string key = "time_features = ";
    m.config.replace(m.config.find(key), key.size() + 2, key + "63");
  });
}

// The digest is of weights, plan and constants. The manifest binds the rest of the file to the run.
TEST_P(TrainTest, AModelIsTheOneOfItsManifest) {
  ASSERT_EQ(train(options("run"), "unet").end, TrainEnd::finished);
  const RunFolder run{folder_ + "/run"};
  ModelFile m = read_model(run.model());
  m.axis_codes = "LPS";
  write_model(run.model(), m);
  try {
    load("run");
    ADD_FAILURE() << "expected an error";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::data);
    EXPECT_NE(std::string(e.what()).find(run.model() + ": expected the model that "), std::string::npos)
        << e.what();
  }
  remove_file(run.manifest());
  load("run");
}

TEST_P(TrainTest, ALabelThatChangesUnderAStoppedRunIsSaid) {
  const Dataset d = open_dataset(data());
  const RunSplit split = run_split(d, 0);
  TrainRequest o = options("run");
  int polls = 0;
  o.stop_requested = [&polls] { return ++polls > kLoads + 3; };
  ASSERT_EQ(train(o).end, TrainEnd::stopped);
  const std::string file = d.cases[static_cast<size_t>(split.scored[0])].label;
  NiftiHeader header;
  Tensor label = read_volume(file, &header);
  label = label.view(0, {label.dim(1), label.dim(2), label.dim(3)}).clone();
  float& voxel = label.mutable_data<float>()[label.numel() / 2];
  voxel = voxel == 0 ? 1 : 0;
  write_volume(file, header, label.to(DType::u8), 1002);
  o.resume = true;
  std::string said;
  o.message = [&said](const std::string& text) { said += text + "\n"; };
  polls = 0;
  ASSERT_EQ(train(o).end, TrainEnd::stopped);
  EXPECT_NE(said.find("warning: "), std::string::npos);
  EXPECT_NE(said.find("the scored cases are not those that"), std::string::npos) << said;
}

TEST(Model, MissingAndForeignFilesAreNamed) {
  try {
    open_model({"/nonexistent-run"});
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::data);
    EXPECT_NE(std::string(e.what()).find("/nonexistent-run/model.safetensors"), std::string::npos);
  }
}

TEST(Method, UnknownNamesListTheKnownOnes) {
  try {
    make_method("segnet");
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::usage);
    EXPECT_NE(std::string(e.what()).find("pgrd"), std::string::npos);
  }
}

}  // namespace
}  // namespace voxgrad
