// A run of training on a toy without labels.
#pragma once
#include <gtest/gtest.h>

#include <array>
#include <map>
#include <string>

#include "autograd/ops.h"
#include "tests/temporary_folder.h"
#include "train/training_run.h"

namespace voxgrad::testing {

inline const RunIdentity kToy{"toy", "x = 1\n", "noise"};

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

  const TemporaryFolder temporary_;
  const std::string folder_ = temporary_.path();
};

}  // namespace voxgrad::testing
