// Drawing samples of the residual: all samples of a group in one batch of the denoiser, window by window
// inside each step. What depends on the image alone, the share of X and pi in the denoiser's first
// convolution, is computed once a window and serves all samples and steps; where the memory bound leaves no
// room for it, it is computed again each time, with the same bits.
#pragma once
#include "diffusion/aggregate.h"
#include "diffusion/residual.h"
#include "methods/method.h"
#include "nn/unet.h"

namespace voxgrad {

class GroupSampler {
 public:
  struct Setting {
    const Plan& plan;
    const NoiseSchedule& schedule;
    const UNet& denoiser;  ///< reads [c_in r_t, X, pi]
    double residual_sd;
    const Tensor& image;  ///< [D, H, W, C], at least the plan's patch
    const Tensor& pi;     ///< [D, H, W, K]
    uint64_t seed;        ///< of this case
    const SampleOptions& options;
  };
  /// What `setting` refers to must outlive the sampler.
  explicit GroupSampler(const Setting& setting);

  /// How many samples fit into the memory bound at once.
  int64_t group() const { return group_; }
  bool keeps_shares() const { return keep_; }
  /// Samples first .. first + count - 1, [D, H, W, K] each; count at most group().
  std::vector<Tensor> draw(int64_t first, int64_t count);
  /// Mean over all samples drawn so far of their first estimates of y0, clipped and renormalised,
  /// [D, H, W, K]. That estimate is made at t = T, where the state says nothing about y0: it is the
  /// conditional mean E[y | X], the probabilities themselves. Undefined unless
  /// SampleOptions::first_estimates.
  Tensor first_estimate() const { return first_.count() > 0 ? first_.mean() : Tensor(); }

 private:
  /// y0_hat of every sample, blended over the windows.
  std::vector<Tensor> estimate(const std::vector<Tensor>& state, int64_t t);
  /// y0_hat of every sample in window `w`, [samples, d, h, w, K].
  Tensor estimate_window(const std::vector<Tensor>& state, size_t w, int64_t t);
  Tensor share_of(size_t w, const Tensor& pi_window);

  Setting s_;
  std::vector<ReverseStep> steps_;
  std::vector<Window> windows_;
  bool whole_;                  // one window that is the volume: nothing to blend
  Tensor weight_, weight_sum_;  // of a window, and of all windows at each voxel
  bool keep_;
  std::vector<Tensor> shares_;  // a window each; undefined until computed
  int64_t group_;
  SampleAggregator first_;  // of first estimates
};

/// Standard normal noise that sample m starts from.
Tensor start_noise(uint64_t case_seed, int64_t m, const Shape& shape);

}  // namespace voxgrad
