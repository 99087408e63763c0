// The engine of training on a toy without labels: stages, terms, stop and resume, groups of ranks, stages
// that another run has trained.
#include "train/training_run.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "autograd/ops.h"
#include "io/file.h"
#include "io/sha256.h"
#include "run/checkpoint.h"
#include "run/log.h"
#include "run/manifest.h"
#include "tests/temporary_folder.h"

namespace voxgrad {
namespace {

const RunIdentity kToy{"toy", "x = 1\n", "noise"};

// Two stages that fit a vector to noise of their own; the second one starts from the mean of the first.
struct Toy {
  Toy() {
    for (size_t s = 0; s < 2; ++s) parameters[s].add(names[s] + ".w", {8}, {Init::normal, 1});
  }
  Toy(const Toy&) = delete;

  TrainingJob job() {
    TrainingJob j;
    j.plan = "{}";
    j.data_sha256 = data;
    j.scored_sha256 = scored_data;
    j.seed = Seed{seed};
    j.model_config = "x = 1\n";
    j.dataset = "noise";
    j.constants = &constants;
    j.checkpoint_every = 2;
    for (size_t s = 0; s < 2; ++s) {
      Stage stage;
      stage.name = names[s];
      stage.parameters = &parameters[s];
      stage.options.steps = 6;
      stage.options.learning_rate = 0.1;
      stage.batch = [](uint64_t seed, int64_t step) {
        return Tensors{random_normal({8}, {seed, Stream::test, static_cast<uint32_t>(step)})};
      };
      stage.loss = [this, s](const Tensors& batch, const StepRandom& random) {
        Tensor noise = Tensor::empty({8});
        fill_normal(noise, random, Stream::noise);
        const Var w = parameters[s][0];
        return Loss::sum({{"fit", ops::mse(w, Var(batch[0]))}, {"noise", ops::mse(w, Var(noise))}});
      };
      if (s == 1)
        stage.begin = [this] {
          if (poll) poll();
          ++begun;
          constants["start"] = ops::mean(parameters[0][0]).value().item();
        };
      stage.end = [this, s] {
        if (poll) poll();
        ++ended;
        if (stop_in_end && s == 0) stop_in_end();
        return std::map<std::string, double>{{"score", static_cast<double>(s)}};
      };
      j.stages.push_back(std::move(stage));
    }
    j.fit = [this] {
      if (poll) poll();
      constants["fitted"] = 1;
    };
    j.score = [this] {
      if (poll) poll();
      scored = true;
    };
    return j;
  }

  const std::array<std::string, 2> names{"first", "second"};
  std::array<Parameters, 2> parameters;
  Constants constants;
  std::string data = "d", scored_data = "s";
  uint64_t seed = 1;
  int begun = 0, ended = 0;
  bool scored = false;
  std::function<void()> stop_in_end;
  std::function<void()> poll;  // of the run
};

class TrainingRunTest : public ::testing::Test {
 protected:
  TrainRequest request(const std::string& run) const {
    TrainRequest r;
    r.run = folder_ + "/" + run;
    return r;
  }
  static TrainResult train(const TrainRequest& request, Toy& toy) {
    TrainingRun run(request);
    toy.seed = request.seed;
    toy.poll = [&run] { run.poll(); };
    return run.train(kToy, [&] { return toy.job(); });
  }
  TrainResult train(const std::string& run) const {
    Toy toy;
    return train(request(run), toy);
  }
  ModelFile model(const std::string& run) const { return read_model(RunFolder{folder_ + "/" + run}.model()); }
  template <class F>
  void expect_refused(const TrainRequest& r, ErrorCode code, const std::string& text, F&& change) const {
    Toy toy;
    change(toy);
    try {
      train(r, toy);
      ADD_FAILURE() << "expected an error: " << text;
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), code) << e.what();
      EXPECT_NE(std::string(e.what()).find(text), std::string::npos) << e.what();
    }
  }
  void expect_refused(const TrainRequest& r, ErrorCode code, const std::string& text) const {
    expect_refused(r, code, text, [](Toy&) {});
  }

  const testing::TemporaryFolder temporary_;
  const std::string folder_ = temporary_.path();
};

TEST_F(TrainingRunTest, TrainsStagesOneAfterTheOtherAndLogsNamedTerms) {
  Toy toy;
  ASSERT_EQ(train(request("run"), toy).end, TrainEnd::finished);
  EXPECT_TRUE(toy.scored);
  EXPECT_EQ(toy.ended, 2);
  const RunFolder run{folder_ + "/run"};
  int steps = 0;
  std::vector<std::string> kinds;
  for (const LogLine& line : read_log(run.log())) {
    if (const auto* l = std::get_if<StepLine>(&line)) {
      ++steps;
      ASSERT_EQ(l->terms.size(), 2u);
      EXPECT_FLOAT_EQ(static_cast<float>(l->terms.at("fit") + l->terms.at("noise")),
                      static_cast<float>(l->loss));
    }
    if (const auto* l = std::get_if<ValidationLine>(&line)) kinds.push_back(l->stage);
  }
  EXPECT_EQ(steps, 12);
  EXPECT_EQ(kinds, (std::vector<std::string>{"first", "second"}));
  const ModelFile m = model("run");
  EXPECT_TRUE(m.complete);
  EXPECT_EQ(m.constants.at("fitted"), 1);
  ASSERT_EQ(m.provenance.stages.size(), 2u);
  EXPECT_EQ(m.provenance.stages[1].digest, weights_digest({{"second.w", m.weights.at("second.w")}}));
  const Manifest manifest = read_manifest(run.manifest());
  EXPECT_EQ(manifest.status, "finished");
  EXPECT_EQ(manifest.stages, m.provenance.stages);
  EXPECT_EQ(manifest.model_digest, m.digest);
  EXPECT_EQ(manifest.parameters, 16);
}

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

TEST_F(TrainingRunTest, AFailureIsToldByTheManifest) {
  TrainRequest r = request("run");
  TrainingRun run(r);
  Toy toy;
  EXPECT_THROW(run.train(kToy,
                         [&] {
                           TrainingJob j = toy.job();
                           j.stages[1].begin = [] { fail(ErrorCode::diverged, "[toy] no constant"); };
                           return j;
                         }),
               Error);
  EXPECT_EQ(read_manifest(run.folder().manifest()).status,
            "failed at the start of second: [toy] no constant");
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

// Ranks with the same batches: gradients are twice as large, and Adam's steps the same but for rounding;
// without the sum nothing would change at all.
TEST_F(TrainingRunTest, GradientsAreSummedOverTheGroupBeforeTheUpdate) {
  struct Twice : Group {
    void all_sum(Tensor& g) override {
      ++calls;
      float* const p = g.mutable_data<float>();
      for (int64_t i = 0; i < g.numel(); ++i) p[i] *= 2;
    }
    int calls = 0;
  } group;
  TrainRequest r = request("group");
  r.group = &group;
  Toy toy;
  train(r, toy);
  EXPECT_EQ(group.calls, 12);
  train("alone");
  const auto norms = [&](const std::string& run) {
    std::vector<double> all;
    for (const LogLine& line : read_log(folder_ + "/" + run + "/log.jsonl"))
      if (const auto* l = std::get_if<StepLine>(&line)) all.push_back(l->gradient_norm);
    return all;
  };
  EXPECT_NEAR(norms("group")[0], 2 * norms("alone")[0], 1e-5);
}

TEST_F(TrainingRunTest, AStageOfAnotherRunIsTakenAsItIs) {
  train("source");
  const StageRecord source = model("source").provenance.stages[0];
  TrainRequest r = request("taken");
  r.seed = 9;
  r.from = {parse_stage_source(folder_ + "/source:first")};
  Toy toy;
  ASSERT_EQ(train(r, toy).end, TrainEnd::finished);
  const ModelFile m = model("taken");
  EXPECT_EQ(m.provenance.stages[0].digest, source.digest);
  EXPECT_EQ(m.provenance.stages[0].from, source.digest);
  EXPECT_TRUE(m.provenance.stages[0].frozen);
  EXPECT_EQ(m.provenance.stages[0].steps, 0);
  EXPECT_EQ(read_manifest(RunFolder{r.run}.manifest()).stages[0].from, source.digest);
  EXPECT_EQ(m.weights.at("first.w").to_vector<float>(),
            model("source").weights.at("first.w").to_vector<float>());
  EXPECT_EQ(m.constants.at("start"), model("source").constants.at("start"));
  EXPECT_NE(m.provenance.stages[1].digest, model("source").provenance.stages[1].digest);

  // A resumed run does not need the other one.
  r.run = folder_ + "/resumed";
  int polls = 0;
  r.stop_requested = [&] { return polls++ == 2; };
  Toy stopped, again;
  ASSERT_EQ(train(r, stopped).end, TrainEnd::stopped);
  remove_file(folder_ + "/source/model.safetensors");
  r.stop_requested = {};
  r.resume = true;
  r.from.clear();
  ASSERT_EQ(train(r, again).end, TrainEnd::finished);
  EXPECT_EQ(model("resumed").digest, m.digest);
}

// A stage that was trained on others is taken with them, and with the constants that its start found.
TEST_F(TrainingRunTest, AStageIsTakenWithWhatItWasTrainedOn) {
  train("source");
  TrainRequest other = request("other");
  other.seed = 5;
  Toy toy;
  train(other, toy);
  const auto with = [&](const std::vector<std::string>& from) {
    TrainRequest r = request("run");
    r.seed = 9;
    for (const std::string& each : from) r.from.push_back(parse_stage_source(folder_ + "/" + each));
    return r;
  };
  expect_refused(with({"source:second"}), ErrorCode::usage, "was trained on the first of that run");
  expect_refused(with({"other:first", "source:second"}), ErrorCode::usage,
                 "was trained on the first of that run");
  expect_refused(with({"source:first", "other:first"}), ErrorCode::usage, "each stage once");
  Toy taken;
  ASSERT_EQ(train(with({"source:second", "source:first"}), taken).end, TrainEnd::finished);
  EXPECT_EQ(taken.begun, 0);
  EXPECT_EQ(model("run").digest, model("source").digest);
  EXPECT_EQ(model("run").provenance.stages[1].constants, (std::vector<std::string>{"start"}));
}

TEST_F(TrainingRunTest, TrainingStartsFromAStageOfAnotherRun) {
  train("source");
  TrainRequest r = request("run");
  r.seed = 9;
  r.from = {parse_stage_source(folder_ + "/source:first:train")};
  Toy toy;
  ASSERT_EQ(train(r, toy).end, TrainEnd::finished);
  const StageRecord record = model("run").provenance.stages[0], source = model("source").provenance.stages[0];
  EXPECT_EQ(record.from, source.digest);
  EXPECT_NE(record.digest, source.digest);
  EXPECT_EQ(record.steps, 6);
  // The first loss is that of the source's weights, not that of fresh ones.
  const auto first_loss = [&](const std::string& run) {
    for (const LogLine& line : read_log(folder_ + "/" + run + "/log.jsonl"))
      if (const auto* l = std::get_if<StepLine>(&line)) return l->loss;
    return 0.0;
  };
  r.run = folder_ + "/fresh";
  r.from.clear();
  Toy fresh;
  train(r, fresh);
  EXPECT_LT(first_loss("run"), first_loss("fresh"));
}

TEST_F(TrainingRunTest, WhatIsNoStageOfAnotherRunIsRefused) {
  train("source");
  const auto with = [&](const std::string& from) {
    TrainRequest r = request("run");
    r.from = {parse_stage_source(from)};
    return r;
  };
  expect_refused(with(folder_ + "/source:third"), ErrorCode::usage, "model.safetensors (first, second)");
  expect_refused(with(folder_ + "/nowhere:first"), ErrorCode::data, "nowhere/model.safetensors");
  TrainRequest stopped = request("half");
  int polls = 0;
  stopped.stop_requested = [&] { return polls++ == 2; };
  Toy toy;
  ASSERT_EQ(train(stopped, toy).end, TrainEnd::stopped);
  expect_refused(with(folder_ + "/half:first"), ErrorCode::data, "a stage that has ended");
  for (const char* wrong : {"", "run", ":first", "run:", "run:first:train:"})
    EXPECT_THROW(parse_stage_source(wrong), Error) << wrong;
  EXPECT_EQ(parse_stage_source("a:b/run:first").run, "a:b/run");
}

// What is broken ends the run in its step, naming op or parameter, and the last sound checkpoint stays.
TEST_F(TrainingRunTest, ANumberThatIsNotFiniteEndsTheRunInItsStep) {
  struct Fault {
    std::string name, message;
    std::function<void(Toy&, TrainingJob&)> make;
  };
  // The mean of w times the batch.
  const auto product = [](Toy& toy) {
    return [&toy](const Tensors& batch, const StepRandom&) {
      return Loss{ops::mean(ops::mul(toy.parameters[0][0], Var(batch[0]))), {}};
    };
  };
  const std::vector<Fault> faults{
      {"loss", "first, step 4: expected a finite loss, got nan: [mul] expected a finite input",
       [&](Toy& t, TrainingJob& j) {
         j.stages[0].loss = product(t);
         j.stages[0].batch = [](uint64_t, int64_t step) {
           return Tensors{Tensor::full({8}, step >= 3 ? NAN : 1)};
         };
       }},
      {"overflow",
       "first, step 4: expected a finite loss, got inf: [mse] expected a finite output, got inf at "
       "[0] of [1], computed from first.w [8]",
       [](Toy& t, TrainingJob& j) {
         j.stages[0].loss = [&t](const Tensors& batch, const StepRandom&) {
           return Loss{ops::mse(t.parameters[0][0], Var(batch[0])), {}};
         };
         j.stages[0].batch = [](uint64_t, int64_t step) {
           return Tensors{Tensor::full({8}, step >= 3 ? 1e30 : 0)};
         };
       }},
      {"weights", " in the weights of first.w",
       [&](Toy& t, TrainingJob& j) {
         j.stages[0].batch = [](uint64_t, int64_t step) {
           return Tensors{Tensor::full({8}, step >= 3 ? 1e17 : 0)};
         };
         j.stages[0].loss = product(t);
         j.stages[0].options.optimizer = {.kind = "sgd", .momentum = 0};
         j.stages[0].options.learning_rate = 1e25;
       }},
      {"moments", " in the state \"m\" of first.w",
       [&](Toy& t, TrainingJob& j) {  // it is 1e30 w, and w grows 1e8 times a step
         j.stages[0].loss = product(t);
         j.stages[0].options.optimizer = {.kind = "sgd", .momentum = 0, .weight_decay = 1e30};
         j.stages[0].options.learning_rate = 1e-22;
       }},
      {"begin", "the start of second: expected a finite start, got nan",
       [](Toy& t, TrainingJob& j) { j.stages[1].begin = [&t] { t.constants["start"] = NAN; }; }},
      {"score", "the validation of first: expected a finite score, got nan",
       [](Toy&, TrainingJob& j) {
         j.stages[0].end = [] { return std::map<std::string, double>{{"score", NAN}}; };
       }},
      {"fit", "calibration: expected a finite fitted, got inf",
       [](Toy& t, TrainingJob& j) { j.fit = [&t] { t.constants["fitted"] = INFINITY; }; }}};
  for (const Fault& fault : faults) {
    TrainingRun run(request(fault.name));
    Toy toy;
    try {
      run.train(kToy, [&] {
        TrainingJob j = toy.job();
        fault.make(toy, j);
        return j;
      });
      ADD_FAILURE() << fault.name;
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::diverged) << e.what();
      EXPECT_NE(std::string(e.what()).find(fault.message), std::string::npos) << e.what();
    }
    EXPECT_FALSE(toy.scored) << fault.name;
    EXPECT_FALSE(file_exists(run.folder().model())) << fault.name;
    const Checkpoint kept = read_checkpoint(run.folder().checkpoint());
    EXPECT_EQ(kept.stage, fault.name == "fit"     ? ""
                          : fault.name == "begin" ? "second"
                                                  : "first")
        << fault.name;
  }
}

// Only the last update breaks the network: no step sees it, and the end does.
TEST_F(TrainingRunTest, TheFinalWeightsAreTriedBeforeTheStageEnds) {
  TrainingRun run(request("run"));
  Toy toy;
  try {
    run.train(kToy, [&] {
      TrainingJob j = toy.job();
      Stage& first = j.stages[0];
      first.options.optimizer = {.kind = "sgd", .momentum = 0};
      first.options.learning_rate = 1e6;
      first.options.schedule = "constant";
      first.batch = [](uint64_t, int64_t step) { return Tensors{Tensor::full({8}, step == 5 ? 1e17 : 0)}; };
      first.loss = [&toy](const Tensors& batch, const StepRandom&) {
        const Var w = toy.parameters[0][0];
        return Loss{ops::add(ops::mean(ops::mul(w, Var(batch[0]))),
                             ops::scale(ops::mse(w, Var(Tensor::zeros({8}))), 1e-12)),
                    {}};
      };
      return j;
    });
    ADD_FAILURE() << "expected an error";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::diverged);
    EXPECT_NE(std::string(e.what()).find("first, step 6: expected a finite loss of the final weights, got "),
              std::string::npos)
        << e.what();
  }
  EXPECT_EQ(toy.ended, 0);
  EXPECT_EQ(read_checkpoint(run.folder().checkpoint()).step, 4);
}

}  // namespace
}  // namespace voxgrad
