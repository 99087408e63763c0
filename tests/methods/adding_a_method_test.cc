// docs/adding-a-method.md shows a file that compiles, trains and predicts.
#include <gtest/gtest.h>

#include "data/phantom.h"
#include "io/file.h"
#include "methods/prediction.h"
#include "methods/registry.h"
#include "methods/training.h"
#include "run/folder.h"
#include "tests/methods/example/noisy_input.cc"
#include "tests/temporary_folder.h"

namespace voxgrad {
namespace {

std::string source(const std::string& path) { return read_text(cat(VOXGRAD_SOURCE_DIR, "/", path)); }

TEST(AddingAMethod, ThePageShowsTheFileThatIsCompiled) {
  EXPECT_NE(source("docs/adding-a-method.md")
                .find("```cpp\n" + source("tests/methods/example/noisy_input.cc") + "```\n"),
            std::string::npos)
      << "docs/adding-a-method.md does not show tests/methods/example/noisy_input.cc word for word";
}

TEST(AddingAMethod, ThePageNamesFilesThatExist) {
  const std::string page = source("docs/adding-a-method.md");
  for (const char* path :
       {"methods/method.h", "methods/registry.cc", "methods/segmenter.h", "methods/volume.h", "train/stage.h",
        "nn/unet.h", "nn/layers.h", "nn/latent.h", "nn/coordinates.h", "nn/losses.h", "autograd/ops.h",
        "tensor/core/random.h", "tests/methods/train_test.cc", "tests/methods/golden_test.cc"}) {
    EXPECT_FALSE(source(path).empty());
    EXPECT_NE(page.find(path), std::string::npos) << path;
  }
}

TEST(AddingAMethod, TheExampleTrainsAndPredicts) {
  const testing::TemporaryFolder folder;
  PhantomOptions phantom;
  phantom.cases = 6;
  phantom.size = 16;
  write_phantom(folder.path() + "/data", phantom);
  const std::unique_ptr<Method> method = make_method(noisy_input_method);
  Config config = method->config();
  for (const char* s :
       {"plan.base_features=4", "train.max_steps=3", "sampling.samples=3", "network.sigma=0.5"})
    config.set(s);
  TrainRequest request;
  request.run = folder.path() + "/run";
  ASSERT_EQ(train_method(*method, folder.path() + "/data", request).end, TrainEnd::finished);
  const std::string file = RunFolder{request.run}.metrics();
  const RunScores scores = run_scores_from_json(read_text(file), file);
  ASSERT_EQ(scores.rows.size(), 2u);
  EXPECT_EQ(scores.rows[0].key, "clean");
  EXPECT_EQ(scores.method()->label, "noisy-input (M = 3)");
  EXPECT_NE(scores.rows[0].table.cases[0].values.at("nll"), scores.rows[1].table.cases[0].values.at("nll"));

  PreprocessedCase c;
  c.name = "case";
  const Triple& patch = method->plan().patch;
  c.image = random_normal({patch[0], patch[1], patch[2], 1}, {1, Stream::test, 0});
  struct Samples : Receiver {
    bool wants(const std::string&) const override { return false; }
    void sample(const Tensor& p, double) override { all.push_back(p.to_vector<float>()); }
    void estimate(const std::string& key, const Tensor&) override { ADD_FAILURE() << key; }
    std::vector<std::vector<float>> all;
  } one, again, other;
  method->predict(c, {.seed = 1}, one);
  method->predict(c, {.seed = 1}, again);
  method->predict(c, {.seed = 2}, other);
  EXPECT_EQ(one.all.size(), 3u);
  EXPECT_EQ(one.all, again.all);
  EXPECT_NE(one.all[0], one.all[1]);
  EXPECT_NE(one.all[0], other.all[0]);
}

}  // namespace
}  // namespace voxgrad
