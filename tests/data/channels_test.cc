// What the name of a channel says, as nnU-Net 2.5 reads it.
#include "data/channels.h"

#include <gtest/gtest.h>

#include "data/plan.h"
#include "data/preprocess.h"
#include "io/file.h"
#include "tests/data/fixture.h"

namespace voxgrad {
namespace {

using testing::make_plan;
using testing::TemporaryFolder;
using testing::volume;
using testing::write_image;

TEST(Channels, NamesDecideTheNormalisationInAnyCase) {
  EXPECT_EQ(normalisation_of("CT"), "ct");
  EXPECT_EQ(normalisation_of("ct"), "ct");
  EXPECT_EQ(normalisation_of("noNorm"), "none");
  EXPECT_EQ(normalisation_of("NONORM"), "none");
  EXPECT_EQ(normalisation_of("rescale_to_0_1"), "rescale_to_0_1");
  EXPECT_EQ(normalisation_of("RGB_to_0_1"), "rgb_to_0_1");
  for (const char* other : {"zscore", "PET", "FLAIR", "CT_venous", "rescale", "", "R"})
    EXPECT_EQ(normalisation_of(other), "zscore") << other;
}

TEST(Channels, ANameWithCtInItIsDoubted) {
  for (const char* name : {"CT_venous", "ct scan", "CT/PET", "cct ct", "low-dose CT"})
    EXPECT_NE(channel_name_doubt(name).find(name), std::string::npos) << name;
  for (const char* name : {"CT", "ct", "PET", "octave", "factor", "SPECTRA", "MRI"})
    EXPECT_EQ(channel_name_doubt(name), "") << name;
}

LoadedCase ramp_case(const std::vector<double>& factor) {
  LoadedCase c;
  c.name = "case";
  c.header = make_nifti_header({6, 5, 4}, {1, 1, 1});
  const auto channels = static_cast<int64_t>(factor.size());
  c.image = Tensor::empty({4, 5, 6, channels});
  for (int64_t v = 0; v < 120; ++v)
    for (int64_t k = 0; k < channels; ++k)
      c.image.mutable_data<float>()[v * channels + k] =
          static_cast<float>(factor[static_cast<size_t>(k)] * static_cast<double>(v + 1));
  return c;
}

Plan plan_of_channels(const std::vector<std::string>& names) {
  Plan p;
  p.channel_names = names;
  for (const std::string& n : names) p.normalisation.push_back(normalisation_of(n));
  p.label_names = {"background", "x"};
  p.patch = {4, 5, 6};
  return p;
}

TEST(Channels, EachIsNormalisedByItsOwnRule) {
  Plan plan = plan_of_channels({"CT", "noNorm", "rescale_to_0_1", "rgb_to_0_1", "PET"});
  plan.intensity = {{10, 100, 50, 20}};
  const PreparedCase c = prepare_case(ramp_case({1, 3, 5, 2, 7}), {}, plan);
  const float* x = c.image.data<float>();
  const auto at = [&](int64_t v, int64_t k) { return x[v * 5 + k]; };
  EXPECT_EQ(at(0, 0), -2);     // 1, clipped to 10
  EXPECT_EQ(at(119, 0), 2.5);  // 120, clipped to 100
  EXPECT_EQ(at(69, 0), 1);     // 70
  EXPECT_EQ(at(41, 1), 126);
  EXPECT_EQ(at(0, 2), 0);
  EXPECT_EQ(at(119, 2), 1);
  EXPECT_FLOAT_EQ(at(60, 2), 60.0f / 119);
  EXPECT_FLOAT_EQ(at(119, 3), 240.0f / 255);
  double sum = 0, squares = 0;
  for (int64_t v = 0; v < 120; ++v) sum += at(v, 4), squares += at(v, 4) * at(v, 4);
  EXPECT_NEAR(sum / 120, 0, 1e-6);  // rounding of f32
  EXPECT_NEAR(squares / 120, 1, 1e-6);
  // What stands for the outside of the volume is the smallest value of each.
  EXPECT_EQ(c.air, (std::vector<float>{at(0, 0), at(0, 1), at(0, 2), at(0, 3), at(0, 4)}));
}

TEST(Channels, OnlyZScoresAreOverTheMask) {
  Plan plan = plan_of_channels({"MRI", "noNorm"});
  plan.mask_normalisation = true;
  const PreparedCase c = prepare_case(ramp_case({1, 3}), {}, plan);
  EXPECT_EQ(c.air, (std::vector<float>{0, 3}));
}

TEST(Channels, RgbBeyond255IsRefusedAndAConstantIsRescaledToZero) {
  EXPECT_THROW(prepare_case(ramp_case({3}), {}, plan_of_channels({"rgb_to_0_1"})), Error);
  EXPECT_THROW(prepare_case(ramp_case({-1}), {}, plan_of_channels({"rgb_to_0_1"})), Error);
  LoadedCase c = ramp_case({1});
  c.image = Tensor::full({4, 5, 6, 1}, 7);
  for (const float v : prepare_case(c, {}, plan_of_channels({"rescale_to_0_1"})).image.to_vector<float>())
    EXPECT_EQ(v, 0);
}

// CT and PET in one data set: Hounsfield units for one, z-scores for the other.
TEST(Channels, APlanHasIntensitiesOfItsCtChannelsAlone) {
  const TemporaryFolder t;
  const auto write = [&](const std::string& file, auto&& f) { write_image(t / file, volume({8, 9, 10}, f)); };
  make_folders(t / "imagesTr");
  make_folders(t / "labelsTr");
  for (const std::string name : {"a", "b"}) {
    write("imagesTr/" + name + "_0000.nii.gz", [](int64_t i) { return 5 * i; });
    write("imagesTr/" + name + "_0001.nii.gz", [](int64_t i) { return i % 40; });
    write("labelsTr/" + name + ".nii.gz", [](int64_t i) { return i > 300; });
  }
  write_text(t / "dataset.json",
             R"({"channel_names": {"0": "PET", "1": "ct"}, "labels": {"background": 0, "x": 1}})");
  const Dataset d = open_dataset(t.path());
  const Plan p = make_plan(d, {0, 1}, {});
  EXPECT_EQ(p.normalisation, (std::vector<std::string>{"zscore", "ct"}));
  ASSERT_EQ(p.intensity.size(), 1u);
  EXPECT_LE(p.intensity_of(1).high, 39);
  EXPECT_THROW(p.intensity_of(0), Error);
  EXPECT_EQ(p.modality(), "ct");
}

}  // namespace
}  // namespace voxgrad
