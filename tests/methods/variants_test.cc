// The diffusion models beside pgrd: what each leaves out is left out of stages, networks, constants and
// scores.
#include <algorithm>
#include <cmath>
#include <map>

#include "tests/methods/small_plan.h"
#include "tests/methods/trained_phantom.h"

namespace voxgrad {
namespace {

using testing::TrainTest;

std::vector<std::string> stages_of(Method& method) {
  std::vector<std::string> names;
  for (const auto& [name, p] : method.networks()) names.push_back(name);
  return names;
}

TEST_P(TrainTest, WithoutAPriorThereIsNoneInNetworkConstantsAndScores) {
  ASSERT_EQ(train(options("run"), "pgrd-no-pgr").end, TrainEnd::finished);
  LoadedModel model = load("run");
  EXPECT_EQ(stages_of(*model.method), (std::vector<std::string>{"denoiser"}));
  const int64_t classes = model.method->plan().classes(), channels = model.method->plan().channels();
  // The first convolution reads [c_in r_t, X].
  EXPECT_EQ(model.file.weights.at("denoiser.encoder.0.conv1.weight").dim(3), classes + channels);
  EXPECT_EQ(model.file.constants.size(), 1u);
  EXPECT_NEAR(model.file.constants.at("residual_sd"), 1 / std::sqrt(static_cast<double>(classes)), 1e-12);
  std::vector<std::string> rows;
  for (const ScoreRow& row : scores("run").rows) rows.push_back(row.key);
  EXPECT_EQ(rows, (std::vector<std::string>{"mean-of-samples", "pgrd-no-pgr"}));
  EXPECT_TRUE(model.method->config().has("denoiser.lambda"));
  for (const char* key : {"prior.steps", "denoiser.tempered_prior"})
    EXPECT_FALSE(model.method->config().has(key)) << key;
}

TEST_P(TrainTest, TheVanillaDiffusionModelPredictsVelocityOrNoiseWithoutSupervision) {
  const std::unique_ptr<Method> method = make_method("ddpm");
  Config config = method->config();
  const std::string defaults = config.to_toml();
  for (const char* line :
       {"schedule = \"linear\"", "sampler = \"ddpm\"", "steps = 1000", "mean = \"samples\""})
    EXPECT_NE(defaults.find(line), std::string::npos) << line << "\n" << defaults;
  for (const char* key : {"denoiser.lambda", "denoiser.residual_sd", "prior.steps"})
    EXPECT_FALSE(config.has(key)) << key;
  ASSERT_EQ(train(options("run"), "ddpm").end, TrainEnd::finished);
  const LoadedModel model = load("run");
  EXPECT_EQ(stages_of(*model.method), (std::vector<std::string>{"denoiser"}));
  EXPECT_EQ(model.file.constants.at("residual_sd"), 1);
  EXPECT_TRUE(model.file.constants.contains("tau_out"));
  ASSERT_EQ(train(options("noise"), "ddpm", {"denoiser.prediction=noise"}).end, TrainEnd::finished);
  EXPECT_NE(open_model({folder_ + "/noise"}).file.digest, model.file.digest);
  ASSERT_EQ(train(options("light"), "ddpm", {"diffusion.zero_terminal_snr=true"}).end, TrainEnd::finished);
  try {
    train(options("dark"), "ddpm", {"diffusion.zero_terminal_snr=true", "denoiser.prediction=noise"});
    ADD_FAILURE() << "expected an error";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::usage);
    EXPECT_NE(std::string(e.what()).find("zero_terminal_snr: expected false"), std::string::npos) << e.what();
  }
}

TEST(PgrdPaper, HasTheSettingsThatThePaperStates) {
  const std::unique_ptr<Method> method = make_method("pgrd-paper");
  const std::map<std::string, std::string> stated{
      {"prior.learning_rate", "0.001"}, {"denoiser.learning_rate", "0.001"},
      {"plan.batch_size", "2"},         {"denoiser.lambda", "0.1"},
      {"denoiser.residual_sd", "1.0"},  {"denoiser.tempered_prior", "false"},
      {"diffusion.steps", "1000"},      {"diffusion.schedule", "\"cosine\""},
      {"sampling.sampler", "\"ddim\""}, {"sampling.eta", "0.0"},
      {"sampling.steps", "300"},        {"sampling.readout", "\"softmax\""},
      {"sampling.mean", "\"samples\""}, {"prior.optimizer", "\"adam\""}};
  std::map<std::string, std::string> found;
  for (const Option& o : method->options().all())
    if (stated.contains(o.key)) found[o.key] = value_text(o.value());
  EXPECT_EQ(found, stated);
}

// The prior of a refinement is that of another run; the prior's map changes what the second network gives.
TEST_P(TrainTest, ARefinementReadsTheTemperedPriorOfAnotherRun) {
  ASSERT_EQ(train(options("unet"), "unet").end, TrainEnd::finished);
  TrainRequest o = options("run");
  o.from = {parse_stage_source(folder_ + "/unet:prior")};
  ASSERT_EQ(train(o, "refine").end, TrainEnd::finished);
  ASSERT_EQ(train(options("whole"), "refine").end, TrainEnd::finished);
  LoadedModel model = load("run");
  EXPECT_EQ(model.file.digest, open_model({folder_ + "/whole"}).file.digest);
  EXPECT_EQ(stages_of(*model.method), (std::vector<std::string>{"prior", "refiner"}));
  const int64_t classes = model.method->plan().classes(), channels = model.method->plan().channels();
  EXPECT_EQ(model.file.weights.at("refiner.encoder.0.conv1.weight").dim(3), classes + channels);
  EXPECT_EQ(model.file.constants.size(), 1u);
  PreprocessedCase c;
  c.name = "case";
  const Triple& patch = model.method->plan().patch;
  c.image = random_normal({patch[0], patch[1], patch[2], channels}, {1, Stream::test, 0});
  const test::Collected one = test::collect(*model.method, c, 1);
  ASSERT_EQ(one.samples.size(), 1u);
  EXPECT_EQ(test::collect(*model.method, c, 2).samples, one.samples);
  // pi is the prior after temperature scaling, in prediction and in the loss.
  const TrainingData none;
  const Tensors batch = {c.image.reshape({1, patch[0], patch[1], patch[2], channels}),
                         Tensor::zeros({1, patch[0], patch[1], patch[2]}, DType::i32)};
  const auto loss = [&] {
    return model.method->stages(none, {})[1].loss(batch, StepRandom()).total.value().item();
  };
  const double before = loss();
  model.method->constants["prior_temperature"] *= 3;
  const test::Collected other = test::collect(*model.method, c, 1);
  EXPECT_NE(other.samples, one.samples);
  EXPECT_EQ(other.estimates.at("prior"), one.estimates.at("prior"));
  EXPECT_NE(other.estimates.at("prior-tempered"), one.estimates.at("prior-tempered"));
  EXPECT_NE(loss(), before);
}

}  // namespace
}  // namespace voxgrad
