#include "methods/configuration.h"

#include <gtest/gtest.h>

#include "io/file.h"

namespace voxgrad {
namespace {

TEST(Configuration, TheDocumentIsTheTable) {
  EXPECT_EQ(read_text(std::string(VOXGRAD_SOURCE_DIR) + "/docs/configuration.md"), configuration_document())
      << "run: voxgrad train --print-config-table > docs/configuration.md";
}

TEST(Configuration, PrintedAndReadBackIsTheSame) {
  Config c = default_config();
  c.set("prior.steps=7");
  c.set("sampling.spacing=log-snr");
  Config d = default_config();
  d.read_toml(c.to_toml(), "test.toml");
  EXPECT_EQ(c.to_toml(), d.to_toml());
  EXPECT_EQ(stage_options(d, "prior").steps, 7);
}

TEST(Configuration, MaxStepsCapsEveryStage) {
  Config c = default_config();
  c.set("train.max_steps", int64_t{5});
  EXPECT_EQ(stage_options(c, "prior").steps, 5);
  EXPECT_EQ(stage_options(c, "denoiser").steps, 5);
}

}  // namespace
}  // namespace voxgrad
