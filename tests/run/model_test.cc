// model.safetensors: there and back, format 1, the digest, and what is refused.
#include "run/model.h"

#include <cmath>
#include <limits>

#include "io/file.h"
#include "io/safetensors.h"
#include "io/sha256.h"
#include "tests/io/testing.h"

namespace voxgrad {
namespace {

using testing::Bytes;
using testing::expect_error;
using testing::get_file;
using testing::put_file;
using testing::TemporaryFolder;

const std::string kDigest(64, 'a');

ModelFile example() {
  ModelFile m;
  m.method = "pgrd";
  m.plan = "{\"a plan\": 1}";
  m.config = "[prior]\nsteps = 3\n";
  m.constants = {{"residual_sd", 0.1}, {"tau_out", 1.0 / 3}, {"tiny", 5e-324}, {"zero", -0.0}};
  m.complete = true;
  m.axis_codes = "RAS, LPS";
  m.spacing = {{0.5, 0.75}, {0.5, 0.75}, {1, 5}};
  m.intensity = {{-1024, 3071}, {0, 1.0 / 3}};
  m.thresholds = {{"lesion", 0.35}};
  m.provenance = {UINT64_MAX,
                  "hippocampus",
                  std::string(64, 'd'),
                  "0.2.0",
                  {{"prior", kDigest, kDigest, true, 0}, {"denoiser", std::string(64, 'b'), "", false, 600}}};
  m.weights = {{"prior.weight", Tensor::from<float>({2, 3}, {1, 2, 3, 4, 5, 6})},
               {"denoiser.bias", Tensor::from<double>({2}, {0.5, -0.5})},
               {"denoiser.none", Tensor::from<float>({0}, {})}};
  return m;
}

/// The metadata and tensors of a model that version 1 wrote.
SafeTensors format_1() {
  SafeTensors file;
  file.tensors = example().weights;
  file.metadata = {{"kind", "voxgrad model"},
                   {"format", "1"},
                   {"method", "pgrd"},
                   {"plan", "{}"},
                   {"config", "[prior]\nsteps = 3\n"},
                   {"constants", "{\"tau_out\":0.25}"},
                   {"complete", "1"}};
  return file;
}

TEST(ModelFile, WhatIsWrittenIsRead) {
  const TemporaryFolder folder;
  const std::string path = folder / "m.safetensors", again = folder / "again.safetensors";
  ModelFile empty;
  for (ModelFile m : {example(), empty}) {
    write_model(path, m);
    EXPECT_EQ(m.digest, model_digest(m));
    int warnings = 0;
    ModelFile read = read_model(path, [&](const std::string&) { ++warnings; });
    EXPECT_EQ(warnings, 0);
    EXPECT_EQ(read.format, 2);
    EXPECT_EQ(read.method, m.method);
    EXPECT_EQ(read.plan, m.plan);
    EXPECT_EQ(read.config, m.config);
    EXPECT_EQ(read.constants, m.constants);
    EXPECT_EQ(read.complete, m.complete);
    EXPECT_EQ(read.axis_codes, m.axis_codes);
    EXPECT_EQ(read.spacing, m.spacing);
    EXPECT_EQ(read.intensity, m.intensity);
    EXPECT_EQ(read.thresholds, m.thresholds);
    EXPECT_EQ(read.provenance, m.provenance);
    EXPECT_EQ(read.digest, m.digest);
    ASSERT_EQ(read.weights.size(), m.weights.size());
    EXPECT_EQ(weights_digest(read.weights), weights_digest(m.weights));
    if (!m.weights.empty()) {
      EXPECT_EQ(read.weights.at("denoiser.bias").dtype(), DType::f64);
      EXPECT_EQ(read.weights.at("prior.weight").shape(), (Shape{2, 3}));
      EXPECT_EQ(read.weights.at("prior.weight").to_vector<float>(), (std::vector<float>{1, 2, 3, 4, 5, 6}));
      EXPECT_TRUE(std::signbit(read.constants.at("zero")));
    }
    write_model(again, read);
    EXPECT_EQ(get_file(again), get_file(path)) << "equal content gives equal bytes";
  }
  EXPECT_EQ(folder.entries(), 2u);
}

// Independent of the code: the bytes that model.h documents.
TEST(ModelFile, DigestsAreOfTheDocumentedBytes) {
  std::string bytes;
  const auto number = [&bytes](uint64_t v) {
    for (int i = 0; i < 8; ++i) bytes += static_cast<char>(v >> (8 * i));
  };
  const auto text = [&](const std::string& t) {
    number(t.size());
    bytes += t;
  };
  text("voxgrad weights");
  number(2);
  text("a");
  text("f32");
  number(1);
  number(2);
  number(8);
  bytes += std::string("\x00\x00\x80\x3f\x00\x00\x00\x40", 8);  // 1 and 2
  text("b");
  text("u8");
  number(0);
  number(1);
  bytes += '\7';
  const NamedTensors weights = {{"a", Tensor::from<float>({2}, {1, 2})},
                                {"b", Tensor::from<uint8_t>({}, {7})}};
  EXPECT_EQ(weights_digest(weights), sha256_hex(testing::bytes_of(bytes)));

  ModelFile m;
  m.weights = weights;
  m.plan = "plan";
  m.constants = {{"c", 1}};
  m.thresholds = {{"t", 1}};
  const std::string of_weights = weights_digest(weights);
  bytes.clear();
  text("voxgrad model");
  text(of_weights);
  text("plan");
  for (const char* name : {"c", "t"}) {
    number(1);
    text(name);
    bytes += std::string("\0\0\0\0\0\0\xf0\x3f", 8);
  }
  EXPECT_EQ(model_digest(m), sha256_hex(testing::bytes_of(bytes)));
}

TEST(ModelFile, NoTwoWeightsHaveOneDigest) {
  const Tensor two = Tensor::from<float>({2}, {1, 2}), row = Tensor::from<float>({1, 2}, {1, 2}),
               column = Tensor::from<float>({2, 1}, {1, 2}), none = Tensor::from<float>({0}, {});
  std::set<std::string> digests;
  const std::vector<NamedTensors> all = {
      {},
      {{"a", none}},
      {{"", none}},
      {{"a", two}},
      {{"b", two}},
      {{"a", row}},
      {{"a", column}},
      {{"a", two}, {"b", none}},
      {{"ab", two}},
      {{"a", Tensor::from<float>({2}, {2, 1})}},
      {{"a", Tensor::from<int32_t>({2}, {0x3f800000, 0x40000000})}},  // the same bytes
      {{"a", Tensor::from<uint8_t>({8}, {0, 0, 0x80, 0x3f, 0, 0, 0, 0x40})}},
      {{"a", Tensor::from<float>({1}, {1})}, {"b", Tensor::from<float>({1}, {2})}}};
  for (const NamedTensors& weights : all) digests.insert(weights_digest(weights));
  EXPECT_EQ(digests.size(), all.size());
}

TEST(ModelFile, TheDigestIsOfWeightsPlanAndConstants) {
  const std::string before = model_digest(example());
  const auto after = [](auto&& change) {
    ModelFile m = example();
    change(m);
    return model_digest(m);
  };
  EXPECT_NE(after([](ModelFile& m) { m.plan += ' '; }), before);
  EXPECT_NE(after([](ModelFile& m) { m.constants["tau_out"] += 1e-16; }), before);
  EXPECT_NE(after([](ModelFile& m) { m.constants["zero"] = 0; }), before);
  EXPECT_NE(after([](ModelFile& m) { m.constants.erase("tiny"); }), before);
  EXPECT_NE(after([](ModelFile& m) { m.thresholds["one"] = 0.4; }), before);
  EXPECT_NE(after([](ModelFile& m) { m.weights["prior.weight"].mutable_data<float>()[5] = 7; }), before);
  EXPECT_EQ(after([](ModelFile& m) { m.provenance.seed = 2; }), before);
  EXPECT_EQ(after([](ModelFile& m) { m.complete = false; }), before);
}

TEST(ModelFile, AChangeOfWeightsPlanOrConstantsIsRefused) {
  const TemporaryFolder folder;
  const std::string path = folder / "m.safetensors";
  ModelFile m = example();
  write_model(path, m);
  const Bytes whole = get_file(path);
  const auto refused = [&] {
    expect_error([&] { read_model(path); }, ErrorCode::data,
                 {"[model] " + path + ": digest: expected " + m.digest + ", got ",
                  ": the weights, plan, constants or thresholds were changed"});
  };
  Bytes bytes = whole;
  bytes.back() ^= std::byte{1};
  put_file(path, bytes);
  refused();
  const auto rewritten = [&](const char* key, const std::string& value) {
    put_file(path, whole);
    SafeTensors file = read_safetensors(path);
    file.metadata[key] = value;
    write_safetensors(path, file);
  };
  rewritten("plan", "{\"a plan\": 2}");
  refused();
  rewritten("constants", "{\"residual_sd\":0.1,\"tau_out\":0.3333333333333333,\"tiny\":5e-324,\"zero\":0.0}");
  refused();
  rewritten("digest", kDigest);
  expect_error([&] { read_model(path); }, ErrorCode::data,
               {"digest: expected " + kDigest + ", got " + m.digest});
  rewritten("complete", "0");  // is not part of it
  EXPECT_FALSE(read_model(path).complete);
}

TEST(ModelFile, ReadsFormat1AndSaysThatItHasNoDigest) {
  const TemporaryFolder folder;
  const std::string path = folder / "m.safetensors";
  write_safetensors(path, format_1());
  std::vector<std::string> warnings;
  ModelFile m = read_model(path, [&](const std::string& text) { warnings.push_back(text); });
  EXPECT_EQ(
      warnings,
      (std::vector<std::string>{
          path + ": a model of format 1 has no digest: whether its weights are whole cannot be checked"}));
  EXPECT_EQ(m.format, 1);
  EXPECT_EQ(m.method, "pgrd");
  EXPECT_EQ(m.plan, "{}");
  EXPECT_EQ(m.config, "[prior]\nsteps = 3\n");
  EXPECT_EQ(m.constants, (Constants{{"tau_out", 0.25}}));
  EXPECT_TRUE(m.complete);
  EXPECT_TRUE(m.axis_codes.empty() && m.spacing.empty() && m.intensity.empty() && m.thresholds.empty());
  EXPECT_EQ(m.provenance, Provenance{});
  EXPECT_EQ(m.digest, model_digest(m));
  EXPECT_EQ(read_model(path).weights.size(), 3u) << "without a listener too";
  write_model(path, m);  // in the newest format
  EXPECT_EQ(read_model(path).format, 2);
}

TEST(ModelFile, DamageIsNamedWithFileAndField) {
  const TemporaryFolder folder;
  const std::string path = folder / "m.safetensors";
  ModelFile m = example();
  write_model(path, m);
  const SafeTensors whole = read_safetensors(path);
  const auto refused = [&](const std::string& key, const std::string& value, const std::string& message) {
    SafeTensors file = whole;
    file.metadata[key] = value;
    write_safetensors(path, file);
    expect_error([&] { read_model(path); }, ErrorCode::data, {"[model] " + path + ": " + message});
  };
  refused("kind", "voxgrad checkpoint", "kind: expected voxgrad model, got voxgrad checkpoint");
  refused("format", "3", "format: expected 1 or 2, got 3");
  refused("format", "02", "format: expected 1 or 2, got 02");
  refused("complete", "yes", "complete: expected 0 or 1, got yes");
  refused("constants", "{", "constants: expected JSON, got: parse error");
  refused("constants", "[]", "constants: expected a JSON object, got a list");
  refused("constants", "{\"tau_out\":null}", "constants.tau_out: expected a finite number, got null");
  refused("constants", "{\"tau_out\":NaN}", "constants: expected JSON, got: parse error");
  refused("constants", "{\"tau_out\":1e999}", "constants: expected JSON, got: number overflow");
  refused("constants", "{\"tau_out\":\"1\"}", "constants.tau_out: expected a finite number, got \"1\"");
  refused("thresholds", "{\"a\":null}", "thresholds.a: expected a finite number, got null");
  refused("thresholds", "{\"a\":1.5}", "thresholds.a: expected a number from 0 to 1, got 1.5");
  refused("thresholds", "{\"a\":-0.5}", "thresholds.a: expected a number from 0 to 1, got -0.5");
  refused("spacing", "{}", "spacing: expected a list, got an object");
  refused("spacing", "[[1,2]]", "spacing: expected ranges along x, y and z, or none, got 1");
  refused("spacing", "[[1,2],[1,2],[1]]", "spacing.2: expected a list of two numbers, low and high");
  refused("spacing", "[[1,2],[2,1],[1,2]]", "spacing.1: expected two finite numbers, the lower first");
  refused("spacing", "[[1,2],[1,2],[-1,2]]",
          "spacing.2: expected two finite numbers, the lower first, of at least 0");
  refused("intensity", "[[1,null]]", "intensity.0: expected a list of two numbers");
  refused("provenance", "{}", "provenance.seed: expected a whole number of at least 0, got nothing");
  refused("provenance",
          R"({"seed":1,"dataset":"d","data_sha256":"","version":"1","stages":[
            {"name":"a","digest":"","from":"","frozen":false,"steps":1,"constants":[]},
            {"name":"a","digest":"","from":"","frozen":false,"steps":1,"constants":[]}]})",
          "provenance.stages.1.name: expected a name that no other stage has, got a");
  refused("provenance",
          R"({"seed":1,"dataset":"d","data_sha256":"","version":"1","stages":[
            {"name":"a","digest":"","from":"x","frozen":false,"steps":1,"constants":[]}]})",
          "provenance.stages.0.from: expected 64 hexadecimal digits or none, got x");
  const auto stage = [](const std::string& fields) {
    return R"({"seed":1,"dataset":"d","data_sha256":"","version":"1","stages":[{"name":"a","digest":"",)" +
           fields + "}]}";
  };
  refused("provenance", stage(R"("from":"","frozen":true,"steps":0,"constants":[])"),
          "provenance.stages.0.from: expected the digest that a frozen stage was taken from, got none");
  refused("provenance", stage(R"("from":")" + kDigest + R"(","frozen":true,"steps":2,"constants":[])"),
          "provenance.stages.0.steps: expected 0 of a stage that was taken as it was, got 2");
  refused("provenance", stage(R"("from":"","frozen":false,"steps":2,"constants":["shift"])"),
          "constants: expected shift, which provenance.stages.0 has found, got none");
  for (const char* key : {"kind", "format", "method", "plan", "config", "constants", "complete", "axis_codes",
                          "spacing", "intensity", "thresholds", "provenance", "digest"}) {
    SafeTensors file = whole;
    file.metadata.erase(key);
    write_safetensors(path, file);
    expect_error([&] { read_model(path); }, ErrorCode::data,
                 {"[model] " + path + ": " + key + ": expected a field of the metadata, got nothing"});
  }
  expect_error([&] { read_model(folder / "none"); }, ErrorCode::data,
               {"[model] " + (folder / "none") + ": expected a trained model"});
  put_file(path, "not a file of tensors");
  expect_error([&] { read_model(path); }, ErrorCode::data, {path});
}

TEST(ModelFile, WhatCouldNotBeReadIsNotWritten) {
  const TemporaryFolder folder;
  const std::string path = folder / "m.safetensors";
  const auto refused = [&](auto&& change, const std::string& message) {
    ModelFile m = example();
    change(m);
    expect_error([&] { write_model(path, m); }, ErrorCode::internal, {message});
    EXPECT_EQ(folder.entries(), 0u);
  };
  refused([](ModelFile& m) { m.constants["tau_out"] = std::nan(""); },
          "constants.tau_out: expected a finite number, got nan");
  refused([](ModelFile& m) { m.weights["a"] = Tensor::from<float>({1}, {NAN}); },
          "a: expected finite numbers, got nan at [0] of [1]");
  refused([](ModelFile& m) { m.thresholds["a"] = INFINITY; }, "thresholds.a: expected a finite number");
  refused([](ModelFile& m) { m.spacing.pop_back(); }, "spacing: expected ranges along x, y and z");
  refused([](ModelFile& m) { m.intensity[0].low = NAN; }, "intensity.0: expected two finite numbers");
  refused([](ModelFile& m) { m.provenance.stages[1].steps = -1; }, "provenance.stages.1.steps");
  refused([](ModelFile& m) { m.provenance.stages[0].name = ""; }, "provenance.stages.0.name");
}

// With the digest of what is in the file, so that the weights themselves are what is refused.
TEST(ModelFile, WeightsThatAreNotFiniteAreRefusedByName) {
  const TemporaryFolder folder;
  const std::string path = folder / "m.safetensors";
  for (const char* format : {"1", "2"})
    for (const double value : {NAN, INFINITY, -INFINITY}) {
      ModelFile m = example();
      write_model(path, m);
      SafeTensors file = std::string(format) == "1" ? format_1() : read_safetensors(path);
      m.weights["denoiser.bias"] = file.tensors["denoiser.bias"] = Tensor::from<double>({2}, {0, value});
      file.metadata["digest"] = model_digest(m);
      write_safetensors(path, file);
      expect_error([&] { read_model(path); }, ErrorCode::data,
                   {path, cat("denoiser.bias: expected finite numbers, got ", value, " at [1] of [2]")});
    }
}

}  // namespace
}  // namespace voxgrad
