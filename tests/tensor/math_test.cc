// The elementary functions against the C library in double precision, and Philox against its
// published test vectors.
#include "tensor/core/math.h"

#include <gtest/gtest.h>

#include "tensor/core/random.h"
#include "tensor/core/ref/random.h"

namespace voxgrad {
namespace {

TEST(Math, ExpIsWithinThreeTenMillionths) {
  for (double x = -87; x < 88; x += 0.0137) {
    const float f = static_cast<float>(x);
    const double want = std::exp(static_cast<double>(f));
    EXPECT_NEAR(math::exp(f) / want, 1.0, 3e-7) << x;
  }
  EXPECT_EQ(math::exp(-100.0f), 0.0f);
  EXPECT_TRUE(std::isinf(math::exp(100.0f)));
  EXPECT_TRUE(std::isnan(math::exp(NAN)));
  EXPECT_EQ(math::exp(0.0f), 1.0f);
}

TEST(Math, LogIsWithinItsBound) {
  for (double x = 1e-30; x < 1e30; x *= 1.037) {
    const float f = static_cast<float>(x);
    const double want = std::log(static_cast<double>(f));
    EXPECT_NEAR(math::log(f), want, 1e-7 + 2e-7 * std::abs(want)) << x;
  }
  EXPECT_EQ(math::log(1.0f), 0.0f);
}

TEST(Math, SineAndCosineOfATurn) {
  for (int i = 0; i < 4096; ++i) {
    const float u = static_cast<float>(i) / 4096;
    float s, c;
    math::sincos_turn(u, &s, &c);
    EXPECT_NEAR(s, std::sin(2 * M_PI * u), 2e-7);
    EXPECT_NEAR(c, std::cos(2 * M_PI * u), 2e-7);
  }
}

TEST(Math, Erf) {
  for (double x = -6; x < 6; x += 0.0113)
    EXPECT_NEAR(math::erf(static_cast<float>(x)), std::erf(x), 3e-7) << x;
}

TEST(Math, DoubleVersionsAgreeWithTheCLibrary) {
  for (double x = -30; x < 30; x += 0.0313) {
    EXPECT_NEAR(math::exp(x) / std::exp(x), 1, 1e-15);
    EXPECT_NEAR(math::sin(x), std::sin(x), 1e-15);
    EXPECT_NEAR(math::cos(x), std::cos(x), 1e-15);
    EXPECT_NEAR(math::tanh(x), std::tanh(x), 1e-15);
  }
  for (double x = 1e-300; x < 1e300; x *= 7.3)
    EXPECT_NEAR(math::log(x), std::log(x), 1e-15 * std::max(1.0, std::abs(std::log(x))));
}

// Known answers of Philox4x32-10 from the authors' Random123 distribution (kat_vectors).
TEST(Philox, KnownAnswers) {
  const Philox zero{0, static_cast<Stream>(0), 0};
  EXPECT_EQ(zero.block(0), (std::array<uint32_t, 4>{0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u}));
  const Philox ones{~uint64_t{0}, static_cast<Stream>(~0u), ~0u};
  EXPECT_EQ(ones.block(~uint64_t{0}),
            (std::array<uint32_t, 4>{0x408f276du, 0x41c83b0eu, 0xa20bc7c6u, 0x6d5451fdu}));
}

TEST(Philox, NormalsHaveTheRightMoments) {
  const Tensor t = random_normal({1 << 20}, {42, Stream::test, 0});
  double s1 = 0, s2 = 0, s4 = 0;
  for (const float v : t.to_vector<float>()) {
    s1 += v;
    s2 += double{v} * v;
    s4 += double{v} * v * v * v;
  }
  const double n = 1 << 20;  // five standard errors of each moment
  EXPECT_NEAR(s1 / n, 0, 5 / std::sqrt(n));
  EXPECT_NEAR(s2 / n, 1, 5 * std::sqrt(2 / n));
  EXPECT_NEAR(s4 / n, 3, 5 * std::sqrt(96 / n));
}

TEST(Philox, AnElementDoesNotDependOnWhereTheFillStarts) {
  const Philox g{7, Stream::test, 3};
  const auto whole = random_normal({101}, g).to_vector<float>(),
             part = random_normal({50}, g, 51).to_vector<float>();
  for (size_t i = 0; i < 50; ++i) EXPECT_EQ(whole[51 + i], part[i]);
}

TEST(Philox, AnOffsetIsAddedToSeedAndDraw) {
  Tensor y = Tensor::empty({101});
  const int64_t seed = -5;  // a seed may be any pattern of 64 bits
  fill_normal(y, {3, Stream::test, 2}, Tensor::from<int64_t>({2}, {seed, 7}));
  const Philox g{3 + static_cast<uint64_t>(seed), Stream::test, 9};
  EXPECT_EQ(y.to_vector<float>(), random_normal({101}, g).to_vector<float>());
  fill_normal(y, g);
  EXPECT_EQ(y.to_vector<float>(), random_normal({101}, g).to_vector<float>());
  EXPECT_THROW(fill_normal(y, g, Tensor::zeros({1}, DType::i64)), Error);
}

TEST(StepRandom, DrawsTheNumbersOfItsSeedAndStep) {
  const uint64_t seed = 0x9000000000000001u;  // above the largest i64
  StepRandom random;
  const void* const place = random.key().raw();
  Tensor y = Tensor::empty({101}), other = Tensor::empty({101});
  for (const int64_t step : {int64_t{0}, int64_t{7}, (int64_t{1} << 32) + 7}) {
    random.set(seed, step);
    fill_normal(y, random, Stream::noise);
    EXPECT_EQ(y.to_vector<float>(),
              random_normal({101}, {seed, Stream::noise, static_cast<uint32_t>(step)}).to_vector<float>());
    fill_normal(other, {0, Stream::noise, 0}, random.key());
    EXPECT_EQ(y.to_vector<float>(), other.to_vector<float>());
    fill_normal(other, random, Stream::noise, 5);
    EXPECT_EQ(other.to_vector<float>(),
              random_normal({101}, {seed, Stream::noise, static_cast<uint32_t>(step)}, uint64_t{5} << 40)
                  .to_vector<float>());
    EXPECT_NE(y.to_vector<float>(), other.to_vector<float>());
  }
  EXPECT_EQ(random.key().raw(), place);
  EXPECT_THROW(fill_normal(y, random, Stream::noise, 1u << 22), Error);
  EXPECT_NO_THROW(fill_normal(y, random, Stream::noise, (1u << 22) - 1));
}

TEST(StepRandom, ColumnsAreThoseThatPhiloxChooses) {
  constexpr int64_t kRows = 3, kTimes = 1000, kCount = 9001;  // several ranges
  const Tensor table = random_normal({kRows, kTimes}, {1, Stream::test, 0});
  StepRandom random;
  random.set(17, 4);
  const Tensor y = random_columns(table, random, Stream::time_step, kCount);
  ASSERT_EQ(y.shape(), (Shape{kRows, kCount}));
  const Philox g{17, Stream::time_step, 4};
  std::vector<int> drawn(kTimes);
  for (int64_t i = 0; i < kCount; ++i) {
    const int64_t column = g.below(static_cast<uint64_t>(i), kTimes);
    ++drawn[static_cast<size_t>(column)];
    for (int64_t r = 0; r < kRows; ++r)
      ASSERT_EQ(y.data<float>()[r * kCount + i], table.data<float>()[r * kTimes + column]) << i;
  }
  EXPECT_GT(drawn.front(), 0);  // 9 of each are expected
  EXPECT_GT(drawn.back(), 0);
  EXPECT_EQ(random_columns(table, random, Stream::time_step, 0).numel(), 0);
  EXPECT_THROW(random_columns(Tensor::zeros({3}), random, Stream::time_step, 1), Error);
  EXPECT_THROW(random_columns(Tensor::zeros({3, 0}), random, Stream::time_step, 1), Error);
}

// The integers of Philox::below, which multiplies in 128 bits, up to the largest table.
TEST(StepRandom, SixtyFourBitsAreEnoughToChooseAColumn) {
  const Philox g{3, Stream::test, 1};
  for (const int64_t n : {int64_t{1}, int64_t{3}, int64_t{1000}, (int64_t{1} << 32) - 1})
    for (uint64_t i = 0; i < 1000; ++i) EXPECT_EQ(ref::random_below(g, i, n), g.below(i, n));
}

}  // namespace
}  // namespace voxgrad
