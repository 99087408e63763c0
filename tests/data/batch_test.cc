// Training batches: purity, order, foreground, and augmentation that moves image and label together.
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "data/augment.h"
#include "data/patches.h"
#include "data/phantom.h"
#include "tensor/core/parallel.h"
#include "tests/data/fixture.h"

namespace voxgrad {
namespace {

Plan plan_of(const Triple& patch, int batch = 2) {
  Plan p;
  p.channel_names = {"MRI"};
  p.normalisation = {"zscore"};
  p.label_names = {"background", "structure", "lesion"};
  p.patch = patch;
  p.batch_size = batch;
  p.strides = {{1, 1, 1}};
  p.kernels = {{3, 3, 3}};
  p.features = {4};
  return p;
}

PreparedCase case_of(const Tensor& image, const Tensor& label, const Plan& plan,
                     const std::string& name = "c") {
  LoadedCase c;
  c.name = name;
  c.header = make_nifti_header({image.dim(2), image.dim(1), image.dim(0)}, {1, 1, 1});
  c.image = image;
  c.label = label;
  return prepare_case(c, {}, plan);
}

std::vector<PreparedCase> phantoms(int count, const Plan& plan) {
  std::vector<PreparedCase> cases;
  PhantomOptions o;
  o.size = 28;
  for (int i = 0; i < count; ++i) {
    const PhantomCase p = make_phantom_case(o, i);
    cases.push_back(case_of(p.image.reshape({28, 28, 28, 1}), p.label, plan, p.name));
  }
  return cases;
}

AugmentOptions everything() {
  AugmentOptions a;
  a.rotation = a.scaling = a.noise = a.blur = a.brightness = a.contrast = a.low_resolution = a.gamma = 1;
  return a;
}
AugmentOptions nothing() {
  AugmentOptions a;
  a.enabled = false;
  return a;
}

TEST(Batch, IsAPureFunctionOfSeedAndStep) {
  const Plan plan = plan_of({16, 20, 16});
  const auto cases = phantoms(3, plan);
  const int threads = thread_count();
  for (const AugmentOptions& a : {everything(), AugmentOptions{}, nothing()})
    for (const int64_t step : {0, 7, 100000}) {
      set_thread_count(1);
      const Batch one = training_batch(cases, plan, a, 5, step);
      set_thread_count(3);
      training_batch(cases, plan, a, 5, step + 1);
      const Batch three = training_batch(cases, plan, a, 5, step);
      EXPECT_EQ(one.image.to_vector<float>(), three.image.to_vector<float>());
      EXPECT_EQ(one.label.to_vector<int32_t>(), three.label.to_vector<int32_t>());
      EXPECT_EQ(one.cases, three.cases);
      EXPECT_NE(one.image.to_vector<float>(),
                training_batch(cases, plan, a, 6, step).image.to_vector<float>());
      for (const float v : one.image.to_vector<float>()) ASSERT_TRUE(std::isfinite(v));
    }
  set_thread_count(threads);
}

// A rater is drawn for each example; image, place and augmentation are those of a batch of labels.
TEST(Batch, LabelsComeFromRandomRatersWhereThereAreSome) {
  const Plan plan = plan_of({8, 8, 8});
  auto cases = phantoms(3, plan);
  for (size_t i = 0; i < 2; ++i)  // the third case has no annotations
    for (const int value : {1, 2, 1})
      cases[i].annotations.push_back(Tensor::full(cases[i].label.shape(), value, DType::u8));
  std::array<int, 3> drawn{};
  int different = 0;  // batches of two raters
  for (int64_t step = 0; step < 150; ++step) {
    const AugmentOptions a = step % 2 == 0 ? everything() : nothing();  // resampled and copied
    const Batch b = training_batch(cases, plan, a, 1, step, LabelSource::raters);
    const Batch plain = training_batch(cases, plan, a, 1, step);
    EXPECT_EQ(b.image.to_vector<float>(), plain.image.to_vector<float>());
    EXPECT_EQ(plain.raters, (std::vector<int>{-1, -1}));
    EXPECT_EQ(b.raters, training_batch(cases, plan, AugmentOptions{}, 1, step, LabelSource::raters).raters);
    different += b.cases[0] < 2 && b.cases[1] < 2 && b.raters[0] != b.raters[1];
    for (int64_t i = 0; i < 2; ++i) {
      const size_t k = static_cast<size_t>(i);
      const auto labels = b.label.rows(i, 1).to_vector<int32_t>();
      if (b.cases[k] == 2) {
        EXPECT_EQ(b.raters[k], -1);
        EXPECT_EQ(labels, plain.label.rows(i, 1).to_vector<int32_t>());
        continue;
      }
      ASSERT_TRUE(b.raters[k] >= 0 && b.raters[k] < 3);
      ++drawn[static_cast<size_t>(b.raters[k])];
      const int value = b.raters[k] == 1 ? 2 : 1;
      for (const int32_t l : labels) ASSERT_TRUE(l == value || l == 0);  // 0: air outside the case
      ASSERT_NE(std::count(labels.begin(), labels.end(), value), 0);
    }
  }
  for (const int n : drawn) EXPECT_NEAR(n, 200.0 / 3, 5 * std::sqrt(200.0 / 3));
  EXPECT_GT(different, 10);
}

TEST(Batch, EachEpochSeesEachCaseOnceInAnOrderOfItsOwn) {
  const Plan plan = plan_of({8, 8, 8});
  const auto cases = phantoms(7, plan);
  std::array<int, 14> seen{};
  for (int64_t step = 0; step < 7; ++step) {
    const Batch b = training_batch(cases, plan, nothing(), 1, step);
    for (size_t i = 0; i < 2; ++i) seen[static_cast<size_t>(step) * 2 + i] = b.cases[i];
  }
  std::array<int, 7> first{}, second{};
  for (size_t i = 0; i < 7; ++i) {
    first[i] = seen[i];
    second[i] = seen[7 + i];
  }
  EXPECT_EQ(std::set<int>(first.begin(), first.end()).size(), 7u);
  EXPECT_EQ(std::set<int>(second.begin(), second.end()).size(), 7u);
  EXPECT_NE(first, second);
}

TEST(Batch, TheSecondOfTwoIsCentredOnForegroundOfEitherClass) {
  const Plan plan = plan_of({8, 8, 8});
  const auto cases = phantoms(3, plan);
  std::set<int> classes;
  int first_on_foreground = 0;
  for (int64_t step = 0; step < 60; ++step) {
    const Batch b = training_batch(cases, plan, nothing(), 3, step);
    const auto centre = [&](int64_t i) { return b.label.rows(i, 1).data<int32_t>()[(4 * 8 + 4) * 8 + 4]; };
    ASSERT_NE(centre(1), 0);
    classes.insert(centre(1));
    first_on_foreground += centre(0) != 0;
  }
  EXPECT_EQ(classes, (std::set<int>{1, 2}));
  EXPECT_LT(first_on_foreground, 30);
}

TEST(Batch, WithoutAugmentationIsTheCaseItself) {
  const Plan plan = plan_of({12, 14, 16});
  const auto cases = phantoms(2, plan);
  const Batch b = training_batch(cases, plan, nothing(), 9, 4);
  for (int64_t i = 0; i < 2; ++i) {
    const PreprocessedCase c =
        pad_case(cases[static_cast<size_t>(b.cases[static_cast<size_t>(i)])], plan.patch);
    const Triple& o = b.origin[static_cast<size_t>(i)];
    const Tensor want = gather_windows(c.image, {{o}}, plan.patch);
    EXPECT_EQ(b.image.rows(i, 1).to_vector<float>(), want.to_vector<float>());
    for (int64_t z = 0; z < 12; ++z)
      for (int64_t y = 0; y < 14; ++y)
        for (int64_t x = 0; x < 16; ++x)
          ASSERT_EQ(
              b.label.rows(i, 1).data<int32_t>()[(z * 14 + y) * 16 + x],
              c.label.data<int32_t>()[((z + o[0]) * c.label.dim(1) + y + o[1]) * c.label.dim(2) + x + o[2]]);
  }
}

/// A smooth ball, its label painted into the image: wherever the two go, they have to go together.
TEST(Augment, ImageAndLabelStayAligned) {
  const Plan plan = plan_of({24, 24, 24}, 1);
  Tensor image = Tensor::empty({32, 32, 32, 1}), label = Tensor::empty({32, 32, 32}, DType::i32);
  for (int64_t v = 0; v < image.numel(); ++v) {
    const double z = static_cast<double>(v / 1024) - 14, y = static_cast<double>(v / 32 % 32) - 18,
                 x = static_cast<double>(v % 32) - 16;
    const double depth = 8 - std::sqrt(z * z * 2 + y * y + x * x / 2);  // an ellipsoid off centre
    image.mutable_data<float>()[v] = static_cast<float>(10 + std::clamp(depth, -4.0, 4.0));
    label.mutable_data<int32_t>()[v] = depth > 0;
  }
  const PreparedCase c = case_of(image, label, plan);
  // The normalised value of depth 0.
  double sum = 0, squares = 0;
  for (const float v : image.to_vector<float>()) {
    sum += v;
    squares += double{v} * v;
  }
  const double n = static_cast<double>(image.numel()), mean = sum / n,
               deviation = std::sqrt(squares / n - mean * mean);
  const float border = static_cast<float>((10 - mean) / deviation), voxel = static_cast<float>(1 / deviation);
  AugmentOptions a;
  a.rotation = a.scaling = 1;
  a.noise = a.blur = a.brightness = a.contrast = a.low_resolution = a.gamma = 0;
  int64_t inside = 0, disagree = 0;
  std::set<int64_t> sizes;
  for (int64_t step = 0; step < 40; ++step) {
    const Batch b = training_batch({c}, plan, a, 21, step);
    int64_t size = 0;
    for (int64_t v = 0; v < b.label.numel(); ++v) {
      const bool bright = b.image.data<float>()[v] > border, is_label = b.label.data<int32_t>()[v] == 1;
      size += is_label;
      // Nearest and linear may differ within a voxel of the border, nowhere else.
      if (std::fabs(b.image.data<float>()[v] - border) > 1.3f * voxel) {
        ASSERT_EQ(bright, is_label) << "step " << step;
      } else {
        disagree += bright != is_label;
        ++inside;
      }
    }
    sizes.insert(size / 20);
  }
  EXPECT_LT(static_cast<double>(disagree), 0.35 * static_cast<double>(inside));
  EXPECT_GT(sizes.size(), 10u) << "nothing was scaled";
}

TEST(Augment, RotationsPreserveShapeInMillimetresAndSlicesStaySlices) {
  Plan plan = plan_of({16, 16, 16});
  plan.spacing = {2, 1, 1};
  AugmentOptions a;
  a.rotation = 1;
  a.scaling = 0;
  for (int i = 0; i < 8; ++i) {
    const Augmentation d = draw_augmentation(a, plan, {3, Stream::augment, 1}, i);
    ASSERT_TRUE(d.resampled);
    for (size_t j = 0; j < 3; ++j)  // columns, in mm, are orthonormal
      for (size_t k = 0; k < 3; ++k) {
        double dot = 0;
        for (size_t r = 0; r < 3; ++r)
          dot += d.matrix[r][j] * plan.spacing[r] / plan.spacing[j] * d.matrix[r][k] * plan.spacing[r] /
                 plan.spacing[k];
        EXPECT_NEAR(dot, j == k, 1e-12);
      }
    plan.anisotropic = true;
    const Augmentation flat = draw_augmentation(a, plan, {3, Stream::augment, 1}, i);
    EXPECT_EQ(flat.matrix[0], (std::array<double, 3>{1, 0, 0}));
    EXPECT_EQ(flat.matrix[1][0], 0);
    plan.anisotropic = false;
  }
}

TEST(Augment, TransformsComeAsOftenAsAskedAndInTheirRanges) {
  const Plan plan = plan_of({8, 8, 8});
  int rotated = 0, noise = 0, gamma = 0, mirrored = 0;
  constexpr int kDraws = 4000;
  for (uint32_t i = 0; i < kDraws; ++i) {
    AugmentOptions o;
    o.mirror = true;
    o.scaling = 0;
    const Augmentation a = draw_augmentation(o, plan, {8, Stream::augment, i}, 1);
    rotated += a.resampled;
    mirrored += a.mirror[2];
    const ChannelAugmentation& c = a.channels[0];
    noise += c.noise_sigma > 0;
    gamma += c.gamma != 1;
    EXPECT_LE(c.noise_sigma, 0.1);
    EXPECT_TRUE(c.blur_sigma == 0 || (c.blur_sigma >= 0.5 && c.blur_sigma <= 1));
    EXPECT_TRUE(c.brightness >= 0.75 && c.brightness <= 1.25);
    EXPECT_TRUE(c.contrast >= 0.75 && c.contrast <= 1.25);
    EXPECT_TRUE(c.zoom >= 0.5 && c.zoom <= 1);
    EXPECT_TRUE(c.gamma >= 0.7 && c.gamma <= 1.5);
  }
  const auto near = [](int count, double p) {  // five standard errors
    return std::fabs(count - p * kDraws) < 5 * std::sqrt(p * (1 - p) * kDraws);
  };
  EXPECT_TRUE(near(rotated, 0.2)) << rotated;
  EXPECT_TRUE(near(noise, 0.1)) << noise;
  EXPECT_TRUE(near(gamma, 0.3)) << gamma;
  EXPECT_TRUE(near(mirrored, 0.5)) << mirrored;
}

struct Moments {
  double mean, deviation;
  float low, high;
};
Moments moments(const Tensor& t) {
  Moments m{0, 0, HUGE_VALF, -HUGE_VALF};
  for (const float v : t.to_vector<float>()) {
    m.mean += v;
    m.low = std::min(m.low, v);
    m.high = std::max(m.high, v);
  }
  m.mean /= static_cast<double>(t.numel());
  for (const float v : t.to_vector<float>()) m.deviation += (v - m.mean) * (v - m.mean);
  m.deviation = std::sqrt(m.deviation / static_cast<double>(t.numel()));
  return m;
}

TEST(Augment, ValuesChangeAsTheirNamesSay) {
  const Tensor original = random_normal({12, 16, 20, 1}, {4, Stream::test, 0});
  const Philox g{1, Stream::augment, 0};
  const auto with = [&](auto&& set) {
    Augmentation a;
    a.channels.resize(1);
    set(a.channels[0]);
    Tensor t = original.clone();
    augment_values(t, a, g, 0, false);
    return t;
  };
  const Moments before = moments(original);
  EXPECT_EQ(with([](auto&) {}).template to_vector<float>(), original.to_vector<float>());
  const Moments noisy = moments(with([](auto& c) { c.noise_sigma = 0.5; }));
  EXPECT_NEAR(noisy.deviation, std::sqrt(before.deviation * before.deviation + 0.25), 0.03);
  EXPECT_LT(moments(with([](auto& c) { c.blur_sigma = 1; })).deviation, 0.35);
  EXPECT_NEAR(moments(with([](auto& c) { c.brightness = 1.2; })).deviation, 1.2 * before.deviation, 1e-5);
  const Moments contrast = moments(with([](auto& c) { c.contrast = 1.25; }));
  EXPECT_GT(contrast.deviation, 1.2 * before.deviation);
  EXPECT_EQ(contrast.low, before.low);  // clipped to the old range
  EXPECT_EQ(contrast.high, before.high);
  EXPECT_LT(moments(with([](auto& c) { c.zoom = 0.5; })).deviation, 0.8);
  for (const bool inverted : {false, true}) {
    const Tensor t = with([&](auto& c) { (inverted ? c.inverted_gamma : c.gamma) = 1.4; });
    const Moments gamma = moments(t);
    EXPECT_NEAR(gamma.mean, before.mean, 1e-5);
    EXPECT_NEAR(gamma.deviation, before.deviation, 1e-5);
    EXPECT_NE(t.to_vector<float>(), original.to_vector<float>());
    // Order is kept: a gamma is monotonous.
    for (int64_t v = 1; v < t.numel(); ++v)
      ASSERT_GT((t.data<float>()[v] - t.data<float>()[v - 1]) *
                    (original.data<float>()[v] - original.data<float>()[v - 1]),
                -1e-6f);
  }
}

TEST(Augment, MirroredPatchesAreThePatchReversed) {
  const Plan plan = plan_of({6, 7, 8}, 1);
  const Tensor image = random_normal({6, 7, 8, 1}, {4, Stream::test, 1});
  Tensor label = Tensor::empty({6, 7, 8}, DType::i32);
  for (int64_t v = 0; v < label.numel(); ++v) label.mutable_data<int32_t>()[v] = static_cast<int32_t>(v % 3);
  const PreparedCase c = case_of(image, label, plan);
  Augmentation a;
  a.channels.resize(1);
  a.mirror = {true, false, true};
  for (const bool resampled : {false, true}) {  // the copy and the resampling agree
    a.resampled = resampled;
    std::vector<float> values(336);
    std::vector<int32_t> labels(336);
    read_patch(c, c.label, {0, 0, 0}, {6, 7, 8}, a, values.data(), labels.data());
    for (int64_t z = 0; z < 6; ++z)
      for (int64_t y = 0; y < 7; ++y)
        for (int64_t x = 0; x < 8; ++x) {
          const size_t v = static_cast<size_t>((z * 7 + y) * 8 + x);
          const int64_t from = ((5 - z) * 7 + y) * 8 + 7 - x;
          ASSERT_EQ(values[v], c.image.data<float>()[from]);
          ASSERT_EQ(labels[v], c.label.data<uint8_t>()[from]);
        }
  }
}

TEST(Batch, OfATwoDimensionalPlanIsOneSlice) {
  Plan plan = plan_of({1, 16, 16});
  plan.dims = 2;
  plan.spacing = {0, 1, 1};
  const auto cases = phantoms(2, plan);
  for (int64_t step = 0; step < 20; ++step) {
    const Batch b = training_batch(cases, plan, everything(), 1, step);
    EXPECT_EQ(b.image.shape(), (Shape{2, 1, 16, 16, 1}));
    for (const float v : b.image.to_vector<float>()) ASSERT_TRUE(std::isfinite(v));
  }
}

TEST(Batch, ACaseSmallerThanThePatchIsPaddedWithAir) {
  const Plan plan = plan_of({16, 16, 16}, 1);
  const PreparedCase c = case_of(testing::volume({9, 10, 11, 1}, [](int64_t i) { return 5 + i % 7; }),
                                 Tensor::full({9, 10, 11}, 1, DType::i32), plan);
  const Batch b = training_batch({c}, plan, nothing(), 1, 0);
  EXPECT_EQ(b.image.data<float>()[0], c.air[0]);
  int64_t foreground = 0;
  for (int64_t v = 0; v < b.label.numel(); ++v) foreground += b.label.data<int32_t>()[v];
  EXPECT_EQ(foreground, 9 * 10 * 11);
}

/// The padding is never made: whatever is read of it has the bits of a case that is padded.
TEST(Batch, PaddingThatIsNotThereReadsAsPaddingThatIs) {
  const Plan plan = plan_of({16, 12, 20}, 1);
  LoadedCase loaded;
  loaded.header = make_nifti_header({11, 17, 9}, {1, 1, 1});
  loaded.image = random_normal({9, 17, 11, 2}, {4, Stream::test, 1});
  loaded.label = Tensor::empty({9, 17, 11}, DType::i32);
  for (int64_t v = 0; v < loaded.label.numel(); ++v)
    loaded.label.mutable_data<int32_t>()[v] = static_cast<int32_t>(v % 3);
  Plan two_channels = plan;
  two_channels.channel_names = {"a", "b"};
  two_channels.normalisation = {"zscore", "zscore"};
  const PreparedCase c = prepare_case(loaded, {}, two_channels);
  const PreprocessedCase padded = pad_case(c, plan.patch);
  ASSERT_EQ(padded.padded, (Triple{16, 17, 20}));
  PreparedCase whole = c;  // its padding lies in memory
  whole.content = padded.padded;
  whole.image = padded.image;
  whole.label = padded.label;  // i32: the other type of labels
  int outside = 0;
  for (int64_t step = 0; step < 60; ++step) {
    Augmentation a =
        draw_augmentation(step % 3 == 0 ? nothing() : AugmentOptions{.rotation = 1, .scaling = 1},
                          two_channels, {5, Stream::augment, static_cast<uint32_t>(step)}, 0);
    a.mirror = {step % 2 == 0, step % 5 == 0, step % 4 < 2};
    const Triple origin{0, step % 6, 0};
    std::vector<float> one(16 * 12 * 20 * 2), two(one.size());
    std::vector<int32_t> labels(one.size() / 2, -1), others(labels.size(), -2);
    read_patch(c, c.label, origin, plan.patch, a, one.data(), labels.data());
    read_patch(whole, whole.label, origin, plan.patch, a, two.data(), others.data());
    ASSERT_EQ(one, two) << "step " << step;
    ASSERT_EQ(labels, others) << "step " << step;
    outside += one[0] == c.air[0];
  }
  EXPECT_GT(outside, 30);
}

}  // namespace
}  // namespace voxgrad
