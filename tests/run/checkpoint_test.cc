// checkpoint.safetensors: there and back, and what is refused.
#include "run/checkpoint.h"

#include <cmath>

#include "io/safetensors.h"
#include "tests/io/testing.h"

namespace voxgrad {
namespace {

using testing::expect_error;
using testing::get_file;
using testing::TemporaryFolder;

Checkpoint example() {
  Checkpoint c;
  c.method = "pgrd";
  c.plan = "{}";
  c.seed = UINT64_MAX;
  c.data_sha256 = std::string(64, 'd');
  c.scored_sha256 = std::string(64, 'e');
  c.stage = "denoiser";
  c.step = 7;
  c.constants = {{"residual_sd", 0.1}};
  c.stages = {{"prior", std::string(64, 'a'), "", false, 600},
              {"denoiser", "", std::string(64, 'b'), false, 7}};
  c.weights = {{"prior.weight", Tensor::from<float>({2}, {1, 2})},
               {"denoiser.weight", Tensor::from<float>({2}, {3, 4})}};
  c.optimizer = {{"m", Tensor::from<float>({2}, {5, 6})}, {"v", Tensor::from<float>({2}, {7, 8})}};
  return c;
}

TEST(Checkpoint, WhatIsWrittenIsRead) {
  const TemporaryFolder folder;
  const std::string path = folder / "c.safetensors", again = folder / "again.safetensors";
  Checkpoint ended = example();
  ended.stage = "";
  ended.stages[1].digest = std::string(64, 'c');
  ended.step = 0;
  ended.optimizer.clear();
  Checkpoint not_begun;
  for (const Checkpoint& c : {example(), ended, not_begun}) {
    write_checkpoint(path, c);
    const Checkpoint read = read_checkpoint(path);
    EXPECT_EQ(read.method, c.method);
    EXPECT_EQ(read.plan, c.plan);
    EXPECT_EQ(read.seed, c.seed);
    EXPECT_EQ(read.data_sha256, c.data_sha256);
    EXPECT_EQ(read.scored_sha256, c.scored_sha256);
    EXPECT_EQ(read.stage, c.stage);
    EXPECT_EQ(read.step, c.step);
    EXPECT_EQ(read.constants, c.constants);
    EXPECT_EQ(read.stages, c.stages);
    EXPECT_EQ(weights_digest(read.weights), weights_digest(c.weights));
    EXPECT_EQ(weights_digest(read.optimizer), weights_digest(c.optimizer));
    write_checkpoint(again, read);
    EXPECT_EQ(get_file(again), get_file(path)) << "equal content gives equal bytes";
  }
  EXPECT_EQ(folder.entries(), 2u);
  write_checkpoint(path, example());
  EXPECT_TRUE(read_safetensors(path).tensors.contains("optimizer.m"));
}

TEST(Checkpoint, DamageIsNamedWithFileAndField) {
  const TemporaryFolder folder;
  const std::string path = folder / "c.safetensors";
  write_checkpoint(path, example());
  const SafeTensors whole = read_safetensors(path);
  const auto refused = [&](const std::string& key, const std::string& value, const std::string& message) {
    SafeTensors file = whole;
    file.metadata[key] = value;
    write_safetensors(path, file);
    expect_error([&] { read_checkpoint(path); }, ErrorCode::data, {"[checkpoint] " + path + ": " + message});
  };
  refused("kind", "voxgrad model", "kind: expected voxgrad checkpoint, got voxgrad model");
  refused(
      "format", "1",
      "format: expected 2, got 1: a run that was begun by an older version cannot be resumed; its finished "
      "model can be used");
  refused("format", "3", "format: expected 2, got 3");
  refused("stage", "elsewhere",
          "stage: expected one of the stages (prior, denoiser) or nothing, got elsewhere");
  refused("stage", "", "step: expected 0 behind the last stage, got 7");
  refused("step", "-3", "step: expected a whole number of at least 0, got -3");
  refused("step", "7 ", "step: expected a whole number of at least 0, got 7 ");
  refused("step", "", "step: expected a whole number of at least 0, got ");
  refused("step", "9223372036854775808", "step: expected a whole number below 2^63, got 9223372036854775808");
  refused("seed", "18446744073709551616", "seed: expected a whole number of at least 0");
  refused("seed", "0x1", "seed: expected a whole number of at least 0, got 0x1");
  refused("constants", "{\"a\":null}", "constants.a: expected a finite number, got null");
  refused("stages", "{}", "stages: expected a list, got an object");
  refused("stages", "[]", "stage: expected one of the stages (there are none) or nothing, got denoiser");
  refused("stages",
          R"([{"name":"prior","digest":"","from":"","frozen":false,"steps":6,"constants":[]},
              {"name":"denoiser","digest":"","from":"","frozen":false,"steps":7,"constants":[]}])",
          "stages.0.digest: expected that of prior, which has ended, got none");
  refused("stages",
          R"([{"name":"denoiser","digest":"","from":"","frozen":false,"steps":7,"constants":["shift"]}])",
          "constants: expected shift, which stages.0 has found, got none");
  refused("stages",
          "[{\"name\":\"denoiser\",\"digest\":\"\",\"from\":\"\",\"frozen\":0,\"steps\":7,\"constants\":[]}]",
          "stages.0.frozen: expected true or false, got 0");
  for (const char* key :
       {"kind", "format", "method", "plan", "seed", "data_sha256", "stage", "step", "constants", "stages"}) {
    SafeTensors file = whole;
    file.metadata.erase(key);
    write_safetensors(path, file);
    expect_error([&] { read_checkpoint(path); }, ErrorCode::data,
                 {"[checkpoint] " + path + ": " + key + ": expected a field of the metadata, got nothing"});
  }
  expect_error([&] { read_checkpoint(folder / "none"); }, ErrorCode::data, {folder / "none"});
}

// As version 1 wrote them: the stage is a number there.
TEST(Checkpoint, OfFormat1IsRefused) {
  const TemporaryFolder folder;
  SafeTensors file;
  file.tensors = {{"prior.weight", Tensor::from<float>({1}, {1})},
                  {"optimizer.m", Tensor::from<float>({1}, {1})}};
  file.metadata = {{"kind", "voxgrad checkpoint"},
                   {"format", "1"},
                   {"method", "pgrd"},
                   {"plan", "{}"},
                   {"constants", "{}"},
                   {"stage", "1"},
                   {"step", "3"},
                   {"seed", "1"},
                   {"data", "d"}};
  write_safetensors(folder / "c", file);
  expect_error([&] { read_checkpoint(folder / "c"); }, ErrorCode::data,
               {folder / "c", "begun by an older version cannot be resumed"});
}

TEST(Checkpoint, WhatCouldNotBeReadIsNotWritten) {
  const TemporaryFolder folder;
  const auto refused = [&](auto&& change, const std::string& message) {
    Checkpoint c = example();
    change(c);
    expect_error([&] { write_checkpoint(folder / "c", c); }, ErrorCode::internal, {message});
    EXPECT_EQ(folder.entries(), 0u);
  };
  refused([](Checkpoint& c) { c.stage = "elsewhere"; }, "stage: expected one of the stages");
  refused([](Checkpoint& c) { c.step = -1; }, "step: expected a whole number of at least 0, got -1");
  refused([](Checkpoint& c) { c.stage = ""; }, "step: expected 0 behind the last stage");
  refused([](Checkpoint& c) { c.constants["a"] = NAN; }, "constants.a: expected a finite number");
  refused(
      [](Checkpoint& c) {
        c.weights["prior.a"] = Tensor::from<float>({2}, {0, NAN});
      },
      "prior.a: expected finite numbers, got nan at [1] of [2]");
  refused([](Checkpoint& c) { c.weights["optimizer.m"] = Tensor::from<float>({1}, {1}); },
          "expected no weights named optimizer.*");
}

TEST(Checkpoint, NumbersThatAreNotFiniteAreRefusedByName) {
  const TemporaryFolder folder;
  write_checkpoint(folder / "c", example());
  SafeTensors file = read_safetensors(folder / "c");
  for (const auto& [name, tensor] : SafeTensors(file).tensors)
    for (const float value : {NAN, INFINITY, -INFINITY}) {
      file.tensors[name] = tensor.clone();
      file.tensors[name].mutable_data<float>()[0] = value;
      write_safetensors(folder / "c", file);
      expect_error([&] { read_checkpoint(folder / "c"); }, ErrorCode::data,
                   {folder / "c", name + ": expected finite numbers"});
      file.tensors[name] = tensor;
    }
}

}  // namespace
}  // namespace voxgrad
