// Layouts, splits and the loading of cases.
#include "data/dataset.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "data/audit.h"
#include "data/phantom.h"
#include "tests/data/fixture.h"

namespace voxgrad {
namespace {

using testing::TemporaryFolder;
using testing::volume;
using testing::write_image;
using testing::write_small_dataset;

/// The message of the ErrorCode::data that f throws.
template <class F>
std::string data_error(F&& f) {
  try {
    f();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::data) << e.what();
    return e.what();
  }
  ADD_FAILURE() << "expected an error";
  return "";
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(Dataset, NnunetLayout) {
  const TemporaryFolder t;
  write_small_dataset(t.path(), {"c", "a", "b"});
  const Dataset d = open_dataset(t.path());
  EXPECT_EQ(d.name, "small");
  EXPECT_EQ(d.channel_names, std::vector<std::string>{"MRI"});
  EXPECT_EQ(d.label_names, (std::vector<std::string>{"background", "a", "b"}));
  EXPECT_FALSE(d.is_ct());
  ASSERT_EQ(d.cases.size(), 3u);
  EXPECT_EQ(d.cases[0].name, "a");
  const LoadedCase c = load_case(d.cases[0], 1, 3);
  EXPECT_EQ(c.image.shape(), (Shape{4, 5, 6, 1}));
  EXPECT_EQ(c.label.shape(), (Shape{4, 5, 6}));
  EXPECT_EQ(c.image.data<float>()[7], 2007.0f);
  EXPECT_EQ(c.label.data<int32_t>()[7], 1);
}

TEST(Dataset, DecathlonLayout) {
  const TemporaryFolder t;
  make_folders(t / "imagesTr");
  make_folders(t / "labelsTr");
  write_image(t / "imagesTr/BRATS_001.nii.gz", volume({2, 3, 4, 5}, [](int64_t i) { return i; }));
  write_image(t / "labelsTr/BRATS_001.nii.gz", volume({3, 4, 5}, [](int64_t i) { return i % 2; }));
  write_text(t / "imagesTr/._BRATS_001.nii.gz", "what macOS leaves behind");
  write_text(t / "dataset.json", R"({"name": "BRATS", "modality": {"0": "FLAIR", "1": "T1w"},
      "labels": {"1": "edema", "0": "background"}, "numTraining": 1,
      "training": [{"image": "./imagesTr/BRATS_001.nii.gz", "label": "./labelsTr/BRATS_001.nii.gz"}], "test": []})");
  const Dataset d = open_dataset(t.path());
  EXPECT_EQ(d.label_names, (std::vector<std::string>{"background", "edema"}));
  ASSERT_EQ(d.cases.size(), 1u);
  EXPECT_EQ(d.cases[0].name, "BRATS_001");
  const LoadedCase c = load_case(d.cases[0], 2, 2);
  EXPECT_EQ(c.image.shape(), (Shape{3, 4, 5, 2}));
  EXPECT_EQ(c.image.data<float>()[2 * 7], 7.0f);
  EXPECT_EQ(c.image.data<float>()[2 * 7 + 1], 67.0f);
}

// nnU-Net's first version lists CASE.nii.gz where the file is CASE_0000.nii.gz.
TEST(Dataset, AListOfFilesThatAreNotThereGivesWayToTheFolders) {
  const TemporaryFolder t;
  write_small_dataset(t.path(), {"a"});
  write_text(t / "dataset.json",
             R"({"modality": {"0": "MRI"}, "labels": {"0": "background", "1": "x", "2": "y"},
      "training": [{"image": "./imagesTr/a.nii.gz", "label": "./labelsTr/a.nii.gz"}]})");
  EXPECT_EQ(open_dataset(t.path()).cases.size(), 1u);
}

TEST(Dataset, RefusesWhatIsIncompleteOrForeign) {
  const auto with = [](auto&& change) {
    const TemporaryFolder t;
    write_small_dataset(t.path(), {"a", "b"});
    change(t);
    return data_error([&] { open_dataset(t.path()); });
  };
  const auto description = [&](const std::string& text) {
    return with([&](const TemporaryFolder& t) { write_text(t / "dataset.json", text); });
  };
  EXPECT_TRUE(contains(with([](auto& t) { remove_file(t / "labelsTr/a.nii.gz"); }), "labelsTr/a.nii.gz"));
  EXPECT_TRUE(contains(with([](auto& t) { remove_file(t / "imagesTr/a_0000.nii.gz"); }), "without an image"));
  EXPECT_TRUE(contains(with([](auto& t) { write_text(t / "imagesTr/notes.txt", "x"); }), "notes.txt"));
  EXPECT_TRUE(contains(with([](auto& t) { write_text(t / "imagesTr/a_0000.nii", "x"); }), "twice"));
  EXPECT_TRUE(
      contains(with([](auto& t) { write_text(t / "imagesTr/a_0001.nii.gz", "x"); }), "a_0001.nii.gz"));
  EXPECT_TRUE(contains(with([](auto& t) { remove_file(t / "dataset.json"); }), "dataset.json"));
  EXPECT_TRUE(contains(description("{"), "JSON"));
  EXPECT_TRUE(contains(description(R"({"labels": {"background": 0, "a": 1}})"), "channel_names"));
  const std::string head = R"({"channel_names": {"0": "MRI"}, "labels": )";
  EXPECT_TRUE(contains(description(head + R"({"background": 0, "a": 2}})"), "consecutive"));
  EXPECT_TRUE(contains(description(head + R"({"background": 0, "a": 1, "b": 1}})"), "consecutive"));
  EXPECT_TRUE(contains(description(head + R"({"background": 0, "a": [1, 2]}})"), "region"));
  EXPECT_TRUE(contains(description(head + R"({"background": 0, "a": 1, "ignore": 2}})"), "ignore"));
  EXPECT_TRUE(contains(description(R"({"channel_names": {"1": "MRI"}, "labels": {"background": 0, "a": 1}})"),
                       "channel"));
}

TEST(Dataset, RefusesCasesWhosePartsDoNotFit) {
  const TemporaryFolder t;
  write_small_dataset(t.path(), {"a"});
  const Case c = open_dataset(t.path()).cases[0];
  const Tensor label = volume({4, 5, 6}, [](int64_t i) { return i % 3; });
  const auto refusal = [&](const std::string& file, const Tensor& voxels, std::array<double, 3> spacing,
                           std::array<double, 3> origin) {
    write_image(file, voxels, spacing, origin);
    return data_error([&] { load_case(c, 1, 3); });
  };
  EXPECT_TRUE(
      contains(refusal(c.label, volume({4, 5, 7}, [](int64_t) { return 0; }), {1, 1, 1}, {}), "extents"));
  EXPECT_TRUE(contains(refusal(c.label, label, {1, 1, 1.01}, {}), "spacing"));
  EXPECT_TRUE(contains(refusal(c.label, label, {1, 1, 1}, {0, 0.1, 0}), "corner"));
  EXPECT_TRUE(contains(refusal(c.label, volume({4, 5, 6}, [](int64_t i) { return i % 4; }), {1, 1, 1}, {}),
                       "0 to 2"));
  EXPECT_TRUE(
      contains(refusal(c.label, volume({4, 5, 6}, [](int64_t) { return 0.5; }), {1, 1, 1}, {}), "integers"));
  EXPECT_TRUE(
      contains(refusal(c.label, volume({2, 4, 5, 6}, [](int64_t) { return 0; }), {1, 1, 1}, {}), "3-D"));
  write_image(c.label, label, {1, 1, 1}, {0, 0.0005, 0});  // within tolerance
  EXPECT_NO_THROW(load_case(c, 1, 3));
  EXPECT_TRUE(contains(
      refusal(c.images[0], volume({4, 5, 6}, [](int64_t i) { return i == 3 ? HUGE_VAL : 1; }), {1, 1, 1}, {}),
      "finite"));
  EXPECT_TRUE(contains(refusal(c.images[0], volume({2, 4, 5, 6}, [](int64_t) { return 1; }), {1, 1, 1}, {}),
                       "channel"));
  write_text(c.images[0], "no NIfTI file at all");
  EXPECT_TRUE(contains(data_error([&] { load_case(c, 1, 3); }), c.images[0]));
}

TEST(Dataset, LabelsWithRoundingNoiseOfTheirScalingAreIntegers) {
  const TemporaryFolder t;
  write_small_dataset(t.path(), {"a"});
  const Case c = open_dataset(t.path()).cases[0];
  write_image(c.label, volume({4, 5, 6}, [](int64_t i) { return i % 2 * 0.99999997; }));
  EXPECT_EQ(load_case(c, 1, 3).label.data<int32_t>()[1], 1);
}

// Whoever opens a data set finds its annotations and posteriors: cases have them.
TEST(Dataset, AnnotationsAndPosteriorsBelongToCases) {
  const TemporaryFolder folder;
  const std::string& f = folder.path();
  write_small_dataset(f, {"a", "b"});
  for (const char* sub : {"/ratersTr/r2", "/ratersTr/r1", "/posteriorTr"}) make_folders(f + sub);
  const auto label = [](int shift) { return volume({4, 5, 6}, [=](int64_t i) { return (i + shift) % 3; }); };
  write_image(f + "/ratersTr/r1/a.nii.gz", label(1));
  write_image(f + "/ratersTr/r2/a.nii.gz", label(2));
  write_image(f + "/ratersTr/r2/b.nii", label(2));
  write_image(f + "/posteriorTr/b.nii.gz", volume({3, 4, 5, 6}, [](int64_t i) { return i < 120 ? 1 : 0; }));
  const Dataset d = open_dataset(f);
  EXPECT_EQ(d.layout, "nnU-Net raw");
  ASSERT_EQ(d.cases[0].annotations.size(), 2u);
  EXPECT_EQ(d.cases[0].annotations[0].rater, "r1");
  EXPECT_EQ(d.cases[0].annotations[1].file, f + "/ratersTr/r2/a.nii.gz");
  EXPECT_EQ(d.cases[1].annotations.size(), 1u);
  EXPECT_TRUE(d.cases[0].posterior.empty());
  const LoadedCase b = load_case(d.cases[1], 1, 3);
  EXPECT_EQ(load_annotations(d.cases[1], 3, b.header)[0].to_vector<int32_t>()[0], 2);
  EXPECT_EQ(load_posterior(d.cases[1], 3, b.header).shape(), (Shape{4, 5, 6, 3}));
  EXPECT_TRUE(contains(data_error([&] { load_posterior(d.cases[1], 4, b.header); }),
                       "posteriorTr/b.nii.gz: expected 4 classes"));
  EXPECT_TRUE(contains(data_error([&] { load_annotations(d.cases[1], 2, b.header); }),
                       "ratersTr/r2/b.nii: expected integers"));
  // A case twice is an error for everybody, a case of no image a warning.
  write_image(f + "/ratersTr/r2/b.nii.gz", label(2));
  EXPECT_TRUE(contains(data_error([&] { open_dataset(f); }), "the volume is there twice"));
  remove_file(f + "/ratersTr/r2/b.nii.gz");
  write_image(f + "/ratersTr/r2/c.nii.gz", label(2));
  write_image(f + "/ratersTr/r1/b.nii.gz", volume({4, 5, 7}, [](int64_t) { return 0; }));
  const AuditReport report = audit_dataset(f);
  ASSERT_EQ(report.errors(), 1);
  ASSERT_EQ(report.warnings(), 1);
  for (const Problem& p : report.problems) {
    EXPECT_EQ(p.kind, p.error ? "annotation" : "orphan-file");
    EXPECT_NE(p.file.find(p.error ? "ratersTr/r1/b.nii.gz" : "ratersTr/r2/c.nii.gz"), std::string::npos)
        << p.file;
  }
  EXPECT_NE(audit_to_text(report).find("raters    2 raters (r1, r2), 4 annotations of 2 cases"),
            std::string::npos)
      << audit_to_text(report);
}

TEST(Split, ByIndexModuloFive) {
  Dataset d;
  for (int i = 0; i < 12; ++i) d.cases.push_back({std::string(1, static_cast<char>('a' + i)), {}, ""});
  EXPECT_EQ(split(d, 1).validation, (std::vector<int>{1, 6, 11}));
  EXPECT_EQ(split(d, 1).train.size(), 9u);
  EXPECT_EQ(split(d, -1).train.size(), 12u);
  EXPECT_TRUE(split(d, -1).validation.empty());
  EXPECT_THROW(split(d, 5), Error);
  d.cases.resize(3);
  EXPECT_EQ(split(d, 0).validation, std::vector<int>{2});
  EXPECT_EQ(split(d, 2).validation, std::vector<int>{0});
  EXPECT_THROW(split(d, 3), Error);
}

TEST(Split, FollowsSplitsFinal) {
  const TemporaryFolder t;
  write_small_dataset(t.path(), {"a", "b", "c", "d"});
  write_text(t / "splits_final.json",
             R"([{"train": ["a", "d"], "val": ["b"]}, {"train": ["b"], "val": ["a", "c"]}])");
  const Dataset d = open_dataset(t.path());
  EXPECT_EQ(split(d, 0).train, (std::vector<int>{0, 3}));  // c is in neither: held out
  EXPECT_EQ(split(d, 0).validation, std::vector<int>{1});
  EXPECT_EQ(split(d, 1).validation, (std::vector<int>{0, 2}));
  EXPECT_THROW(split(d, 2), Error);
  for (const char* bad : {R"([{"train": ["a"], "val": ["x"]}])", R"([{"train": ["a"], "val": ["a"]}])",
                          R"({})", R"([{"train": ["a"]}])"}) {
    write_text(t / "splits_final.json", bad);
    EXPECT_TRUE(contains(data_error([&] { open_dataset(t.path()); }), "splits_final.json")) << bad;
  }
}

TEST(FindCases, ByChannelSuffixOrAsSingleFiles) {
  const TemporaryFolder t;
  for (const char* name : {"a_0000.nii.gz", "a_0001.nii.gz", "b_0000.nii.gz", "b_0001.nii.gz"})
    write_text(t / name, "");
  const auto two = find_cases({t.path()}, 2);
  ASSERT_EQ(two.size(), 2u);
  EXPECT_EQ(two[0].name, "a");
  EXPECT_EQ(two[1].images[1], t / "b_0001.nii.gz");
  EXPECT_TRUE(contains(data_error([&] { find_cases({t.path()}, 1); }), "channel number 1"));
  EXPECT_TRUE(contains(data_error([&] { find_cases({t.path()}, 3); }), "channel 2"));
  write_text(t / "plain.nii", "");
  const auto plain = find_cases({t / "plain.nii"}, 4);
  EXPECT_EQ(plain[0].name, "plain");
  EXPECT_EQ(plain[0].images.size(), 1u);
  EXPECT_TRUE(contains(data_error([&] { find_cases({t / "gone.nii"}, 1); }), "gone.nii"));
}

TEST(FindCases, AFourDigitPatientNumberIsNoChannel) {
  const TemporaryFolder t;
  write_text(t / "patient_0412.nii.gz", "");
  write_text(t / "patient_0413.nii.gz", "");
  const auto cases = find_cases({t.path()}, 1);
  ASSERT_EQ(cases.size(), 2u);
  EXPECT_EQ(cases[0].name, "patient_0412");
}

TEST(PhantomOnDisk, IsAWholeDataset) {
  const TemporaryFolder t;
  PhantomOptions o;
  o.cases = 2;
  o.size = 16;
  o.modality = "ct";
  o.raters = 2;
  write_phantom(t / "p", o);
  const Dataset d = open_dataset(t / "p");
  EXPECT_TRUE(d.is_ct());
  ASSERT_EQ(d.cases.size(), 2u);
  const LoadedCase c = load_case(d.cases[1], 1, d.classes());
  const PhantomCase want = make_phantom_case(o, 1);
  EXPECT_EQ(c.image.to_vector<float>(), want.image.to_vector<float>());
  EXPECT_EQ(c.label.to_vector<int32_t>(), want.label.to_vector<int32_t>());
  EXPECT_EQ(c.header.spacing(2), 5);
  const Tensor posterior = read_volume(t / "p/posteriorTr/phantom_002.nii.gz");
  EXPECT_EQ(posterior.to_vector<float>(), want.posterior.to_vector<float>());
  const Tensor rater = read_volume(t / "p/ratersTr/rater2/phantom_002.nii.gz");
  EXPECT_EQ(rater.data<float>()[100], static_cast<float>(want.raters[1].data<int32_t>()[100]));
  EXPECT_THROW(write_phantom(t / "p", o), Error);  // not empty any more
}

TEST(PhantomOnDisk, HasFourChannelsAndCoresForMpmri) {
  const TemporaryFolder t;
  PhantomOptions o;
  o.cases = 1;
  o.size = 24;
  o.depth = 18;
  o.modality = "mpmri";
  o.raters = 1;
  write_phantom(t / "p", o);
  const Dataset d = open_dataset(t / "p");
  EXPECT_FALSE(d.is_ct());
  EXPECT_EQ(d.channel_names, (std::vector<std::string>{"T1", "T1c", "T2", "FLAIR"}));
  EXPECT_EQ(d.label_names, phantom_classes(o));
  ASSERT_EQ(d.cases.size(), 1u);
  EXPECT_EQ(d.cases[0].images.size(), 4u);
  const LoadedCase c = load_case(d.cases[0], 4, d.classes());
  const PhantomCase want = make_phantom_case(o, 0);
  ASSERT_EQ(c.image.shape(), (Shape{18, 24, 24, 4}));
  const int64_t voxels = want.label.numel();
  for (int64_t v = 0; v < voxels; ++v)
    for (int64_t i = 0; i < 4; ++i)
      ASSERT_EQ(c.image.data<float>()[v * 4 + i], want.image.data<float>()[i * voxels + v]);
  EXPECT_EQ(c.label.to_vector<int32_t>(), want.label.to_vector<int32_t>());
  EXPECT_EQ(read_volume(t / "p/posteriorTr/phantom_001.nii.gz").to_vector<float>(),
            want.posterior.to_vector<float>());
  const auto phantom = nlohmann::json::parse(read_text(t / "p/dataset.json"))["phantom"];
  EXPECT_EQ(phantom["modality"], "mpmri");
  EXPECT_EQ(phantom["depth"], 18);
}

TEST(RealData, EveryDatasetOpensAndItsFirstCaseLoads) {
  if (testing::real_data().empty()) GTEST_SKIP() << "VOXGRAD_DATA is not set";
  int opened = 0;
  for (const std::string& name : list_folder(testing::real_data())) {
    const std::string folder = testing::real_data() + "/" + name;
    if (!file_exists(folder + "/dataset.json")) continue;
    const Dataset d = open_dataset(folder);
    const LoadedCase c = load_case(d.cases[0], static_cast<int>(d.channel_names.size()), d.classes());
    EXPECT_EQ(c.image.rank(), 4) << name;
    EXPECT_TRUE(c.label.defined()) << name;
    ++opened;
  }
  EXPECT_GT(opened, 5);
}

}  // namespace
}  // namespace voxgrad
