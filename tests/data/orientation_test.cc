// Axes that run otherwise are turned to RAS before anything is computed, and results are turned back.
#include "data/orientation.h"

#include <gtest/gtest.h>

#include <cmath>

#include "data/grid.h"
#include "data/plan.h"
#include "data/preprocess.h"
#include "tensor/core/random.h"
#include "tests/data/fixture.h"

namespace voxgrad {
namespace {

using testing::TemporaryFolder;

constexpr std::array<double, 3> kSpacing{1.5, 1, 0.75};  // mm along R, A, S
constexpr std::array<int64_t, 3> kExtent{11, 9, 7};      // voxels along R, A, S

std::pair<size_t, double> world_of(char letter) {
  const size_t at = std::string("RASLPI").find(letter);
  return {at % 3, at < 3 ? 1.0 : -1.0};
}

/// All 48 ways to store a volume.
std::vector<std::string> all_letters() {
  std::vector<std::string> all;
  for (const char* order : {"RAS", "RSA", "ARS", "ASR", "SRA", "SAR"})
    for (int flips = 0; flips < 8; ++flips) {
      std::string letters = order;
      for (size_t a = 0; a < 3; ++a)
        if ((flips >> a) & 1) letters[a] = "LPI"[world_of(letters[a]).first];
      all.push_back(letters);
    }
  return all;
}

/// The header of the same volume, stored with axes that run to `letters`.
NiftiHeader header_of(const std::string& letters) {
  std::array<int64_t, 3> dims{};
  std::array<double, 3> spacing{};
  for (size_t a = 0; a < 3; ++a) {
    dims[a] = kExtent[world_of(letters[a]).first];
    spacing[a] = kSpacing[world_of(letters[a]).first];
  }
  NiftiHeader h = make_nifti_header(dims, spacing);
  h.qform_code = 0;
  h.srow = {};
  for (size_t a = 0; a < 3; ++a) {
    const auto [world, sign] = world_of(letters[a]);
    h.srow[world][a] = sign * spacing[a];
    h.srow[world][3] = sign > 0 ? 0 : static_cast<double>(dims[a] - 1) * spacing[a];
  }
  return h;
}

/// A value that says where in the body a voxel lies.
float value_at(size_t r, size_t a, size_t s) { return static_cast<float>(100 * r + 10 * a + s); }

/// [D, H, W, 2] as a file of these axes has it.
Tensor stored_volume(const std::string& letters, const NiftiHeader& h) {
  Tensor t = Tensor::empty({h.extent(2), h.extent(1), h.extent(0), 2});
  float* out = t.mutable_data<float>();
  for (int64_t k = 0; k < h.extent(2); ++k)
    for (int64_t j = 0; j < h.extent(1); ++j)
      for (int64_t i = 0; i < h.extent(0); ++i) {
        const std::array<int64_t, 3> voxel{i, j, k};
        std::array<size_t, 3> body{};
        for (size_t a = 0; a < 3; ++a) {
          const auto [world, sign] = world_of(letters[a]);
          body[world] =
              static_cast<size_t>(sign > 0 ? voxel[a] : h.extent(static_cast<int>(a)) - 1 - voxel[a]);
        }
        *out++ = value_at(body[0], body[1], body[2]);
        *out++ = -value_at(body[0], body[1], body[2]);
      }
  return t;
}

LoadedCase stored_case(const std::string& letters) {
  LoadedCase c;
  c.name = "case";
  c.header = header_of(letters);
  c.image = stored_volume(letters, c.header);
  c.label = Tensor::empty({c.image.dim(0), c.image.dim(1), c.image.dim(2)}, DType::i32);
  for (int64_t v = 0; v < c.label.numel(); ++v)
    c.label.mutable_data<int32_t>()[v] = static_cast<int32_t>(c.image.data<float>()[2 * v]) % 3;
  return c;
}

Plan plan_for_ras() {
  Plan p;
  p.channel_names = {"a", "b"};
  p.normalisation = {"zscore", "none"};
  p.label_names = {"background", "x", "y"};
  p.axes = kCanonicalAxes;
  p.spacing = {1, 1, 1};
  p.patch = {8, 16, 16};
  return p;
}

TEST(Orientation, EveryWayToStoreAVolumeIsToldByItsLetters) {
  const auto letters = all_letters();
  ASSERT_EQ(letters.size(), 48u);
  for (const std::string& l : letters) {
    EXPECT_EQ(axis_letters(header_of(l)), l);
    EXPECT_EQ(tied_axis_letters(header_of(l)), "");
    EXPECT_TRUE(names_axes(l));
  }
  for (const char* wrong : {"", "RA", "RASS", "RAR", "RLS", "ras", "RA?", "R,A"})
    EXPECT_FALSE(names_axes(wrong));
}

TEST(Orientation, EveryWayIsTurnedToTheSameVolumeAndBack) {
  const Tensor ras = stored_volume("RAS", header_of("RAS"));
  for (const std::string& l : all_letters()) {
    const NiftiHeader h = header_of(l);
    const Tensor stored = stored_volume(l, h);
    const Turn turn = turn_to("RAS", h);
    EXPECT_EQ(turn.none(), l == "RAS");
    const Tensor there = turned(stored, turn);
    EXPECT_EQ(there.shape(), ras.shape()) << l;
    EXPECT_EQ(there.to_vector<float>(), ras.to_vector<float>()) << l;
    const Tensor back = turned(there, turn.inverse());
    EXPECT_EQ(back.shape(), stored.shape()) << l;
    EXPECT_EQ(back.to_vector<float>(), stored.to_vector<float>()) << l;
    EXPECT_EQ(turned(spacing_of(h), turn), spacing_of(header_of("RAS"))) << l;
    EXPECT_EQ(turn.inverse().inverse(), turn);
    // To any other letters, too: a model may have been trained on images that lay so.
    const NiftiHeader lps = header_of("LPS");
    EXPECT_EQ(turned(stored, turn_to("LPS", h)).to_vector<float>(),
              stored_volume("LPS", lps).to_vector<float>());
  }
}

TEST(Orientation, APreparedCaseAndWhatComesBackHaveTheSameBits) {
  const Plan plan = plan_for_ras();
  const LoadedCase ras = stored_case("RAS");
  const PreparedCase want = prepare_case(ras, {ras.label}, plan);
  const PreprocessedCase padded = preprocess(ras, plan);
  const Tensor field =
      random_normal({padded.padded[0], padded.padded[1], padded.padded[2], 3}, {1, Stream::test, 0});
  const Tensor on_ras = invert_field(field, padded, 0);
  for (const std::string& l : all_letters()) {
    const LoadedCase c = stored_case(l);
    const PreparedCase got = prepare_case(c, {c.label}, plan);
    EXPECT_EQ(got.axes, l);
    EXPECT_EQ(got.image.to_vector<float>(), want.image.to_vector<float>()) << l;
    EXPECT_EQ(got.label.to_vector<uint8_t>(), want.label.to_vector<uint8_t>()) << l;
    EXPECT_EQ(got.annotations[0].to_vector<uint8_t>(), want.label.to_vector<uint8_t>()) << l;
    EXPECT_EQ(got.spacing, want.spacing);
    EXPECT_EQ(got.low, want.low);
    const PreprocessedCase p = preprocess(c, plan);
    const Tensor on_input = invert_field(field, p, 0);
    EXPECT_EQ(on_input.dim(0), c.image.dim(0));
    EXPECT_EQ(turned(on_input, turn_to("RAS", c.header)).to_vector<float>(), on_ras.to_vector<float>()) << l;
  }
}

TEST(Orientation, AFingerprintIsThatOfTheTurnedCase) {
  const TemporaryFolder t;
  for (const std::string& l : all_letters()) {
    const LoadedCase c = stored_case(l);
    Tensor voxels = Tensor::zeros({c.image.dim(0), c.image.dim(1), c.image.dim(2)});
    for (int64_t v = 0; v < voxels.numel(); ++v)  // the half from the back is air
      voxels.mutable_data<float>()[v] = std::max(0.0f, std::fmod(c.image.data<float>()[2 * v], 100.0f) - 30);
    write_volume(t / (l + ".nii.gz"), c.header, voxels);
    const CaseFingerprint f = read_fingerprint({l, {t / (l + ".nii.gz")}, ""}, 1, 3, 0);
    EXPECT_EQ(f.extent, (Triple{7, 9, 11})) << l;
    EXPECT_EQ(f.box, (Triple{7, 6, 11})) << l;
    EXPECT_EQ(f.spacing, (std::array<double, 3>{0.75, 1, 1.5})) << l;
    EXPECT_EQ(f.summary.axes, l);
  }
}

TEST(Orientation, APlanWithoutAxesLeavesImagesAsTheyAreStored) {
  Plan plan = plan_for_ras();
  plan.axes = "";
  const LoadedCase c = stored_case("PIR");
  EXPECT_TRUE(prepare_case(c, {}, plan).turn.none());
  EXPECT_EQ(prepare_case(c, {}, plan).original, (Triple{11, 7, 9}));
}

TEST(Orientation, TrueTwoDimensionalFilesStayAsTheyAreStored) {
  NiftiHeader flat = header_of("LPS");
  flat.dims = {11, 9};
  EXPECT_TRUE(turn_to("RAS", flat).none());
  NiftiHeader slice = header_of("LPS");  // a slice of a volume, flipped in its plane
  slice.dims = {11, 9, 1};
  EXPECT_EQ(turn_to("RAS", slice), (Turn{{-1, -2, 3}}));
  NiftiHeader coronal = header_of("RSA");  // turned, it would be a column
  coronal.dims = {11, 7, 1};
  EXPECT_TRUE(turn_to("RAS", coronal).none());
}

/// RAS, turned about z.
NiftiHeader oblique(double degrees) {
  NiftiHeader h = make_nifti_header({10, 10, 10}, {1, 1, 1});
  const double angle = degrees * 3.14159265358979323846 / 180;
  h.srow[0] = {std::cos(angle), -std::sin(angle), 0, 0};
  h.srow[1] = {std::sin(angle), std::cos(angle), 0, 0};
  return h;
}

std::string warning_kinds(const NiftiHeader& h) {
  std::string kinds;
  for (const GeometryProblem& p : geometry_problems(h)) kinds += (p.error ? "!" : "") + p.kind + " ";
  return kinds;
}

TEST(Orientation, ObliqueAxesTakeTheClosestAndATieIsSaid) {
  EXPECT_EQ(axis_letters(oblique(40)), "RAS");
  EXPECT_EQ(axis_letters(oblique(50)), "ALS");
  EXPECT_EQ(axis_letters(oblique(-50)), "PRS");
  EXPECT_EQ(axis_letters(oblique(180)), "LPS");
  EXPECT_EQ(warning_kinds(oblique(44.9)), "");
  EXPECT_EQ(warning_kinds(oblique(45)), "orientation-tie ");
  EXPECT_EQ(warning_kinds(oblique(45.01)), "orientation-tie ");
  // Two axes that are nearest to the same direction: each takes one of its own.
  NiftiHeader sheared = oblique(0);
  sheared.srow[1][0] = 1.2;
  EXPECT_TRUE(names_axes(axis_letters(sheared))) << axis_letters(sheared);
}

TEST(Geometry, ASpacingThatNoVoxelHasIsAnError) {
  for (const double mm : {100.0, 1e30, 51.0, 1e-6, 1e-30}) {
    NiftiHeader h = make_nifti_header({10, 10, 10}, {1, mm, 1});
    EXPECT_NE(warning_kinds(h).find("!spacing-range"), std::string::npos) << mm;
    EXPECT_THROW(refuse_geometry(h, "file"), Error);
    h.dims[1] = 1;  // a single voxel has no distance to another
    EXPECT_EQ(warning_kinds(h).find("!spacing-range"), std::string::npos) << mm;
  }
  EXPECT_EQ(warning_kinds(make_nifti_header({10, 10, 10}, {2.5e-4, 50, 1})), "");
}

}  // namespace
}  // namespace voxgrad
