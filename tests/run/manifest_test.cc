// manifest.json there and back, manifests of format 1, and what is refused.
#include "run/manifest.h"

#include <cmath>
#include <regex>

#include "io/file.h"
#include "io/system_info.h"
#include "tests/io/testing.h"

namespace voxgrad {
namespace {

using nlohmann::json;
using testing::expect_error;
using testing::put_file;
using testing::TemporaryFolder;

const std::string kDigest(64, 'a');

Manifest full() {
  Manifest m;
  m.status = "stopped at step 3 of 10 of prior";
  m.method = "pgrd";
  m.seed = UINT64_MAX;
  m.config_sha256 = std::string(64, '1');
  m.dataset_folder = "/data/hippocampus";
  m.from = "a:prior b:denoiser:train";
  m.starts = {{"2026-11-28T15:54:16Z", {"voxgrad", "train", "a folder", "-o", "run"}},
              {"2026-11-29T01:02:03Z", {}}};
  m.dataset = "hippocampus";
  m.modality = "mri";
  m.channels = {"T1", "PET"};
  m.split = "Fold 0: 40 training cases.";
  m.data_sha256 = std::string(64, 'd');
  m.constants = {{"residual_sd", 0.1}, {"tau_out", 1.0 / 3}};
  m.stages = {{"prior", kDigest, kDigest, true, 0}, {"denoiser", "", "", false, 3}};
  m.parameters = 1234567;
  m.seconds = 12.5;
  m.scored_sha256 = std::string(64, '2');
  m.scores_sha256 = std::string(64, '3');
  m.model_sha256 = std::string(64, 'e');
  m.model_digest = std::string(64, 'f');
  m.prepared_data = "/cache";
  m.runtime = {"avx512", false, "openblas", "bf16", "cuda:1"};
  m.threads = 3;
  m.device_text = "cuda:1 a device\nCUDA driver 12.4";
  m.convolutions = "a report";
  m.graphs = true;
  m.device_memory_peak = uint64_t{5} << 30;
  m.machine = machine_record();
  return m;
}

void expect_equal(const Manifest& a, const Manifest& b) {
  EXPECT_EQ(a.format, b.format);
  EXPECT_EQ(a.status, b.status);
  EXPECT_EQ(a.method, b.method);
  EXPECT_EQ(a.seed, b.seed);
  EXPECT_EQ(a.dataset, b.dataset);
  EXPECT_EQ(a.modality, b.modality);
  EXPECT_EQ(a.split, b.split);
  EXPECT_EQ(a.config_sha256, b.config_sha256);
  EXPECT_EQ(a.dataset_folder, b.dataset_folder);
  EXPECT_EQ(a.from, b.from);
  EXPECT_EQ(a.starts, b.starts);
  EXPECT_EQ(a.channels, b.channels);
  EXPECT_EQ(a.data_sha256, b.data_sha256);
  EXPECT_EQ(a.scored_sha256, b.scored_sha256);
  EXPECT_EQ(a.scores_sha256, b.scores_sha256);
  EXPECT_EQ(a.constants, b.constants);
  EXPECT_EQ(a.stages, b.stages);
  EXPECT_EQ(a.parameters, b.parameters);
  EXPECT_EQ(a.seconds, b.seconds);
  EXPECT_EQ(a.model_sha256, b.model_sha256);
  EXPECT_EQ(a.model_digest, b.model_digest);
  EXPECT_EQ(a.prepared_data, b.prepared_data);
  EXPECT_EQ(a.runtime, b.runtime);
  EXPECT_EQ(a.threads, b.threads);
  EXPECT_EQ(a.device_text, b.device_text);
  EXPECT_EQ(a.convolutions, b.convolutions);
  EXPECT_EQ(a.graphs, b.graphs);
  EXPECT_EQ(a.device_memory_peak, b.device_memory_peak);
  EXPECT_EQ(a.machine, b.machine);
}

TEST(Manifest, WhatIsWrittenIsRead) {
  const TemporaryFolder folder;
  const std::string path = folder / "manifest.json", again = folder / "again.json";
  for (const Manifest& m : {full(), Manifest{}}) {
    write_manifest(path, m);
    const Manifest read = read_manifest(path);
    expect_equal(read, m);
    write_manifest(again, read);
    EXPECT_EQ(read_text(again), read_text(path));
  }
  EXPECT_EQ(folder.entries(), 2u);
}

TEST(Manifest, TheFileIsSortedAndIndented) {
  const TemporaryFolder folder;
  Manifest m;
  m.status = "running";
  m.method = "\xff";  // no UTF-8
  write_manifest(folder / "manifest.json", m);
  EXPECT_EQ(read_text(folder / "manifest.json"), R"({
  "constants": {},
  "data_sha256": "",
  "dataset": "",
  "format": 2,
  "method": ")"
                                                 "\xef\xbf\xbd"
                                                 R"(",
  "modality": "",
  "parameters": 0,
  "runtime": {
    "device": "",
    "gemm": "auto",
    "instruction_set": "",
    "nondeterministic": false,
    "precision": "",
    "winograd": true
  },
  "seconds": 0.0,
  "seed": 0,
  "split": "",
  "stages": [],
  "status": "running",
  "threads": 0
}
)");
  // On a CUDA device it is said that there are no graphs.
  m.device_text = "cuda:0";
  write_manifest(folder / "manifest.json", m);
  EXPECT_NE(read_text(folder / "manifest.json").find("\"graphs\": false"), std::string::npos);
}

TEST(Manifest, ANumberThatIsNotFiniteIsNull) {
  const TemporaryFolder folder;
  Manifest m;
  m.constants = {{"tau_out", std::nan("")}};
  write_manifest(folder / "m", m);
  EXPECT_NE(read_text(folder / "m").find("\"tau_out\": null"), std::string::npos);
  EXPECT_TRUE(std::isnan(read_manifest(folder / "m").constants.at("tau_out")));
}

TEST(Manifest, ReadsFormat1) {
  const TemporaryFolder folder;
  put_file(folder / "cpu", R"({"voxgrad": "0.1.0", "compiler": "g++ 12.2.0", "build": "release",
    "kernels": "avx2", "winograd": false, "libraries": {"zlib": "1.2.13"}, "system": {"cpu": "a CPU"},
    "status": "finished", "method": "pgrd", "dataset": "old", "modality": "ct", "seed": 3, "split": "Fold 0.",
    "data_sha256": "d", "constants": {"tau_out": 0.25}, "seconds": 60.5, "parameters": 17, "threads": 4,
    "model_sha256": ")" + kDigest +
                               "\"}");
  const Manifest cpu = read_manifest(folder / "cpu");
  Manifest expected;
  expected.format = 1;
  expected.status = "finished";
  expected.method = "pgrd";
  expected.dataset = "old";
  expected.modality = "ct";
  expected.seed = 3;
  expected.split = "Fold 0.";
  expected.data_sha256 = "d";
  expected.constants = {{"tau_out", 0.25}};
  expected.seconds = 60.5;
  expected.parameters = 17;
  expected.threads = 4;
  expected.model_sha256 = kDigest;
  expected.runtime = {"avx2", false, "auto", "", "cpu"};
  expected.machine = json{{"voxgrad", "0.1.0"},
                          {"compiler", "g++ 12.2.0"},
                          {"build", "release"},
                          {"libraries", {{"zlib", "1.2.13"}}},
                          {"system", {{"cpu", "a CPU"}}}};
  expect_equal(cpu, expected);

  put_file(folder / "cuda", R"({"kernels": "avx512", "device": "cuda:1 a device\nCUDA driver 12.4",
    "convolutions": "a report", "graphs": true, "device_memory_peak": 1024})");
  const Manifest cuda = read_manifest(folder / "cuda");
  EXPECT_EQ(cuda.runtime, (RuntimeRecord{"avx512", true, "auto", "", "cuda:1"}));
  EXPECT_EQ(cuda.device_text, "cuda:1 a device\nCUDA driver 12.4");
  EXPECT_EQ(cuda.convolutions, "a report");
  EXPECT_TRUE(cuda.graphs);
  EXPECT_EQ(cuda.device_memory_peak, 1024u);
  put_file(folder / "empty", "{}");
  EXPECT_EQ(read_manifest(folder / "empty").format, 1);
}

TEST(Manifest, DamageIsNamedWithFileAndField) {
  const TemporaryFolder folder;
  const std::string path = folder / "manifest.json";
  const std::pair<std::string, std::string> wrong[] = {
      {"{", "expected JSON, got: parse error"},
      {"[]", "expected a JSON object, got a list"},
      {R"({"format": 3, "seed": "x"})", "format: expected 2, got 3"},
      {R"({"format": "2"})", "format: expected 2, got \"2\""},
      {R"({"format": 2, "status": 1})", "status: expected text, got 1"},
      {R"({"format": 2, "seed": -1})", "seed: expected a whole number of at least 0, got -1"},
      {R"({"format": 2, "seconds": "long"})", "seconds: expected a finite number, got \"long\""},
      {R"({"format": 2, "seconds": null})", "seconds: expected a finite number, got null"},
      {R"({"format": 2, "seconds": -1.5})", "seconds: expected a number of at least 0, got -1.5"},
      {R"({"format": 2, "model_sha256": "e"})",
       "model_sha256: expected 64 hexadecimal digits or none, got e"},
      {R"({"format": 2, "model_digest": "E"})",
       "model_digest: expected 64 hexadecimal digits or none, got E"},
      {R"({"format": 2, "config_sha256": "e"})",
       "config_sha256: expected 64 hexadecimal digits or none, got e"},
      {R"({"format": 2, "scores_sha256": "e"})",
       "scores_sha256: expected 64 hexadecimal digits or none, got e"},
      {R"({"format": 2, "scored_sha256": 1})", "scored_sha256: expected text, got 1"},
      {R"({"format": 2, "dataset_folder": 1})", "dataset_folder: expected text, got 1"},
      {R"({"format": 2, "from": []})", "from: expected text, got a list"},
      {R"({"format": 2, "channels": ["a", 1]})", "channels.1: expected text, got 1"},
      {R"({"format": 2, "starts": {}})", "starts: expected a list, got an object"},
      {R"({"format": 2, "starts": [{"command": []}]})", "starts.0.date: expected text, got nothing"},
      {R"({"format": 2, "starts": [{"date": "", "command": [1]}]})",
       "starts.0.command.0: expected text, got 1"},
      {R"({"format": 2, "constants": []})", "constants: expected an object, got a list"},
      {R"({"format": 2, "constants": {"a": "b"}})", "constants.a: expected a number, got \"b\""},
      {R"({"format": 2, "parameters": 1.5})", "parameters: expected a whole number of at least 0, got 1.5"},
      {R"({"format": 2, "threads": 4294967296})",
       "threads: expected a whole number of at least 0 and at most"},
      {R"({"format": 2, "graphs": 0})", "graphs: expected true or false, got 0"},
      {R"({"format": 2, "runtime": "avx2"})", "runtime: expected an object, got \"avx2\""},
      {R"({"format": 2, "runtime": {"device": 0}})", "runtime.device: expected text, got 0"},
      {R"({"format": 2, "machine": 1})", "machine: expected an object, got 1"},
      {R"({"format": 2, "stages": {}})", "stages: expected a list, got an object"},
      {R"({"format": 2, "stages": [1]})", "stages.0: expected a JSON object, got 1"},
      {R"({"format": 2, "stages": [{"name": "a"}]})", "stages.0.digest: expected text, got nothing"},
      {R"({"format": 2, "stages": [{"name": "a", "digest": "zz", "from": "", "frozen": false, "steps": 1, "constants": []}]})",
       "stages.0.digest: expected 64 hexadecimal digits or none, got zz"},
      {R"({"format": 2, "stages": [{"name": "a", "digest": "", "from": "", "frozen": false, "steps": -1, "constants": []}]})",
       "stages.0.steps: expected a whole number of at least 0, got -1"},
      {R"({"kernels": 5})", "kernels: expected text, got 5"}};
  for (const auto& [text, message] : wrong) {
    put_file(path, text);
    expect_error([&] { read_manifest(path); }, ErrorCode::data, {"[manifest] " + path + ": " + message});
  }
  expect_error([&] { read_manifest(folder / "none"); }, ErrorCode::data, {folder / "none"});
}

TEST(StartRecord, IsOfNow) {
  const StartRecord start = start_now({"voxgrad", "train"});
  EXPECT_TRUE(std::regex_match(
      start.date, std::regex("20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9]Z")))
      << start.date;
  EXPECT_EQ(start.command, (std::vector<std::string>{"voxgrad", "train"}));
}

TEST(RuntimeRecord, ThereAndBack) {
  const RuntimeRecord r{"avx2", false, "auto", "tf32", "cuda:0"};
  EXPECT_EQ(runtime_record_from_json(to_json(r), "x"), r);
  EXPECT_EQ(runtime_record_from_json(json::object(), "x"), RuntimeRecord{});
  expect_error(
      [] {
        runtime_record_from_json(json{{"winograd", "yes"}}, "[log] F:1");
      },
      ErrorCode::data, {"[log] F:1: winograd: expected true or false, got \"yes\""});
  expect_error([] { runtime_record_from_json(json::array(), "[log] F:1"); }, ErrorCode::data,
               {"[log] F:1: expected a JSON object, got a list"});
}

TEST(MachineRecord, HasBuildAndMachineAndNoSettings) {
  const json m = machine_record();
  EXPECT_EQ(m["system"]["logical_cpus"], system_info().logical_cpus);
  EXPECT_EQ(m["voxgrad"], build_info().version);
  EXPECT_TRUE(m["libraries"].contains("zlib"));
  EXPECT_EQ(m.value("commit", ""), build_info().commit) << "left out where it is not known";
  EXPECT_FALSE(m.contains("kernels"));
  EXPECT_FALSE(m.contains("winograd"));
  std::map<std::string, std::string> facts;
  for (const auto& [name, value] : machine_facts(m)) facts[name] = value;
  EXPECT_EQ(facts.at("Compiler"), build_info().compiler);
  EXPECT_NE(facts.at("Machine").find(" CPUs"), std::string::npos);
  EXPECT_NE(facts.at("Libraries").find("zlib "), std::string::npos);
  EXPECT_TRUE(machine_facts(json()).empty());
  EXPECT_TRUE(machine_facts(json{{"system", 3}, {"libraries", "x"}}).empty());
}

}  // namespace
}  // namespace voxgrad
