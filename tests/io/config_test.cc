#include "io/config.h"

#include <cmath>

#include "testing.h"

namespace voxgrad {
namespace {

using testing::expect_error;

std::vector<ConfigKey> table() {
  return {
      {.key = "seed", .default_value = int64_t{1}, .min = 0, .text = "Seed of all random numbers."},
      {.key = "prior.steps", .default_value = int64_t{1000}, .min = 1, .max = 1e6, .text = "Training steps."},
      {.key = "prior.rate", .default_value = 1e-3, .min = 0, .max = 1, .text = "Learning rate | Adam."},
      {.key = "sampler.kind",
       .default_value = std::string("ddim"),
       .choices = {"ddim", "dpm++"},
       .text = "Sampler."},
      {.key = "sampler.stochastic", .default_value = false, .text = "Adds noise\nat every step."},
      {.key = "name", .default_value = std::string("a \"quoted\"\n name"), .text = "Any text."},
      {.key = "loss.weights",
       .default_value = std::vector<double>{1, 0.5, 0.25},
       .min = 0,
       .text = "A weight a level."}};
}

TEST(Config, DefaultsAndTypes) {
  const Config c(table());
  EXPECT_EQ(c.integer("seed"), 1);
  EXPECT_EQ(c.number("prior.rate"), 1e-3);
  EXPECT_EQ(c.text("sampler.kind"), "ddim");
  EXPECT_FALSE(c.boolean("sampler.stochastic"));
  EXPECT_EQ(c.list("loss.weights"), (std::vector<double>{1, 0.5, 0.25}));
  EXPECT_TRUE(c.is_default("seed"));
  EXPECT_TRUE(c.has("seed"));
  EXPECT_FALSE(c.has("prior"));
  expect_error([&] { c.number("seed"); }, ErrorCode::internal, {"seed", "an integer"});
  expect_error([&] { c.integer("sed"); }, ErrorCode::usage, {"sed", "did you mean \"seed\"?"});
}

TEST(Config, ReadsToml) {
  Config c(table());
  c.read_toml(
      "seed = 7\nprior.steps = 20\nprior.rate = 1\n[sampler]\nkind = 'dpm++'\nstochastic = true\n"
      "[loss]\nweights = [1, 2.5]\n",
      "a.toml");
  EXPECT_EQ(c.integer("seed"), 7);
  EXPECT_EQ(c.integer("prior.steps"), 20);
  EXPECT_EQ(c.number("prior.rate"), 1.0);  // an integer is taken for a number
  EXPECT_EQ(c.text("sampler.kind"), "dpm++");
  EXPECT_TRUE(c.boolean("sampler.stochastic"));
  EXPECT_EQ(c.list("loss.weights"), (std::vector<double>{1, 2.5}));
  EXPECT_FALSE(c.is_default("seed"));
  EXPECT_TRUE(c.is_default("name"));
  c.read_toml("seed = 8", "b.toml");  // a later file wins
  EXPECT_EQ(c.integer("seed"), 8);
  EXPECT_EQ(c.integer("prior.steps"), 20);
}

TEST(Config, TomlErrorsNameFileLineKeyAndExpectation) {
  const auto refused = [](const std::string& text, std::initializer_list<std::string> parts,
                          int line = __builtin_LINE()) {
    SCOPED_TRACE("called from line " + std::to_string(line));
    Config c(table());
    expect_error([&] { c.read_toml(text, "run.toml"); }, ErrorCode::usage, parts);
    EXPECT_TRUE(c.is_default("seed")) << "half a file was taken";
  };
  refused("seed = 3\nprior.stps = 5",
          {"run.toml:2: prior.stps: expected a known key; did you mean \"prior.steps\"?"});
  refused("steps = 5", {"run.toml:1: steps", "did you mean \"prior.steps\"?"});
  refused("[sampler]\nkidn = 'x'", {"run.toml:2: sampler.kidn", "did you mean \"sampler.kind\"?"});
  refused("something_else_entirely = 5", {"run.toml:1: something_else_entirely: expected a known key"});
  refused("seed = 3\nprior.steps = 2.0", {"run.toml:2: prior.steps: expected an integer, got 2.0"});
  refused("seed = '3'", {"run.toml:1: seed: expected an integer, got \"3\""});
  refused("sampler.stochastic = 1", {"sampler.stochastic: expected true or false, got 1"});
  refused("prior.rate = true", {"prior.rate: expected a number, got true"});
  refused("sampler.kind = 5", {"sampler.kind: expected a string, got 5"});
  refused("loss.weights = 5", {"loss.weights: expected a list of numbers, got 5"});
  refused("loss.weights = [1, 'a']", {"run.toml:1: loss.weights: expected a list of numbers"});
  refused("seed = 1979-05-27", {"run.toml:1: seed: expected", "date"});
  refused("[seed]\nx = 1", {"run.toml", "seed: expected"});
  refused("[[prior]]\nsteps = 1", {"run.toml", "prior: expected a known key"});
  refused("seed = -1", {"seed: expected at least 0, got -1"});
  refused("prior.steps = 0", {"prior.steps: expected from 1 to 1000000, got 0"});
  refused("prior.rate = 1.5", {"prior.rate: expected from 0.0 to 1.0, got 1.5"});
  refused("prior.rate = nan", {"prior.rate: expected from 0.0 to 1.0, got nan"});
  refused("loss.weights = [1, -2]", {"loss.weights: expected at least 0.0, got [1.0, -2.0]"});
  refused("sampler.kind = 'ddpm'", {"sampler.kind: expected one of ddim, dpm++, got \"ddpm\""});
  refused("seed = 3\nseed = 4", {"run.toml:2"});
  refused("seed = 3\n\nprior = = 2", {"run.toml:3"});
}

TEST(Config, ReadsAssignments) {
  Config c(table());
  c.set("seed=9");
  c.set("prior.rate=2e-4");
  c.set("sampler.kind=dpm++");
  c.set("sampler.stochastic=true");
  c.set("name=a = b");
  c.set("loss.weights=[3, 4]");
  EXPECT_EQ(c.integer("seed"), 9);
  EXPECT_EQ(c.number("prior.rate"), 2e-4);
  EXPECT_EQ(c.text("sampler.kind"), "dpm++");
  EXPECT_TRUE(c.boolean("sampler.stochastic"));
  EXPECT_EQ(c.text("name"), "a = b");
  EXPECT_EQ(c.list("loss.weights"), (std::vector<double>{3, 4}));
  c.set("loss.weights=5,6");
  EXPECT_EQ(c.list("loss.weights"), (std::vector<double>{5, 6}));
  c.set("loss.weights=");
  EXPECT_TRUE(c.list("loss.weights").empty());
  c.set("prior.rate=1");
  EXPECT_EQ(c.number("prior.rate"), 1);
  for (const char* wrong : {"seed", "=5", ""})
    expect_error([&] { c.set(wrong); }, ErrorCode::usage, {"expected key=value"});
  for (const char* wrong : {"seed=", "seed=1.5", "seed=x", "seed=1 ", "seed=99999999999999999999"})
    expect_error([&] { c.set(wrong); }, ErrorCode::usage, {"seed: expected an integer"});
  expect_error([&] { c.set("sampler.stochastic=yes"); }, ErrorCode::usage, {"true or false", "yes"});
  expect_error([&] { c.set("prior.rate=1e"); }, ErrorCode::usage, {"a number"});
  expect_error([&] { c.set("prior.rate=7"); }, ErrorCode::usage, {"from 0.0 to 1.0, got 7.0"});
  expect_error([&] { c.set("loss.weights=1,,2"); }, ErrorCode::usage, {"a list of numbers"});
  expect_error([&] { c.set("sampler.knd=x"); }, ErrorCode::usage, {"did you mean \"sampler.kind\"?"});
}

TEST(Config, TomlOfAConfigurationReadsBackAsItself) {
  Config c(table());
  c.set("prior.rate", 0.1 + 0.2);
  c.set("name", std::string("tab\tquote\"back\\slash\x01 \xc3\xa9"));
  c.set("loss.weights", std::vector<double>{1e-300, 5e20, 1.0 / 3});
  c.set("seed", int64_t{INT64_MAX});
  const std::string toml = c.to_toml();
  Config d(table());
  d.read_toml(toml, "printed.toml");
  EXPECT_EQ(d.to_toml(), toml);
  for (const char* key : {"seed", "prior.steps"}) EXPECT_EQ(c.integer(key), d.integer(key));
  EXPECT_EQ(c.number("prior.rate"), d.number("prior.rate"));
  EXPECT_EQ(c.text("name"), d.text("name"));
  EXPECT_EQ(c.list("loss.weights"), d.list("loss.weights"));
  EXPECT_NE(toml.find("# Training steps. (from 1 to 1000000)\nsteps = 1000\n"), std::string::npos) << toml;
  EXPECT_NE(toml.find("# Adds noise\n# at every step.\nstochastic = false"), std::string::npos) << toml;
  EXPECT_LT(toml.find("name ="), toml.find("[prior]"));  // keys without a table come first
}

TEST(Config, MarkdownHasALineAKey) {
  const std::string text = Config(table()).to_markdown();
  EXPECT_NE(text.find("| `prior.steps` | integer | `1000` | from 1 to 1000000 | Training steps. |\n"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("| `sampler.kind` | string | `\"ddim\"` | one of ddim, dpm++ | Sampler. |\n"),
            std::string::npos);
  EXPECT_NE(text.find("Learning rate \\| Adam."), std::string::npos);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 2 + static_cast<long>(table().size()));
}

TEST(Config, AWrongTableIsADefect) {
  expect_error(
      [] {
        Config({{.key = "a", .default_value = true}, {.key = "a", .default_value = true}});
      },
      ErrorCode::internal, {"\"a\""});
  expect_error([] { Config({{.key = "a", .default_value = 5.0, .max = 4}}); }, ErrorCode::internal,
               {"default of a"});
}

}  // namespace
}  // namespace voxgrad
