// A newcomer's way through the command: what it says of itself, of runs and models, and what to run next.
#include <filesystem>
#include <nlohmann/json.hpp>
#include <thread>

#include "apps/progress.h"
#include "tests/apps/command.h"

namespace voxgrad {
namespace {

using nlohmann::json;
using testing::Command;

TEST_F(Command, AloneItSaysWhatItIs) {
  ASSERT_EQ(run(""), 0) << err_;
  for (const char* part :
       {"segmentation", "Prior-Guided Residual Diffusion", "voxgrad demo", "voxgrad help train"})
    EXPECT_NE(out_.find(part), std::string::npos) << part << "\n" << out_;
  EXPECT_EQ(err_, "");
}

TEST_F(Command, HelpHasExamplesExitCodesAndEnvironment) {
  ASSERT_EQ(run("--help"), 0);
  for (const char* part : {"Exit codes:", "2 wrong usage", "Environment:", "VOXGRAD_CACHE", "--quiet"})
    EXPECT_NE(out_.find(part), std::string::npos) << part << "\n" << out_;
  const std::string all = out_;
  ASSERT_EQ(run("help"), 0);
  EXPECT_EQ(out_, all);
  // Every subcommand has an example of itself.
  for (const char* verb : {"phantom", "check", "plan", "train", "predict", "demo", "evaluate", "report",
                           "runs", "verify", "cache", "bench", "image", "info", "help", "version"}) {
    EXPECT_NE(all.find(std::string("  ") + verb + " "), std::string::npos) << verb;
    ASSERT_EQ(run(std::string("help ") + verb), 0) << verb << err_;
    EXPECT_NE(out_.find(std::string("Examples:\n  voxgrad ") + verb), std::string::npos) << out_;
    const std::string help = out_;
    ASSERT_EQ(run(std::string(verb) + " --help"), 0);
    EXPECT_EQ(out_, help) << verb;
  }
}

TEST_F(Command, TheVersionHasThreeNames) {
  ASSERT_EQ(run("--version"), 0);
  const std::string version = out_;
  EXPECT_EQ(version.rfind("voxgrad ", 0), 0u);
  for (const char* name : {"-V", "version"}) {
    ASSERT_EQ(run(name), 0) << err_;
    EXPECT_EQ(out_, version) << name;
  }
}

TEST_F(Command, WhatIsMisspeltIsSuggested) {
  const auto suggests = [&](const std::string& arguments, const std::string& suggestion) {
    EXPECT_EQ(run(arguments), 2) << arguments;
    EXPECT_NE(err_.find("did you mean " + suggestion + "?"), std::string::npos) << arguments << ": " << err_;
  };
  suggests("trian data", "train");
  suggests("help evalute", "evaluate");
  suggests("predict r i -o o --save-probabilites", "--save-probabilities");
  suggests("image a --jsn", "--json");
  suggests("train d -o r --thread 2", "--threads");
  EXPECT_EQ(run("xyzzy"), 2);
  EXPECT_EQ(err_.find("did you mean"), std::string::npos) << err_;
  EXPECT_NE(err_.find("voxgrad --help"), std::string::npos) << err_;
  EXPECT_EQ(run("train d --xyzzyplugh 3 -o r"), 2);
  EXPECT_EQ(err_.find("did you mean"), std::string::npos) << err_;
}

/// A small run of pgrd.
class Verbs : public Command {
 protected:
  void SetUp() override {
    ASSERT_EQ(run("phantom " + path("data") + " --cases 4 --size 16 --raters 1"), 0) << err_;
    ASSERT_EQ(run("train " + path("data") + " -o " + path("runs/one") + few_), 0) << err_;
    trained_ = err_;
  }
  std::string predict(const std::string& what) const { return "predict " + path("runs/one") + " " + what; }
  std::string few_ = " --set plan.base_features=4 --max-steps 2 --set sampling.samples=3";
  std::string trained_;
};

TEST_F(Verbs, InfoShowsARunAndItsModel) {
  ASSERT_EQ(run("info " + path("runs/one") + " --json"), 0) << err_;
  const json of_run = json::parse(out_);
  EXPECT_EQ(of_run["run"]["status"], "finished");
  EXPECT_EQ(of_run["model"]["method"], "pgrd");
  EXPECT_EQ(of_run["model"]["complete"], true);
  EXPECT_EQ(of_run["model"]["plan"]["features"][0], 4);
  EXPECT_EQ(of_run["model"]["stages"].size(), 2u);
  EXPECT_TRUE(of_run["model"]["constants"].contains("residual_sd"));
  const json manifest = json::parse(read_text(path("runs/one/manifest.json")));
  EXPECT_EQ(of_run["model"]["digest"], manifest["model_digest"]);
  EXPECT_EQ(of_run["scores"].back()["key"], "pgrd");
  const json metrics = json::parse(read_text(path("runs/one/metrics.json")));
  EXPECT_EQ(of_run["scores"].back()["nll"], metrics["rows"].back()["metrics"]["mean"]["nll"]);
  ASSERT_EQ(run("info " + path("runs/one/model.safetensors") + " --json"), 0) << err_;
  const json of_model = json::parse(out_);
  EXPECT_EQ(of_model["model"], of_run["model"]);
  EXPECT_FALSE(of_model.contains("run"));

  ASSERT_EQ(run("info " + path("runs/one")), 0) << err_;
  for (const char* part : {"status          finished", "prior 2 steps, denoiser 2 steps", "lesion",
                           "residual_sd", "Dice 0.", "as fractions"})
    EXPECT_NE(out_.find(part), std::string::npos) << part << "\n" << out_;
  EXPECT_EQ(run("info " + path("data")), 3);
  EXPECT_NE(err_.find("expected a run folder or a model"), std::string::npos) << err_;
  EXPECT_EQ(run("info " + path("nowhere")), 3);
}

TEST_F(Verbs, RunsListsWhatAFolderHolds) {
  ASSERT_EQ(
      run("train " + path("data") + " --method unet -o " + path("runs/two") + few_ + " --max-minutes 1e-9"),
      0)
      << err_;
  std::filesystem::create_directories(path("runs/broken"));
  write_text(path("runs/broken/manifest.json"), "{");
  std::filesystem::create_directories(path("runs/no-run"));
  ASSERT_EQ(run("runs " + path("runs") + " --json"), 0) << err_;
  const json rows = json::parse(out_);
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[0]["name"], "broken");
  EXPECT_TRUE(rows[0].contains("error"));
  EXPECT_EQ(rows[1]["name"], "one");
  EXPECT_EQ(rows[1]["status"], "finished");
  EXPECT_EQ(rows[1]["stages"], json::parse(R"([{"name":"prior","steps":2},{"name":"denoiser","steps":2}])"));
  const json metrics = json::parse(read_text(path("runs/one/metrics.json")));
  EXPECT_EQ(rows[1]["scores"]["ece"], metrics["rows"].back()["metrics"]["mean"]["ece_top15"]);
  EXPECT_EQ(rows[2]["method"], "unet");
  EXPECT_EQ(rows[2]["status"], "stopped at reading the data");
  EXPECT_TRUE(rows[2]["scores"].empty());
  ASSERT_EQ(run("runs " + path("runs")), 0) << err_;
  EXPECT_NE(out_.find("2 + 2"), std::string::npos) << out_;
  EXPECT_NE(out_.find("cannot be read"), std::string::npos) << out_;
  ASSERT_EQ(run("runs " + path("data")), 0) << err_;
  EXPECT_NE(out_.find("no runs"), std::string::npos) << out_;
  EXPECT_EQ(run("runs " + path("nowhere")), 3);
  std::filesystem::create_directories(path("others/of-another-program"));
  write_text(path("others/of-another-program/manifest.json"), "{\"files\": []}");
  ASSERT_EQ(run("runs " + path("others")), 0) << err_;
  EXPECT_NE(out_.find("no runs"), std::string::npos) << out_;
}

TEST_F(Verbs, WhatToRunNextIsSaidUnlessItIsQuiet) {
  const std::string one = path("runs/one"), labels = path("data/labelsTr"), images = path("data/imagesTr");
  EXPECT_NE(trained_.find("run next: voxgrad report " + one), std::string::npos) << trained_;
  EXPECT_NE(trained_.find("run next: voxgrad predict " + one), std::string::npos) << trained_;
  ASSERT_EQ(run(predict(images + " -o '" + path("the out") + "'")), 0) << err_;
  EXPECT_NE(err_.find("run next: voxgrad evaluate --truth LABELS --prediction '" + path("the out") + "'"),
            std::string::npos)
      << err_;
  ASSERT_EQ(run("evaluate --truth " + labels + " --prediction '" + path("the out") + "'"), 0) << err_;
  EXPECT_NE(err_.find("run next: voxgrad predict RUN IMAGES -o OUT --save-probabilities"), std::string::npos)
      << err_;
  ASSERT_EQ(run("plan " + path("data") + " --no-estimate -o " + path("plan.toml")), 0) << err_;
  EXPECT_NE(err_.find("run next: voxgrad train " + path("data") + " --plan " + path("plan.toml")),
            std::string::npos)
      << err_;
  for (const std::string& quiet :
       {"train " + path("data") + " -o " + path("quiet") + few_ + " --quiet",
        "-q " + predict(images + " -o " + path("q")), "plan " + path("data") + " --quiet"}) {
    ASSERT_EQ(run(quiet), 0) << err_;
    // Warnings stay: so short a training does not calibrate the prior.
    std::istringstream lines(err_);
    for (std::string line; std::getline(lines, line);)
      EXPECT_NE(line.find("warning: the fit of "), std::string::npos) << quiet << "\n" << err_;
  }
}

TEST_F(Verbs, EvaluateScoresASubsetAndTwoFiles) {
  ASSERT_EQ(run(predict(path("data/imagesTr/phantom_001_0000.nii.gz") + " -o " + path("masks") +
                        " --save-probabilities")),
            0)
      << err_;
  const std::string folders = "evaluate --truth " + path("data/labelsTr") + " --prediction " + path("masks");
  EXPECT_EQ(run(folders), 3);
  EXPECT_NE(err_.find("--only-predicted"), std::string::npos) << err_;
  ASSERT_EQ(run(folders + " --only-predicted --json -o " + path("metrics.json")), 0) << err_;
  const json subset = json::parse(out_);
  EXPECT_EQ(out_, read_text(path("metrics.json")));
  EXPECT_EQ(err_.find("run next"), std::string::npos) << err_;
  ASSERT_EQ(run(folders + " --only-predicted"), 0) << err_;
  EXPECT_NE(out_.find("\n1 of 4 cases: the others have no prediction\n"), std::string::npos) << out_;
  EXPECT_EQ(subset["without_prediction"], 3);
  EXPECT_EQ(subset["cases"].size(), 1u);
  EXPECT_NE(err_.find("1 of 4 cases scored; 3 without a prediction left out"), std::string::npos) << err_;
  // A profile of a challenge adds its scores. The phantom has three classes, so it has none.
  EXPECT_EQ(run(folders + " --only-predicted --profile curvas"), 2);
  EXPECT_EQ(run(folders + " --only-predicted --profile curvas-2025"), 3);
  EXPECT_NE(err_.find("masks/probabilities/phantom_001.nii.gz: expected 2 classes"), std::string::npos)
      << err_;

  std::filesystem::create_directories(path("else/probabilities"));
  std::filesystem::copy_file(path("masks/phantom_001.nii.gz"), path("else/mine.nii.gz"));
  std::filesystem::copy_file(path("masks/probabilities/phantom_001.nii.gz"),
                             path("else/probabilities/mine.nii.gz"));
  ASSERT_EQ(run("evaluate --json --truth " + path("data/labelsTr/phantom_001.nii.gz") + " --prediction " +
                path("else/mine.nii.gz")),
            0)
      << err_;
  const json pair = json::parse(out_);
  EXPECT_EQ(pair["cases"], subset["cases"]);
  EXPECT_TRUE(pair["mean"].contains("nll"));
  EXPECT_FALSE(pair.contains("without_prediction"));
  EXPECT_EQ(run("evaluate --truth " + path("data/labelsTr") + " --prediction " + path("else/mine.nii.gz")),
            2);
  EXPECT_EQ(run("evaluate --truth " + path("data/labelsTr/phantom_001.nii.gz") + " --prediction " +
                path("no.nii.gz")),
            3);
  std::filesystem::create_directories(path("empty"));
  EXPECT_EQ(
      run("evaluate --only-predicted --truth " + path("data/labelsTr") + " --prediction " + path("empty")),
      3);
}

TEST_F(Verbs, ADryRunSaysWhatWouldBeDoneAndWritesNothing) {
  ASSERT_EQ(run(predict(path("data/imagesTr") + " -o " + path("masks") + " --dry-run --steps 2")), 0) << err_;
  for (const char* part :
       {"phantom_003: 16 x 16 x 16 voxels, 1 window\n", "4 cases; each window is evaluated 7 times",
        "M = 3, S = 2", "estimate: ", " MiB of memory", "nothing was written"})
    EXPECT_NE(out_.find(part), std::string::npos) << part << "\n" << out_;
  EXPECT_FALSE(std::filesystem::exists(path("masks")));
  write_text(path("broken.nii.gz"), "no image");
  EXPECT_EQ(run(predict(path("data/imagesTr") + " " + path("broken.nii.gz") + " -o " + path("masks") +
                        " --dry-run")),
            3);
  EXPECT_NE(err_.find(path("broken.nii.gz")), std::string::npos) << err_;
  // A header that is sound says nothing of the voxels behind it.
  const std::string whole = read_text(path("data/imagesTr/phantom_002_0000.nii.gz"));
  write_text(path("cut.nii.gz"), whole.substr(0, whole.size() / 2));
  EXPECT_EQ(run(predict(path("data/imagesTr/phantom_001_0000.nii.gz") + " " + path("cut.nii.gz") + " -o " +
                        path("masks") + " --dry-run")),
            3);
  EXPECT_NE(err_.find(path("cut.nii.gz")), std::string::npos) << err_;
  EXPECT_EQ(run(predict("-o " + path("masks") + " --dry-run")), 2);
  EXPECT_EQ(run(predict(path("data/imagesTr") + " -o " + path("masks") + " --dry-run --estimate posterior")),
            2);
  EXPECT_NE(err_.find("--estimate: expected one of"), std::string::npos) << err_;
}

TEST_F(Verbs, PlanEstimatesTimeAndMemory) {
  ASSERT_EQ(run("plan " + path("data") + " --json --set plan.base_features=4 --max-steps 50"), 2)
      << "an option of training";
  ASSERT_EQ(run("plan " + path("data") + " --json --set plan.base_features=4 --set train.max_steps=50"), 0)
      << err_;
  const json j = json::parse(out_);
  EXPECT_EQ(j["features"][0], 4);
  const json& e = j["estimate"];
  EXPECT_EQ(e["method"], "pgrd");
  ASSERT_EQ(e["stages"].size(), 2u);
  double seconds = e["scored_cases"].get<double>() * e["case_seconds"].get<double>();
  for (const json& stage : e["stages"]) {
    EXPECT_EQ(stage["steps"], 50);
    EXPECT_GT(stage["step_seconds"].get<double>(), 0);
    seconds += 50 * stage["step_seconds"].get<double>();
  }
  EXPECT_NEAR(e["seconds"].get<double>(), seconds, 1e-9 * seconds);
  // At least weights, gradients and the two moments of Adam of the two networks.
  ASSERT_EQ(run("info " + path("runs/one") + " --json"), 0);
  EXPECT_GT(e["memory_bytes"].get<int64_t>(), json::parse(out_)["model"]["parameters"].get<int64_t>() * 2 *
                                                  static_cast<int64_t>(sizeof(float)));
  ASSERT_EQ(run("plan " + path("data") + " --json --no-estimate"), 0) << err_;
  EXPECT_FALSE(json::parse(out_).contains("estimate"));
}

TEST_F(Verbs, TheTraceIsFilteredByModuleOrOp) {
  const std::string predict_one =
      predict(path("data/imagesTr/phantom_001_0000.nii.gz") + " -o " + path("masks") + " --steps 2 ");
  const auto lines = [&](const std::string& wanted) {
    int64_t count = 0;
    std::istringstream text(err_);
    for (std::string line; std::getline(text, line);)
      if (line.find("forward ") != std::string::npos || line.find("kernel ") != std::string::npos ||
          line.find("diffusion ") != std::string::npos) {
        EXPECT_NE(line.find(wanted), std::string::npos) << line;
        ++count;
      }
    return count;
  };
  ASSERT_EQ(run(predict_one + "--trace prior.encoder.0"), 0) << err_;
  EXPECT_GT(lines("prior.encoder.0."), 0) << err_;
  EXPECT_NE(err_.find("forward prior.encoder.0.conv1 conv3d [1, 16, 16, 16, 1]"), std::string::npos) << err_;
  EXPECT_EQ(err_.find("mean "), std::string::npos) << err_;
  ASSERT_EQ(run(predict_one + "--trace 'prior.*norm_act' --trace-values"), 0) << err_;
  EXPECT_GT(lines("norm_act"), 0) << err_;
  EXPECT_NE(err_.find("out: min "), std::string::npos) << err_;
  ASSERT_EQ(run(predict_one + "--trace diffusion"), 0) << err_;
  EXPECT_EQ(lines("diffusion step "), 2) << err_;  // all three samples are one group
  EXPECT_NE(err_.find("diffusion step 2/2: t = "), std::string::npos) << err_;
  ASSERT_EQ(run("train " + path("data") + " --method unet -o " + path("traced") + few_ +
                " --trace 'backward prior.decoder'"),
            0)
      << err_;
  EXPECT_NE(err_.find("backward prior.decoder.0.conv1 conv3d"), std::string::npos) << err_;
  EXPECT_EQ(err_.find("(0 s"), std::string::npos) << err_;
  ASSERT_EQ(run(predict_one + "--trace no-such-module"), 0) << err_;
  EXPECT_NE(err_.find("warning: --trace no-such-module: none of "), std::string::npos) << err_;
  ASSERT_EQ(run("info --trace conv3d"), 0) << err_;
  EXPECT_NE(err_.find("warning: --trace conv3d: this command computed nothing"), std::string::npos) << err_;
  EXPECT_EQ(run(predict_one + "--trace-values"), 2);
  EXPECT_NE(err_.find("--trace"), std::string::npos) << err_;
  EXPECT_EQ(run("info --trace '('"), 2);
  EXPECT_NE(err_.find("--trace: expected a name or a regular expression"), std::string::npos) << err_;
}

/// A run on images of four channels.
class Channels : public Command {
 protected:
  void SetUp() override {
    ASSERT_EQ(run("phantom " + path("data") + " --modality mpmri --cases 4 --size 16 --raters 1"), 0) << err_;
    ASSERT_EQ(run("train " + path("data") + " --method unet -o " + path("run") +
                  " --set plan.base_features=4 --max-steps 2"),
              0)
        << err_;
    std::filesystem::create_directories(path("free"));
    for (int c = 0; c < 4; ++c)
      std::filesystem::copy_file(path(cat("data/imagesTr/phantom_001_000", c, ".nii.gz")),
                                 path("free/" + names_[c]));
  }
  std::string list(const std::vector<int>& which) const {
    std::string all;
    for (const int c : which) all += path("free/" + names_[static_cast<size_t>(c)]) + ",";
    all.pop_back();
    return all;
  }
  std::string predict(const std::string& what) const {
    return "predict " + path("run") + " " + what + " -o " + path("masks");
  }
  const std::vector<std::string> names_{"t1.nii.gz", "t1c.nii.gz", "t2.nii.gz", "flair.nii.gz"};
};

TEST_F(Channels, MayHaveAnyNames) {
  ASSERT_EQ(run(predict("--case anna=" + list({0, 1, 2, 3}) + " --case swapped=" + list({3, 1, 2, 0}))), 0)
      << err_;
  ASSERT_EQ(run("predict " + path("run") + " " + path("data/imagesTr") + " -o " + path("numbered")), 0)
      << err_;
  EXPECT_EQ(read_text(path("masks/anna.nii.gz")), read_text(path("numbered/phantom_001.nii.gz")));
  EXPECT_NE(read_text(path("masks/entropy/swapped.nii.gz")), read_text(path("masks/entropy/anna.nii.gz")));
}

TEST_F(Channels, ErrorsNameThemAndTheRuleOfNames) {
  EXPECT_EQ(run(predict(path("free"))), 3);
  for (const char* part :
       {"expected 4 channels (T1, T1c, T2, FLAIR), got 1", "CASE_0000.nii.gz", "--case NAME="})
    EXPECT_NE(err_.find(part), std::string::npos) << part << "\n" << err_;
  EXPECT_EQ(run(predict("--case anna=" + list({0, 1}))), 2);
  EXPECT_NE(
      err_.find(
          "a file for each of 4 channels (T1, T1c, T2, FLAIR), in this order, or one file of all, got 2"),
      std::string::npos)
      << err_;
  EXPECT_EQ(run(predict("--case anna=" + list({0}))), 3);
  EXPECT_EQ(run(predict("--case anna=a.nii,b.nii,c.nii,d.nii")), 3);
  EXPECT_NE(err_.find("a.nii: expected a file"), std::string::npos) << err_;
  EXPECT_EQ(run(predict("--case anna=" + list({0, 1, 1, 3}))), 2);
  EXPECT_NE(err_.find("t1c.nii.gz twice"), std::string::npos) << err_;
  std::string numbered;
  for (const char c : {'0', '2', '1', '3'})
    numbered +=
        (numbered.empty() ? "" : ",") + path(std::string("data/imagesTr/phantom_001_000") + c + ".nii.gz");
  EXPECT_EQ(run(predict("--case anna=" + numbered)), 2);
  EXPECT_NE(err_.find("phantom_001_0002.nii.gz as channel 1, whose name says 2"), std::string::npos) << err_;
  for (const std::string bad : {"/etc/anna=", "..=", ".anna=", "=", "", "a/b="}) {
    EXPECT_EQ(run(predict("--case '" + bad + (bad.empty() ? "" : list({0, 1, 2, 3})) + "'")), 2) << bad;
    EXPECT_NE(err_.find("--case"), std::string::npos) << err_;
  }
  const std::string twice = "--case anna=" + list({0, 1, 2, 3});
  EXPECT_EQ(run(predict(twice + " " + twice)), 2);
  EXPECT_NE(err_.find("it is there twice"), std::string::npos) << err_;
  write_volume(path("free/two.nii.gz"), make_nifti_header({4, 4, 4}, {1, 1, 1}), Tensor::zeros({2, 4, 4, 4}));
  EXPECT_EQ(run(predict("--case anna=" + list({0, 1, 2}) + "," + path("free/two.nii.gz"))), 3);
  EXPECT_NE(err_.find("two.nii.gz: expected one channel, beside files of the others, got 2"),
            std::string::npos)
      << err_;
  EXPECT_FALSE(std::filesystem::exists(path("masks")));
}

// What goes on is said again while nothing new comes.
TEST(Progress, IsNeverSilentForLong) {
  ::testing::internal::CaptureStderr();
  {
    apps::ProgressLine line(/*quiet_seconds=*/0.05);
    line.show("reading", /*force=*/true);
    std::this_thread::sleep_for(std::chrono::milliseconds(2700));
    line.show("writing", /*force=*/true);
  }
  const std::string text = ::testing::internal::GetCapturedStderr();
  EXPECT_EQ(text.find("reading\n"), 0u) << text;
  EXPECT_NE(text.find("reading  (unchanged for 1 s)\n"), std::string::npos) << text;
  EXPECT_NE(text.find("reading  (unchanged for 2 s)\n"), std::string::npos) << text;
  EXPECT_NE(text.find("writing\n"), std::string::npos) << text;
}

TEST(Progress, ShowsTimeLeftAndWindows) {
  ::testing::internal::CaptureStderr();
  {
    apps::ProgressLine line;
    TrainProgress p{"validation", 1, 4, 0, 30, 90, "case 2/4 anna: 3/12 window evaluations (4 windows)"};
    line.show(p);
    line.show({"prior", 500, 500, 0.25, 61, 0});
    line.show({"calibration: window evaluation", 40, 50});
  }
  EXPECT_EQ(::testing::internal::GetCapturedStderr(),
            "validation, case 2/4 anna: 3/12 window evaluations (4 windows)  30 s, 1 min 30 s left\n"
            "prior 500/500  loss 0.2500  1 min 01 s\n"
            "calibration: window evaluation 40/50\n");
}

}  // namespace
}  // namespace voxgrad
