// The fits against minima searched in double precision, and their edges.
#include "eval/calibrate.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <limits>

#include "tensor/core/allocator.h"
#include "tensor/core/parallel.h"
#include "tensor/core/random.h"

namespace voxgrad {
namespace {

using Function = std::function<double(double)>;

double best_of(const Function& f, double low, double high) {
  FitCurve curve(low, high);
  std::valarray<double> scores(curve.points());
  for (size_t i = 0; i < scores.size(); ++i) scores[i] = f(curve.x(static_cast<double>(i)));
  curve.add(scores);
  return curve.best();
}

/// log of the x where f is least: points 0.05 apart, then a search by thirds.
double log_of_least(const Function& f, double low, double high) {
  const auto at = [&](double log_x) { return f(std::exp(log_x)); };
  double best = std::log(low);
  for (double u = best; u <= std::log(high); u += 0.05)
    if (at(u) < at(best)) best = u;
  double a = best - 0.05, b = best + 0.05;
  while (b - a > 1e-8) {
    const double third = (b - a) / 3;
    (at(a + third) < at(b - third) ? b : a) = at(a + third) < at(b - third) ? b - third : a + third;
  }
  return (a + b) / 2;
}

TEST(FitCurve, FindsMinimaBetweenItsPoints) {
  // On h = 0.2 the slope of a polynomial through seven points is off by h^6 / 42 = 2e-6 of the seventh
  // derivative at most, which is that of cosh.
  for (const double x : {0.12, 0.2, 0.5, 1.0, 3.3, 20.0, 85.0})
    EXPECT_NEAR(std::log(best_of([&](double v) { return std::cosh(std::log(v / x)); }, 0.1, 100)),
                std::log(x), 2e-6)
        << x;
  // The better of two valleys.
  const auto valleys = [](double x) {
    return std::min(std::pow(std::log(x), 2) + 0.2, std::pow(std::log(x / 20), 2));
  };
  EXPECT_NEAR(std::log(best_of(valleys, 0.1, 100)), std::log(20), 2e-6);
}

TEST(FitCurve, AKinkIsFoundBetweenTheNeighbours) {
  // No polynomial follows a kink, such as the floor of 1e-10 makes in the NLL of few voxels.
  for (const double x : {0.5, 1.0, 1.1, 20.0})
    EXPECT_NEAR(std::log(best_of([&](double v) { return std::abs(std::log(v / x)); }, 0.1, 100)), std::log(x),
                0.2)
        << "the distance of two points";
}

TEST(FitCurve, Edges) {
  EXPECT_DOUBLE_EQ(best_of([](double x) { return x; }, 0.1, 10), 0.1);
  EXPECT_DOUBLE_EQ(best_of([](double x) { return -x; }, 0.1, 10), 10);
  // The polynomial through the first seven of these has its minimum between the first two.
  EXPECT_DOUBLE_EQ(best_of([](double x) { return std::exp(-20 / x); }, 0.5, 50), 0.5);
  EXPECT_DOUBLE_EQ(best_of([](double) { return 3; }, 0.05, 20), 1) << "flat: the middle";
  EXPECT_THROW(FitCurve(0.05, 20).best(), Error) << "no case";
  EXPECT_THROW(FitCurve(2, 1), Error);
}

TEST(FitCurve, LeavesOutWhatIsNotFinite) {
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  const auto valley = [](double x) { return std::pow(std::log(x / 2), 2); };
  // The last finite points still make a polynomial, of less than seven.
  EXPECT_NEAR(std::log(best_of([&](double x) { return x < 1.5 ? kNan : valley(x); }, 0.1, 100)), std::log(2),
              2e-6);
  const double beside = best_of([&](double x) { return x < 2 ? kNan : valley(x); }, 0.1, 100);
  EXPECT_GE(beside, 2);
  EXPECT_LE(beside, 2 * std::exp(0.2)) << "the first finite point";
  for (const double value : {kNan, HUGE_VAL, -HUGE_VAL}) {
    try {
      best_of([&](double) { return value; }, 0.1, 100);
      ADD_FAILURE() << value;
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::diverged);
    }
  }
}

/// Logits of `scale` whose labels are drawn from softmax(logits / temperature), or else, with probability
/// `wrong`, from all classes alike; samples differ from the logits by noise.
struct Data {
  int64_t classes;
  double scale, temperature, wrong;
  int64_t samples = 1;
  Shape shape{10, 12, 10};

  int64_t voxels() const { return shape.numel(); }
  double logit(int64_t i, int64_t c) const {
    return scale * Philox{5, Stream::test, 0}.normal(static_cast<uint64_t>(i * classes + c));
  }
  /// f32 [D, H, W, K], about 0 to 1 like an estimate of a one-hot label.
  Tensor sample(int64_t m) const {
    const Philox noise{6, Stream::test, static_cast<uint32_t>(m)};
    return filled([&](int64_t i, int64_t c) {
      return 0.5 + logit(i, c) / 10 + 0.2 * noise.normal(static_cast<uint64_t>(i * classes + c));
    });
  }
  Tensor probabilities() const {
    return filled([&](int64_t i, int64_t c) {
      double sum = 0;
      for (int64_t k = 0; k < classes; ++k) sum += std::exp(logit(i, k) - logit(i, c));
      return 1 / sum;
    });
  }
  Tensor truth() const {
    Tensor y = Tensor::zeros(shape, DType::i32);
    const Philox random{7, Stream::test, 0};
    for (int64_t i = 0; i < voxels(); ++i) {
      double sum = 0, below = 0;
      const double t = random.uniform(static_cast<uint64_t>(2 * i)) < wrong ? 1e6 : temperature;
      for (int64_t c = 0; c < classes; ++c) sum += std::exp(logit(i, c) / t);
      const double u = sum * random.uniform(static_cast<uint64_t>(2 * i + 1));
      int32_t& label = y.mutable_data<int32_t>()[i];
      for (int64_t c = 0; c + 1 < classes; ++c)
        if (u >= (below += std::exp(logit(i, c) / t))) label = static_cast<int32_t>(c + 1);
    }
    return y;
  }

 private:
  template <class Value>
  Tensor filled(Value&& value) const {
    Tensor out = Tensor::empty({shape[0], shape[1], shape[2], classes});
    for (int64_t i = 0; i < out.numel(); ++i)
      out.mutable_data<float>()[i] = static_cast<float>(value(i / classes, i % classes));
    return out;
  }
};

/// Mean of -log max(mean over maps of softmax(x / t)[y], 1e-10), in double precision.
double nll_in_double(const std::vector<Tensor>& maps, const Tensor& truth, double t, bool of_logarithms) {
  double sum = 0;
  const int64_t classes = maps[0].dim(3);
  const auto logit = [&](const Tensor& map, int64_t i) {
    const double x = map.data<float>()[i];
    return of_logarithms ? std::log(std::max(x, 1e-10)) : x;
  };
  for (int64_t i = 0; i < truth.numel(); ++i) {
    double p = 0;
    for (const Tensor& map : maps) {
      double odds = 0;
      for (int64_t c = 0; c < classes; ++c)
        odds +=
            std::exp((logit(map, i * classes + c) - logit(map, i * classes + truth.data<int32_t>()[i])) / t);
      p += 1 / odds;
    }
    sum -= std::log(std::max(p / static_cast<double>(maps.size()), 1e-10));
  }
  return sum / static_cast<double>(truth.numel());
}

double fitted_temperature(const Data& d) {
  TemperatureFit fit;
  fit.add(d.probabilities(), d.truth());
  return fit.best();
}

void add_case(TauOutFit& fit, const Data& d) {
  fit.begin_case(d.truth());
  for (int64_t m = 0; m < d.samples; ++m) fit.add_sample(d.sample(m));
  fit.end_case();
}

double fitted_tau(const Data& d) {
  TauOutFit fit;
  add_case(fit, d);
  return fit.best();
}

// Seven points 0.2 apart leave an error in log x of up to 9e-5 on smooth curves (measured on 60 of them); the
// NLL is then off by half its curvature, which is below 1, times the square.
constexpr double kLogTolerance = 1e-4, kNllTolerance = 1e-8;

TEST(TemperatureFit, AgreesWithASearch) {
  for (const Data& d : {Data{2, 3, 1, 0}, Data{3, 2, 0.5, 0}, Data{3, 6, 1.7, 0}, Data{4, 12, 2.5, 0},
                        Data{4, 10, 4, 0}, Data{3, 1, 0.2, 0}, Data{2, 8, 1, 0.1}, Data{3, 5, 1, 0.02}}) {
    const std::vector<Tensor> maps{d.probabilities()};
    const Tensor y = d.truth();
    const auto f = [&](double t) { return nll_in_double(maps, y, t, true); };
    const double least = log_of_least(f, 0.05, 20), fitted = fitted_temperature(d);
    SCOPED_TRACE(cat(d.classes, " classes, logits ", d.scale, ", temperature ", std::exp(least)));
    EXPECT_NEAR(std::log(fitted), least, kLogTolerance);
    EXPECT_NEAR(f(fitted), f(std::exp(least)), kNllTolerance);
  }
}

TEST(TauOutFit, AgreesWithASearch) {
  for (const Data& d : {Data{2, 3, 1, 0, 1}, Data{3, 4, 1, 0, 4}, Data{3, 7, 1, 0.05, 4},
                        Data{4, 6, 2, 0.01, 9}, Data{3, 6, 1, 0.3, 9}}) {
    std::vector<Tensor> maps;
    for (int64_t m = 0; m < d.samples; ++m) maps.push_back(d.sample(m));
    const Tensor y = d.truth();
    const auto f = [&](double tau) { return nll_in_double(maps, y, tau, false); };
    const double least = log_of_least(f, 0.02, 2), fitted = fitted_tau(d);
    SCOPED_TRACE(cat(d.classes, " classes, ", d.samples, " samples, tau ", std::exp(least)));
    EXPECT_NEAR(std::log(fitted), least, kLogTolerance);
    EXPECT_NEAR(f(fitted), f(std::exp(least)), kNllTolerance);
  }
}

double temperature_of(const std::vector<float>& p, int32_t label) {
  TemperatureFit fit;
  fit.add(Tensor::from<float>({1, 1, 1, static_cast<int64_t>(p.size())}, p),
          Tensor::from<int32_t>({1, 1, 1}, {label}));
  return fit.best();
}
double tau_of(const std::vector<float>& sample, int32_t label) {
  TauOutFit fit;
  fit.begin_case(Tensor::from<int32_t>({1, 1, 1}, {label}));
  fit.add_sample(Tensor::from<float>({1, 1, 1, static_cast<int64_t>(sample.size())}, sample));
  fit.end_case();
  return fit.best();
}

TEST(Fits, Edges) {
  EXPECT_DOUBLE_EQ(temperature_of({0.6f, 0.4f}, 0), 0.05);
  EXPECT_DOUBLE_EQ(temperature_of({0.6f, 0.4f}, 1), 20);
  EXPECT_DOUBLE_EQ(temperature_of({0, 1, 0}, 2), 20) << "certain and wrong";
  EXPECT_DOUBLE_EQ(temperature_of({0.25f, 0.25f, 0.25f, 0.25f}, 3), 1) << "flat";
  EXPECT_DOUBLE_EQ(temperature_of({1}, 0), 1) << "one class";
  EXPECT_DOUBLE_EQ(tau_of({0.5f, 0.4f}, 0), 0.02);
  EXPECT_DOUBLE_EQ(tau_of({0.5f, 0.4f}, 1), 2);
  EXPECT_DOUBLE_EQ(tau_of({0.3f, 0.3f}, 1), 0.2) << "flat";
  // Certain and right: the NLL is 0 wherever exp of the difference is below the rounding of 1 (6e-8).
  EXPECT_NEAR(temperature_of({0, 1, 0}, 1), 1, 0.25);
  EXPECT_LT(tau_of({0, 1, 0}, 1), 1 / std::log(1 / 6e-8) * std::exp(0.2));
}

TEST(Fits, AnEndOfTheRangeIsDoubted) {
  // Probabilities that are certain and wrong in every second voxel: the flatter the better.
  TemperatureFit flat;
  Tensor p = Tensor::zeros({1, 1, 64, 2}), y = Tensor::zeros({1, 1, 64}, DType::i32);
  for (int64_t i = 0; i < 64; ++i) {
    p.mutable_data<float>()[2 * i] = 1;
    y.mutable_data<int32_t>()[i] = static_cast<int32_t>(i % 2);
  }
  flat.add(p, y);
  const std::string text = doubt_of_fit("T", flat.best(), TemperatureFit::kLow, TemperatureFit::kHigh);
  EXPECT_NE(text.find("the fit of T ended at 20, the highest value that is tried"), std::string::npos)
      << text;
  EXPECT_NE(doubt_of_fit("T", 0.05, 0.05, 20).find("the lowest value"), std::string::npos);
  EXPECT_EQ(doubt_of_fit("T", 0.051, 0.05, 20), "");
  EXPECT_EQ(doubt_of_fit("T", 19.9, 0.05, 20), "");
}

TEST(Fits, WhatIsNotFiniteDiverges) {
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()})
    for (const int32_t label : {0, 1, 2})
      for (const auto& fit : {temperature_of, tau_of}) try {
          fit({0.2f, bad, 0.3f}, label);
          ADD_FAILURE() << bad << " " << label;
        } catch (const Error& e) {
          EXPECT_EQ(e.code(), ErrorCode::diverged);
        }
}

TEST(Fits, TheOrderOfCasesMattersToRoundingOnly) {
  std::vector<Data> cases{{3, 4, 1, 0, 2}, {3, 9, 2, 0.1, 3}, {3, 1, 0.5, 0, 1}};
  cases[1].shape = {3, 4, 5};
  const auto both = [&] {
    TemperatureFit temperature;
    TauOutFit tau;
    for (const Data& d : cases) {
      temperature.add(d.probabilities(), d.truth());
      add_case(tau, d);
    }
    EXPECT_EQ(temperature.cases(), 3);
    EXPECT_EQ(tau.cases(), 3);
    return std::array{temperature.best(), tau.best()};
  };
  const auto forward = both();
  std::reverse(cases.begin(), cases.end());
  const auto backward = both();
  // The last step of the search in log x is below 1e-6.
  for (size_t i = 0; i < 2; ++i) EXPECT_NEAR(std::log(forward[i]), std::log(backward[i]), 2e-6);
}

TEST(Fits, SameBitsWithAnyNumberOfThreads) {
  const int before = thread_count();
  Data d{3, 4, 1, 0.1, 2};
  d.shape = {20, 50, 41};  // three tiles of voxels
  const auto both = [&] { return std::array{fitted_temperature(d), fitted_tau(d)}; };
  set_thread_count(1);
  const auto one = both();
  for (const int threads : {2, 3}) {
    set_thread_count(threads);
    EXPECT_EQ(both(), one) << threads;
  }
  set_thread_count(before);
}

TEST(TauOutFit, MemoryGrowsNeitherWithSamplesNorWithCases) {
  const auto peak = [](int64_t samples, int cases) {
    const Data d{3, 4, 1, 0, samples};
    const size_t before = memory_stats().current;
    reset_memory_peak();
    TauOutFit fit;
    for (int i = 0; i < cases; ++i) add_case(fit, d);
    EXPECT_EQ(memory_stats().current, before) << "nothing is kept of a case";
    return memory_stats().peak - before;
  };
  const size_t one = peak(1, 1);
  EXPECT_GT(one, 0u);
  EXPECT_EQ(peak(12, 1), one);
  EXPECT_EQ(peak(2, 4), one);
}

TEST(TauOutFit, RefusesCallsOutOfOrder) {
  const Tensor y = Tensor::zeros({1, 1, 2}, DType::i32);
  TauOutFit fit;
  EXPECT_THROW(fit.add_sample(Tensor::zeros({1, 1, 2, 2})), Error);
  EXPECT_THROW(fit.end_case(), Error);
  fit.begin_case(y);
  EXPECT_THROW(fit.begin_case(y), Error);
  EXPECT_THROW(fit.end_case(), Error) << "no sample";
  EXPECT_THROW(fit.add_sample(Tensor::zeros({1, 1, 3, 2})), Error);
  fit.add_sample(Tensor::zeros({1, 1, 2, 2}));
  fit.end_case();
  EXPECT_EQ(fit.cases(), 1);
}

}  // namespace
}  // namespace voxgrad
