// Prepared data by the command: filled, used, listed, cleaned, damaged, killed; what is said before training.
#include <filesystem>

#include "data/case_store.h"
#include "io/sha256.h"
#include "tests/apps/command.h"

namespace voxgrad {
namespace {

using testing::Command;

/// Prepared data: `voxgrad train` with a store on disk.
class Cache : public Command {
 protected:
  void SetUp() override {
    ASSERT_EQ(run("phantom " + path("data") + " --cases 5 --size 16 --raters 1"), 0) << err_;
  }
  std::string train(const std::string& to) const {
    return "train " + path("data") + " --method unet -o " + path(to) +
           " --set plan.base_features=4 --max-steps 2";
  }
  std::string model(const std::string& of) const { return sha256_of_file(path(of) + "/model.safetensors"); }
  /// A prepared case in the folder.
  std::string stored_case() const {
    for (const std::string& name : list_folder(path("cache")))
      if (name.ends_with(".case.safetensors")) return path("cache") + "/" + name;
    return "";
  }
};

TEST_F(Cache, IsFilledUsedListedAndCleaned) {
  ASSERT_EQ(run(train("first") + " --threads 1"), 0) << err_;
  EXPECT_NE(err_.find("prepared data lie in " + path("cache")), std::string::npos) << err_;
  EXPECT_NE(err_.find("0 were stored already, 4 were made now"), std::string::npos) << err_;
  ASSERT_EQ(run(train("second") + " --threads 2"), 0) << err_;
  EXPECT_NE(err_.find("4 were stored already, 0 were made now"), std::string::npos) << err_;
  ASSERT_EQ(run(train("third") + " --cache off"), 0) << err_;
  EXPECT_EQ(err_.find("prepared data"), std::string::npos) << err_;
  EXPECT_EQ(model("first"), model("second"));
  EXPECT_EQ(model("first"), model("third"));
  EXPECT_NE(read_text(path("first/manifest.json")).find("\"prepared_data\": \"" + path("cache")),
            std::string::npos);
  EXPECT_EQ(read_text(path("third/manifest.json")).find("prepared_data"), std::string::npos);
  // A run goes on with another store, or with none: it is no part of what a run is.
  std::filesystem::remove(path("first/metrics.json"));
  ASSERT_EQ(run(train("first") + " --resume --cache off"), 0) << err_;

  ASSERT_EQ(run("cache"), 0) << err_;
  EXPECT_NE(out_.find("phantom_002"), std::string::npos) << out_;
  EXPECT_NE(out_.find(path("cache") + ": 9 files"), std::string::npos)
      << out_;  // 4 cases; 3 fingerprints and the scored one's
  EXPECT_EQ(run("cache --older-than 1"), 2);
  ASSERT_EQ(run("cache --clean --older-than 1"), 0) << err_;
  EXPECT_NE(out_.find("removed 0 files"), std::string::npos) << out_;
  ASSERT_EQ(run("cache --clean"), 0) << err_;
  EXPECT_NE(out_.find("removed 9 files"), std::string::npos) << out_;
  ASSERT_EQ(run("cache --cache off"), 0) << err_;
  EXPECT_NE(out_.find("off"), std::string::npos) << out_;
  for (const char* bad : {"--cache-size 7", "--cache-size nan", "--cache ''"}) {
    EXPECT_EQ(run("train " + path("data") + " -o " + path("x") + " " + bad), 2) << bad;
    EXPECT_NE(err_.find("--cache"), std::string::npos) << err_;
  }
  EXPECT_EQ(run("train " + path("data") + " -o " + path("x") + " --cache " + path("data/dataset.json")), 4);
  EXPECT_NE(err_.find("expected a folder, got a file"), std::string::npos) << err_;
  EXPECT_EQ(run("cache --cache " + path("none")), 2);
  EXPECT_EQ(run("cache --clean --older-than nan"), 2);
}

TEST_F(Cache, DamageExitsWith4AndNamesTheFile) {
  ASSERT_EQ(run("plan " + path("data")), 0) << err_;
  EXPECT_NE(err_.find("prepared data lie in"), std::string::npos) << err_;
  ASSERT_EQ(run(train("first")), 0) << err_;
  const std::string file = stored_case();
  std::filesystem::resize_file(file, std::filesystem::file_size(file) - 1);
  EXPECT_EQ(run(train("second")), 4);
  EXPECT_NE(err_.find(file), std::string::npos) << err_;
  ASSERT_EQ(run("cache --clean"), 0) << err_;
  ASSERT_EQ(run(train("second")), 0) << err_;
  EXPECT_EQ(model("first"), model("second"));
}

// `unet` never reads its calibration case, and others read it hours later.
TEST_F(Cache, ADamagedCalibrationCaseStopsBeforeTraining) {
  ASSERT_EQ(run(train("first")), 0) << err_;
  std::string file;
  for (const StoredFile& f : stored_files(path("cache"), /*names=*/true))
    if (f.what == "case" && f.name == "phantom_002") file = path("cache/" + f.file);  // the first of the fold
  std::string content = read_text(file);
  content[content.size() / 2] = static_cast<char>(content[content.size() / 2] ^ 1);
  write_text(file, content);
  EXPECT_EQ(run(train("second")), 4);
  EXPECT_NE(err_.find(file), std::string::npos) << err_;
  EXPECT_EQ(err_.find("prior 1/2"), std::string::npos) << err_;
}

TEST_F(Cache, AKilledRunAndTwoAtOnceLeaveItRight) {
  ASSERT_EQ(run(train("want") + " --cache off"), 0) << err_;
  for (const char* seconds : {"0.01", "0.02", "0.03", "0.05", "0.08"})
    run(train(cat("killed", seconds)), "", cat("timeout -s KILL ", seconds));
  ASSERT_EQ(run(train("after")), 0) << err_;
  EXPECT_EQ(model("after"), model("want"));
  ASSERT_EQ(run("cache --clean"), 0) << err_;
  const std::string cache = "VOXGRAD_CACHE=" + path("cache") + " ", command = VOXGRAD_COMMAND;
  const auto background = [&](const std::string& to) {
    return cache + command + " " + train(to) + " >" + path(to + ".out") + " 2>&1 & ";
  };
  const std::string line = background("one") + "a=$!; " + background("two") + "wait $a && wait $!";
  ASSERT_EQ(std::system(line.c_str()), 0) << read_text(path("one.out")) << read_text(path("two.out"));
  EXPECT_EQ(model("one"), model("want"));
  EXPECT_EQ(model("two"), model("want"));
  for (const std::string& name : list_folder(path("cache")))
    EXPECT_TRUE(name.ends_with(".safetensors") || name.ends_with(".part")) << name;
}

// What would be found out after hours is said before the first step.
TEST_F(Cache, AScoredCaseThatCannotBeReadStopsBeforeTraining) {
  // Fold 0 of five cases scores the first.
  for (const char* file : {"data/labelsTr/phantom_001.nii.gz", "data/ratersTr/rater1/phantom_001.nii.gz",
                           "data/posteriorTr/phantom_001.nii.gz"}) {
    const std::string whole = read_text(path(file));
    write_text(path(file), whole.substr(0, whole.size() / 2));
    EXPECT_EQ(run(train("broken")), 3) << file;
    EXPECT_NE(err_.find(path(file)), std::string::npos) << err_;
    EXPECT_EQ(err_.find("prior 1/2"), std::string::npos) << err_;
    write_text(path(file), whole);
  }
}

TEST_F(Cache, AClassThatNoTrainingCaseHasIsSaid) {
  std::string json = read_text(path("data/dataset.json"));
  const std::string labels = "\"lesion\": 2";
  ASSERT_NE(json.find(labels), std::string::npos) << json;
  json.replace(json.find(labels), labels.size(), labels + ", \"cyst\": 3");
  write_text(path("data/dataset.json"), json);
  std::filesystem::remove_all(path("data/posteriorTr"));  // it has a volume a class
  ASSERT_EQ(run(train("run")), 0) << err_;
  EXPECT_NE(err_.find("no case has a voxel of class \"cyst\""), std::string::npos) << err_;
}

TEST_F(Cache, AHomeThatCannotBeWrittenIsNoObstacle) {
  const std::string nowhere = "env -u VOXGRAD_CACHE -u XDG_CACHE_HOME HOME=/proc/nowhere";
  ASSERT_EQ(run(train("a"), "", nowhere), 0) << err_;
  EXPECT_NE(err_.find("/proc/nowhere"), std::string::npos) << err_;
  EXPECT_NE(err_.find("stay in memory"), std::string::npos) << err_;
  EXPECT_EQ(run(train("b") + " --cache /proc/nowhere"), 4);
  EXPECT_NE(err_.find("/proc/nowhere"), std::string::npos) << err_;
  ASSERT_EQ(run(train("c"), "", "env -u VOXGRAD_CACHE XDG_CACHE_HOME=" + path("caches")), 0) << err_;
  EXPECT_TRUE(std::filesystem::exists(path("caches/voxgrad")));
}

}  // namespace
}  // namespace voxgrad
