// What a trained model is bound to, and what is refused of one.
#include <nlohmann/json.hpp>

#include "data/phantom.h"
#include "io/file.h"
#include "run/manifest.h"
#include "tests/methods/trained_phantom.h"

namespace voxgrad {
namespace {

using testing::kLoads;
using testing::TrainTest;

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
