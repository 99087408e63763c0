// Equations 1 to 4, 7 and 10 of the PGRD paper, as docs/method.md reads them, checked numerically.
#include <gtest/gtest.h>

#include <cmath>

#include "diffusion/residual.h"
#include "nn/losses.h"

namespace voxgrad {
namespace {

TEST(Schedule, CosineIsTheFormulaClippedAndFalls) {
  const NoiseSchedule s("cosine", 1000, false);
  EXPECT_EQ(s.alpha_bar(0), 1);
  const auto f = [](double t) { return std::pow(std::cos((t / 1000 + .008) / 1.008 * M_PI / 2), 2); };
  double product = 1;
  for (int64_t t = 1; t <= 1000; ++t) {
    product *= 1 - std::min(1 - f(static_cast<double>(t)) / f(static_cast<double>(t) - 1), .999);
    EXPECT_NEAR(s.alpha_bar(t) / product, 1, 1e-12) << t;
    EXPECT_LT(s.alpha_bar(t), s.alpha_bar(t - 1));
  }
  EXPECT_NEAR(s.alpha_bar(1000), 2.4e-9, 1e-10);  // clipping leaves a little signal
}

TEST(Schedule, LinearIsHosAndScalesWithT) {
  const NoiseSchedule s("linear", 1000, false);
  EXPECT_NEAR(s.alpha_bar(1), 1 - 1e-4, 1e-15);
  EXPECT_NEAR(s.alpha_bar(1000), 4.0358e-5, 1e-8);
  const NoiseSchedule coarse("linear", 100, false);
  EXPECT_NEAR(std::log(coarse.alpha_bar(100)) / std::log(s.alpha_bar(1000)), 1, 0.1);
}

TEST(Schedule, ZeroTerminalSnrKeepsTheStartAndEndsAtZero) {
  const NoiseSchedule plain("linear", 1000, false), zero("linear", 1000, true);
  EXPECT_EQ(zero.alpha_bar(1000), 0);
  EXPECT_NEAR(zero.alpha_bar(1), plain.alpha_bar(1), 1e-12);
  for (int64_t t = 2; t <= 1000; ++t) EXPECT_LT(zero.alpha_bar(t), zero.alpha_bar(t - 1));
}

TEST(Schedule, UnknownKindIsAUsageError) {
  try {
    NoiseSchedule("sigmoid", 1000, false);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::usage);
  }
}

TEST(TimeSteps, UniformHoldsTAndNeverStartsAt897) {
  const NoiseSchedule s("cosine", 1000, false);
  for (const int64_t count : {1, 2, 5, 10, 300, 1000}) {
    const auto t = time_steps(s, count, "uniform");
    EXPECT_EQ(t.size(), static_cast<size_t>(count));
    EXPECT_EQ(t.front(), 1000);
    for (size_t i = 1; i < t.size(); ++i) EXPECT_LT(t[i], t[i - 1]);
    EXPECT_GE(t.back(), 1);
  }
}

TEST(TimeSteps, LogSnrIsUniformInLogSnrFromTMinusOneToFour) {
  const NoiseSchedule s("cosine", 1000, false);
  const auto t = time_steps(s, 10, "log-snr");
  ASSERT_EQ(t.size(), 10u);
  EXPECT_EQ(t[0], 1000);
  EXPECT_EQ(t[1], 999);
  EXPECT_NEAR(s.log_snr(t.back()), 4, 0.1);
  const double gap = (4 - s.log_snr(999)) / 8;
  for (size_t i = 2; i < t.size(); ++i)  // times are integers: half a gap of freedom
    EXPECT_NEAR(s.log_snr(t[i]) - s.log_snr(t[i - 1]), gap, 0.5 * gap);
}

// Equation 1 with rho = sqrt(alpha_t) and variance beta_t, iterated, gives the marginal of equations 2 and 7.
TEST(Forward, TheChainHasTheMarginal) {
  const NoiseSchedule s("cosine", 50, false);
  const double y = 1, pi = 0.3;
  const int64_t n = 200000;
  std::vector<double> state(static_cast<size_t>(n), y);
  for (int64_t t = 1; t <= 50; ++t) {
    const double alpha = s.alpha_bar(t) / s.alpha_bar(t - 1), root = std::sqrt(alpha);
    const Tensor z = random_normal({n}, {5, Stream::test, static_cast<uint32_t>(t)});
    double mean = 0, square = 0;
    for (size_t i = 0; i < state.size(); ++i) {
      state[i] = root * state[i] + (1 - root) * pi + std::sqrt(1 - alpha) * z.data<float>()[i];
      mean += state[i];
      square += state[i] * state[i];
    }
    mean /= static_cast<double>(n);
    const double variance = square / static_cast<double>(n) - mean * mean, abar = s.alpha_bar(t);
    // Five standard errors of mean and variance.
    EXPECT_NEAR(mean, std::sqrt(abar) * y + (1 - std::sqrt(abar)) * pi,
                5 * std::sqrt((1 - abar) / static_cast<double>(n)));
    EXPECT_NEAR(variance, 1 - abar, 5 * (1 - abar) * std::sqrt(2 / static_cast<double>(n)));
  }
}

ResidualExample example(const NoiseSchedule& s, int64_t t, double sd, Tensor* label, Tensor* pi,
                        Tensor* eps) {
  *label = Tensor::from<int32_t>({1, 1, 1, 3}, {0, 2, 1});
  *pi = Tensor::from<float>({1, 1, 1, 3, 3}, {.7f, .2f, .1f, .1f, .1f, .8f, .3f, .3f, .4f});
  *eps = random_normal(pi->shape(), {9, Stream::test, 1});
  return make_residual_example(process_constants(s, {t}, sd), *label, *pi, *eps);
}

// Equation 3 and both of equation 4, and that sd = 1 is v-prediction: F = -v.
TEST(Forward, VelocityAndItsInverse) {
  const NoiseSchedule s("cosine", 1000, false);
  Tensor label, pi, eps;
  for (const int64_t t : {1, 10, 500, 990, 1000}) {
    const ResidualExample e = example(s, t, 1, &label, &pi, &eps);
    const double a = std::sqrt(s.alpha_bar(t)), b = std::sqrt(1 - s.alpha_bar(t));
    const Tensor y = one_hot(label, 3);
    for (int64_t i = 0; i < pi.numel(); ++i) {
      const double r0 = double{y.data<float>()[i]} - pi.data<float>()[i], z = eps.data<float>()[i];
      const double rt = e.state.data<float>()[i], v = -double{e.target.data<float>()[i]};
      EXPECT_NEAR(rt, a * r0 + b * z, 1e-6);
      EXPECT_NEAR(e.input.data<float>()[i], rt, 1e-6);
      EXPECT_NEAR(v, a * z - b * r0, 2e-5 / b);  // f32, divided by c_out = b
      EXPECT_NEAR(a * rt - b * v, r0, 2e-5);     // equation 4, r_0
      EXPECT_NEAR(b * rt + a * v, z, 2e-5 / b);  // equation 4, epsilon
    }
  }
}

// Prediction of the noise: the target is eps, and eps gives the label back.
TEST(NoisePrediction, TheTargetIsTheNoiseAndGivesTheLabelBack) {
  const NoiseSchedule s("linear", 1000, false);
  for (const int64_t t : {1, 10, 500, 1000}) {
    Tensor label, pi, eps;
    example(s, t, 1, &label, &pi, &eps);
    const Tensor none = Tensor::zeros(pi.shape()), want = one_hot(label, 3);
    const Tensor constants = process_constants(s, {t}, Prediction::of_noise());
    const ResidualExample e = make_residual_example(constants, label, none, eps);
    const double abar = s.alpha_bar(t);
    Tensor y = Tensor::empty(want.shape());
    estimate_clean(constants, e.state, none, e.target, y);
    for (int64_t i = 0; i < pi.numel(); ++i) {
      EXPECT_NEAR(e.target.data<float>()[i], eps.data<float>()[i], 2e-7 / std::sqrt(1 - abar) + 1e-6);
      EXPECT_EQ(e.input.data<float>()[i], e.state.data<float>()[i]);
      EXPECT_NEAR(y.data<float>()[i], want.data<float>()[i], 1e-6 / std::sqrt(abar));
    }
  }
  const NoiseSchedule dark("linear", 1000, true);
  EXPECT_THROW(process_constants(dark, {1000}, Prediction::of_noise()), Error);
  EXPECT_NO_THROW(process_constants(dark, {1000}, 1));
}

TEST(Preconditioning, TheTargetGivesTheResidualBackAndHasUnitVariance) {
  const NoiseSchedule s("cosine", 1000, false);
  for (const double sd : {0.08, 0.3, 1.0})
    for (const int64_t t : {1, 100, 900, 1000}) {
      const double abar = s.alpha_bar(t);
      const Preconditioning c = precondition(abar, sd);
      // For r_0 ~ N(0, sd^2): Var(c_in r_t) = 1, and F = (r_0 - c_skip r_t) / c_out has variance 1,
      // uncorrelated with r_t.
      const double var = abar * sd * sd + 1 - abar;
      EXPECT_NEAR(c.in * c.in * var, 1, 1e-12);
      const double cov = std::sqrt(abar) * sd * sd;  // of r_0 and r_t
      EXPECT_NEAR((sd * sd - 2 * c.skip * cov + c.skip * c.skip * var) / (c.out * c.out), 1, 1e-9);
      EXPECT_NEAR(cov - c.skip * var, 0, 1e-12);
    }
}

TEST(Preconditioning, CleanEstimateInvertsTheTarget) {
  const NoiseSchedule s("cosine", 1000, false);
  Tensor label, pi, eps;
  for (const double sd : {0.08, 1.0})
    for (const int64_t t : {5, 700, 1000}) {
      const ResidualExample e = example(s, t, sd, &label, &pi, &eps);
      const Tensor want = one_hot(label, 3);
      Tensor y = Tensor::empty(want.shape());
      estimate_clean(process_constants(s, {t}, sd), e.state, pi, e.target, y);
      for (int64_t i = 0; i < y.numel(); ++i) EXPECT_NEAR(y.data<float>()[i], want.data<float>()[i], 2e-5);
    }
}

TEST(Preconditioning, CleanEstimateIsClipped) {
  const NoiseSchedule s("cosine", 1000, false);
  const Tensor r = Tensor::full({1, 1, 1, 1, 2}, 0), pi = Tensor::full({1, 1, 1, 1, 2}, 0.5);
  const Tensor f = Tensor::from<float>({1, 1, 1, 1, 2}, {9, -9});
  Tensor y = Tensor::empty(r.shape());
  estimate_clean(process_constants(s, {1000}, 1), r, pi, f, y);
  EXPECT_EQ(y.data<float>()[0], 1);
  EXPECT_EQ(y.data<float>()[1], 0);
}

TEST(Reverse, ATermWithoutItsTensorIsAnErrorAndChangesNothing) {
  const NoiseSchedule s("cosine", 1000, false);
  const Shape shape{1, 1, 1, 3, 2};
  const Tensor y0 = Tensor::full(shape, 0.4), pi = Tensor::full(shape, 0.5), none;
  for (const ReverseStep& step :
       {ReverseStep{500, 400, 0.7, 0.2, 0.1, 0}, ReverseStep{500, 400, 0.7, 0.2, 0, 0.1}}) {
    Tensor state = Tensor::full(shape, 0.25), previous;
    EXPECT_THROW(reverse_residual(process_constants(s, {500}, 0.3, step), y0, pi, none, state, previous),
                 Error);
    EXPECT_EQ(state.to_vector<float>(), Tensor::full(shape, 0.25).to_vector<float>());
  }
}

}  // namespace
}  // namespace voxgrad
