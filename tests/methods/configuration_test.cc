// Options: one declaration for the parser, --print-config and docs/configuration.md.
#include <gtest/gtest.h>

#include "io/file.h"
#include "methods/registry.h"

namespace voxgrad {
namespace {

TEST(Configuration, TheDocumentIsTheDeclarations) {
  EXPECT_EQ(read_text(std::string(VOXGRAD_SOURCE_DIR) + "/docs/configuration.md"), configuration_document())
      << "run: voxgrad train --print-config-table > docs/configuration.md";
}

TEST(Configuration, PrintedAndReadBackIsTheSame) {
  for (const std::string& name : method_names()) {
    const auto one = make_method(name), other = make_method(name);
    Config c = one->config();
    c.set("plan.batch_size=7");
    c.set("sampling.spacing=log-snr");
    other->config().read_toml(c.to_toml(), "test.toml");
    EXPECT_EQ(c.to_toml(), other->config().to_toml());
    EXPECT_EQ(other->common.plan.batch_size, 7);
  }
}

TEST(Configuration, AMethodHasItsOwnKeysAndToleratesThoseOfOthers) {
  std::vector<std::string> told;
  const auto method = make_method("unet");
  Config c = method->config([&](const std::string& key) { told.push_back(key); });
  const std::string before = c.to_toml();
  EXPECT_EQ(before.find("denoiser"), std::string::npos);
  EXPECT_EQ(before.find("sampling"), std::string::npos);
  c.set("denoiser.lambda=0.3");
  c.set("sampling.samples=3");
  EXPECT_EQ(told, (std::vector<std::string>{"denoiser.lambda", "sampling.samples"}));
  EXPECT_EQ(c.to_toml(), before);
  EXPECT_THROW(c.set("denoiser.lamda=0.3"), Error);
  EXPECT_FALSE(make_method("pgrd-no-dds")->config().has("denoiser.lambda"));
  EXPECT_TRUE(make_method("pgrd")->config().has("denoiser.lambda"));
}

}  // namespace
}  // namespace voxgrad
