// Fits of the scalars that calibrate a method: the temperature of a probability map and tau_out of a set of
// samples. What is minimised is the score itself: the mean over cases of the NLL of a case. No random
// numbers; the same bits with any number of threads.
#pragma once
#include <functional>
#include <vector>

#include "eval/metrics.h"

namespace voxgrad {

/// The x in [low, high] (both positive) where f is least: f at 17 points equally spaced in log x, then a
/// golden-section search between the neighbours of the best, until log x is known to `tolerance`. One of
/// several local minima is found that holds the best of the points; an edge is returned where f falls towards
/// it. Where f is not a number it counts as infinite; ErrorCode::diverged if it is so everywhere.
double minimise_scalar(const std::function<double(double)>& f, double low, double high,
                       double tolerance = 1e-3);

/// A case for a fit of a temperature.
struct LabelledProbabilities {
  Tensor probabilities;  ///< f32 [D, H, W, K]
  Tensor truth;          ///< i32 [D, H, W]
};
/// softmax(log max(p, 1e-10) / temperature): p^(1/T), renormalised. f32 [D, H, W, K].
Tensor apply_temperature(const Tensor& probabilities, double temperature);
/// Mean over cases of the NLL of apply_temperature(p, temperature), without making the maps.
double nll_of_temperature(const std::vector<LabelledProbabilities>& cases, double temperature);
double fit_temperature(const std::vector<LabelledProbabilities>& cases, double low = 0.05, double high = 20);

/// A case for a fit of tau_out.
struct LabelledSamples {
  std::vector<Tensor> samples;  ///< the M clean estimates y0_hat, f32 [D, H, W, K]
  Tensor truth;                 ///< i32 [D, H, W]
};
/// The mean over samples of softmax(sample / tau), f32 [D, H, W, K] (II.E of the PGRD paper).
Tensor mean_softmax(const std::vector<Tensor>& samples, double tau);
/// Mean over cases of the NLL of mean_softmax(samples, tau), without making the maps.
double nll_of_tau_out(const std::vector<LabelledSamples>& cases, double tau);
double fit_tau_out(const std::vector<LabelledSamples>& cases, double low = 0.02, double high = 2);

}  // namespace voxgrad
