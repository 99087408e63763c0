// The phantom: its exact posterior against many raters, purity, and how hard it is.
#include "data/phantom.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tensor/parallel.h"

namespace voxgrad {
namespace {

TEST(Phantom, PosteriorIsWhatManyRatersSay) {
  const int threads = thread_count();
  set_thread_count(1);  // thousands of tiny volumes: handing out the work would cost more than the work
  for (const char* modality : {"mri", "ct"}) {
    PhantomOptions o;
    o.size = 16;
    o.seed = 11;
    o.modality = modality;
    o.raters = 1;
    constexpr int kRaters = 1500;
    const PhantomCase c = make_phantom_case(o, 2);
    const int64_t voxels = c.image.numel();
    std::vector<int> count(static_cast<size_t>(voxels) * kPhantomClasses);
    for (uint32_t r = 0; r < kRaters; ++r) {
      const Tensor label = phantom_rater(o, 2, 1000 + r);
      const int32_t* y = label.data<int32_t>();
      for (int64_t v = 0; v < voxels; ++v) ++count[static_cast<size_t>(y[v] * voxels + v)];
    }
    const float* p = c.posterior.data<float>();
    int64_t ambiguous = 0;
    double squares = 0;
    for (size_t i = 0; i < count.size(); ++i) {
      const double want = p[i], got = count[i] / double{kRaters}, variance = want * (1 - want) / kRaters;
      ASSERT_NEAR(got, want, 5.5 * std::sqrt(std::max(variance, 0.0)) + 8.0 / kRaters)
          << modality << " " << i;
      if (want > 0.05 && want < 0.95) {
        ++ambiguous;
        squares += (got - want) * (got - want) / variance;
      }
    }
    EXPECT_GT(ambiguous, 20);
    // Voxels share their raters, so this is no sum of independent squares; far from 1 it is wrong all the
    // same.
    EXPECT_NEAR(squares / static_cast<double>(ambiguous), 1, 0.9) << modality;
  }
  set_thread_count(threads);
}

TEST(Phantom, ProbabilitiesSumToOne) {
  const PhantomCase c = make_phantom_case({}, 0);
  const int64_t n = c.image.numel();
  const float* p = c.posterior.data<float>();
  for (int64_t v = 0; v < n; ++v) ASSERT_NEAR(p[v] + p[n + v] + p[2 * n + v], 1, 1e-6);
}

TEST(Phantom, IsAPureFunctionOfSeedAndIndex) {
  PhantomOptions o;
  o.size = 20;
  const int threads = thread_count();
  set_thread_count(1);
  const PhantomCase one = make_phantom_case(o, 3);
  set_thread_count(3);
  const PhantomCase three = make_phantom_case(o, 3), other = make_phantom_case(o, 4);
  o.seed = 2;
  const PhantomCase reseeded = make_phantom_case(o, 3);
  set_thread_count(threads);
  EXPECT_EQ(one.image.to_vector<float>(), three.image.to_vector<float>());
  EXPECT_EQ(one.label.to_vector<int32_t>(), three.label.to_vector<int32_t>());
  EXPECT_EQ(one.posterior.to_vector<float>(), three.posterior.to_vector<float>());
  EXPECT_NE(one.image.to_vector<float>(), other.image.to_vector<float>());
  EXPECT_NE(one.image.to_vector<float>(), reseeded.image.to_vector<float>());
}

double dice(const std::vector<int32_t>& a, const std::vector<int32_t>& b, int k) {
  double both = 0, sum = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    both += a[i] == k && b[i] == k;
    sum += (a[i] == k) + (b[i] == k);
  }
  return sum == 0 ? 1 : 2 * both / sum;
}

// The map of most probable classes is about the best that a method can answer: it has to agree well with a
// rater, and not perfectly, since the labels are ambiguous.
TEST(Phantom, AmbiguityIsRealButDoesNotDominate) {
  for (const char* modality : {"mri", "ct"}) {
    PhantomOptions o;
    o.modality = modality;
    std::array<double, 3> sum{};
    int count = 0;
    for (int i = 0; i < 8; ++i) {
      const PhantomCase c = make_phantom_case(o, i);
      const size_t n = static_cast<size_t>(c.image.numel());
      const float* p = c.posterior.data<float>();
      std::vector<int32_t> best(n);
      std::array<int64_t, 3> size{};
      for (size_t v = 0; v < n; ++v) {
        for (size_t k = 1; k < 3; ++k)
          if (p[k * n + v] > p[static_cast<size_t>(best[v]) * n + v]) best[v] = static_cast<int32_t>(k);
        ++size[static_cast<size_t>(best[v])];
      }
      EXPECT_GT(size[1], modality[0] == 'm' ? 500 : 120);
      EXPECT_GT(size[2], modality[0] == 'm' ? 250 : 60);
      for (const Tensor& r : c.raters) {
        for (int k = 1; k < 3; ++k) sum[static_cast<size_t>(k)] += dice(best, r.to_vector<int32_t>(), k);
        ++count;
      }
    }
    for (size_t k = 1; k < 3; ++k) {
      RecordProperty(std::string(modality) + std::to_string(k), std::to_string(sum[k] / count));
      EXPECT_GT(sum[k] / count, 0.86) << modality << " class " << k;
      EXPECT_LT(sum[k] / count, 0.975) << modality << " class " << k;
    }
  }
}

TEST(Phantom, EverySizeHasEveryClass) {
  for (const char* modality : {"mri", "ct"})
    for (const int64_t size : {16, 24, 31, 56}) {
      PhantomOptions o;
      o.modality = modality;
      o.size = size;
      for (int i = 0; i < 4; ++i) {
        std::array<int, 3> count{};
        for (const int32_t y : make_phantom_case(o, i).label.to_vector<int32_t>())
          ++count[static_cast<size_t>(y)];
        for (const int n : count) EXPECT_GT(n, 0) << modality << " " << size << " case " << i;
      }
    }
}

TEST(Phantom, RefusesOptionsOutOfRange) {
  PhantomOptions o;
  o.size = 8;
  EXPECT_THROW(make_phantom_case(o, 0), Error);
  o.size = 16;
  o.modality = "pet";
  EXPECT_THROW(make_phantom_case(o, 0), Error);
}

}  // namespace
}  // namespace voxgrad
