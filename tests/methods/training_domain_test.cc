// What prediction says about an image that is unlike those of the training; and images that lie otherwise.
#include "methods/training_domain.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "data/grid.h"
#include "io/file.h"
#include "io/nifti.h"
#include "methods/prediction.h"
#include "tests/methods/trained_phantom.h"

namespace voxgrad {
namespace {

using testing::TrainTest;

/// A copy of an image whose axes run to `letters`: the same scan, stored otherwise.
void write_turned(const std::string& from, const std::string& to, const std::string& letters) {
  NiftiHeader h;
  const Tensor v = read_volume(from, &h);
  const Turn turn = turn_to(letters, h);
  NiftiHeader out = h;
  const Affine a = h.affine();
  for (size_t d = 0; d < 3; ++d) {
    const size_t axis = static_cast<size_t>(std::abs(turn.axis[d]) - 1);
    const bool flip = turn.axis[d] < 0;
    out.dims[d] = h.dims[axis];
    out.pixdim[d] = h.pixdim[axis];
    for (size_t row = 0; row < 3; ++row) out.srow[row][d] = flip ? -a[row][axis] : a[row][axis];
  }
  for (size_t row = 0; row < 3; ++row) {
    out.srow[row][3] = a[row][3];
    for (size_t d = 0; d < 3; ++d)
      if (turn.axis[d] < 0) out.srow[row][3] -= out.srow[row][d] * static_cast<double>(out.dims[d] - 1);
  }
  out.sform_code = 1;
  out.qform_code = 0;
  write_volume(to, out, turned(v.view(0, {v.dim(1), v.dim(2), v.dim(3)}), turn));
}

class Domain : public TrainTest {
 protected:
  struct Result {
    std::vector<std::string> warnings;
    std::string output;
  };
  Result predict(const LoadedModel& model, const std::string& images, const std::string& name) {
    Result r;
    PredictOptions p;
    p.images = {images};
    p.output = r.output = folder_ + "/out-" + name;
    p.domain = TrainingDomain(model.file);
    p.save_probabilities = p.save_samples = true;
    p.warn = [&](const std::string& text) { r.warnings.push_back(text); };
    predict_files(*model.method, p);
    return r;
  }
  std::string image() const { return data() + "/imagesTr/phantom_001_0000.nii.gz"; }
  /// A copy of the image with another header.
  template <class Change>
  std::string changed(const std::string& name, Change change) {
    NiftiHeader h;
    const Tensor v = read_volume(image(), &h);
    Tensor voxels = v.view(0, {v.dim(1), v.dim(2), v.dim(3)}).clone();
    change(h, voxels);
    const std::string file = folder_ + "/" + name + ".nii.gz";
    write_volume(file, h, voxels);
    return file;
  }
};

TEST_P(Domain, TheSameScanStoredOtherwiseGivesTheSameResult) {
  ASSERT_EQ(train(options("run")).end, TrainEnd::finished);
  const LoadedModel model = load("run");
  EXPECT_EQ(model.file.axis_codes, "RAS");
  EXPECT_EQ(model.method->plan().axes, "RAS");
  make_folders(folder_ + "/ras");
  write_turned(image(), folder_ + "/ras/case.nii.gz", "RAS");
  const Result ras = predict(model, folder_ + "/ras", "ras");
  EXPECT_TRUE(ras.warnings.empty()) << ras.warnings[0];
  for (const std::string letters : {"LPS", "PIR", "SAL"}) {
    const std::string folder = folder_ + "/" + letters, file = "/case.nii.gz";
    make_folders(folder);
    write_turned(image(), folder + file, letters);
    const Result r = predict(model, folder, letters);
    EXPECT_TRUE(r.warnings.empty());
    NiftiHeader input = read_nifti_header(folder + file);
    for (const char* map : {"", "/entropy", "/mutual_information", "/probabilities"}) {
      NiftiHeader h, want_header;
      const Tensor got = read_volume(r.output + map + file, &h);
      const Tensor want = read_volume(ras.output + map + file, &want_header);
      EXPECT_EQ(h.affine(), input.affine()) << "the geometry is that of the input";
      EXPECT_EQ(axis_letters(h), letters);
      for (int64_t t = 0; t < got.dim(0); ++t) {
        const auto volume = [t](const Tensor& v) {
          return v.rows(t, 1).reshape({v.dim(1), v.dim(2), v.dim(3)});
        };
        EXPECT_EQ(turned(volume(got), turn_to("RAS", h)).to_vector<float>(), volume(want).to_vector<float>())
            << letters << map;
      }
    }
  }
}

TEST_P(Domain, AModelWithoutAxesSaysThatNothingIsTurned) {
  ASSERT_EQ(train(options("run"), "unet").end, TrainEnd::finished);
  LoadedModel model = load("run");
  Plan as_stored = plan_from_json(model.file.plan, "test");
  as_stored.axes = "";
  model.file.plan = plan_to_json(as_stored);
  model.file.axis_codes = "LPS";
  EXPECT_EQ(plan_of(model.file, "test").axes, "") << "a plan of version 2 means what it says";
  nlohmann::json first = nlohmann::json::parse(model.file.plan);
  first["version"] = 1;
  first["modality"] = GetParam();
  first.erase("normalisation");
  first.erase("axes");
  model.file.plan = first.dump();
  const Plan old = plan_from_json(model.file.plan, "test");
  // All training images lay alike: these axes it is.
  model.file.axis_codes = "LPS";
  EXPECT_EQ(plan_of(model.file, "test").axes, "LPS");
  EXPECT_EQ(TrainingDomain(model.file).doubt(plan_of(model.file, "test")), "");
  // An earlier version wrote codes that are none.
  for (const char* unclear : {"RRS", "RAS,RRS", "RRS,RAS", "?", "RAS, LPS"}) {
    model.file.axis_codes = unclear;
    EXPECT_EQ(plan_of(model.file, "test").axes, "") << unclear;
    EXPECT_NE(TrainingDomain(model.file).doubt(old).find("ran to"), std::string::npos) << unclear;
  }
  model.file.axis_codes = "LPS,RAS";
  EXPECT_EQ(plan_of(model.file, "test").axes, "");
  EXPECT_NE(TrainingDomain(model.file).doubt(old).find("LPS, RAS"), std::string::npos);
  LoadedCase c = load_case({"case", {image()}, ""}, 1, 3);
  EXPECT_TRUE(TrainingDomain(model.file).compare(c, image(), old).empty());
  model.file.axis_codes = "LPS,PIR";
  const auto warnings = TrainingDomain(model.file).compare(c, image(), old);
  ASSERT_EQ(warnings.size(), 1u);
  EXPECT_NE(warnings[0].find("axes run to RAS"), std::string::npos);
  model.file.axis_codes = "";
  EXPECT_NE(TrainingDomain(model.file).doubt(old).find("does not record"), std::string::npos);
}

TEST_P(Domain, ASpacingFarFromTrainingIsSaidAndAnImpossibleOneRefused) {
  ASSERT_EQ(train(options("run"), "unet").end, TrainEnd::finished);
  const LoadedModel model = load("run");
  const auto with = [&](const std::string& name, double factor) {
    return changed(name, [factor](NiftiHeader& h, Tensor&) {
      h.pixdim[0] *= factor;
      h.sform_code = 0;
    });
  };
  EXPECT_TRUE(predict(model, with("near", 1.9), "near").warnings.empty());
  for (const double factor : {2.1, 0.45, 9.5}) {
    const auto warnings = predict(model, with("far", factor), cat("far", factor)).warnings;
    ASSERT_EQ(warnings.size(), 1u) << factor;
    EXPECT_NE(warnings[0].find("far.nii.gz: pixdim[1]: the spacing is"), std::string::npos) << warnings[0];
  }
  for (const double factor : {10.5, 0.09}) {
    const std::string file = with("impossible", factor);
    try {
      predict(model, file, "impossible");
      ADD_FAILURE() << factor;
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::data);
      EXPECT_NE(std::string(e.what()).find(file + ": pixdim[1]: the spacing is"), std::string::npos)
          << e.what();
    }
    EXPECT_FALSE(file_exists(folder_ + "/out-impossible/impossible.nii.gz"));
  }
}

TEST_P(Domain, IntensitiesFarFromTrainingAreSaid) {
  ASSERT_EQ(train(options("run"), "unet").end, TrainEnd::finished);
  const LoadedModel model = load("run");
  const bool ct = model.method->plan().modality() == "ct";
  const auto warned = [&](const std::string& name, float factor, float shift) {
    const std::string file = changed(name, [&](NiftiHeader&, Tensor& v) {
      float* x = v.mutable_data<float>();
      for (int64_t i = 0; i < v.numel(); ++i) x[i] = x[i] * factor + shift;
    });
    const auto warnings = predict(model, file, name).warnings;
    for (const std::string& w : warnings) EXPECT_NE(w.find("intensities from"), std::string::npos) << w;
    return !warnings.empty();
  };
  EXPECT_FALSE(warned("same", 1, 0));
  EXPECT_EQ(warned("offset", 1, 1024), ct)
      << "Hounsfield units without their intercept; z-scores do not care";
  EXPECT_TRUE(warned("tiny", 1e-3f, 0));
  EXPECT_TRUE(warned("huge", 1e4f, 0));
}

// One voxel of metal must not make every other image look odd, and must not hide a real shift.
TEST_P(Domain, AnOutlierDoesNotCryWolf) {
  const std::string other = data() + "/imagesTr/phantom_003_0000.nii.gz";
  NiftiHeader h;
  Tensor v = read_volume(other, &h).clone();
  const float top = *std::max_element(v.data<float>(), v.data<float>() + v.numel());
  v.mutable_data<float>()[v.numel() / 2] = 30 * top;
  write_volume(other, h, v.view(0, {v.dim(1), v.dim(2), v.dim(3)}));
  ASSERT_EQ(train(options("run"), "unet").end, TrainEnd::finished);
  const LoadedModel model = load("run");
  const Plan plan = plan_of(model.file, "test");
  const TrainingDomain domain(model.file);
  for (const Case& c : open_dataset(data()).cases)
    for (const std::string& text : domain.compare(load_case(c, 1, 3), c.images[0], plan))
      ADD_FAILURE() << c.name << ": " << text;
  if (plan.modality() != "ct") return;
  LoadedCase shifted = load_case({"case", {image()}, ""}, 1, 3);
  for (int64_t i = 0; i < shifted.image.numel(); ++i) shifted.image.mutable_data<float>()[i] += 1024;
  EXPECT_EQ(domain.compare(shifted, image(), plan).size(), 1u);
}

// Each end of the range has its own bounds; 1000 is the width.
TEST(TrainingDomain, EachEndOfTheIntensitiesIsCompared) {
  ModelFile model;
  model.intensity_low = {{-1000, -900}};
  model.intensity_high = {{0, 3000}};
  const TrainingDomain domain(model);
  Plan plan;
  plan.channel_names = {"x"};
  LoadedCase c;
  c.header = make_nifti_header({2, 1, 1}, {1, 1, 1});
  const auto warned = [&](const char* how, float low, float high) {
    plan.normalisation = {how};
    c.image = Tensor::from<float>({1, 1, 2, 1}, {low, high});
    return !domain.compare(c, "file", plan).empty();
  };
  EXPECT_FALSE(warned("ct", -1000, 500));
  EXPECT_FALSE(warned("ct", -710, 500));
  EXPECT_TRUE(warned("ct", -690, 500)) << "begins inside";
  EXPECT_FALSE(warned("ct", -1990, 500));
  EXPECT_TRUE(warned("ct", -2010, 500)) << "begins outside";
  EXPECT_FALSE(warned("ct", -1000, -690));
  EXPECT_TRUE(warned("ct", -1000, -710)) << "ends inside";
  EXPECT_FALSE(warned("ct", -1000, 3990));
  EXPECT_TRUE(warned("ct", -1000, 4010)) << "ends outside";
  EXPECT_FALSE(warned("zscore", 5000, 5010)) << "a shift is taken away";
  EXPECT_FALSE(warned("zscore", 0, 399000));
  EXPECT_TRUE(warned("zscore", 0, 401000)) << "100 times the widest";
  EXPECT_FALSE(warned("zscore", 0, 9.1f));
  EXPECT_TRUE(warned("zscore", 0, 8.9f)) << "a hundredth of the narrowest";
  EXPECT_FALSE(warned("zscore", 7, 7)) << "its reader says that it is constant";
  // CT shown to a model of PET, whose images had no value below 0.
  model.intensity_low = {{0, 0.5}};
  model.intensity_high = {{5, 50}};
  const TrainingDomain pet(model);
  const auto doubted = [&](float low, float high) {
    c.image = Tensor::from<float>({1, 1, 2, 1}, {low, high});
    return !pet.compare(c, "file", plan).empty();
  };
  EXPECT_TRUE(doubted(-1000, 500));
  EXPECT_TRUE(doubted(-0.3f, 20));
  EXPECT_FALSE(doubted(-0.1f, 20)) << "ringing of a resampling";
  EXPECT_FALSE(doubted(0, 20));
}

TEST_P(Domain, AHeaderWithoutOrientationIsSaid) {
  ASSERT_EQ(train(options("run"), "unet").end, TrainEnd::finished);
  const LoadedModel model = load("run");
  const auto warnings =
      predict(model, changed("none", [](NiftiHeader& h, Tensor&) { h.sform_code = h.qform_code = 0; }),
              "none")
          .warnings;
  ASSERT_EQ(warnings.size(), 1u);
  EXPECT_NE(warnings[0].find("no orientation is given"), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(Phantom, Domain, ::testing::Values("mri", "ct"),
                         [](const auto& modality) { return std::string(modality.param); });

}  // namespace
}  // namespace voxgrad
