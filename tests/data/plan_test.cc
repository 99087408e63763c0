// Plans of data sets whose answer is known.
#include "data/plan.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "data/phantom.h"
#include "tests/data/fixture.h"

namespace voxgrad {
namespace {

using testing::make_plan;
using testing::TemporaryFolder;
using testing::volume;
using testing::write_image;
using testing::write_small_dataset;

std::vector<int> all(const Dataset& d) { return split(d, -1).train; }

Plan network(const Triple& shape, const std::array<double, 3>& spacing, int dims = 3,
             const PlanOptions& o = {}) {
  Plan p;
  p.dims = dims;
  plan_network(p, shape, spacing, o);
  return p;
}

void expect_consistent(const Plan& p, int64_t budget, int max_stages = 5) {
  EXPECT_LE(p.patch[0] * p.patch[1] * p.patch[2], budget);
  for (size_t a = 0; a < 3; ++a) {
    int64_t divisor = 1;
    for (const Triple& s : p.strides) divisor *= s[a];
    EXPECT_EQ(p.patch[a] % divisor, 0);
    if (divisor > 1) {
      EXPECT_GE(p.patch[a] / divisor, 4) << "edge of the bottleneck";
    }
  }
  EXPECT_EQ(p.strides.size(), p.features.size());
  EXPECT_EQ(p.kernels.size(), p.features.size());
  EXPECT_EQ(p.strides[0], (Triple{1, 1, 1}));
  EXPECT_LE(p.stages(), max_stages);
}

TEST(PlanNetwork, HippocampusIsWhatNnunetMakesOfIt) {
  const Plan p = network({36, 50, 35}, {1, 1, 1});
  EXPECT_EQ(p.patch, (Triple{40, 56, 40}));
  EXPECT_EQ(p.strides, (std::vector<Triple>{{1, 1, 1}, {2, 2, 2}, {2, 2, 2}, {2, 2, 2}}));
  EXPECT_EQ(p.features, (std::vector<int>{16, 32, 64, 128}));
  for (const Triple& k : p.kernels) EXPECT_EQ(k, (Triple{3, 3, 3}));
}

// nnU-Net's prostate (Task05): 20 x 320 x 319 at 3.6 x .62 x .62 mm; in-plane kernels until the spacings
// meet.
TEST(PlanNetwork, ThickSlicesAreHalvedLater) {
  PlanOptions o;
  o.max_stages = 7;
  o.max_patch_voxels = 16 * 320 * 320;
  const Plan p = network({20, 320, 319}, {3.6, 0.62, 0.62}, 3, o);
  EXPECT_EQ(p.kernels[0], (Triple{1, 3, 3}));
  EXPECT_EQ(p.kernels[1], (Triple{1, 3, 3}));
  EXPECT_EQ(p.kernels[2], (Triple{3, 3, 3}));
  EXPECT_EQ(p.strides[1], (Triple{1, 2, 2}));
  EXPECT_EQ(p.strides[2], (Triple{1, 2, 2}));
  EXPECT_EQ(p.strides[3], (Triple{2, 2, 2}));
  expect_consistent(p, o.max_patch_voxels, 7);
}

TEST(PlanNetwork, ALargeVolumeIsCutToTheBudgetInItsOwnProportions) {
  const Plan p = network({138, 170, 138}, {1, 1, 1});
  expect_consistent(p, 96 * 96 * 96);
  EXPECT_EQ(p.stages(), 5);
  EXPECT_GT(p.patch[0] * p.patch[1] * p.patch[2], 500000);
  EXPECT_GT(p.patch[1], p.patch[0]);
}

TEST(PlanNetwork, EveryShapeGetsAPlan) {
  for (const Triple& shape :
       {Triple{1, 21, 21}, Triple{1, 33, 36}, Triple{1, 942, 811}, Triple{1, 5, 3}, Triple{4, 16, 16},
        Triple{6, 24, 24}, Triple{13, 14, 14}, Triple{20, 21, 19}, Triple{33, 35, 34}, Triple{47, 51, 45},
        Triple{2, 3, 1}, Triple{512, 512, 512}, Triple{7, 9, 300}})
    for (const double z : {0.4, 1.0, 5.0})
      for (const int dims : {2, 3}) {
        SCOPED_TRACE(cat(shape[0], "x", shape[1], "x", shape[2], " z ", z, " dims ", dims));
        const Plan p = network(shape, {z, 1, 1}, dims);
        expect_consistent(p, dims == 2 ? 512 * 512 : 96 * 96 * 96);
        for (size_t a = 0; a < 3; ++a) {
          if (shape[a] > 1 && !(dims == 2 && a == 0)) {
            EXPECT_GE(p.patch[a], 8);
          }
        }
        if (dims == 2 || shape[0] == 1) {
          EXPECT_EQ(p.patch[0], 1);
          for (const Triple& k : p.kernels) EXPECT_EQ(k[0], 1);
        }
      }
  EXPECT_EQ(network({1, 21, 21}, {1, 1, 1}, 2).patch, (Triple{1, 24, 24}));
}

TEST(Plan, OfTheMriPhantom) {
  const TemporaryFolder t;
  PhantomOptions o;
  o.cases = 3;
  o.size = 24;
  write_phantom(t / "p", o);
  const Dataset d = open_dataset(t / "p");
  const Plan p = make_plan(d, all(d), {});
  EXPECT_EQ(p.dims, 3);
  EXPECT_EQ(p.modality(), "mri");
  EXPECT_EQ(p.classes(), 3);
  EXPECT_FALSE(p.anisotropic);
  EXPECT_TRUE(p.mask_normalisation);  // cropping takes more than a quarter away
  EXPECT_TRUE(p.intensity.empty());
  expect_consistent(p, 1 << 20);
  PlanOptions two;
  two.dims = 2;
  EXPECT_EQ(make_plan(d, all(d), two).patch[0], 1);
  two.dims = 4;
  EXPECT_THROW(make_plan(d, all(d), two), Error);
}

TEST(Plan, OfTheMpmriPhantomIsOfTheCroppedHead) {
  const TemporaryFolder t;
  PhantomOptions o;
  o.cases = 3;
  o.size = 48;
  o.depth = 31;  // as 240 to 155
  o.modality = "mpmri";
  write_phantom(t / "p", o);
  const Dataset d = open_dataset(t / "p");
  const Plan p = make_plan(d, all(d), {});
  EXPECT_EQ(p.channels(), 4);
  EXPECT_EQ(p.classes(), 4);
  EXPECT_TRUE(p.mask_normalisation);
  EXPECT_NEAR(static_cast<double>(p.median_shape[0]) / 31, 0.86, 0.1);
  EXPECT_NEAR(static_cast<double>(p.median_shape[1]) / 48, 0.69, 0.1);
  EXPECT_NEAR(static_cast<double>(p.median_shape[2]) / 48, 0.61, 0.1);
}

TEST(Plan, OfTheCtPhantomIsTwoDimensionalWithForegroundIntensities) {
  const TemporaryFolder t;
  PhantomOptions o;
  o.cases = 3;
  o.size = 24;
  o.modality = "ct";
  write_phantom(t / "p", o);
  const Dataset d = open_dataset(t / "p");
  const Plan p = make_plan(d, all(d), {});
  EXPECT_EQ(p.dims, 2);
  EXPECT_EQ(p.modality(), "ct");
  EXPECT_EQ(p.spacing, (std::array<double, 3>{0, 1, 1}));
  ASSERT_EQ(p.intensity.size(), 1u);
  EXPECT_GT(p.intensity[0].low, -30);
  EXPECT_LT(p.intensity[0].low, 20);
  EXPECT_GT(p.intensity[0].mean, 15);
  EXPECT_LT(p.intensity[0].mean, 60);
  PlanOptions three;
  three.dims = 3;
  const Plan volume_plan = make_plan(d, all(d), three);
  EXPECT_TRUE(volume_plan.anisotropic);
  EXPECT_EQ(volume_plan.kernels[0], (Triple{1, 3, 3}));
}

/// A CT data set of one case per spacing, shapes 6 x 40 x 40 (thick) along z, foreground values 100 .. 199
/// HU.
TEST(Plan, SpacingOfSlicesIsTheTenthPercentileAndIntensitiesAreThoseOfTheForeground) {
  const TemporaryFolder t;
  make_folders(t / "imagesTr");
  make_folders(t / "labelsTr");
  int number = 0;
  for (const double z : {4.0, 6.0, 6.0, 6.0, 8.0}) {
    const std::string name = "c" + std::to_string(number++);
    const auto inside = [](int64_t i) { return i >= 1600 && i < 1700; };
    write_image(
        t / "imagesTr/" + name + "_0000.nii.gz",
        volume({6, 40, 40},
               [&](int64_t i) { return inside(i) ? 100.0 + static_cast<double>(i - 1600) : -1000.0; }),
        {1, 1, z});
    write_image(t / "labelsTr/" + name + ".nii.gz", volume({6, 40, 40}, [&](int64_t i) { return inside(i); }),
                {1, 1, z});
  }
  write_text(
      t / "dataset.json",
      R"({"channel_names": {"0": "CT"}, "labels": {"background": 0, "x": 1}, "file_ending": ".nii.gz"})");
  const Dataset d = open_dataset(t.path());
  PlanOptions o;
  o.dims = 3;
  const Plan p = make_plan(d, all(d), o);
  EXPECT_NEAR(p.spacing[0], 4.8, 1e-6);  // numpy's 10th percentile of 4, 6, 6, 6, 8
  EXPECT_EQ(p.median_shape, (Triple{8, 40, 40}));
  EXPECT_TRUE(p.anisotropic);
  ASSERT_EQ(p.intensity.size(), 1u);
  // numpy.percentile of the values 100 .. 199, each five times.
  EXPECT_NEAR(p.intensity[0].low, 100, 1e-9);
  EXPECT_NEAR(p.intensity[0].high, 199, 1e-9);
  EXPECT_NEAR(p.intensity[0].mean, 149.5, 1e-9);
  EXPECT_NEAR(p.intensity[0].std, std::sqrt((100.0 * 100.0 - 1) / 12), 1e-9);
  EXPECT_EQ(make_plan(d, all(d), {}).dims, 2);
}

TEST(Plan, WithoutForegroundAllVoxelsCount) {
  const TemporaryFolder t;
  make_folders(t / "imagesTr");
  make_folders(t / "labelsTr");
  write_image(t / "imagesTr/a_0000.nii.gz", volume({8, 9, 10}, [](int64_t i) { return i % 2 ? 10 : -10; }));
  write_image(t / "labelsTr/a.nii.gz", volume({8, 9, 10}, [](int64_t) { return 0; }));
  write_text(t / "dataset.json", R"({"channel_names": {"0": "CT"}, "labels": {"background": 0, "x": 1}})");
  const Dataset d = open_dataset(t.path());
  const Plan p = make_plan(d, {0}, {});
  EXPECT_EQ(p.intensity[0].low, -10);
  EXPECT_EQ(p.intensity[0].high, 10);
}

TEST(Plan, JsonGivesThePlanBack) {
  Plan p = network({20, 320, 319}, {3.6, 0.62, 0.62});
  p.channel_names = {"CT", "odd \"name\"", "ct"};
  p.normalisation = {"ct", "none", "ct"};
  p.axes = "LPS";
  p.label_names = {"background", "x"};
  p.spacing = {3.6, 0.1 + 0.2, 0.62};
  p.median_shape = {20, 320, 319};
  p.anisotropic = true;
  p.intensity = {{-1.5, 1e-7, -0.1, 0.5}, {0, 1, 0.5, 0.25}};
  const std::string text = plan_to_json(p);
  const Plan q = plan_from_json(text, "here");
  EXPECT_EQ(plan_to_json(q), text);
  EXPECT_EQ(q.spacing, p.spacing);
  EXPECT_EQ(q.kernels, p.kernels);
  EXPECT_EQ(q.intensity[0].high, p.intensity[0].high);
  EXPECT_EQ(q.intensity_of(2).high, 1);
  EXPECT_EQ(q.normalisation, p.normalisation);
  EXPECT_EQ(q.axes, "LPS");
  EXPECT_TRUE(q.anisotropic);
}

TEST(Plan, JsonThatIsNoPlanIsRefusedByField) {
  Plan p = network({36, 50, 35}, {1, 1, 1});
  p.channel_names = {"MRI"};
  p.normalisation = {"zscore"};
  p.axes = "RAS";
  p.label_names = {"background", "x"};
  p.median_shape = {36, 50, 35};
  const std::string good = plan_to_json(p);
  EXPECT_NO_THROW(plan_from_json(good, "m"));
  const auto refused = [&](const std::string& from, const std::string& to, const std::string& field) {
    std::string text = good;
    const size_t at = text.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    text.replace(at, from.size(), to);
    try {
      plan_from_json(text, "model.safetensors");
      ADD_FAILURE() << to;
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::data);
      EXPECT_NE(std::string(e.what()).find("model.safetensors"), std::string::npos);
      EXPECT_NE(std::string(e.what()).find(field), std::string::npos) << e.what();
    }
  };
  refused("\"version\":2", "\"version\":3", "version");
  refused("\"zscore\"", "\"z\"", "normalisation");
  refused("\"zscore\"", "\"zscore\",\"zscore\"", "normalisation");
  refused("\"zscore\"", "\"ct\"", "intensity");
  refused("\"RAS\"", "\"RAR\"", "axes");
  refused("\"dims\":3", "\"dims\":5", "dims");
  refused("\"patch\":[40,56,40]", "\"patch\":[40,56,41]", "patch");
  refused("\"patch\":[40,56,40]", "\"patch\":[40,56]", "patch");
  refused("\"features\":[16,", "\"features\":[", "features");
  refused("\"spacing\":[1.0,1.0,1.0]", "\"spacing\":[1.0,1.0,-1.0]", "spacing");
  refused("\"batch_size\":2,", "", "batch_size");
  refused("{\"version\"", "[", "JSON");
}

// Before version 2 a plan had one normalisation, and images were taken as they were stored.
TEST(Plan, TheFirstVersionIsRead) {
  Plan p = network({36, 50, 35}, {1, 1, 1});
  p.channel_names = {"a", "b"};
  p.label_names = {"background", "x"};
  p.median_shape = {36, 50, 35};
  p.intensity = {{-10, 20, 5, 3}, {0, 1, 0.5, 0.25}};
  const auto read = [&](const char* modality, size_t intensities) {
    nlohmann::json j = nlohmann::json::parse(plan_to_json(p));
    j["version"] = 1;
    j["modality"] = modality;
    while (j["intensity"].size() > intensities) j["intensity"].erase(0);
    j.erase("normalisation");
    j.erase("axes");
    return plan_from_json(j.dump(), "m");
  };
  EXPECT_EQ(read("mri", 0).normalisation, (std::vector<std::string>{"zscore", "zscore"}));
  EXPECT_EQ(read("mri", 0).axes, "");
  EXPECT_EQ(read("ct", 2).normalisation, (std::vector<std::string>{"ct", "ct"}));
  EXPECT_EQ(read("ct", 2).intensity_of(1).high, 1);
  EXPECT_THROW(read("ct", 1), Error);
}

// Whatever a model says, no number of its plan leads to a size that overflows or that nobody waits for.
TEST(Plan, EveryNumberHasARange) {
  Plan good = network({36, 50, 35}, {1, 1, 1});
  good.channel_names = {"CT"};
  good.normalisation = {"ct"};
  good.label_names = {"background", "x"};
  good.median_shape = {36, 50, 35};
  good.intensity = {{-10, 20, 5, 3}};
  const auto read = [&](const std::string& field, const std::string& value) {
    nlohmann::json j = nlohmann::json::parse(plan_to_json(good));
    j[field] = nlohmann::json::parse(value);
    return plan_from_json(j.dump(), "m");
  };
  const auto refused = [&](const std::string& field, const std::string& value) {
    try {
      read(field, value);
      ADD_FAILURE() << field << " = " << value.substr(0, 60);
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::data);
      EXPECT_NE(std::string(e.what()).find("[plan] m: " + field), std::string::npos) << e.what();
    }
  };
  const auto list = [](const std::string& item, int n) {
    std::string s = "[" + item;
    while (--n > 0) s += "," + item;
    return s + "]";
  };
  for (const char* edge : {"0", "-40", "65537", "1099511627776", "4611686018427387904", "9223372036854775807",
                           "18446744073709551615", "1e6", "40.0"}) {
    refused("patch", list(edge, 3));
    refused("features", list(edge, 4));
    refused("batch_size", edge);
    refused("strides", "[[1,1,1],[2,2,2],[2,2,2]," + list(edge, 3) + "]");
    refused("kernels", "[[3,3,3],[3,3,3],[3,3,3]," + list(edge, 3) + "]");
  }
  for (const char* extent : {"0", "-1", "1048577", "9223372036854775807"})
    refused("median_shape", list(extent, 3));
  for (const char* dims : {"0", "1", "4", "4294967298"}) refused("dims", dims);  // 2^32 + 2
  for (const char* mm : {"0", "-1", "1e-7", "1e-300", "10001", "1e300", "null", "\"1\""})
    refused("spacing", list(mm, 3));
  refused("patch", "[32768,32768,8]");
  refused("kernels", list("[2,3,3]", 4));
  refused("strides", "[[2,1,1],[2,2,2],[2,2,2],[2,2,2]]");
  refused("strides", list("[1,1,1]", 5));
  refused("strides", list("[1,1,1]", 5000));
  refused("features", list("4", 5000));
  refused("features", "[]");
  refused("channel_names", list("\"c\"", 1025));
  refused("channel_names", "[]");
  refused("channel_names", "[\"" + std::string(1001, 'c') + "\"]");
  refused("label_names", "[\"background\"]");
  refused("label_names", list("\"x\"", 65537));
  const auto intensity = [](const char* low, const char* high, const char* mean, const char* std) {
    return cat(R"([{"low":)", low, R"(,"high":)", high, R"(,"mean":)", mean, R"(,"std":)", std, "}]");
  };
  refused("intensity", intensity("-1e31", "20", "5", "3"));
  refused("intensity", intensity("-10", "1e31", "5", "3"));
  refused("intensity", intensity("20", "-10", "5", "3"));
  refused("intensity", intensity("-10", "20", "21", "3"));
  refused("intensity", intensity("-10", "20", "-11", "3"));
  refused("intensity", intensity("-10", "20", "5", "0"));
  refused("intensity", intensity("-10", "20", "5", "-3"));
  refused("intensity", intensity("-10", "20", "5", "31"));
  refused("intensity", intensity("-10", "20", "5", "null"));
  EXPECT_NO_THROW(read("patch", "[65536,8,8]"));
  EXPECT_NO_THROW(read("features", "[4096,4096,1,1]"));
  EXPECT_NO_THROW(read("spacing", "[1e-6,1e4,1]"));
  EXPECT_NO_THROW(read("intensity", intensity("7", "7", "7.0000001", "1e-8")));
}

TEST(Plan, AConstantForegroundMakesAPlanThatCanBeRead) {
  const TemporaryFolder folder;
  testing::write_small_dataset(folder.path(), {"a", "b"});
  std::string json = read_text(folder / "dataset.json");
  json.replace(json.find("MRI"), 3, "CT");
  write_text(folder / "dataset.json", json);
  for (const double value : {40.0, 1e-14})
    for (const char* name : {"a", "b"}) {
      write_image(folder / "imagesTr/" + name + "_0000.nii.gz",
                  volume({4, 5, 6}, [&](int64_t) { return value; }));
      if (name[0] == 'a') continue;
      const Dataset d = open_dataset(folder.path());
      const Plan p = make_plan(d, all(d), {});
      EXPECT_EQ(p.intensity[0].std, 1);
      EXPECT_EQ(plan_from_json(plan_to_json(p), "test").intensity[0].std, 1);
    }
}

// A deviation that is only rounding of the values is none: dividing by it would make noise of a constant.
TEST(Plan, AnIntensityThatIsConstantToRoundingHasDeviationOne) {
  for (const float step : {8.0f, 16.0f}) {  // around 1e8 neighbouring f32 numbers are 8 apart
    const TemporaryFolder t;
    write_small_dataset(t.path(), {"a", "b"}, "CT");
    for (const char* name : {"a", "b"})
      write_image(t / ("imagesTr/" + std::string(name) + "_0000.nii.gz"),
                  volume({4, 5, 6}, [&](int64_t i) { return 1e8f + (i % 2 ? step : 0); }));
    const Plan p = make_plan(open_dataset(t.path()), {0, 1}, {});
    ASSERT_EQ(p.intensity.size(), 1u);
    if (step == 8)
      EXPECT_EQ(p.intensity[0].std, 1);
    else
      EXPECT_NEAR(p.intensity[0].std, 8, 0.5);
  }
}

TEST(RealData, HippocampusPlan) {
  if (testing::real_data().empty()) GTEST_SKIP() << "VOXGRAD_DATA is not set";
  const Dataset d = open_dataset(testing::real_data() + "/msd-hippocampus");
  const Plan p = make_plan(d, all(d), {});
  EXPECT_EQ(p.median_shape, (Triple{36, 50, 35}));
  EXPECT_EQ(p.patch, (Triple{40, 56, 40}));
  EXPECT_EQ(p.stages(), 4);
}

}  // namespace
}  // namespace voxgrad
