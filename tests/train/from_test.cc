// Stages that another run has trained.
#include "io/file.h"
#include "run/log.h"
#include "run/manifest.h"
#include "tests/train/toy_run.h"

namespace voxgrad {
namespace {

using testing::Toy;
using testing::TrainingRunTest;

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
  EXPECT_FALSE(file_exists(folder_ + "/run/manifest.json")) << "it would look like a run that goes on";
  EXPECT_FALSE(file_exists(folder_ + "/run/config.toml"));
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

}  // namespace
}  // namespace voxgrad
