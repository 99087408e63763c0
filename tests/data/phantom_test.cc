// The phantom: its exact posterior against many raters, purity, and how hard it is.
#include "data/phantom.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tensor/core/parallel.h"

namespace voxgrad {
namespace {

TEST(Phantom, PosteriorIsWhatManyRatersSay) {
  const int threads = thread_count();
  set_thread_count(1);  // thousands of tiny volumes: handing out the work would cost more than the work
  for (const std::string& modality : phantom_modalities()) {
    PhantomOptions o;
    o.size = 16;
    if (modality == "mpmri") o.depth = 12;
    o.seed = 11;
    o.modality = modality;
    o.raters = 1;
    constexpr int kRaters = 1500;
    const PhantomCase c = make_phantom_case(o, 2);
    const int64_t voxels = c.label.numel();
    std::vector<int> count(static_cast<size_t>(voxels) * phantom_classes(o).size());
    for (uint32_t r = 0; r < kRaters; ++r) {
      const Tensor label = phantom_rater(o, 2, 1000 + r);
      const int32_t* y = label.data<int32_t>();
      for (int64_t v = 0; v < voxels; ++v) ++count[static_cast<size_t>(y[v] * voxels + v)];
    }
    const float* p = c.posterior.data<float>();
    std::vector<int> ambiguous(phantom_classes(o).size());
    double squares = 0;
    ASSERT_EQ(c.posterior.numel(), static_cast<int64_t>(count.size()));
    for (size_t i = 0; i < count.size(); ++i) {
      const double want = p[i], got = count[i] / double{kRaters}, variance = want * (1 - want) / kRaters;
      ASSERT_NEAR(got, want, 5.5 * std::sqrt(std::max(variance, 0.0)) + 8.0 / kRaters)
          << modality << " " << i;
      if (want > 0.05 && want < 0.95) {
        ++ambiguous[i / static_cast<size_t>(voxels)];
        squares += (got - want) * (got - want) / variance;
      }
    }
    int total = 0;
    for (const int n : ambiguous) {
      EXPECT_GT(n, 4) << modality;
      total += n;
    }
    EXPECT_GT(total, 20);
    // Voxels share their raters, so this is no sum of independent squares; far from 1 it is wrong all the
    // same.
    EXPECT_NEAR(squares / total, 1, 0.9) << modality;
  }
  set_thread_count(threads);
}

TEST(Phantom, ProbabilitiesSumToOne) {
  for (const std::string& modality : phantom_modalities()) {
    PhantomOptions o;
    o.modality = modality;
    const PhantomCase c = make_phantom_case(o, 0);
    const int64_t n = c.label.numel(), classes = c.posterior.dim(0);
    const float* p = c.posterior.data<float>();
    for (int64_t v = 0; v < n; ++v) {
      float sum = 0;
      for (int64_t k = 0; k < classes; ++k) {
        ASSERT_GE(p[k * n + v], -1e-15) << modality << " class " << k;
        sum += p[k * n + v];
      }
      ASSERT_NEAR(sum, 1, 1e-6) << modality;
    }
  }
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
      const size_t n = static_cast<size_t>(c.label.numel());
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
  for (const std::string& modality : phantom_modalities())
    for (const int64_t size : {16, 24, 31, 56}) {
      PhantomOptions o;
      o.modality = modality;
      o.size = size;
      o.raters = 1;
      for (int i = 0; i < 4; ++i) {
        std::vector<int> count(phantom_classes(o).size());
        for (const int32_t y : make_phantom_case(o, i).label.to_vector<int32_t>())
          ++count[static_cast<size_t>(y)];
        for (const int n : count) EXPECT_GT(n, 0) << modality << " " << size << " case " << i;
      }
    }
}

PhantomOptions mpmri(int64_t size) {
  PhantomOptions o;
  o.modality = "mpmri";
  o.size = size;
  return o;
}

TEST(Phantom, CoresLieInsideLesions) {
  EXPECT_EQ(phantom_classes({}), (std::vector<std::string>{"background", "structure", "lesion"}));
  const PhantomOptions o = mpmri(64);  // two border half widths are two voxels
  EXPECT_EQ(phantom_classes(o), (std::vector<std::string>{"background", "structure", "lesion", "core"}));
  for (const Tensor& rater : make_phantom_case(o, 1).raters) {
    const int32_t* y = rater.data<int32_t>();
    int64_t cores = 0, lesions = 0;
    for (int64_t v = 0; v < rater.numel(); ++v) {
      lesions += y[v] == 2;
      if (y[v] != 3) continue;
      ++cores;
      for (const int64_t step : {1, 64, 64 * 64})
        for (const int64_t neighbour : {v - step, v + step}) ASSERT_GE(y[neighbour], 2);
    }
    EXPECT_GT(cores, 100);
    EXPECT_GT(lesions, cores);
  }
}

/// What the channels of an mpmri phantom have in common is the head; contrast, bias and noise are their own.
TEST(Phantom, ChannelsShareTheHeadOnly) {
  const PhantomOptions o = mpmri(48);
  const PhantomCase c = make_phantom_case(o, 2);
  ASSERT_EQ(c.image.shape(), (Shape{4, 48, 48, 48}));
  const int64_t n = c.label.numel();
  const float *x = c.image.data<float>(), *p = c.posterior.data<float>();
  enum { kT1, kT1c, kT2, kFlair };
  std::array<std::array<double, 4>, 4> sum{};  // a channel, a class; of voxels that every rater gives to it
  std::array<int, 4> count{};
  std::array<std::array<double, 4>, 4> covariance{};  // of differences between neighbours: noise
  int64_t air = 0;
  for (int64_t v = 0; v < n; ++v) {
    const bool outside = x[v] == 0;
    air += outside;
    for (int64_t i = 1; i < 4; ++i) ASSERT_EQ(x[i * n + v] == 0, outside);
    if (outside) {
      ASSERT_EQ(p[v], 1);  // no label outside the head
      continue;
    }
    for (size_t k = 1; k < 4; ++k) {
      const float* certain = p + static_cast<int64_t>(k) * n;
      if (certain[v] < 0.5f) continue;
      ++count[k];
      for (int64_t i = 0; i < 4; ++i) sum[static_cast<size_t>(i)][k] += x[i * n + v];
      if (k != 1 || certain[v] < 1 || certain[v + 1] < 1) continue;
      for (int64_t i = 0; i < 4; ++i)
        for (int64_t j = 0; j < 4; ++j)
          covariance[static_cast<size_t>(i)][static_cast<size_t>(j)] +=
              (x[i * n + v + 1] - x[i * n + v]) * (x[j * n + v + 1] - x[j * n + v]);
    }
  }
  EXPECT_GT(air, n / 2);
  const auto ratio = [&](size_t channel, size_t a, size_t b) {
    return sum[channel][a] / count[a] / (sum[channel][b] / count[b]);
  };
  EXPECT_LT(ratio(kT1, 3, 1), 0.8);  // core against structure
  EXPECT_GT(ratio(kT1c, 3, 1), 1.3);
  EXPECT_GT(ratio(kT2, 2, 1), 1.5);  // lesion against structure
  EXPECT_GT(ratio(kFlair, 2, 1), 1.4);
  EXPECT_LT(ratio(kT2, 3, 2), 1);  // core against lesion
  for (size_t i = 0; i < 4; ++i)
    for (size_t j = 0; j < i; ++j)
      EXPECT_LT(std::abs(covariance[i][j]) / std::sqrt(covariance[i][i] * covariance[j][j]), 0.15);
}

TEST(Phantom, DepthIsAnOption) {
  for (const std::string& modality : phantom_modalities())
    for (const int64_t depth : {13, 40}) {
      PhantomOptions o;
      o.modality = modality;
      o.size = 32;
      o.depth = depth;
      const PhantomCase c = make_phantom_case(o, 0);
      EXPECT_EQ(c.label.shape(), (Shape{depth, 32, 32}));
      EXPECT_EQ(c.image.shape(), (Shape{modality == "mpmri" ? 4 : 1, depth, 32, 32}));
      EXPECT_EQ(c.raters[0].shape(), c.label.shape());
      if (modality == "ct") continue;
      // The field of view holds the whole head.
      const float* x = c.image.data<float>();
      for (int64_t v = 0; v < 32 * 32; ++v)
        ASSERT_TRUE(x[v] == 0 && x[(depth - 1) * 32 * 32 + v] == 0) << modality << " depth " << depth;
    }
}

TEST(Phantom, RefusesOptionsOutOfRange) {
  const auto refused = [](const char* name, auto&& change) {
    PhantomOptions o;
    change(o);
    try {
      make_phantom_case(o, 0);
      ADD_FAILURE() << name << " was accepted";
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::usage);
      EXPECT_NE(std::string(e.what()).find(name), std::string::npos) << e.what();
    }
  };
  refused("cases", [](PhantomOptions& o) { o.cases = 0; });
  refused("raters", [](PhantomOptions& o) { o.raters = 65; });
  refused("modality", [](PhantomOptions& o) { o.modality = "pet"; });
  for (const int64_t bad : {15, 257}) refused("size", [&](PhantomOptions& o) { o.size = bad; });
  for (const int64_t bad : {0, 5, 257}) refused("depth", [&](PhantomOptions& o) { o.depth = bad; });
}

}  // namespace
}  // namespace voxgrad
