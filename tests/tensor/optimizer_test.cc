// The optimizer kernels of every instruction set against the plain loop in double precision.
#include "tensor/optimizer/optimizer.h"

#include "tests/tensor/kernel_check.h"

namespace voxgrad {
namespace {

using test::Setting;

constexpr int64_t kSize = 40007;  // several tiles, and an end that fills no vector

struct State {
  Tensor param, m, v, ema;
  std::vector<Tensor> all() const {
    return ema.defined() ? std::vector{param, m, v, ema} : std::vector{param, m, v};
  }
};

State adam(const AdamStep& options, bool with_ema, DType t) {
  State s{test::random({kSize}, 1).to(t), Tensor::zeros({kSize}, t), Tensor::zeros({kSize}, t), {}};
  if (with_ema) s.ema = s.param.clone();
  AdamStep o = options;
  for (o.step = 1; o.step <= 5; ++o.step)
    adam_step(s.param, test::random({kSize}, 10 + static_cast<uint64_t>(o.step)).to(t), s.m, s.v, s.ema, o);
  return s;
}

TEST(Optim, AdamMatchesF64) {
  AdamStep plain, decoupled, coupled;
  plain.lr = decoupled.lr = coupled.lr = 1e-2;
  decoupled.weight_decay = coupled.weight_decay = 0.1;
  coupled.decoupled = false;
  coupled.grad_scale = 0.3;
  for (AdamStep o : {plain, decoupled, coupled})
    for (const bool ema : {false, true}) {
      o.ema_decay = 0.9;
      const std::vector<Tensor> want = adam(o, ema, DType::f64).all();
      for (const CpuIsa isa : test::instruction_sets()) {
        SCOPED_TRACE(name_of(isa));
        std::vector<Tensor> one;
        for (const int threads : {1, 2, 3, 8}) {
          const Setting setting(isa, threads);
          const std::vector<Tensor> got = adam(o, ema, DType::f32).all();
          // Five steps, each with a dozen roundings of values up to about 6.
          for (size_t i = 0; i < got.size(); ++i)
            test::expect_close(got[i], want[i], Tensor::full({kSize}, 6, DType::f64), 60 * 0x1p-24);
          if (one.empty()) one = got;
          for (size_t i = 0; i < got.size(); ++i) test::expect_same_bits(got[i], one[i]);
        }
      }
    }
}

// The first step of Adam moves every parameter by lr against the sign of its gradient, whatever the size
// of the gradient.
TEST(Optim, TheFirstAdamStepHasTheLengthOfTheLearningRate) {
  for (const CpuIsa isa : test::instruction_sets()) {
    const Setting setting(isa);
    Tensor p = Tensor::zeros({3}), m = p.clone(), v = p.clone(), none;
    AdamStep o;
    o.lr = 0.25;
    adam_step(p, Tensor::from<float>({3}, {4, -0.001f, 2000}), m, v, none, o);
    const auto got = p.to_vector<float>();
    EXPECT_NEAR(got[0], -0.25, 1e-5);
    EXPECT_NEAR(got[1], 0.25, 1e-5);
    EXPECT_NEAR(got[2], -0.25, 1e-5);
  }
}

TEST(Optim, SgdMatchesF64) {
  for (const bool nesterov : {false, true})
    for (const CpuIsa isa : test::instruction_sets()) {
      const Setting setting(isa, 3);
      SgdStep o;
      o.nesterov = nesterov;
      o.weight_decay = 3e-5;
      o.ema_decay = 0.9;
      o.grad_scale = 0.5;
      const auto run = [&](DType t) {
        State s{test::random({kSize}, 1).to(t), Tensor::zeros({kSize}, t), Tensor::zeros({kSize}, t), {}};
        s.ema = s.param.clone();
        for (uint64_t i = 0; i < 4; ++i)
          sgd_step(s.param, test::random({kSize}, 20 + i).to(t), s.m, s.ema, o);
        return s;
      };
      const State want = run(DType::f64), got = run(DType::f32);
      const Tensor bound = Tensor::full({kSize}, 16, DType::f64);
      test::expect_close(got.param, want.param, bound, 40 * 0x1p-24);
      test::expect_close(got.m, want.m, bound, 40 * 0x1p-24);
      test::expect_close(got.ema, want.ema, bound, 40 * 0x1p-24);
    }
}

TEST(Optim, SumOfSquares) {
  const Tensor x = test::random({kSize}, 3);
  const double want = sum_of_squares(x.to(DType::f64));
  for (const CpuIsa isa : test::instruction_sets()) {
    double one = 0;
    for (const int threads : {1, 2, 3, 8}) {
      const Setting setting(isa, threads);
      const double got = sum_of_squares(x);
      EXPECT_NEAR(got / want, 1, 1e-6) << name_of(isa);
      if (threads == 1) one = got;
      EXPECT_EQ(got, one);
    }
    const Setting setting(isa);
    EXPECT_EQ(sum_of_squares(Tensor::from<float>({3}, {1, 2, 3})), 14.0);
    EXPECT_EQ(sum_of_squares(Tensor::empty({0})), 0.0);
  }
}

TEST(Optim, SizesThatDifferAreRefused) {
  Tensor p = Tensor::zeros({4}), m = Tensor::zeros({4}), v = Tensor::zeros({3}), none;
  EXPECT_THROW(adam_step(p, p, m, v, none, {}), Error);
  AdamStep zeroth;
  zeroth.step = 0;
  EXPECT_THROW(adam_step(p, p, m, m, none, zeroth), Error);
}

}  // namespace
}  // namespace voxgrad
