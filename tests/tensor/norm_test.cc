// The normalisation kernels of every instruction set against the plain loop in double precision.
#include "tensor/norm/norm.h"

#include "tensor/core/math.h"
#include "tests/tensor/kernel_check.h"

namespace voxgrad {
namespace {

using test::Setting;

struct Case {
  Shape x;
  int64_t groups;
  bool per_sample = true;  // scale and shift [N, C], else [1, C]
};

// The cases: channels below, at, above and beside multiples of a vector, one place, more than one tile,
// groups of channels.
const std::vector<Case>& cases() {
  static const std::vector<Case> all{{{2, 3, 4, 5, 16}, 16},  {{2, 9, 11, 13, 16}, 16, false},
                                     {{1, 2, 3, 7, 5}, 5},    {{2, 13, 17, 19, 3}, 3},
                                     {{3, 7, 24}, 6},         {{2, 11, 12, 32}, 4},
                                     {{2, 1, 33, 41, 64}, 8}, {{2, 5, 5, 5, 128}, 128},
                                     {{2, 1, 37}, 1},         {{1, 1, 1}, 1},
                                     {{2, 300, 1}, 1, false}, {{2, 40, 20}, 10}};
  return all;
}

struct Data {
  Tensor x, dy, scale, shift;
};

Data make(const Case& c) {
  const int64_t channels = c.x[-1], rows = c.per_sample ? c.x[0] : 1;
  Data d{test::random(c.x, 1), test::random(c.x, 2), test::random({rows, channels}, 3),
         test::random({rows, channels}, 4)};
  // Channels with different means and spreads, one far from zero.
  float* const x = d.x.mutable_data<float>();
  for (int64_t i = 0; i < d.x.numel(); ++i) {
    const int64_t k = i % channels;
    x[i] = x[i] * static_cast<float>(1 + k % 3) + static_cast<float>(k % 5 == 4 ? 20 : k % 5);
  }
  return d;
}

struct Results {
  Tensor mean, rstd, y, dx, dscale, dshift;
  std::vector<Tensor> all() const { return {mean, rstd, y, dx, dscale, dshift}; }
};

Results run(const Case& c, const Data& d, Act act, DType t) {
  const int64_t n = c.x[0], channels = c.x[-1];
  Results r{test::unwritten({n, c.groups}, t), test::unwritten({n, c.groups}, t),
            test::unwritten(c.x, t),           test::unwritten(c.x, t),
            test::unwritten({n, channels}, t), test::unwritten({n, channels}, t)};
  const Tensor x = d.x.to(t), scale = d.scale.to(t), shift = d.shift.to(t);
  norm_stats(x, c.groups, 1e-5, r.mean, r.rstd);
  norm_act_forward(x, r.mean, r.rstd, scale, shift, act, 0.01, r.y);
  norm_act_backward(x, r.mean, r.rstd, scale, shift, act, 0.01, d.dy.to(t), r.dx, r.dscale, r.dshift);
  return r;
}

double largest(const Tensor& t) {
  double m = 1;
  for (const double v : t.to_vector<double>()) m = std::max(m, std::abs(v));
  return m;
}

// The error comes from the statistics. Mean and rstd are float: 2^-24 each, relative to the largest value
// (about 30 deviations from zero), times a few operations. Sums over places are float within a tile. The data
// are fixed. No value is so near the kink of a rectifier that rounding would change its side.
TEST(Norm, AllPassesMatchF64) {
  for (const Case& c : cases()) {
    const Data d = make(c);
    for (const Act act : {Act::none, Act::relu, Act::leaky_relu, Act::silu, Act::gelu}) {
      const std::vector<Tensor> want = run(c, d, act, DType::f64).all();
      for (const CpuIsa isa : test::instruction_sets()) {
        SCOPED_TRACE(cat(name_of(isa), " ", c.x, " groups ", c.groups, " act ", static_cast<int>(act)));
        const Setting setting(isa);
        const std::vector<Tensor> got = run(c, d, act, DType::f32).all();
        for (size_t i = 0; i < got.size(); ++i) {
          SCOPED_TRACE(cat("result ", i));
          const double bound = 3e-5 * largest(want[i]);
          test::expect_close(got[i], want[i], Tensor::full(want[i].shape(), 1, DType::f64), bound);
        }
      }
    }
  }
}

TEST(Norm, StatisticsSurviveAMeanFarFromZero) {
  const int64_t places = 20000;
  Tensor x = test::random({1, places, 16}, 7);
  for (int64_t i = 0; i < x.numel(); ++i) x.mutable_data<float>()[i] += 4096;  // one part in 4096 is signal
  Tensor want_mean = Tensor::empty({1, 16}, DType::f64), want_rstd = want_mean.clone();
  norm_stats(x.to(DType::f64), 16, 0, want_mean, want_rstd);
  for (const CpuIsa isa : test::instruction_sets()) {
    SCOPED_TRACE(name_of(isa));
    const Setting setting(isa);
    Tensor mean = test::unwritten({1, 16}), rstd = test::unwritten({1, 16});
    norm_stats(x, 16, 0, mean, rstd);
    test::expect_close(mean, want_mean, want_mean, 0x1p-23);
    test::expect_close(rstd, want_rstd, want_rstd, 1e-5);
  }
}

TEST(Norm, SameBitsWithAnyNumberOfThreadsAndOnAvx2AndAvx512) {
  for (const Case& c : cases()) {
    const Data d = make(c);
    for (const Act act : {Act::leaky_relu, Act::gelu}) {
      std::vector<Tensor> fused;
      for (const CpuIsa isa : test::instruction_sets()) {
        SCOPED_TRACE(cat(name_of(isa), " ", c.x));
        std::vector<Tensor> one;
        for (const int threads : {1, 2, 3, 8}) {
          const Setting setting(isa, threads);
          const std::vector<Tensor> now = run(c, d, act, DType::f32).all();
          if (one.empty()) one = now;
          for (size_t i = 0; i < now.size(); ++i) test::expect_same_bits(now[i], one[i]);
        }
        if (isa < CpuIsa::avx2) continue;
        if (fused.empty()) fused = one;
        for (size_t i = 0; i < one.size(); ++i) test::expect_same_bits(one[i], fused[i]);
      }
    }
  }
}

// With mean 0, rstd 1, scale 1 and shift 0, the forward pass is the activation alone. Its vector functions
// must be those of tensor/core/math.h bit by bit.
TEST(Norm, ActivationsUseTheBitsOfOurOwnElementaryFunctions) {
  const int64_t n = 4001;
  Tensor x = Tensor::empty({1, n, 1});
  for (int64_t i = 0; i < n; ++i) x.mutable_data<float>()[i] = static_cast<float>(i - 2000) * 0.06f;
  const Tensor zero = Tensor::zeros({1, 1}), one = Tensor::full({1, 1}, 1);
  for (const CpuIsa isa : test::instruction_sets()) {
    SCOPED_TRACE(name_of(isa));
    const Setting setting(isa);
    Tensor y = test::unwritten(x.shape());
    norm_act_forward(x, zero, one, one, zero, Act::silu, 0, y);
    for (int64_t i = 0; i < n; ++i) {
      const float u = x.data<float>()[i];
      ASSERT_EQ(y.data<float>()[i], u / (1 + math::exp(-u))) << u;
    }
    norm_act_forward(x, zero, one, one, zero, Act::gelu, 0, y);
    for (int64_t i = 0; i < n; ++i) {
      const float u = x.data<float>()[i];
      ASSERT_EQ(y.data<float>()[i], u * 0.5f * (1 + math::erf(u * 0.70710678118654752f))) << u;
    }
  }
}

TEST(Norm, GroupsThatDoNotDivideTheChannelsAreRefused) {
  Tensor mean = Tensor::empty({1, 3}), rstd = Tensor::empty({1, 3});
  EXPECT_THROW(norm_stats(Tensor::zeros({1, 4, 16}), 3, 1e-5, mean, rstd), Error);
}

}  // namespace
}  // namespace voxgrad
