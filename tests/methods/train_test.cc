// Training end to end on a tiny phantom: the same bits with any number of threads and after a stop, and clear
// refusals.
#include "eval/report.h"
#include "eval/run_report.h"
#include "io/file.h"
#include "io/nifti.h"
#include "methods/validation.h"
#include "run/log.h"
#include "run/manifest.h"
#include "tensor/conv/conv.h"
#include "tensor/core/parallel.h"
#include "tensor/core/runtime.h"
#include "tests/methods/trained_phantom.h"

namespace voxgrad {
namespace {

using testing::kLoads;
using testing::TrainTest;

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

// Of the scored cases the maps of the worst stay first.
TEST_P(TrainTest, TheMapsOfTheCasesThatAreWorthALookAreKept) {
  for (const int kept : {0, 1}) {
    const RunFolder run{folder_ + "/run" + std::to_string(kept)};
    ASSERT_EQ(
        train(options("run" + std::to_string(kept)), "pgrd", {"train.keep_cases=" + std::to_string(kept)})
            .end,
        TrainEnd::finished);
    const RunScores scores = run_scores_from_json(read_text(run.metrics()), run.metrics());
    const std::vector<CaseScores>& cases = scores.method()->table.cases;
    ASSERT_EQ(cases.size(), 2u);
    std::vector<std::string> found, expected;
    if (is_folder(run.validation())) found = list_folder(run.validation());
    const bool first_is_worse =
        cases[0].values.at("dsc.mean_foreground") <= cases[1].values.at("dsc.mean_foreground");
    if (kept == 1) expected = {cases[first_is_worse ? 0 : 1].name};
    EXPECT_EQ(found, expected);
    for (const std::string& name : found) {
      for (const char* map : {"image", "truth", "mask", "entropy", "mutual_information", "probabilities",
                              "sample_1", "sample_2"})
        EXPECT_TRUE(file_exists(run.validation_map(name, map))) << map;
      const Dataset all = open_dataset(data());
      const Case& c = *std::find_if(all.cases.begin(), all.cases.end(),
                                    [&](const Case& one) { return one.name == name; });
      EXPECT_EQ(read_volume(run.validation_map(name, "image")).dim(0),
                static_cast<int64_t>(all.channel_names.size()));
      ASSERT_EQ(run.kept_raters(name).size(), c.annotations.size());
      EXPECT_EQ(run.kept_raters(name)[0], c.annotations[0].rater);
    }
  }
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
  EXPECT_EQ(said.find("so far, now with"), std::string::npos) << said;
  const bool before = winograd_allowed();
  allow_winograd(!before);
  resume_until(1);
  allow_winograd(before);
  EXPECT_NE(said.find("so far, now with"), std::string::npos) << said;
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

INSTANTIATE_TEST_SUITE_P(Modality, TrainTest, ::testing::Values("mri", "ct"),
                         [](const auto& modality) { return std::string(modality.param); });

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

// Found before a case is prepared; a data set with another name alone is a warning.
TEST_P(TrainTest, AnotherDataSetUnderAStoppedRunIsRefused) {
  TrainRequest o = options("run");
  int polls = 0;
  o.stop_requested = [&polls] { return ++polls > kLoads + 3; };
  ASSERT_EQ(train(o).end, TrainEnd::stopped);
  o.resume = true;
  o.stop_requested = {};
  std::string said;
  o.message = [&said](const std::string& text) { said += text + "\n"; };
  o.progress = [](const TrainProgress& p) { EXPECT_EQ(p.stage.find("case"), std::string::npos) << p.stage; };
  const std::string file = data() + "/dataset.json", before = read_text(file);
  const std::string channel = GetParam() == std::string("ct") ? "CT" : "MRI";
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string text = before;
    const size_t at = text.find(from);
    ASSERT_NE(at, std::string::npos) << from << "\n" << before;
    write_text(file, text.replace(at, from.size(), to));
  };
  with("\"" + channel + "\"", "\"T2\"");
  try {
    train(o);
    ADD_FAILURE() << "expected an error";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::data);
    EXPECT_NE(std::string(e.what()).find("(channels " + channel + "), got "), std::string::npos) << e.what();
  }
  o.progress = {};
  with("\"name\": \"", "\"name\": \"renamed-");
  EXPECT_EQ(train(o).end, TrainEnd::finished);
  EXPECT_NE(said.find("warning: the run was started with the data set "), std::string::npos) << said;
}

}  // namespace
}  // namespace voxgrad
