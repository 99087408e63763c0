// log.jsonl: every kind of line there and back, logs of format 1, and what is refused.
#include "run/log.h"

#include <cmath>
#include <fstream>

#include "io/file.h"
#include "tests/io/testing.h"

namespace voxgrad {
namespace {

using testing::expect_error;
using testing::put_file;
using testing::TemporaryFolder;

StepLine step(const std::string& stage, int64_t number) {
  StepLine line;
  line.stage = stage;
  line.step = number;
  line.loss = 0.5;
  line.learning_rate = 1e-3;
  line.gradient_norm = 2;
  line.seconds = 0.25;
  return line;
}

TEST(RunLog, EveryKindOfLineComesBack) {
  const TemporaryFolder folder;
  const std::string path = folder / "log.jsonl";
  RunLog log(path);
  log.write(StartLine{"prior", 3, "0.2.0", {"avx2", false, "auto", "tf32", "cuda:0"}});
  StepLine s = step("prior", 4);
  s.loss = 1.0 / 3;
  s.terms = {{"cross_entropy", 0.25}, {"dice", std::nan("")}};
  s.gradient_norm = INFINITY;
  log.write(s);
  log.write(ValidationLine{"prior", 4, {{"nll", 0.5}, {"stage", 2}}});
  log.write(ValidationLine{"prior", {}, {{"nll", 0.25}}});
  log.write(OtherLine{"note"});
  EXPECT_EQ(
      read_text(path),
      R"({"kind":"start","runtime":{"device":"cuda:0","gemm":"auto","instruction_set":"avx2","nondeterministic":false,"precision":"tf32","winograd":false},"stage":"prior","step":3,"voxgrad":"0.2.0"})"
      "\n"
      R"({"grad_norm":null,"kind":"step","loss":0.3333333333333333,"lr":0.001,"seconds":0.25,"stage":"prior","step":4,"terms":{"cross_entropy":0.25,"dice":null}})"
      "\n"
      R"({"kind":"validation","stage":"prior","step":4,"values":{"nll":0.5,"stage":2.0}})"
      "\n"
      R"({"kind":"validation","stage":"prior","values":{"nll":0.25}})"
      "\n"
      R"({"kind":"note"})"
      "\n");

  const std::vector<LogLine> lines = read_log(path);
  ASSERT_EQ(lines.size(), 5u);
  const auto& start = std::get<StartLine>(lines[0]);
  EXPECT_EQ(start.stage, "prior");
  EXPECT_EQ(start.step, 3);
  EXPECT_EQ(start.version, "0.2.0");
  EXPECT_EQ(start.runtime, (RuntimeRecord{"avx2", false, "auto", "tf32", "cuda:0"}));
  const auto& read = std::get<StepLine>(lines[1]);
  EXPECT_EQ(read.stage, "prior");
  EXPECT_EQ(read.step, 4);
  EXPECT_EQ(read.loss, 1.0 / 3);
  EXPECT_EQ(read.terms.at("cross_entropy"), 0.25);
  EXPECT_TRUE(std::isnan(read.terms.at("dice")));
  EXPECT_EQ(read.learning_rate, 1e-3);
  EXPECT_TRUE(std::isnan(read.gradient_norm));
  EXPECT_EQ(read.seconds, 0.25);
  const auto& validation = std::get<ValidationLine>(lines[2]);
  EXPECT_EQ(validation.stage, "prior");
  EXPECT_EQ(validation.step, 4);
  EXPECT_EQ(validation.values, (std::map<std::string, double>{{"nll", 0.5}, {"stage", 2}}));
  EXPECT_FALSE(std::get<ValidationLine>(lines[3]).step);
  EXPECT_EQ(std::get<OtherLine>(lines[4]).kind, "note");
  for (const char* kind : {"", "start", "step", "validation"})
    expect_error([&] { log.write(OtherLine{kind}); }, ErrorCode::internal, {"a kind of its own"});
}

TEST(RunLog, TextThatIsNoUtf8IsReplaced) {
  const TemporaryFolder folder;
  RunLog(folder / "log").write(ValidationLine{"\xff", 1, {}});
  EXPECT_EQ(std::get<ValidationLine>(read_log(folder / "log")[0]).stage, "\xef\xbf\xbd");
}

TEST(RunLog, AResumedRunGoesOnWhereItsCheckpointIs) {
  const TemporaryFolder folder;
  const std::string path = folder / "log.jsonl";
  {
    RunLog log(path);
    for (int n = 1; n <= 5; ++n) log.write(step("prior", n));
    log.write(OtherLine{"of a later version"});
  }
  const std::string whole = read_text(path);
  std::ofstream(path, std::ios::app) << "{\"kind\": \"step\", \"lo";  // the process died here
  EXPECT_EQ(read_log(path).size(), 6u);
  RunLog log(path);
  EXPECT_EQ(read_text(path), whole);
  log.keep([&](const LogLine& line, const std::string& where) {
    EXPECT_EQ(where.find("[log] " + path + ":"), 0u);
    const auto* s = std::get_if<StepLine>(&line);
    return !s || s->step <= 3;
  });
  log.write(step("prior", 4));
  std::vector<int64_t> steps;
  for (const LogLine& line : read_log(path))
    if (const auto* s = std::get_if<StepLine>(&line)) steps.push_back(s->step);
  EXPECT_EQ(steps, (std::vector<int64_t>{1, 2, 3, 4}));
  EXPECT_NE(read_text(path).find("of a later version"), std::string::npos);
  EXPECT_EQ(folder.entries(), 1u);
}

TEST(RunLog, ReadsFormat1) {
  const TemporaryFolder folder;
  put_file(
      folder / "log",
      R"({"arithmetic":{"device":"cpu","kernels":"avx512","winograd":false},"kind":"start","stage":"prior","step":0,"voxgrad":"0.1.0"})"
      "\n"
      R"({"grad_norm":1.5,"kind":"step","loss":null,"lr":0.01,"seconds":2.0,"stage":"prior","step":1})"
      "\n"
      R"({"kind":"validation","nll_calibration":0.5,"nll_training":0.25,"stage":"prior"})"
      "\n");
  const std::vector<LogLine> lines = read_log(folder / "log");
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(std::get<StartLine>(lines[0]).runtime, (RuntimeRecord{"avx512", false, "auto", "", "cpu"}));
  EXPECT_TRUE(std::isnan(std::get<StepLine>(lines[1]).loss));
  EXPECT_EQ(std::get<StepLine>(lines[1]).gradient_norm, 1.5);
  EXPECT_TRUE(std::get<StepLine>(lines[1]).terms.empty());
  EXPECT_EQ(std::get<ValidationLine>(lines[2]).values,
            (std::map<std::string, double>{{"nll_calibration", 0.5}, {"nll_training", 0.25}}));
}

TEST(RunLog, DamageIsNamedWithFileLineAndField) {
  const TemporaryFolder folder;
  const std::string path = folder / "log";
  const std::string good =
      R"({"grad_norm":1.5,"kind":"step","loss":1,"lr":0.01,"seconds":2,"stage":"a","step":1,"terms":{}})";
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string line = good;
    line.replace(line.find(from), from.size(), to);
    return line;
  };
  const std::pair<std::string, std::string> wrong[] = {
      {"[]", "expected a JSON object, got a list"},
      {"{\"kind\":", "expected a JSON object, got something that is no JSON"},
      {"{}", "kind: expected text, got nothing"},
      {"{\"kind\": 3}", "kind: expected text, got 3"},
      {"{\"kind\": \"start\", \"stage\": \"a\", \"step\": 0, \"voxgrad\": \"1\"}",
       "runtime: expected an object, got nothing"},
      {"{\"kind\": \"start\", \"stage\": \"a\", \"step\": 0, \"voxgrad\": \"1\", \"runtime\": {\"winograd\": "
       "1}}",
       "runtime.winograd: expected true or false, got 1"},
      {"{\"kind\": \"validation\", \"stage\": \"a\", \"step\": -1, \"values\": {}}",
       "step: expected a whole number of at least 0, got -1"},
      {"{\"kind\": \"validation\", \"stage\": \"a\", \"values\": {\"nll\": \"x\"}}",
       "values.nll: expected a number, got \"x\""},
      {"{\"kind\": \"validation\", \"stage\": \"a\", \"nll\": []}", "nll: expected a number, got a list"},
      {with("\"loss\":1", "\"loss\":\"1\""), "loss: expected a number, got \"1\""},
      {with("\"loss\":1,", ""), "loss: expected a number, got nothing"},
      {with("\"lr\":0.01", "\"lr\":{}"), "lr: expected a number, got an object"},
      {with("\"grad_norm\":1.5", "\"grad_norm\":true"), "grad_norm: expected a number, got true"},
      {with("\"seconds\":2,", ""), "seconds: expected a number, got nothing"},
      {with("\"stage\":\"a\"", "\"stage\":null"), "stage: expected text, got null"},
      {with("\"step\":1", "\"step\":1.5"), "step: expected a whole number of at least 1, got 1.5"},
      {with("\"step\":1", "\"step\":0"), "step: expected a whole number of at least 1, got 0"},
      {with("\"step\":1", "\"step\":18446744073709551615"), "step: expected a whole number"},
      {with("\"terms\":{}", "\"terms\":[]"), "terms: expected an object, got a list"},
      {with("\"terms\":{}", "\"terms\":{\"a\":\"b\"}"), "terms.a: expected a number, got \"b\""}};
  for (const auto& [line, message] : wrong) {
    put_file(path, good + "\n" + line + "\n" + good + "\n");
    expect_error([&] { read_log(path); }, ErrorCode::data, {"[log] " + path + ":2: " + message});
    expect_error([&] { RunLog log(path); }, ErrorCode::data, {"[log] " + path + ":2: " + message});
  }
  put_file(path, good + "\n");
  EXPECT_EQ(read_log(path).size(), 1u);
}

}  // namespace
}  // namespace voxgrad
