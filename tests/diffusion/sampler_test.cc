// Reverse steps: equation 5 against Gaussian conditioning, and whole samplers against two cases whose answer
// is known: Gaussian residuals, and one coherent region that is foreground with probability p.
#include "diffusion/sampler.h"

#include <gtest/gtest.h>

#include <cmath>

#include "diffusion/residual.h"

namespace voxgrad {
namespace {

const NoiseSchedule& cosine() {
  static const NoiseSchedule s("cosine", 1000, false);
  return s;
}

SamplerOptions options(const char* kind, int64_t steps, const char* spacing = "uniform", double eta = 0) {
  SamplerOptions o;
  o.kind = kind;
  o.steps = steps;
  o.spacing = spacing;
  o.eta = eta;
  return o;
}

// r_s given r_t and r_0: condition the joint Gaussian of (r_s, r_t) given r_0. r_s = sqrt(as) r0 + N(0, 1 -
// as), r_t = sqrt(a) r_s + N(0, 1 - a), a = at / as.
TEST(Posterior, AgreesWithGaussianConditioning) {
  for (const auto& [t, s] : {std::pair<int64_t, int64_t>{1000, 700}, {500, 499}, {300, 10}, {2, 1}}) {
    const double at = cosine().alpha_bar(t), as = cosine().alpha_bar(s), a = at / as;
    const double prior = 1 - as, gain = prior * std::sqrt(a) / (a * prior + 1 - a);
    // mean = sqrt(as) r0 + gain (r_t - sqrt(at) r0)
    const ReverseStep step = reverse_step(cosine(), options("ddpm", 10), t, s, 0);
    EXPECT_NEAR(step.state, gain, 1e-10);
    EXPECT_NEAR(step.clean, std::sqrt(as) - gain * std::sqrt(at), 1e-10);
    EXPECT_NEAR(step.noise * step.noise, prior - gain * std::sqrt(a) * prior, 1e-10);
    EXPECT_EQ(step.previous, 0);
  }
}

// On s itself the two coefficients do not add up to one: what is missing belongs to pi. On the residual
// nothing is lost.
TEST(Posterior, OnTheStateItselfItWouldBeBiased) {
  const ReverseStep step = reverse_step(cosine(), options("ddpm", 10), 600, 400, 0);
  EXPECT_LT(step.state + step.clean, 0.98);
}

TEST(Ddim, KeepsTheMarginalWithEveryEta) {
  for (const double eta : {0.0, 0.5, 1.0})
    for (const auto& [t, s] : {std::pair<int64_t, int64_t>{1000, 800}, {600, 300}, {50, 1}}) {
      const double at = cosine().alpha_bar(t), as = cosine().alpha_bar(s);
      const ReverseStep step = reverse_step(cosine(), options("ddim", 10, "uniform", eta), t, s, 0);
      // r_t = sqrt(at) r0 + sqrt(1 - at) eps must become sqrt(as) r0 + N(0, 1 - as).
      EXPECT_NEAR(step.state * std::sqrt(at) + step.clean, std::sqrt(as), 1e-10);
      EXPECT_NEAR(step.state * step.state * (1 - at) + step.noise * step.noise, 1 - as, 1e-10);
    }
}

TEST(Ddim, IsNotThePosteriorMeanWithoutNoise) {
  const ReverseStep ddim = reverse_step(cosine(), options("ddim", 10), 600, 400, 0);
  const ReverseStep ddpm = reverse_step(cosine(), options("ddpm", 10), 600, 400, 0);
  // The posterior mean shrinks the state: repeated without noise all samples come out alike.
  EXPECT_GT(ddim.state, 1.3 * ddpm.state);
}

TEST(Ddim, EtaOneOverSingleStepsIsAncestralSampling) {
  for (const int64_t t : {2, 100, 900}) {
    const ReverseStep a = reverse_step(cosine(), options("ddim", 10, "uniform", 1), t, t - 1, 0);
    const ReverseStep b = reverse_step(cosine(), options("ddpm", 10), t, t - 1, 0);
    EXPECT_NEAR(a.state, b.state, 1e-9);
    EXPECT_NEAR(a.clean, b.clean, 1e-9);
    EXPECT_NEAR(a.noise, b.noise, 1e-9);
  }
}

TEST(Steps, LastOneIsTheEstimateItselfWithoutNoise) {
  for (const char* kind : {"ddim", "ddpm", "dpmpp"}) {
    const auto steps = reverse_steps(cosine(), options(kind, 7));
    EXPECT_EQ(steps.size(), 7u);
    EXPECT_EQ(steps.back().s, 0);
    EXPECT_EQ(steps.back().state, 0);
    EXPECT_EQ(steps.back().clean, 1);
    EXPECT_EQ(steps.back().noise, 0);
  }
}

TEST(Steps, ZeroTerminalSnrStartsFiniteInEverySampler) {
  const NoiseSchedule zero("cosine", 1000, true);
  for (const char* kind : {"ddim", "ddpm", "dpmpp"})
    for (const ReverseStep& s : reverse_steps(zero, options(kind, 8))) {
      EXPECT_TRUE(std::isfinite(s.state) && std::isfinite(s.clean) && std::isfinite(s.previous) &&
                  std::isfinite(s.noise));
    }
}

// Runs a sampler on independent scalars with the exact denoiser r0_hat = E[r_0 | r_t].
template <class Denoiser>
std::vector<double> run(const SamplerOptions& o, int64_t count, Denoiser&& denoise) {
  Tensor state = random_normal({1, count}, {3, Stream::start, 0}), previous = Tensor::zeros({1, count});
  const Tensor pi = Tensor::zeros({1, count});
  const auto steps = reverse_steps(cosine(), o);
  for (size_t i = 0; i < steps.size(); ++i) {
    Tensor clean = Tensor::empty({1, count});
    for (int64_t k = 0; k < count; ++k)
      clean.mutable_data<float>()[k] =
          static_cast<float>(denoise(steps[i].t, double{state.data<float>()[k]}));
    const Tensor z = random_normal({1, count}, {3, Stream::ancestral, static_cast<uint32_t>(i)});
    reverse_residual(process_constants(cosine(), {steps[i].t}, 1, steps[i]), clean, pi, z, state, previous);
  }
  std::vector<double> out;
  for (const float v : state.to_vector<float>()) out.push_back(v);
  return out;
}

// r_0 ~ N(0, d^2): E[r_0 | r_t] = c_skip r_t. All samplers must give that distribution back.
TEST(GaussianData, EverySamplerGivesTheDistributionBack) {
  const double d = 0.5;
  const int64_t n = 40000;
  for (const auto& o : {options("ddim", 300), options("ddim", 300, "uniform", 1), options("ddpm", 300),
                        options("dpmpp", 30, "log-snr")}) {
    const auto x =
        run(o, n, [&](int64_t t, double r) { return precondition(cosine().alpha_bar(t), d).skip * r; });
    double mean = 0, square = 0;
    for (const double v : x) {
      mean += v;
      square += v * v;
    }
    mean /= static_cast<double>(n);
    const double sd = std::sqrt(square / static_cast<double>(n) - mean * mean);
    EXPECT_NEAR(mean, 0, 5 * d / std::sqrt(static_cast<double>(n))) << o.kind;
    // 3 % for the discretisation (the last step returns an estimate), five standard errors for the sampling.
    EXPECT_NEAR(sd / d, 1, 0.03 + 5 / std::sqrt(2.0 * static_cast<double>(n))) << o.kind;
  }
}

// A region of n voxels is foreground as a whole with probability p. Along the direction (1, ..., 1) / sqrt(n)
// the state is a scalar, and samplers are linear, so the scalar chain is exact. Returns how often it ends as
// foreground.
double coherent_region(const SamplerOptions& o, double p, double n) {
  const double root = std::sqrt(n);
  const auto x = run(o, 40000, [&](int64_t t, double u) {
    const double abar = cosine().alpha_bar(t), a = std::sqrt(abar), variance = 1 - abar;
    // u given "foreground": mean a root (1 - p); given "background": -a root p (pi = p everywhere).
    const double up = u - a * root * (1 - p), down = u + a * root * p;
    const double log_odds = std::log(p / (1 - p)) + (down * down - up * up) / (2 * variance);
    return root * (1 / (1 + std::exp(-log_odds)) - p);
  });
  double foreground = 0;
  for (const double v : x) foreground += v / root + p > 0.5;
  return foreground / static_cast<double>(x.size());
}

TEST(CoherentRegion, ManyUniformStepsOrFewInLogSnrGiveP) {
  // Three standard errors of 40,000 draws are .007; what is left is the discretisation.
  EXPECT_NEAR(coherent_region(options("ddim", 300), 0.7, 1000), 0.7, 0.015);
  EXPECT_NEAR(coherent_region(options("ddim", 300), 0.9, 1000), 0.9, 0.015);
  EXPECT_NEAR(coherent_region(options("dpmpp", 10, "log-snr"), 0.7, 1000), 0.7, 0.02);
  EXPECT_NEAR(coherent_region(options("dpmpp", 10, "log-snr"), 0.9, 1000), 0.9, 0.02);
}

TEST(CoherentRegion, FewUniformStepsJumpOverTheDecision) {
  // Far beyond p by more than the other samplers' tolerances: the majority is exaggerated.
  EXPECT_GT(coherent_region(options("ddim", 10), 0.7, 1000), 0.8);
  EXPECT_GT(coherent_region(options("ddim", 10), 0.9, 1000), 0.96);
}

}  // namespace
}  // namespace voxgrad
