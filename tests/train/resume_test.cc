// A run that was stopped goes on to the same bits, and only as what it was started as.
#include <algorithm>
#include <filesystem>
#include <utility>

#include "io/file.h"
#include "io/sha256.h"
#include "run/checkpoint.h"
#include "run/log.h"
#include "run/manifest.h"
#include "tests/train/toy_run.h"

namespace voxgrad {
namespace {

using testing::kToy;
using testing::Toy;
using testing::TrainingRunTest;

// Stopped at every poll there is, in steps and in every hook, and resumed: the same bytes.
TEST_F(TrainingRunTest, StoppedAnywhereAndResumedGivesTheSameBits) {
  const auto files = [&](const std::string& name) {
    const RunFolder run{folder_ + "/" + name};
    return sha256_of_file(run.model()) + sha256_of_file(run.checkpoint());
  };
  train("whole");
  for (int at = 0;; ++at) {
    const std::string name = "stopped" + std::to_string(at);
    TrainRequest r = request(name);
    int polls = 0;
    r.stop_requested = [&] { return polls++ == at; };
    Toy toy;
    const TrainResult first = train(r, toy);
    if (first.end == TrainEnd::finished) {
      EXPECT_EQ(at, 17);  // a poll a step, in begin, in two ends, in fit and in score
      break;
    }
    EXPECT_EQ(read_manifest(RunFolder{r.run}.manifest()).status, "stopped at " + first.stopped_at);
    EXPECT_EQ(model(name).complete, first.stopped_at == "validation");
    r.stop_requested = {};
    r.resume = true;
    Toy again;
    EXPECT_EQ(train(r, again).end, TrainEnd::finished);
    EXPECT_EQ(files(name), files("whole")) << "stopped at " << first.stopped_at;
  }
}

// The identity is written before the data are read.
TEST_F(TrainingRunTest, StoppedWhileItReadsTheDataARunKeepsItsIdentity) {
  train("source");
  TrainRequest r = request("run");
  r.from = {parse_stage_source(folder_ + "/source:first")};
  const RunFolder folder{r.run};
  const auto stop_at_once = [&] {
    r.stop_requested = [] { return true; };
    TrainingRun run(r);
    const TrainResult result = run.train(kToy, [&]() -> TrainingJob {
      EXPECT_EQ(read_manifest(folder.manifest()).status,
                r.resume ? "stopped at reading the data" : "reading the data");
      EXPECT_EQ(read_text(folder.config()), kToy.config);
      run.poll();
      return {};
    });
    r.stop_requested = {};
    EXPECT_EQ(result.stopped_at, "reading the data");
  };
  stop_at_once();
  const Manifest m = read_manifest(folder.manifest());
  EXPECT_EQ(m.status, "stopped at reading the data");
  EXPECT_EQ(m.method, "toy");
  EXPECT_EQ(m.seed, 1u);
  EXPECT_EQ(m.config_sha256, sha256_of_file(folder.config()));
  EXPECT_EQ(m.dataset_folder, (std::filesystem::current_path() / "noise").string());
  EXPECT_EQ(m.from, folder_ + "/source:first");
  r.resume = true;
  const auto refused = [&](ErrorCode code, const std::string& text, const RunIdentity& identity = kToy) {
    try {
      TrainingRun run(r);
      run.train(identity, []() -> TrainingJob { throw std::logic_error("the data are read"); });
      ADD_FAILURE() << text;
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), code);
      EXPECT_NE(std::string(e.what()).find(text), std::string::npos) << e.what();
    }
  };
  r.seed = 2;
  refused(ErrorCode::usage, "was started with --seed 1, not 2");
  r.seed = 1;
  refused(ErrorCode::usage, "was started with --method toy, not tic", {"tic", kToy.config, kToy.data});
  refused(ErrorCode::usage, "was started with the data set ", {"toy", kToy.config, "/"});
  const std::vector<StageSource> from = std::exchange(r.from, {});
  refused(ErrorCode::usage, "was started with --from " + folder_ + "/source:first, not nothing");
  r.from = from;
  write_text(folder.config(), "x = 2\n");
  refused(ErrorCode::data, folder.config() + ": was changed since the run was started");
  remove_file(folder.config());
  refused(ErrorCode::data, folder.config() + ": expected the configuration of the run");
  write_text(folder.config(), kToy.config);
  stop_at_once();  // again, and nothing is lost
  Toy again;
  EXPECT_EQ(train(r, again).end, TrainEnd::finished);
  EXPECT_TRUE(model("run").provenance.stages[0].frozen);
}

TEST_F(TrainingRunTest, ARunWhoseDataCannotBeReadLeavesNothingToResume) {
  TrainRequest r = request("run");
  try {
    TrainingRun run(r);
    run.train(kToy, []() -> TrainingJob { fail(ErrorCode::data, "[toy] no data"); });
    ADD_FAILURE() << "expected an error";
  } catch (const Error& e) {
    EXPECT_EQ(std::string(e.what()), "[toy] no data");
  }
  EXPECT_FALSE(file_exists(RunFolder{r.run}.manifest()));
  EXPECT_FALSE(file_exists(RunFolder{r.run}.config()));
  r.resume = true;
  expect_refused(r, ErrorCode::usage, "found none that has begun");
  r.resume = false;
  Toy toy;
  EXPECT_EQ(train(r, toy).end, TrainEnd::finished);
}

// Killed before the first checkpoint: the manifest says what the run is.
TEST_F(TrainingRunTest, WithoutACheckpointTheManifestSaysWhatTheRunIs) {
  train("whole");
  TrainRequest r = request("run");
  int polls = 0;
  r.stop_requested = [&] { return polls++ == 0; };
  Toy toy;
  ASSERT_EQ(train(r, toy).end, TrainEnd::stopped);
  const RunFolder run{r.run};
  ASSERT_FALSE(file_exists(run.checkpoint()));
  remove_file(run.model());
  r.stop_requested = {};
  r.resume = true;
  expect_refused(r, ErrorCode::data, "are not those", [](Toy& t) { t.data = "other"; });
  Toy again;
  EXPECT_EQ(train(r, again).end, TrainEnd::finished);
  EXPECT_EQ(model("run").digest, model("whole").digest);
}

TEST_F(TrainingRunTest, StoppedWhileAStageIsScoredItIsScoredAgain) {
  train("whole");
  TrainRequest r = request("run");
  bool stop = false;
  r.stop_requested = [&] { return stop; };
  Toy toy;
  {
    TrainingRun run(r);
    toy.stop_in_end = [&] {
      stop = true;
      run.poll();
    };
    EXPECT_EQ(run.train(kToy, [&] { return toy.job(); }).stopped_at, "the validation of first");
  }
  r.stop_requested = {};
  r.resume = true;
  Toy again;
  EXPECT_EQ(train(r, again).end, TrainEnd::finished);
  EXPECT_EQ(again.ended, 2);
  EXPECT_EQ(model("run").digest, model("whole").digest);
}

TEST_F(TrainingRunTest, AResumedRunIsTheOneThatWasStarted) {
  TrainRequest r = request("run");
  int polls = 0;
  r.stop_requested = [&] { return polls++ == 3; };
  Toy toy;
  ASSERT_EQ(train(r, toy).end, TrainEnd::stopped);
  r.stop_requested = {};
  expect_refused(r, ErrorCode::usage, "holds a run already");
  r.resume = true;
  r.seed = 2;
  expect_refused(r, ErrorCode::usage, "was started with --seed 1, not 2");
  r.seed = 1;
  expect_refused(r, ErrorCode::data, "are not those", [](Toy& t) { t.data = "other"; });
  TrainRequest missing = request("none");
  missing.resume = true;
  expect_refused(missing, ErrorCode::usage, "found none that has begun");
  EXPECT_FALSE(file_exists(folder_ + "/none"));
  // A checkpoint that says what cannot be.
  const RunFolder run{r.run};
  Checkpoint c = read_checkpoint(run.checkpoint());
  c.step = 7;
  write_checkpoint(run.checkpoint(), c);
  expect_refused(r, ErrorCode::data, "step: expected at most 6 of first, got 7");
}

// What a checkpoint, a manifest or a log cannot say is refused with file and field.
TEST_F(TrainingRunTest, ImpossiblePlacesAreRefusedByName) {
  TrainRequest r = request("run");
  int polls = 0;
  r.stop_requested = [&] { return polls++ == 9; };  // in the second stage
  Toy toy;
  ASSERT_EQ(train(r, toy).end, TrainEnd::stopped);
  r.stop_requested = {};
  r.resume = true;
  const RunFolder run{r.run};
  const Checkpoint good = read_checkpoint(run.checkpoint());
  ASSERT_EQ(good.stage, "second");
  const auto refused = [&](const std::string& text, auto&& change) {
    Checkpoint c = good;
    change(c);
    write_checkpoint(run.checkpoint(), c);
    expect_refused(r, ErrorCode::data, "[checkpoint] " + run.checkpoint() + ": " + text);
  };
  refused("stages.0.name: expected the stages of toy in their order, got third",
          [](Checkpoint& c) { c.stages[0].name = "third"; });
  refused("stages.1.name: expected the stages of toy in their order, got first", [](Checkpoint& c) {
    std::swap(c.stages[0], c.stages[1]);
    c.stages[0].digest = c.stages[1].digest;
    c.stages[0].steps = 6;
    c.stage = "first";
    c.step = 0;
  });
  refused("stages.0: expected first of toy, got second",
          [](Checkpoint& c) { c.stages.erase(c.stages.begin()); });
  refused("stages.1: expected second of toy, got nothing", [](Checkpoint& c) {
    c.stages.pop_back();
    c.stage = "";
    c.step = 0;
  });
  refused("stages.0.steps: expected 6 of first, got 5", [](Checkpoint& c) { c.stages[0].steps = 5; });
  refused("stages.1.steps: expected at most 6 of second, got 7",
          [](Checkpoint& c) { c.stages[1].steps = 7; });
  refused("weights of first: expected the digest",
          [](Checkpoint& c) { c.weights["first.w"] = Tensor::zeros({8}); });
  write_checkpoint(run.checkpoint(), good);

  const Manifest manifest = read_manifest(run.manifest());
  Manifest m = manifest;
  m.stages[1].name = "third";
  write_manifest(run.manifest(), m);
  expect_refused(r, ErrorCode::data, "[manifest] " + run.manifest() + ": stages.1.name");
  m = manifest;
  m.stages[0].steps = 600;
  write_manifest(run.manifest(), m);
  expect_refused(r, ErrorCode::data,
                 "[manifest] " + run.manifest() + ": stages.0.steps: expected 6 of first");
  write_manifest(run.manifest(), manifest);

  const std::string log = read_text(run.log());
  const auto line = [&](const LogLine& l, const std::string& text) {
    write_text(run.log(), log);
    RunLog(run.log()).write(l);
    const auto number = std::count(log.begin(), log.end(), '\n') + 1;
    expect_refused(r, ErrorCode::data, cat("[log] ", run.log(), ":", number, ": ", text));
  };
  line(StepLine{"third", 1, 0, {}, 0, 0, 0}, "stage: expected one of toy, got third");
  line(StepLine{"second", 7, 0, {}, 0, 0, 0}, "step: expected at most 6 of second, got 7");
  line(StartLine{"third", 0, "", {}}, "stage: expected one of toy, got third");
  line(StartLine{"scoring", 1, "", {}}, "step: expected at most 0 of scoring, got 1");
  line(ValidationLine{"third", std::nullopt, {}}, "stage: expected one of toy, got third");
  write_text(run.log(), log);
  Toy again;
  EXPECT_EQ(train(r, again).end, TrainEnd::finished);
}

TEST_F(TrainingRunTest, OtherScoredCasesUnderAResumedRunAreSaid) {
  for (const int stop : {0, 3}) {  // before and behind the first checkpoint
    TrainRequest r = request("run" + std::to_string(stop));
    int polls = 0;
    r.stop_requested = [&] { return polls++ == stop; };
    Toy toy;
    ASSERT_EQ(train(r, toy).end, TrainEnd::stopped);
    std::string said;
    r.message = [&](const std::string& text) { said += text + "\n"; };
    r.resume = true;
    if (stop > 0) {
      polls = 0;
      Toy same;
      ASSERT_EQ(train(r, same).end, TrainEnd::stopped);
      EXPECT_EQ(said.find("scored"), std::string::npos) << said;
    }
    r.stop_requested = {};
    Toy other;
    other.scored_data = "other";
    EXPECT_EQ(train(r, other).end, TrainEnd::finished);
    EXPECT_NE(said.find("warning: noise: the scored cases are not those that"), std::string::npos) << said;
    EXPECT_EQ(read_manifest(RunFolder{r.run}.manifest()).scored_sha256, "other");
  }
}

}  // namespace
}  // namespace voxgrad
