// Plans by the command: written, edited, used, resumed, refused.
#include <filesystem>
#include <nlohmann/json.hpp>

#include "data/plan_file.h"
#include "run/model.h"
#include "tests/apps/command.h"

namespace voxgrad {
namespace {

using testing::Command;

class PlanFile : public Command {
 protected:
  void SetUp() override {
    ASSERT_EQ(run("phantom " + path("data") + " --cases 4 --size 16 --raters 1"), 0) << err_;
    ASSERT_EQ(run("plan " + path("data") + " --set plan.base_features=4 -o " + path("plan.toml")), 0) << err_;
  }
  /// Replaces `from` in a copy of the plan, and returns the copy's path.
  std::string edited(const std::string& from, const std::string& to) {
    std::string text = read_text(path("plan.toml"));
    const size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from << "\n" << text;
    if (at != std::string::npos) text.replace(at, from.size(), to);
    write_text(path("edited.toml"), text);
    return path("edited.toml");
  }
  std::string train(const std::string& to) const {
    return "train " + path("data") + " --method unet --max-steps 2 -o " + path(to);
  }
};

TEST_F(PlanFile, IsUsedRecordedAndKeptByAResumedRun) {
  const std::string plan = edited("batch_size = 2", "batch_size = 1  # less memory");
  ASSERT_EQ(run(train("run") + " --plan " + plan), 0) << err_;
  const Plan used = plan_from_json(read_model(path("run/model.safetensors")).plan, "model");
  EXPECT_EQ(used.batch_size, 1);
  EXPECT_EQ(used.features[0], 4);
  EXPECT_EQ(
      nlohmann::json::parse(read_text(path("run/manifest.json")))["plan_sha256"].get<std::string>().size(),
      64u);
  ASSERT_EQ(run("verify " + path("run")), 0) << out_;
  EXPECT_NE(out_.find("plan.toml: the plan of the model"), std::string::npos) << out_;

  std::filesystem::remove(path("run/metrics.json"));  // as if it had been stopped while it was scored
  ASSERT_EQ(run(train("run") + " --resume"), 0) << err_;
  std::filesystem::remove(path("run/metrics.json"));
  ASSERT_EQ(run(train("run") + " --resume --plan " + plan), 0) << err_;
  std::filesystem::remove(path("run/metrics.json"));
  EXPECT_EQ(run(train("run") + " --resume --plan " + path("plan.toml")), 2);
  EXPECT_NE(err_.find("expected the plan that the run was started with"), std::string::npos) << err_;
  write_text(path("run/plan.toml"), read_text(path("plan.toml")));
  EXPECT_EQ(run(train("run") + " --resume"), 3);
  EXPECT_NE(err_.find("plan.toml: was changed since the run was started"), std::string::npos) << err_;
  EXPECT_EQ(run("verify " + path("run")), 8);
  std::filesystem::remove(path("run/plan.toml"));
  EXPECT_EQ(run(train("run") + " --resume"), 3);
  EXPECT_NE(err_.find("expected the plan of the run, found no file"), std::string::npos) << err_;

  ASSERT_EQ(run(train("other") + " --set plan.base_features=4"), 0) << err_;
  EXPECT_FALSE(std::filesystem::exists(path("other/plan.toml")));
  std::filesystem::remove(path("other/metrics.json"));
  EXPECT_EQ(run(train("other") + " --resume --set plan.base_features=4 --plan " + plan), 2);
}

TEST_F(PlanFile, AnUnchangedPlanGivesTheSameModel) {
  ASSERT_EQ(run(train("made") + " --set plan.base_features=4"), 0) << err_;
  ASSERT_EQ(run(train("given") + " --plan " + path("plan.toml")), 0) << err_;
  EXPECT_EQ(read_model(path("made/model.safetensors")).digest,
            read_model(path("given/model.safetensors")).digest);
}

TEST_F(PlanFile, WhatCannotBeUsedIsRefusedByName) {
  const auto refused = [&](const std::string& plan, const std::string& options = "") {
    const int code = run(train("x") + " --plan " + plan + options);
    EXPECT_FALSE(std::filesystem::exists(path("x"))) << plan;
    return code;
  };
  EXPECT_EQ(refused(path("plan.toml"), " --set plan.batch_size=2"), 2);
  EXPECT_NE(err_.find("--plan: expected without plan.batch_size"), std::string::npos) << err_;
  EXPECT_EQ(refused(path("plan.toml"), " --dims 3"), 2);
  EXPECT_NE(err_.find("plan.dims"), std::string::npos) << err_;
  write_text(path("config.toml"), "[plan]\nbase_features = 8\n");
  EXPECT_EQ(refused(path("plan.toml"), " --config " + path("config.toml")), 2);
  EXPECT_NE(err_.find("plan.base_features"), std::string::npos) << err_;

  const std::string where = path("edited.toml") + ": ";
  EXPECT_EQ(refused(edited("batch_size = 2", "batch_size = 0")), 3);
  EXPECT_NE(err_.find(where + "batch_size: expected an integer from 1 to 1024, got 0"), std::string::npos)
      << err_;
  EXPECT_EQ(refused(edited("batch_size = 2", "")), 3);
  EXPECT_NE(err_.find(where + "batch_size: expected a value, it is missing"), std::string::npos) << err_;
  EXPECT_EQ(refused(edited("batch_size = 2", "batch_size = 2\nbatchsize = 4")), 3);
  EXPECT_NE(err_.find(where + "batchsize: expected a field of a plan"), std::string::npos) << err_;
  EXPECT_EQ(refused(edited("batch_size = 2", "batch_size = ")), 3);
  EXPECT_NE(err_.find(path("edited.toml") + ":"), std::string::npos) << err_;
  EXPECT_EQ(refused(edited("batch_size = 2", "batch_size = 2020-01-01")), 3);
  EXPECT_NE(err_.find("got a date or a time"), std::string::npos) << err_;
  EXPECT_EQ(refused(edited("\"lesion\"", "\"tumour\"")), 3);
  EXPECT_NE(err_.find(where + "label_names: expected those of " + path("data")), std::string::npos) << err_;
  EXPECT_NE(err_.find("tumour"), std::string::npos) << err_;
  EXPECT_EQ(refused(path("nowhere.toml")), 3);
}

TEST_F(PlanFile, AMisspeltFieldIsNamedWithTheRightOne) {
  std::string text = read_text(path("plan.toml"));
  const size_t at = text.find("batch_size");
  ASSERT_NE(at, std::string::npos);
  write_text(path("plan.toml"), text.insert(at, "batchsize = 3\n"));
  EXPECT_EQ(run("train " + path("data") + " --plan " + path("plan.toml") + " -o " + path("run")), 3);
  EXPECT_NE(err_.find("batchsize: expected a field of a plan; did you mean batch_size?"), std::string::npos)
      << err_;
}

TEST(PlanToml, IsReadBack) {
  Plan plan;
  plan.normalisation = {"ct"};
  plan.axes = "RAS";
  plan.channel_names = {"CT \"one\"\n"};
  plan.label_names = {"background", "l\xc3\xa9sion"};
  plan.spacing = {0.1, 1.0 / 3, 1e-5};
  plan.median_shape = plan.patch = {4, 8, 8};
  plan.strides = {{1, 1, 1}, {1, 2, 2}};
  plan.kernels = {{1, 3, 3}, {3, 3, 3}};
  plan.features = {4, 8};
  plan.anisotropic = true;
  plan.intensity = {{-1024, 3e5, 0.1, 1.0 / 7}};
  EXPECT_EQ(plan_to_json(plan_from_toml(plan_to_toml(plan), "text")), plan_to_json(plan));
}

// A user's file of that name is not a run's.
TEST_F(PlanFile, APlanInTheFolderOfANewRunIsLeftAlone) {
  std::filesystem::create_directory(path("run"));
  const std::string mine = "# mine\n" + read_text(path("plan.toml"));
  write_text(path("run/plan.toml"), mine);
  for (const std::string& how : {std::string(), " --plan " + path("run/plan.toml")}) {
    EXPECT_EQ(run(train("run") + how), 2);
    EXPECT_NE(err_.find(path("run/plan.toml") + ": expected no plan in the folder of a new run"),
              std::string::npos)
        << err_;
    EXPECT_EQ(read_text(path("run/plan.toml")), mine);
  }
  // One that appears in the folder of a run that was started without is nobody's.
  ASSERT_EQ(run(train("other")), 0) << err_;
  write_text(path("other/plan.toml"), mine);
  std::filesystem::remove(path("other/metrics.json"));
  EXPECT_EQ(run(train("other") + " --resume"), 0) << err_;
  EXPECT_EQ(read_text(path("other/plan.toml")), mine);
}

TEST_F(PlanFile, OfAnEarlierVersionIsRefused) {
  const std::string plan = edited("version = 2", "version = 1");
  EXPECT_EQ(run(train("run") + " --plan " + plan), 3);
  EXPECT_NE(err_.find("version: expected 2, got 1"), std::string::npos) << err_;
}

TEST_F(PlanFile, IsReplacedOnRequestAlone) {
  const std::string again = "plan " + path("data") + " --no-estimate -o " + path("plan.toml");
  const std::string before = read_text(path("plan.toml"));
  EXPECT_EQ(run(again), 2);
  EXPECT_EQ(read_text(path("plan.toml")), before);
  EXPECT_EQ(run(again + " --overwrite"), 0) << err_;
}

// The plan is there before its cost is measured.
TEST_F(PlanFile, ThatIsTooLargeToMeasureIsStillWritten) {
  EXPECT_EQ(
      run("plan " + path("data") + " --set plan.base_features=320 --memory 64M -o " + path("large.toml")), 0)
      << err_;
  EXPECT_TRUE(file_exists(path("large.toml")));
}

}  // namespace
}  // namespace voxgrad
