// Geometry of resampling and its inverse, normalisation, cropping, padding.
#include "data/preprocess.h"

#include <gtest/gtest.h>

#include <cmath>

#include "data/nonzero.h"
#include "data/phantom.h"
#include "data/resample.h"
#include "tensor/core/parallel.h"
#include "tensor/core/random.h"
#include "tests/data/fixture.h"

namespace voxgrad {
namespace {

using testing::volume;
constexpr Interpolations kLinear{Interpolation::linear, Interpolation::linear, Interpolation::linear};
constexpr Interpolations kCubic{Interpolation::cubic, Interpolation::cubic, Interpolation::cubic};

Plan small_plan() {
  Plan p;
  p.channel_names = {"MRI"};
  p.normalisation = {"zscore"};
  p.label_names = {"background", "a", "b"};
  p.patch = {8, 8, 8};
  p.strides = {{1, 1, 1}, {2, 2, 2}};
  p.kernels = {{3, 3, 3}, {3, 3, 3}};
  p.features = {4, 8};
  return p;
}

LoadedCase case_of(const Tensor& image, const Tensor& label = {},
                   std::array<double, 3> spacing_xyz = {1, 1, 1}) {
  LoadedCase c;
  c.name = "case";
  c.header = make_nifti_header({image.dim(2), image.dim(1), image.dim(0)}, spacing_xyz);
  c.image = image;
  c.label = label;
  return c;
}

/// Channel a: the coordinate along axis a in voxels, from the volume's centre in units of its extent `n`.
Tensor ramp(const Triple& size) {
  Tensor t = Tensor::empty({size[0], size[1], size[2], 3});
  float* out = t.mutable_data<float>();
  for (int64_t z = 0; z < size[0]; ++z)
    for (int64_t y = 0; y < size[1]; ++y)
      for (int64_t x = 0; x < size[2]; ++x) {
        const Triple i{z, y, x};
        for (size_t a = 0; a < 3; ++a)
          *out++ = static_cast<float>((static_cast<double>(i[a]) + 0.5) / static_cast<double>(size[a]) - 0.5);
      }
  return t;
}

// A ramp in the position within the volume is the same function on every grid, up to the border's half
// voxels.
TEST(Resample, PositionsAreExactToAMillionthOfAVoxel) {
  const Triple from{9, 14, 11}, to{13, 10, 23};
  for (const Interpolations& how : {kLinear, kCubic}) {
    const Tensor there = resample(ramp(from), to, how), want = ramp(to);
    const double margin = how[0] == Interpolation::linear ? 0.5 : 1.5;  // voxels of the source grid
    int checked = 0;
    for (int64_t v = 0; v < there.numel(); ++v) {
      const size_t a = static_cast<size_t>(v % 3);
      const double exact = want.data<float>()[v];
      if (std::fabs(exact) > 0.5 - margin / static_cast<double>(from[a])) continue;
      ASSERT_NEAR(there.data<float>()[v], exact, 1e-6 / static_cast<double>(from[a])) << "axis " << a;
      ++checked;
    }
    EXPECT_GT(checked, 5000);
  }
}

TEST(Resample, ThereAndBackKeepsPositions) {
  const Triple fine{20, 24, 22}, coarse{15, 31, 22};
  const Tensor back = resample(resample(ramp(fine), coarse, kCubic), fine, kLinear), want = ramp(fine);
  for (int64_t v = 0; v < back.numel(); ++v) {
    const size_t a = static_cast<size_t>(v % 3);
    const double exact = want.data<float>()[v];
    if (std::fabs(exact) > 0.5 - 3.0 / static_cast<double>(coarse[a])) continue;
    ASSERT_NEAR(back.data<float>()[v], exact, 1e-6 / static_cast<double>(fine[a]));
  }
}

TEST(Resample, AnExtentThatStaysIsCopied) {
  const Tensor t = volume({3, 4, 5, 2}, [](int64_t i) { return std::sin(static_cast<double>(i)); });
  EXPECT_EQ(resample(t, {3, 4, 5}, kCubic).to_vector<float>(), t.to_vector<float>());
}

TEST(Resample, CubicIsExactForQuadraticsAndConstants) {
  const Tensor t = volume({1, 1, 12, 1}, [](int64_t i) {
    return (static_cast<double>(i) - 4) * (static_cast<double>(i) - 4) / 8.0;
  });
  const Tensor r = resample(t, {1, 1, 30}, kCubic);
  for (int64_t j = 5; j < 25; ++j) {
    const double x = (static_cast<double>(j) + 0.5) * 12 / 30 - 0.5;
    EXPECT_NEAR(r.data<float>()[j], (x - 4) * (x - 4) / 8, 2e-6);
  }
  const Tensor constant = volume({4, 5, 6, 1}, [](int64_t) { return 2.5; });
  for (const float v : resample(constant, {7, 3, 11}, kCubic).to_vector<float>()) EXPECT_NEAR(v, 2.5f, 1e-6f);
}

TEST(Resample, LabelsTakeTheLargestShareAndNearestAlongSlices) {
  const Tensor label = Tensor::from<int32_t>({1, 1, 4}, {0, 0, 2, 1});
  EXPECT_EQ(resample_labels(label, {1, 1, 8}, 3, kLinear).to_vector<int32_t>(),
            (std::vector<int32_t>{0, 0, 0, 0, 2, 2, 1, 1}));
  const Tensor slices = Tensor::from<int32_t>({2, 1, 1}, {1, 2});
  const Interpolations apart = separate_axes({5, 1, 1}, {1, 1, 1}, Interpolation::cubic);
  EXPECT_EQ(apart[0], Interpolation::nearest);
  EXPECT_EQ(apart[2], Interpolation::cubic);
  EXPECT_EQ(resample_labels(slices, {6, 1, 1}, 3, apart).to_vector<int32_t>(),
            (std::vector<int32_t>{1, 1, 1, 2, 2, 2}));
  EXPECT_EQ(separate_axes({1, 1, 1}, {1, 1, 1}, Interpolation::cubic)[0], Interpolation::cubic);
  EXPECT_EQ(separate_axes({5, 1, 5}, {1, 1, 1}, Interpolation::cubic)[0], Interpolation::cubic);
}

TEST(Preprocess, CropsNormalisesAndPads) {
  Tensor image = Tensor::zeros({10, 12, 9, 1});
  Tensor label = Tensor::zeros({10, 12, 9}, DType::i32);
  double sum = 0, squares = 0;
  for (int64_t z = 2; z < 7; ++z)
    for (int64_t y = 3; y < 12; ++y)
      for (int64_t x = 1; x < 6; ++x) {
        const float v = static_cast<float>(100 + 7 * z - 3 * y + x * x);
        image.mutable_data<float>()[(z * 12 + y) * 9 + x] = v;
        label.mutable_data<int32_t>()[(z * 12 + y) * 9 + x] = y > 8 ? 2 : 1;
        sum += v;
        squares += double{v} * v;
      }
  const PreparedCase prepared = prepare_case(case_of(image, label), {label}, small_plan());
  const PreprocessedCase c = pad_case(prepared, small_plan().patch);
  EXPECT_EQ(c.crop_begin, (Triple{2, 3, 1}));
  EXPECT_EQ(c.crop_size, (Triple{5, 9, 5}));
  EXPECT_EQ(c.content, c.crop_size);
  EXPECT_EQ(c.padded, (Triple{8, 9, 8}));
  EXPECT_EQ(c.pad_begin, (Triple{1, 0, 1}));
  EXPECT_EQ(c.image.shape(), (Shape{8, 9, 8, 1}));
  const double mean = sum / 225, deviation = std::sqrt(squares / 225 - mean * mean);
  EXPECT_NEAR(c.image.data<float>()[(1 * 9 + 0) * 8 + 1], (100 + 14 - 9 + 1 - mean) / deviation, 1e-5);
  EXPECT_EQ(c.image.data<float>()[0], prepared.air[0]);  // padding is air: the smallest value
  EXPECT_EQ(prepared.air[0],
            *std::min_element(c.image.data<float>(), c.image.data<float>() + c.image.numel()));
  EXPECT_EQ(c.label.data<int32_t>()[(1 * 9 + 8) * 8 + 1], 2);
  EXPECT_EQ(prepared.class_voxels[2].numel(), 5 * 3 * 5);
  for (const int64_t v : prepared.class_voxels[2].to_vector<int64_t>())
    EXPECT_EQ(prepared.label.data<uint8_t>()[v], 2);
  EXPECT_EQ(prepared.annotations.at(0).to_vector<uint8_t>(), prepared.label.to_vector<uint8_t>());
  EXPECT_EQ(prepared.low[0], 0);
  EXPECT_EQ(prepared.high[0], *std::max_element(image.data<float>(), image.data<float>() + image.numel()));
}

TEST(Preprocess, InverseOnTheSameGridIsIdentityAndAirIsBackground) {
  Tensor image = Tensor::zeros({10, 9, 11, 1});
  for (int64_t z = 3; z < 8; ++z)
    for (int64_t y = 0; y < 9; ++y)
      for (int64_t x = 2; x < 10; ++x)
        image.mutable_data<float>()[(z * 9 + y) * 11 + x] = static_cast<float>(1 + x);
  const PreprocessedCase c = preprocess(case_of(image), small_plan());
  Tensor p = Tensor::empty({c.padded[0], c.padded[1], c.padded[2], 3});
  for (int64_t v = 0; v < p.numel() / 3; ++v) {
    const float a = static_cast<float>(v % 7) / 16, b = static_cast<float>(v % 5) / 16;
    for (int64_t k = 0; k < 3; ++k) p.mutable_data<float>()[3 * v + k] = k == 0 ? 1 - a - b : k == 1 ? a : b;
  }
  const std::vector<float> before = p.to_vector<float>();
  const Tensor back = invert_probabilities(p, c), field = invert_field(p, c, -5);
  EXPECT_EQ(p.to_vector<float>(), before) << "the input was written";
  ASSERT_EQ(back.shape(), (Shape{10, 9, 11, 3}));
  for (int64_t z = 0; z < 10; ++z)
    for (int64_t y = 0; y < 9; ++y)
      for (int64_t x = 0; x < 11; ++x)
        for (int64_t k = 0; k < 3; ++k) {
          const float got = back.data<float>()[((z * 9 + y) * 11 + x) * 3 + k];
          const float raw = field.data<float>()[((z * 9 + y) * 11 + x) * 3 + k];
          const bool inside = z >= 3 && z < 8 && x >= 2 && x < 10;
          if (!inside) {
            ASSERT_EQ(got, k == 0 ? 1.0f : 0.0f);
            ASSERT_EQ(raw, -5.0f);
          } else {
            const int64_t v = ((z - 3 + c.pad_begin[0]) * c.padded[1] + y + c.pad_begin[1]) * c.padded[2] +
                              x - 2 + c.pad_begin[2];
            ASSERT_EQ(got, before[static_cast<size_t>(3 * v + k)]);
            ASSERT_EQ(raw, before[static_cast<size_t>(3 * v + k)]);
          }
        }
}

// The whole way: a ramp over the input's grid, seen at the plan's spacing and taken back.
TEST(Preprocess, InverseGeometryAcrossSpacings) {
  Plan plan = small_plan();
  plan.spacing = {1.3, 0.7, 1.1};
  const Triple size{13, 10, 17};
  const PreprocessedCase c =
      preprocess(case_of(volume({size[0], size[1], size[2], 1}, [](int64_t i) { return 1 + i % 9; }), {},
                         {1.0, 0.9, 2.0}),
                 plan);
  EXPECT_EQ(c.content, (Triple{20, 13, 15}));
  // The field that a network would have to say to mean the ramp, on the padded grid.
  const Tensor inner = ramp(c.content);
  Tensor field = Tensor::zeros({c.padded[0], c.padded[1], c.padded[2], 3});
  for (int64_t z = 0; z < c.content[0]; ++z)
    for (int64_t y = 0; y < c.content[1]; ++y)
      for (int64_t x = 0; x < c.content[2] * 3; ++x)
        field.mutable_data<float>()[((z + c.pad_begin[0]) * c.padded[1] + y + c.pad_begin[1]) * c.padded[2] *
                                        3 +
                                    c.pad_begin[2] * 3 + x] =
            inner.data<float>()[(z * c.content[1] + y) * c.content[2] * 3 + x];
  const Tensor back = invert_field(field, c, 0), want = ramp(size);
  ASSERT_EQ(back.shape(), want.shape());
  for (int64_t v = 0; v < back.numel(); ++v) {
    const size_t a = static_cast<size_t>(v % 3);
    if (std::fabs(want.data<float>()[v]) > 0.5 - 0.5 / static_cast<double>(c.content[a])) continue;
    ASSERT_NEAR(back.data<float>()[v], want.data<float>()[v], 1e-6 / static_cast<double>(size[a]))
        << "axis " << a;
  }
}

TEST(Preprocess, RenormalisesInterpolatedProbabilities) {
  Plan plan = small_plan();
  plan.spacing = {0.8, 0.8, 0.8};
  const PreprocessedCase c =
      preprocess(case_of(volume({9, 9, 9, 1}, [](int64_t i) { return 1 + i % 5; })), plan);
  Tensor p = Tensor::zeros({c.padded[0], c.padded[1], c.padded[2], 3});
  for (int64_t v = 0; v < p.numel() / 3; ++v) p.mutable_data<float>()[3 * v + v % 3] = 1;
  const Tensor back = invert_probabilities(p, c);
  for (int64_t v = 0; v < back.numel() / 3; ++v)
    ASSERT_NEAR(back.data<float>()[3 * v] + back.data<float>()[3 * v + 1] + back.data<float>()[3 * v + 2], 1,
                1e-6);
}

TEST(Preprocess, MaskNormalisationLeavesAirAtZero) {
  Plan plan = small_plan();
  plan.mask_normalisation = true;
  Tensor image = Tensor::zeros({9, 9, 9, 1});
  for (int64_t z = 0; z < 9; ++z)
    for (int64_t y = 0; y < 9; ++y)
      for (int64_t x = 0; x < 9; ++x)
        if ((z - 4) * (z - 4) + (y - 4) * (y - 4) + (x - 4) * (x - 4) <= 16 && !(z == 4 && y == 4 && x == 4))
          image.mutable_data<float>()[(z * 9 + y) * 9 + x] = static_cast<float>(50 + x);
  const Tensor mask = nonzero_mask(image);
  EXPECT_EQ(mask.data<uint8_t>()[(4 * 9 + 4) * 9 + 4], 1) << "a hole belongs to the mask";
  EXPECT_EQ(mask.data<uint8_t>()[0], 0);
  const PreparedCase c = prepare_case(case_of(image), {}, plan);
  EXPECT_EQ(c.image.data<float>()[0], 0);
  EXPECT_EQ(c.air[0], 0);
  double sum = 0;
  for (const float v : c.image.to_vector<float>()) sum += v;
  EXPECT_NEAR(sum, 0, 1e-3);
  EXPECT_LT(c.image.data<float>()[(4 * 9 + 4) * 9 + 4],
            -2);  // the hole was 0 and is normalised with the rest
}

TEST(Preprocess, CtIsClippedAndScaledByTheDataSet) {
  Plan plan = small_plan();
  plan.normalisation = {"ct"};
  plan.intensity = {{-100, 200, 50, 25}};
  const PreparedCase c = prepare_case(
      case_of(volume({8, 8, 8, 1}, [](int64_t i) { return i == 0   ? -1000
                                                          : i == 1 ? 3000
                                                                   : 75; })), {}, plan);
  EXPECT_EQ(c.image.data<float>()[0], -6);
  EXPECT_EQ(c.image.data<float>()[1], 6);
  EXPECT_EQ(c.image.data<float>()[2], 1);
  EXPECT_EQ(c.air[0], -6);
}

TEST(Preprocess, ATwoDimensionalPlanKeepsTheSlices) {
  Plan plan = small_plan();
  plan.dims = 2;
  plan.spacing = {0, 0.5, 0.5};
  plan.patch = {1, 8, 8};
  const PreprocessedCase c =
      preprocess(case_of(volume({3, 7, 6, 1}, [](int64_t i) { return i + 1; }), {}, {1, 1, 6}), plan);
  EXPECT_EQ(c.content, (Triple{3, 14, 12}));
  const PreprocessedCase tiny =
      preprocess(case_of(volume({1, 5, 6, 1}, [](int64_t i) { return i + 1; }), {}, {0.5, 0.5, 1}), plan);
  EXPECT_EQ(tiny.padded, (Triple{1, 8, 8}));
}

// The extents at the plan's spacing are multiplied only after they are known to be few.
TEST(Preprocess, MoreVoxelsThanAnyMachineHoldsAreRefused) {
  Plan plan = small_plan();
  for (const std::array<double, 3>& spacing :
       {std::array<double, 3>{1e-6, 1e-6, 1e-6}, {1e-4, 1e-4, 1e-4}, {1, 1e-6, 1e4}}) {
    plan.spacing = spacing;
    try {
      preprocess(case_of(Tensor::full({16, 16, 16, 1}, 1)), plan);
      ADD_FAILURE() << spacing[0];
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::memory);
      EXPECT_NE(std::string(e.what()).find("case case: expected at most"), std::string::npos) << e.what();
    }
  }
}

TEST(Preprocess, SameBitsWithAnyNumberOfThreads) {
  PhantomOptions o;
  o.size = 30;
  const PhantomCase p = make_phantom_case(o, 0);
  Plan plan = small_plan();
  plan.spacing = {1.2, 0.9, 1.1};
  plan.mask_normalisation = true;
  const LoadedCase loaded = case_of(p.image.reshape({30, 30, 30, 1}), p.label);
  const int threads = thread_count();
  std::vector<std::vector<float>> images, inverses;
  for (const int n : {1, 3}) {
    set_thread_count(n);
    const PreprocessedCase c = preprocess(loaded, plan);
    images.push_back(c.image.to_vector<float>());
    inverses.push_back(invert_field(c.image, c, 0).to_vector<float>());
  }
  set_thread_count(threads);
  EXPECT_EQ(images[0], images[1]);
  EXPECT_EQ(inverses[0], inverses[1]);
}

TEST(Preprocess, AZScoreDoesNotKnowTheUnitOfTheImage) {
  Tensor image = random_normal({8, 8, 8, 1}, {1, Stream::test, 0});
  const std::vector<float> want = preprocess(case_of(image), small_plan()).image.to_vector<float>();
  for (const float unit : {0x1p-50f, 0x1p-90f, 0x1p60f}) {
    Tensor scaled = image.clone();
    for (int64_t i = 0; i < scaled.numel(); ++i) scaled.mutable_data<float>()[i] *= unit;
    EXPECT_EQ(preprocess(case_of(scaled), small_plan()).image.to_vector<float>(), want) << unit;
  }
  for (const double constant : {0.1, 1e-30, -3e20})  // what rounding leaves is no signal
    for (const float v :
         preprocess(case_of(Tensor::full({8, 8, 8, 1}, constant)), small_plan()).image.to_vector<float>())
      ASSERT_EQ(v, 0) << constant;
}

TEST(Preprocess, ProbabilitiesThatAreNoNumbersAreNotMadeUniform) {
  const PreprocessedCase c = preprocess(case_of(Tensor::full({8, 8, 8, 1}, 1)), small_plan());
  for (const float bad : {NAN, INFINITY, 0.0f}) {
    Tensor p = Tensor::full({8, 8, 8, 3}, 1.0 / 3);
    for (int64_t k = 0; k < 3; ++k) p.mutable_data<float>()[30 + k] = bad;
    try {
      invert_probabilities(p, c);
      ADD_FAILURE() << bad;
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::diverged);
      EXPECT_NE(std::string(e.what()).find("case case"), std::string::npos) << e.what();
    }
  }
}

}  // namespace
}  // namespace voxgrad
