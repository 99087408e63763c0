// ensemble: members are stages with seeds of their own, and the annotations of all raters train them.
#include <algorithm>

#include "io/nifti.h"
#include "methods/validation.h"
#include "run/manifest.h"
#include "tests/methods/trained_phantom.h"

namespace voxgrad {
namespace {

using testing::TrainTest;

std::vector<float> weights_of(const ModelFile& model, const std::string& prefix) {
  std::vector<float> all;
  for (const auto& [name, t] : model.weights)
    if (name.starts_with(prefix))
      for (const float v : t.to_vector<float>()) all.push_back(v);
  return all;
}

// A larger ensemble takes the members of a smaller one and is the one that would have been trained whole.
TEST_P(TrainTest, MembersDifferAndCanBeTakenFromAnotherEnsemble) {
  const Settings three{"member.members=3", "member.steps=3"}, two{"member.members=2", "member.steps=3"};
  ASSERT_EQ(train(options("whole"), "ensemble", three).end, TrainEnd::finished);
  ASSERT_EQ(train(options("small"), "ensemble", two).end, TrainEnd::finished);
  TrainRequest o = options("grown");
  for (const char* member : {"member-1", "member-2"})
    o.from.push_back(parse_stage_source(folder_ + "/small:" + member));
  ASSERT_EQ(train(o, "ensemble", three).end, TrainEnd::finished);
  // Keys of a member that is taken do not act: what it was trained with is said.
  std::string said;
  o.run = folder_ + "/keys";
  o.message = [&said](const std::string& text) { said += text + "\n"; };
  ASSERT_EQ(train(o, "ensemble", {"member.members=2", "member.steps=3", "member.dice=0.5"}).end,
            TrainEnd::finished);
  EXPECT_NE(said.find("member-2 was trained with member.dice = 1.0"), std::string::npos) << said;
  const ModelFile whole = open_model({folder_ + "/whole"}).file;
  EXPECT_EQ(open_model({folder_ + "/grown"}).file.digest, whole.digest);
  const auto one = weights_of(whole, "member-1."), other = weights_of(whole, "member-2.");
  EXPECT_FALSE(one.empty());
  EXPECT_EQ(one.size(), other.size());
  EXPECT_NE(one, other);
  const RunScores all = scores("whole");
  EXPECT_EQ(all.method()->label, "ensemble (M = 3)");
  EXPECT_NE(all.rows[0].table.cases[0].values.at("nll"), all.method()->table.cases[0].values.at("nll"));
}

// The first rater of a training case is changed. Methods that learn from raters have other data and other
// weights then, and a run that was stopped is not resumed with them. A unet has not.
TEST_P(TrainTest, TheAnnotationsOfRatersAreTrainingData) {
  const Dataset d = open_dataset(data());
  const RunSplit split = run_split(d, 0);
  const Settings few{"member.members=2", "train.max_steps=2"};
  for (const std::string method : {"unet", "ensemble", "m-heads", "prob-unet"})
    ASSERT_EQ(train(options(method + "1"), method, few).end, TrainEnd::finished);
  TrainRequest o = options("stopped");
  int polls = 0;
  o.stop_requested = [&polls] { return ++polls > testing::kLoads + 1; };
  ASSERT_EQ(train(o, "ensemble", few).end, TrainEnd::stopped);
  for (const int i : split.train)
    for (const Annotation& a : d.cases[static_cast<size_t>(i)].annotations) {
      NiftiHeader header;
      Tensor label = read_volume(a.file, &header);
      label = label.view(0, {label.dim(1), label.dim(2), label.dim(3)}).clone();
      for (int64_t v = 0; v < label.numel(); ++v)
        label.mutable_data<float>()[v] = label.data<float>()[v] == 1 ? 2 : 1;
      write_volume(a.file, header, label.to(DType::u8), 1002);
    }
  for (const std::string method : {"unet", "ensemble", "m-heads", "prob-unet"}) {
    ASSERT_EQ(train(options(method + "2"), method, few).end, TrainEnd::finished);
    const ModelFile before = open_model({folder_ + "/" + method + "1"}).file,
                    after = open_model({folder_ + "/" + method + "2"}).file;
    const bool same = method == "unet";
    EXPECT_EQ(before.digest == after.digest, same) << method;
    EXPECT_EQ(before.provenance.data_sha256 == after.provenance.data_sha256, same) << method;
  }
  o.resume = true;
  o.stop_requested = {};
  try {
    train(o, "ensemble", few);
    ADD_FAILURE() << "expected an error";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::data) << e.what();
  }
}

}  // namespace
}  // namespace voxgrad
