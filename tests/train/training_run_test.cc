// The engine of training on a toy without labels: stages, terms, groups of ranks, what ends a run.
#include <cmath>

#include "io/file.h"
#include "run/checkpoint.h"
#include "run/log.h"
#include "run/manifest.h"
#include "tests/train/toy_run.h"

namespace voxgrad {
namespace {

using testing::kToy;
using testing::Toy;
using testing::TrainingRunTest;

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
