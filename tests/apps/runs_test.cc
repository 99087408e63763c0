// Runs by the command: options of methods, stop and resume, verify.
#include <cstdio>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>

#include "tests/apps/command.h"

namespace voxgrad {
namespace {

using testing::Command;

// The options of a method: its own keys, those of others, and what a prediction may change.
TEST_F(Command, OptionsBelongToMethods) {
  ASSERT_EQ(run("train --method unet --print-config"), 0) << err_;
  EXPECT_NE(out_.find("[prior]"), std::string::npos);
  EXPECT_EQ(out_.find("[sampling]"), std::string::npos);
  ASSERT_EQ(run("phantom " + path("data") + " --cases 4 --size 16 --seed 3"), 0) << err_;
  const std::string few = " --set plan.base_features=4 --max-steps 2 ", unet = "train " + path("data") + few;
  ASSERT_EQ(
      run(unet + "--method unet -o " + path("unet") + " --set denoiser.lambda=1 --set sampling.steps=3"), 0)
      << err_;
  EXPECT_NE(err_.find("denoiser.lambda has no effect for unet"), std::string::npos) << err_;
  EXPECT_NE(err_.find("sampling.steps has no effect for unet"), std::string::npos) << err_;
  const std::string stored = read_text(path("unet/config.toml"));
  EXPECT_EQ(stored.find("denoiser"), std::string::npos) << stored;
  EXPECT_EQ(run("train " + path("data") + " --method unet -o " + path("x") + " --set denoiser.lamda=1"), 2);
  EXPECT_NE(err_.find("denoiser.lamda: expected a known key"), std::string::npos) << err_;

  const std::string predict =
      "predict " + path("unet") + " " + path("data/imagesTr") + " -o " + path("masks");
  EXPECT_EQ(run(predict + " --samples 2 --steps 3"), 0) << err_;
  EXPECT_NE(err_.find("sampling.samples has no effect for unet"), std::string::npos) << err_;
  EXPECT_EQ(run(predict + " --set prior.steps=3"), 2);
  EXPECT_NE(err_.find("prior.steps: is fixed by training"), std::string::npos) << err_;
  EXPECT_EQ(run(predict + " --estimate posterior"), 2);
  EXPECT_NE(err_.find("--estimate: expected one of unet, got posterior"), std::string::npos) << err_;

  ASSERT_EQ(run("train " + path("data") + few + "--method pgrd --from " + path("unet") + ":prior -o " +
                path("pgrd") + " --set sampling.samples=2"),
            0)
      << err_;
  EXPECT_NE(err_.find("prior: taken from " + path("unet")), std::string::npos) << err_;
  ASSERT_EQ(run("predict " + path("pgrd") + " " + path("data/imagesTr") + " -o " + path("out2") +
                " --set sampling.samples=1 --set runtime.winograd=off --estimate prior --estimate pgrd"),
            0)
      << err_;
  for (const char* file :
       {"out2/estimates/prior/phantom_001.nii.gz", "out2/estimates/pgrd/phantom_001.nii.gz"})
    EXPECT_TRUE(std::filesystem::exists(path(file))) << file;
  EXPECT_EQ(run("train " + path("data") + few + "--method pgrd --from " + path("unet") + ":denoiser -o " +
                path("y")),
            2);
  EXPECT_NE(err_.find("model.safetensors (prior)"), std::string::npos) << err_;
  EXPECT_FALSE(std::filesystem::exists(path("y")));
}

// How something is computed is no part of what a run is.
TEST_F(Command, ARunGoesOnWithAnotherRuntime) {
  ASSERT_EQ(run("phantom " + path("data") + " --cases 4 --size 16 --seed 3"), 0) << err_;
  const std::string train = "train " + path("data") + " --method unet -o " + path("run");
  ASSERT_EQ(run(train + " --set plan.base_features=4 --max-steps 3"), 0) << err_;
  std::filesystem::remove(path("run/metrics.json"));  // as if it had been stopped while it was scored
  EXPECT_EQ(run(train + " --resume --max-steps 4"), 2);
  EXPECT_NE(err_.find("got train.max_steps = 4, the run has max_steps = 3"), std::string::npos) << err_;
  ASSERT_EQ(run(train + " --resume --precision bf16 --set runtime.winograd=off"), 0) << err_;
  EXPECT_NE(err_.find("so far, now with"), std::string::npos) << err_;
  const auto manifest = nlohmann::json::parse(read_text(path("run/manifest.json")));
  EXPECT_EQ(manifest["status"], "finished");
  EXPECT_EQ(manifest["runtime"]["precision"], "bf16");
  EXPECT_EQ(manifest["runtime"]["winograd"], false);
  ASSERT_EQ(manifest["starts"].size(), 2u) << "the start and the resumption";
  EXPECT_EQ(manifest["starts"][0]["command"].back(), "3");
  EXPECT_EQ(manifest["starts"][1]["command"].back(), "runtime.winograd=off");
  EXPECT_EQ(manifest["channels"], nlohmann::json({"MRI"}));
  ASSERT_EQ(run("report " + path("run") + " --cases 0 -o " + path("page.html")), 0) << err_;
  const std::string none = read_text(path("page.html"));
  EXPECT_EQ(none.find("class=\"case\""), std::string::npos);
  EXPECT_NE(none.find("plan.base_features=4 --max-steps 3"), std::string::npos) << "the command";
  ASSERT_EQ(run("report " + path("run") + " -o " + path("page.html")), 0) << err_;
  EXPECT_NE(read_text(path("page.html")).find("class=\"case\""), std::string::npos);
  EXPECT_EQ(run("report " + path("run") + " --cases -1 -o " + path("page.html")), 2);
  EXPECT_NE(read_text(path("run/config.toml")).find("precision = \"auto\""), std::string::npos);
}

// What it goes on with is the demo that was asked for.
// A run is what it was started as, even where it was stopped before it had read anything.
TEST_F(Command, ARunStoppedWhileItReadsItsDataKeepsItsSettings) {
  ASSERT_EQ(run("phantom " + path("data") + " --cases 4 --size 16 --seed 3"), 0) << err_;
  const std::string train = "train " + path("data") + " -o " + path("run");
  ASSERT_EQ(
      run(train + " --method unet --seed 7 --max-steps 3 --set plan.base_features=4 --max-minutes 1e-9"), 0);
  EXPECT_NE(err_.find("stopped at reading the data; --resume goes on"), std::string::npos) << err_;
  ASSERT_EQ(run(train + " --method unet --resume --print-config"), 0) << err_;
  EXPECT_NE(out_.find("max_steps = 3\n"), std::string::npos) << out_;
  EXPECT_EQ(run("train " + path("data") + " -o " + path("run") + " --method unet --resume"), 2);
  EXPECT_NE(err_.find("was started with --seed 7, not 1"), std::string::npos) << err_;
  ASSERT_EQ(run(train + " --method unet --seed 7 --resume"), 0) << err_;
  EXPECT_EQ(nlohmann::json::parse(read_text(path("run/manifest.json")))["status"], "finished");
}

TEST_F(Command, VerifyTellsWhatIsNotWhatTheRunLeft) {
  ASSERT_EQ(run("phantom " + path("data") + " --cases 4 --size 16 --seed 3"), 0) << err_;
  ASSERT_EQ(run("train " + path("data") + " -o " + path("run") +
                " --max-steps 2 --set plan.base_features=4 --set sampling.samples=2"),
            0)
      << err_;
  ASSERT_EQ(run("verify " + path("run")), 0) << out_ << err_;
  EXPECT_NE(out_.find(", all right"), std::string::npos) << out_;
  for (const char* file : {"model.safetensors", "config.toml", "checkpoint.safetensors", "log.jsonl",
                           "metrics.json", "metrics-pgrd.csv"})
    EXPECT_NE(out_.find("ok           " + path("run/") + file), std::string::npos) << file << "\n" << out_;
  ASSERT_EQ(run("verify " + path("run/model.safetensors")), 0) << out_ << err_;
  EXPECT_EQ(run("verify " + path("nothing")), 3);
  EXPECT_EQ(run("verify " + path("data")), 3) << out_;

  // The exit code where a file is changed; then the file is put back.
  const auto with = [&](const std::string& file, const std::function<void(std::string&)>& change,
                        const std::string& what = "run") {
    const std::string whole = read_text(path(file));
    std::string changed = whole;
    change(changed);
    EXPECT_NE(changed, whole) << file;
    write_text(path(file), changed);
    const int code = run("verify " + path(what));
    write_text(path(file), whole);
    return code;
  };
  const auto last_bit = [](std::string& bytes) { bytes.back() = static_cast<char>(bytes.back() ^ 1); };
  const auto replace = [](const std::string& from, const std::string& to) {
    return [from, to](std::string& text) {
      const size_t at = text.find(from);
      ASSERT_NE(at, std::string::npos) << from;
      text.replace(at, from.size(), to);
    };
  };
  EXPECT_EQ(with("run/model.safetensors", last_bit), 8);
  EXPECT_NE(out_.find("WRONG        " + path("run/model.safetensors: digest of weights")), std::string::npos)
      << out_;
  EXPECT_EQ(with("run/model.safetensors", last_bit, "run/model.safetensors"), 8);
  EXPECT_EQ(with("run/model.safetensors", replace("samples = 2", "samples = 3")), 8) << "beside the digest";
  EXPECT_EQ(with("run/model.safetensors", replace("samples = 2", "samples = 0"), "run/model.safetensors"), 3)
      << "out of range";
  EXPECT_EQ(with("run/model.safetensors", [](std::string& bytes) { bytes.resize(bytes.size() / 2); }), 3);
  EXPECT_NE(out_.find("UNREADABLE"), std::string::npos) << out_;
  EXPECT_EQ(with("run/checkpoint.safetensors", last_bit), 8);
  EXPECT_EQ(with("run/config.toml", replace("max_steps = 2", "max_steps = 3")), 8);
  EXPECT_EQ(with("run/metrics.json", replace("\"nll\": 0.", "\"nll\": 1.")), 8);
  EXPECT_EQ(with("run/metrics-pgrd.csv", replace("phantom_", "fandom__")), 8);
  EXPECT_EQ(with("run/manifest.json", replace("\"seed\": 1", "\"seed\": 2")), 8);
  EXPECT_EQ(with("run/manifest.json", replace("\"seed\": 1", "\"seed\": -1")), 3);
  EXPECT_EQ(
      with("run/log.jsonl", replace("\"stage\":\"prior\",\"step\":2", "\"stage\":\"prior\",\"step\":9")), 8);
  EXPECT_EQ(with("run/log.jsonl", replace("\"step\":2", "\"step\":-2")), 3);
  std::filesystem::remove(path("run/checkpoint.safetensors"));
  EXPECT_EQ(run("verify " + path("run")), 8);
  EXPECT_NE(out_.find("expected in a finished run, found no such file"), std::string::npos) << out_;
}

// Without a case to fit the calibration the scores say so, and so does the log.
TEST_F(Command, ARunWithoutCalibrationCasesSaysSo) {
  ASSERT_EQ(run("phantom " + path("data") + " --cases 2 --size 16 --raters 1"), 0) << err_;
  ASSERT_EQ(run("train " + path("data") + " --method unet -o " + path("run") +
                " --set plan.base_features=4 --max-steps 2"),
            0)
      << err_;
  EXPECT_NE(err_.find("warning: no case is left to fit the calibration"), std::string::npos) << err_;
  EXPECT_NE(read_text(path("run/metrics.json")).find("Not calibrated"), std::string::npos);
}

// What cannot be prepared is found before the first step, in a scored case too.
TEST_F(Command, AScoredCaseThatCannotBeNormalisedStopsBeforeTraining) {
  ASSERT_EQ(run("phantom " + path("data") + " --cases 4 --size 16 --raters 1"), 0) << err_;
  std::string json = read_text(path("data/dataset.json"));
  json.replace(json.find("MRI"), 3, "rgb_to_0_1");
  write_text(path("data/dataset.json"), json);
  for (const std::string& file : list_folder(path("data/imagesTr"))) {
    NiftiHeader h;
    Tensor v = read_volume(path("data/imagesTr/" + file), &h).clone();
    const bool scored = file.starts_with("phantom_004");  // fold 0 of four cases leaves out the last
    for (int64_t i = 0; i < v.numel(); ++i)
      v.mutable_data<float>()[i] = static_cast<float>(i % 256 + 45 * scored);
    write_volume(path("data/imagesTr/" + file), h, v.view(0, {v.dim(1), v.dim(2), v.dim(3)}));
  }
  EXPECT_EQ(run("train " + path("data") + " --method unet -o " + path("run") +
                " --set plan.base_features=4 --max-steps 2"),
            3);
  EXPECT_NE(
      err_.find("case phantom_004: channel 0 (rgb_to_0_1): expected values from 0 to 255, got 45 to 300"),
      std::string::npos)
      << err_;
  EXPECT_EQ(err_.find("prior 1/2"), std::string::npos) << err_;
  EXPECT_FALSE(file_exists(path("run/manifest.json")));
}

// A stage is taken by a run of the same axes and normalisation alone.
TEST_F(Command, AStageOfAnotherPreparationIsRefused) {
  ASSERT_EQ(run("phantom " + path("data") + " --cases 4 --size 16 --raters 1"), 0) << err_;
  const std::string train = "train " + path("data") + " --method unet --max-steps 2 -o ";
  ASSERT_EQ(run("plan " + path("data") + " --no-estimate --set plan.base_features=4 -o " + path("plan.toml")),
            0);
  ASSERT_EQ(run(train + path("source") + " --plan " + path("plan.toml")), 0) << err_;
  const auto taken = [&](const std::string& from, const std::string& to) {
    std::string text = read_text(path("plan.toml"));
    text.replace(text.find(from), from.size(), to);
    write_text(path("other.toml"), text);
    return run(train + path("run") + " --from " + path("source") + ":prior --plan " + path("other.toml"));
  };
  EXPECT_EQ(taken("\"RAS\"", "\"LPS\""), 2);
  EXPECT_NE(err_.find("expected the same axes"), std::string::npos) << err_;
  EXPECT_EQ(taken("\"zscore\"", "\"none\""), 2);
  EXPECT_NE(err_.find("expected the same normalisation"), std::string::npos) << err_;
  EXPECT_EQ(taken("\"RAS\"", "\"RAS\""), 0) << err_;
}

// Files of others beside the maps of a scored case stay.
TEST_F(Command, ScoringAgainRemovesItsOwnMapsAlone) {
  ASSERT_EQ(run("phantom " + path("data") + " --cases 4 --size 16 --raters 1"), 0) << err_;
  const std::string train =
      "train " + path("data") + " --method unet --set plan.base_features=4 --max-steps 2 -o " + path("run");
  ASSERT_EQ(run(train), 0) << err_;
  const std::string folder = path("run/validation/phantom_004");
  ASSERT_TRUE(file_exists(folder + "/mask.nii.gz"));
  EXPECT_FALSE(file_exists(folder + "/mutual_information.nii.gz")) << "unet draws no samples";
  std::filesystem::create_directory(folder + "/mine");
  write_text(folder + "/mine.txt", "mine");
  write_text(folder + "/sample_9.nii.gz", "of an earlier scoring");
  std::filesystem::remove(path("run/metrics.json"));
  ASSERT_EQ(run(train + " --resume"), 0) << err_;
  EXPECT_TRUE(file_exists(folder + "/mine.txt") && std::filesystem::exists(folder + "/mine"));
  EXPECT_FALSE(file_exists(folder + "/sample_9.nii.gz"));
  EXPECT_TRUE(file_exists(folder + "/mask.nii.gz"));
}

}  // namespace
}  // namespace voxgrad
