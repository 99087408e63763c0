// A method that is trained on a tiny phantom in a moment.
#pragma once
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "data/phantom.h"
#include "io/file.h"
#include "io/sha256.h"
#include "methods/model.h"
#include "methods/registry.h"
#include "methods/training.h"
#include "run/folder.h"
#include "tensor/core/parallel.h"
#include "tests/temporary_folder.h"

namespace voxgrad::testing {

// Polls while six cases are looked at, the three training cases and the calibration case are prepared, and
// the two scored ones are hashed.
constexpr int kLoads = 12;

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
  const TemporaryFolder temporary_;
  const std::string folder_ = temporary_.path();
};

}  // namespace voxgrad::testing
