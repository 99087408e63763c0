#include "io/config.h"

#include <cmath>

#include "testing.h"

namespace voxgrad {
namespace {

using testing::expect_error;

// What is declared, and the configuration of it.
struct Settings {
  int64_t seed = 1, steps = 1000;
  double rate = 1e-3;
  std::string kind = "ddim", name = "a \"quoted\"\n name";
  bool stochastic = false;
  std::vector<double> weights{1, 0.5, 0.25};

  OptionList declared() {
    OptionList o;
    o.table("").integer("seed", seed, 0, 1e300, "Seed of all random numbers.");
    o.table("prior")
        .integer("steps", steps, 1, 1e6, "Training steps.")
        .number("rate", rate, 0, 1, "Learning rate | Adam.");
    o.table("sampler", OptionUse::prediction)
        .word("kind", kind, {"ddim", "dpm++"}, "Sampler.")
        .flag("stochastic", stochastic, "Adds noise\nat every step.");
    o.table("", OptionUse::runtime).word("name", name, {}, "Any text.");
    o.table("loss").numbers("weights", weights, 0, 1e300, "A weight a level.");
    return o;
  }
};
struct Fixture : Settings {
  Config c{declared()};
};

TEST(Config, DefaultsAreWhatTheMembersHold) {
  Fixture f;
  EXPECT_TRUE(f.c.is_default("seed"));
  EXPECT_TRUE(f.c.has("seed"));
  EXPECT_FALSE(f.c.has("prior"));
  f.seed = 7;
  EXPECT_FALSE(f.c.is_default("seed"));
  expect_error([&] { f.c.is_default("sed"); }, ErrorCode::usage, {"sed", "did you mean \"seed\"?"});
}

TEST(Config, ReadsToml) {
  Fixture f;
  Config& c = f.c;
  c.read_toml(
      "seed = 7\nprior.steps = 20\nprior.rate = 1\n[sampler]\nkind = 'dpm++'\nstochastic = true\n"
      "[loss]\nweights = [1, 2.5]\n",
      "a.toml");
  EXPECT_EQ(f.seed, 7);
  EXPECT_EQ(f.steps, 20);
  EXPECT_EQ(f.rate, 1.0);  // an integer is taken for a number
  EXPECT_EQ(f.kind, "dpm++");
  EXPECT_TRUE(f.stochastic);
  EXPECT_EQ(f.weights, (std::vector<double>{1, 2.5}));
  EXPECT_FALSE(c.is_default("seed"));
  EXPECT_TRUE(c.is_default("name"));
  c.read_toml("seed = 8", "b.toml");  // a later file wins
  EXPECT_EQ(f.seed, 8);
  EXPECT_EQ(f.steps, 20);
}

TEST(Config, TomlErrorsNameFileLineKeyAndExpectation) {
  const auto refused = [](const std::string& text, std::initializer_list<std::string> parts,
                          int line = __builtin_LINE()) {
    SCOPED_TRACE("called from line " + std::to_string(line));
    Fixture f;
    Config& c = f.c;
    expect_error([&] { c.read_toml(text, "run.toml"); }, ErrorCode::usage, parts);
    EXPECT_TRUE(c.is_default("seed")) << "half a file was taken";
  };
  refused("seed = 3\nprior.stps = 5",
          {"run.toml:2: prior.stps: expected a known key; did you mean \"prior.steps\"?"});
  refused("steps = 5", {"run.toml:1: steps", "did you mean \"prior.steps\"?"});
  refused("[sampler]\nkidn = 'x'", {"run.toml:2: sampler.kidn", "did you mean \"sampler.kind\"?"});
  refused("[prior]\nsomething_else_entirely = 5", {"expected a known key; [prior] has steps, rate"});
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

TEST(Config, LettersOutsideAsciiAreTextOrAnError) {
  Fixture f;
  Config& c = f.c;
  c.read_toml("name = \"\"\"\\\n\xc2\xa7 \xc3\xa9\"\"\"", "a.toml");  // behind a line-ending backslash
  EXPECT_EQ(f.name, "\xc2\xa7 \xc3\xa9");
  for (const char* text : {"\xcc\xaa", "a\xd2\x8d = 1", "seed\xc2\xa0= 1", "seed = 1 \xff"})
    expect_error([&] { c.read_toml(text, "a.toml"); }, ErrorCode::usage, {"a.toml:1"});
}

TEST(Config, ReadsAssignments) {
  Fixture f;
  Config& c = f.c;
  c.set("seed=9");
  c.set("prior.rate=2e-4");
  c.set("sampler.kind=dpm++");
  c.set("sampler.stochastic=true");
  c.set("name=a = b");
  c.set("loss.weights=[3, 4]");
  EXPECT_EQ(f.seed, 9);
  EXPECT_EQ(f.rate, 2e-4);
  EXPECT_EQ(f.kind, "dpm++");
  EXPECT_TRUE(f.stochastic);
  EXPECT_EQ(f.name, "a = b");
  EXPECT_EQ(f.weights, (std::vector<double>{3, 4}));
  c.set("loss.weights=5,6");
  EXPECT_EQ(f.weights, (std::vector<double>{5, 6}));
  c.set("loss.weights=");
  EXPECT_TRUE(f.weights.empty());
  c.set("prior.rate=1");
  EXPECT_EQ(f.rate, 1);
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
  Fixture f;
  Config& c = f.c;
  c.set("prior.rate", 0.1 + 0.2);
  c.set("name", std::string("tab\tquote\"back\\slash\x01 \xc3\xa9"));
  c.set("loss.weights", std::vector<double>{1e-300, 5e20, 1.0 / 3});
  c.set("seed", int64_t{INT64_MAX});
  const std::string toml = c.to_toml();
  Fixture other;
  Config& d = other.c;
  d.read_toml(toml, "printed.toml");
  EXPECT_EQ(d.to_toml(), toml);
  EXPECT_EQ(f.seed, other.seed);
  EXPECT_EQ(f.steps, other.steps);
  EXPECT_EQ(f.rate, other.rate);
  EXPECT_EQ(f.name, other.name);
  EXPECT_EQ(f.weights, other.weights);
  EXPECT_NE(toml.find("# Training steps. (from 1 to 1000000)\nsteps = 1000\n"), std::string::npos) << toml;
  EXPECT_NE(toml.find("# Adds noise\n# at every step.\nstochastic = false"), std::string::npos) << toml;
  EXPECT_LT(toml.find("name ="), toml.find("[prior]"));  // keys without a table come first
}

TEST(Config, AKeyOfOthersIsToldAndNotStored) {
  Fixture f;
  std::vector<std::string> told;
  f.c.accept_foreign({"denoiser.lambda", "denoiser.dds"},
                     [&](const std::string& key) { told.push_back(key); });
  const std::string before = f.c.to_toml();
  f.c.set("denoiser.lambda=0.5");
  f.c.read_toml("[denoiser]\ndds = 'heads'\n", "a.toml");
  EXPECT_EQ(told, (std::vector<std::string>{"denoiser.lambda", "denoiser.dds"}));
  EXPECT_EQ(f.c.to_toml(), before);
  expect_error([&] { f.c.set("denoiser.tau=1"); }, ErrorCode::usage, {"denoiser.tau: expected a known key"});
}

TEST(Config, RetiredKeysOfOlderFilesAreIgnoredWhereAsked) {
  Fixture f;
  f.c.read_toml("seed = 3\n[train]\nprecision = 'fp32'\n", "old.toml", Config::Unknown::ignore);
  EXPECT_EQ(f.seed, 3);
}

TEST(Config, APredictionChangesNothingThatTrainingFixed) {
  Fixture f;
  f.c.fix_training();
  f.c.set("sampler.kind=dpm++");
  f.c.set("name=x");
  expect_error([&] { f.c.set("prior.steps=5"); }, ErrorCode::usage,
               {"prior.steps: is fixed by training", "sampler.kind, sampler.stochastic, name"});
  EXPECT_EQ(f.kind, "dpm++");
  EXPECT_EQ(f.steps, 1000);
}

TEST(Config, AModelKeepsNoTextsAndNothingOfTheRuntime) {
  Fixture f;
  EXPECT_EQ(
      f.c.to_toml(Config::Print::model),
      "seed = 1\n\n[prior]\nsteps = 1000\nrate = 0.001\n\n[sampler]\nkind = \"ddim\"\nstochastic = false\n\n"
      "[loss]\nweights = [1.0, 0.5, 0.25]\n");
  EXPECT_NE(f.c.to_toml(Config::Print::values).find("name = "), std::string::npos);
}

TEST(Config, AWrongDeclarationIsADefect) {
  expect_error(
      [] {
        bool a = true;
        OptionList o;
        o.table("").flag("a", a, "").flag("a", a, "");
      },
      ErrorCode::internal, {"\"a\""});
  expect_error(
      [] {
        double a = 5;
        OptionList o;
        o.table("").number("a", a, 0, 4, "");
      },
      ErrorCode::internal, {"default of a"});
}

}  // namespace
}  // namespace voxgrad
