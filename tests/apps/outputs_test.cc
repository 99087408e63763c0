// Where predictions and scores go, and what they may replace.
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/apps/command.h"

namespace voxgrad {
namespace {

using testing::Command;

/// Where predictions go, and what they may replace.
class Outputs : public Command {
 protected:
  void SetUp() override {
    ASSERT_EQ(run("phantom " + path("data") + " --cases 4 --size 16 --raters 1"), 0) << err_;
    ASSERT_EQ(run("train " + path("data") + " --method unet -o " + path("run") + few_), 0) << err_;
  }
  std::string predict(const std::string& images, const std::string& to) const {
    return "predict " + path("run") + " " + path("data/imagesTr") + images + " -o " + path(to);
  }
  /// Whether a file was written by hand.
  bool is_mine(const std::string& file) const { return read_text(path(file)) == "mine"; }
  std::string few_ = " --set plan.base_features=4 --max-steps 2";
};

TEST_F(Outputs, WhatNoPredictionWroteIsNotReplaced) {
  std::filesystem::create_directory(path("mine"));
  write_text(path("mine/phantom_002.nii.gz"), "mine");
  EXPECT_EQ(run(predict("", "mine")), 2);
  EXPECT_NE(err_.find(path("mine/phantom_002.nii.gz")), std::string::npos) << err_;
  EXPECT_NE(err_.find("--overwrite"), std::string::npos) << err_;
  EXPECT_TRUE(is_mine("mine/phantom_002.nii.gz"));
  EXPECT_EQ(list_folder(path("mine")).size(), 1u);
  // A case of another name is nobody's concern.
  ASSERT_EQ(run(predict("/phantom_001_0000.nii.gz", "mine")), 0) << err_;
  EXPECT_TRUE(is_mine("mine/phantom_002.nii.gz"));
  std::filesystem::remove(path("mine/prediction.json"));
  ASSERT_EQ(run(predict("", "mine") + " --overwrite"), 0) << err_;
  EXPECT_FALSE(is_mine("mine/phantom_002.nii.gz"));
}

TEST_F(Outputs, AFileOfResultsReplacesItsOwnKindAlone) {
  ASSERT_EQ(run(predict("", "masks")), 0) << err_;
  const std::string report = "report " + path("run") + " -o ",
                    plan = "plan " + path("data") + " --no-estimate -o ",
                    evaluate = "evaluate --only-predicted --truth " + path("data/labelsTr") +
                               " --prediction " + path("masks") + " -o ";
  write_text(path("mine.txt"), "mine");
  const std::vector<std::string> others = {path("run/model.safetensors"),
                                           path("run/config.toml"),
                                           path("run/metrics.json"),
                                           path("data/dataset.json"),
                                           path("data/labelsTr/phantom_001.nii.gz"),
                                           path("mine.txt")};
  for (const std::string& command : {report, plan, evaluate}) {
    for (const std::string& file : others) {
      const std::string before = read_text(file);
      EXPECT_EQ(run(command + file), 2) << command << file;
      EXPECT_NE(err_.find(file + ": expected no file, or "), std::string::npos) << err_;
      EXPECT_EQ(read_text(file), before) << command << file;
    }
    EXPECT_EQ(run(command + path("run")), 2);
    EXPECT_NE(err_.find("got a folder"), std::string::npos) << err_;
    EXPECT_EQ(run(command + path(std::string(300, 'n'))), 4);
    EXPECT_EQ(err_.find("prepared data lie in"), std::string::npos) << "found before the work: " << err_;
    EXPECT_EQ(run(command + path("mine.txt/under")), 4);
    const std::string own = path("new/folder/" + command.substr(0, 4));
    for (int round = 0; round < 2; ++round)
      ASSERT_EQ(run(command + own + (command == plan ? " --overwrite" : "")), 0) << command << err_;
  }
  // The table of an evaluation has a .csv beside it, for which the same holds.
  write_text(path("scores.csv"), "mine");
  EXPECT_EQ(run(evaluate + path("scores.json")), 2);
  EXPECT_TRUE(is_mine("scores.csv"));
  write_text(path("scores.csv"), "case,age,sex\n");
  EXPECT_EQ(run(evaluate + path("scores.json")), 2);
  EXPECT_FALSE(file_exists(path("scores.json")));
}

TEST_F(Outputs, AFolderHoldsThePredictionsOfOneModelAndItsSettings) {
  ASSERT_EQ(run(predict("/phantom_001_0000.nii.gz", "masks")), 0) << err_;
  ASSERT_EQ(run(predict("/phantom_002_0000.nii.gz", "masks")), 0) << err_;
  const auto record = nlohmann::json::parse(read_text(path("masks/prediction.json")));
  EXPECT_EQ(record["method"], "unet");
  EXPECT_EQ(record["model_digest"].get<std::string>().size(), 64u);
  ASSERT_EQ(run("train " + path("data") + " --method unet --seed 2 -o " + path("other") + few_), 0) << err_;
  const std::string other = "predict " + path("other") + " " + path("data/imagesTr");
  EXPECT_EQ(run(other + "/phantom_001_0000.nii.gz -o " + path("masks")), 2);
  EXPECT_NE(err_.find("the model is another one"), std::string::npos) << err_;
  EXPECT_EQ(run(other + "/phantom_003_0000.nii.gz -o " + path("masks")), 2);
  EXPECT_NE(err_.find("expected a new folder, since phantom_001.nii.gz is there"), std::string::npos) << err_;
  // All of them would be replaced: masks of another model are replaced on request alone.
  const std::string earlier = read_text(path("masks/phantom_001.nii.gz"));
  EXPECT_EQ(run(other + " -o " + path("masks")), 2);
  EXPECT_NE(err_.find("the model is another one"), std::string::npos) << err_;
  EXPECT_EQ(read_text(path("masks/phantom_001.nii.gz")), earlier);
  ASSERT_EQ(run(other + " -o " + path("masks") + " --overwrite --dry-run"), 0) << err_;
  EXPECT_NE(err_.find(path("masks") + ": the earlier masks of 2 cases are replaced"), std::string::npos)
      << err_;
  EXPECT_EQ(read_text(path("masks/phantom_001.nii.gz")), earlier);
  ASSERT_EQ(run(other + " -o " + path("masks") + " --overwrite"), 0) << err_;

  std::filesystem::remove(path("masks/phantom_003.nii.gz"));
  const auto before = std::filesystem::last_write_time(path("masks/phantom_001.nii.gz"));
  EXPECT_EQ(run(predict("", "masks") + " --skip-existing"), 2);
  EXPECT_NE(err_.find("prediction.json the model is another one"), std::string::npos) << err_;
  EXPECT_EQ(run(other + " -o " + path("masks") + " --skip-existing --seed 3 --save-probabilities"), 2);
  EXPECT_NE(err_.find("probabilities is false, now true, seed is 1, now 3"), std::string::npos) << err_;
  ASSERT_EQ(run(other + " -o " + path("masks") + " --skip-existing"), 0) << err_;
  EXPECT_TRUE(std::filesystem::exists(path("masks/phantom_003.nii.gz")));
  EXPECT_EQ(std::filesystem::last_write_time(path("masks/phantom_001.nii.gz")), before);
  // A record that is damaged is named, or read as other settings; it is never an internal error.
  for (const char* damaged :
       {"no JSON", "[]", R"({"configuration": "sampling = 3"})", R"({"configuration": 5})"}) {
    write_text(path("masks/prediction.json"), damaged);
    const int code = run(other + " -o " + path("masks") + " --skip-existing");
    EXPECT_TRUE(code == 2 || code == 3) << code << " " << err_;
    EXPECT_NE(err_.find(path("masks/prediction.json")), std::string::npos) << err_;
  }
  const FolderLock lock(path("masks"));
  std::filesystem::remove(path("masks/prediction.json"));
  EXPECT_EQ(run(other + " -o " + path("masks") + " --overwrite"), 2);
  EXPECT_NE(err_.find("no other voxgrad process"), std::string::npos) << err_;
}

TEST_F(Outputs, APredictionThatBreaksOffLeavesNoMaskOfAnEarlierOne) {
  ASSERT_EQ(run(predict("/phantom_001_0000.nii.gz", "masks") + " --save-probabilities"), 0) << err_;
  // The probabilities are larger than the limit, the other files are not.
  EXPECT_EQ(run(predict("/phantom_001_0000.nii.gz", "masks") + " --save-probabilities --seed 2", "",
                "sh -c 'ulimit -f 24; exec \"$@\"' sh"),
            4);
  EXPECT_FALSE(std::filesystem::exists(path("masks/phantom_001.nii.gz")));
  for (const auto& entry : std::filesystem::recursive_directory_iterator(path("masks")))
    EXPECT_NE(entry.path().extension(), ".part") << entry.path();
}

// Results in a folder of data would be taken for data, and masks in a run for files of the run.
TEST_F(Outputs, DataSetsAndRunsAreNoPlaceForResults) {
  const std::vector<std::string> before = list_folder(path("data"));
  for (const char* folder : {"data", "data/imagesTr", "data/imagesTr/new/deep", "data/labelsTr/.."}) {
    EXPECT_EQ(run("train " + path("data") + " --method unet -o " + path(folder) + few_), 2) << folder;
    EXPECT_NE(err_.find("data set"), std::string::npos) << err_;
    EXPECT_EQ(run(predict("", folder)), 2) << folder;
    EXPECT_TRUE(err_.find("data set") != std::string::npos ||
                err_.find("without the input") != std::string::npos)
        << err_;
  }
  EXPECT_EQ(run(predict("", "run")), 2);
  EXPECT_NE(err_.find("got the folder of a run"), std::string::npos) << err_;
  EXPECT_EQ(list_folder(path("data")), before);
  EXPECT_FALSE(is_folder(path("data/imagesTr/new")));
  ASSERT_EQ(run(predict("/phantom_001_0000.nii.gz", "data/predictions")), 0) << err_;
}

TEST_F(Outputs, ADryRunFindsAFolderThatCannotBeMade) {
  write_text(path("file"), "");
  EXPECT_EQ(run(predict("", "file/masks") + " --dry-run"), 4);
  EXPECT_NE(err_.find(path("file") + ": expected a folder, got a file"), std::string::npos) << err_;
}

TEST_F(Outputs, ALongNameOfACaseIsNoObstacle) {
  const std::string name(240, 'y');
  std::filesystem::create_directory(path("in"));
  std::filesystem::copy(path("data/imagesTr/phantom_001_0000.nii.gz"), path("in/" + name + "_0000.nii.gz"));
  ASSERT_EQ(run("predict " + path("run") + " " + path("in") + " -o " + path("masks")), 0) << err_;
  EXPECT_TRUE(std::filesystem::exists(path("masks/" + name + ".nii.gz")));
}

TEST_F(Outputs, AResumedRunClearsTemporariesBesideItsMaps) {
  std::filesystem::remove(path("run/metrics.json"));
  std::string map;
  for (const std::string& name : list_folder(path("run/validation"))) map = path("run/validation/" + name);
  write_text(map + "/mask.nii.gz.123-10.part", "left");
  ASSERT_EQ(run("train " + path("data") + " --method unet --resume -o " + path("run")), 0) << err_;
  EXPECT_FALSE(std::filesystem::exists(map + "/mask.nii.gz.123-10.part"));
}

TEST_F(Outputs, TheFolderOfScoresIsMade) {
  ASSERT_EQ(run(predict("", "masks")), 0) << err_;
  ASSERT_EQ(run("evaluate --truth " + path("data/labelsTr") + " --prediction " + path("masks") + " -o " +
                path("new/place/metrics.json")),
            0)
      << err_;
  EXPECT_TRUE(std::filesystem::exists(path("new/place/metrics.csv")));
}

TEST_F(Outputs, ABrokenImageSaysHowToGoOn) {
  std::filesystem::create_directory(path("mixed"));
  for (const char* name : {"a", "b", "c"})
    std::filesystem::copy_file(path("data/imagesTr/phantom_001_0000.nii.gz"),
                               path(std::string("mixed/") + name + ".nii.gz"));
  const std::string whole = read_text(path("mixed/b.nii.gz"));
  write_text(path("mixed/b.nii.gz"), whole.substr(0, whole.size() / 2));
  const std::string command = "predict " + path("run") + " " + path("mixed") + " -o " + path("masks");
  EXPECT_EQ(run(command), 3);
  EXPECT_NE(err_.find("1 of 3 cases written before b; leave that case out and use --skip-existing"),
            std::string::npos)
      << err_;
  // Another prediction without probabilities says that the earlier ones go.
  std::filesystem::remove(path("mixed/b.nii.gz"));
  ASSERT_EQ(run(command + " --save-probabilities"), 0) << err_;
  ASSERT_EQ(run(command), 0) << err_;
  EXPECT_NE(err_.find("the earlier probabilities of 2 cases are removed"), std::string::npos) << err_;
  EXPECT_EQ(run("evaluate --truth " + path("nowhere") + " --prediction " + path("masks")), 3);
  EXPECT_NE(err_.find(path("nowhere") + ": expected a folder or a file"), std::string::npos) << err_;
}

}  // namespace
}  // namespace voxgrad
