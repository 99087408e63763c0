// Draws samples of the residual. The samples of a group form one batch of the denoiser. Each step of the
// sampler visits the windows of the volume one by one.
//
// The contribution of X and pi (of X alone, if there is no prior) to the denoiser's first convolution (its
// "share") depends on the image alone. It is computed once for each window and used by all samples and steps.
// If the memory bound leaves no room to keep the shares, they are computed again each time, with the same
// bits.
//
// Everything is computed on the denoiser's device. On a CUDA device each step replays one graph
// (ReplayedWork, tensor/core/graph.h).
#pragma once
#include <optional>

#include "diffusion/aggregate.h"
#include "diffusion/residual.h"
#include "methods/denoiser.h"
#include "methods/method.h"
#include "tensor/core/graph.h"

namespace voxgrad {

/// How samples are drawn, and how probabilities are read from them.
struct SamplingOptions {
  int64_t samples = 16;  ///< M
  SamplerOptions sampler;
  double stop_tolerance = 0;  ///< tolerance of EarlyStop; 0: no early stop
  std::string readout = "clip", mean = "first-estimates";
  double tau_out = 0;
  /// Declares the keys sampling.*.
  void declare(OptionList& options);
  /// Whether the mean probability is the mean of the samples' first estimates.
  bool first_estimates() const { return mean == "first-estimates"; }
};

class GroupSampler {
 public:
  struct Setting {
    const Plan& plan;
    const NoiseSchedule& schedule;
    const Denoiser& denoiser;
    Prediction prediction;
    const Tensor& image;  ///< [D, H, W, C], at least the plan's patch; on any device, like pi
    /// [D, H, W, K]. Undefined: there is no prior. Then the process is centred on 0, and the denoiser reads
    /// [c_in r_t, X].
    const Tensor& pi;
    const std::string& case_name;
    uint64_t seed;  ///< the samples' seeds are derived from it and the case's name (sample_seed)
    const SamplingOptions& options;
    const Work& work;
  };
  /// The objects that `setting` refers to must outlive the sampler.
  explicit GroupSampler(const Setting& setting);
  GroupSampler(const GroupSampler&) = delete;
  GroupSampler& operator=(const GroupSampler&) = delete;

  /// The number of samples that fit into the memory bound at once.
  int64_t group() const { return group_; }
  /// Whether the shares of the windows are kept in memory.
  bool keeps_shares() const { return keep_; }
  /// Whether the steps of the last group were replayed as a graph.
  bool replayed() const { return samples_ && samples_->step->recorded(); }
  /// Samples first .. first + count - 1, [D, H, W, K] each, on the CPU. count is at most group().
  std::vector<Tensor> draw(int64_t first, int64_t count);
  /// The mean of the first estimates of y0, clipped and renormalised, over all samples drawn so far:
  /// [D, H, W, K], on the CPU. A first estimate is made at t = T, where the state carries no information
  /// about y0. It is therefore the conditional mean E[y | X], which is the probability itself. Undefined
  /// unless SamplingOptions::first_estimates.
  Tensor first_estimate() const;

 private:
  // The N samples being drawn. Every step reads and writes these buffers [N, D, H, W, K] in place.
  struct Samples {
    Tensor constants;    // process_constants of the step
    Tensor keys;         // seed and draw of each sample's noise in this step, i64 [N, 2]
    Tensor state, y0;    // r_t, and y0_hat blended over the windows
    Tensor previous, z;  // r0_hat of the previous step, and noise; undefined if the sampler needs none
    bool last;           // whether this is the last step, after which no state is needed
    std::optional<ReplayedWork> step;
  };
  /// Allocates the buffers of `count` samples, which `groups` groups will use.
  void allocate(int64_t count, int64_t groups);
  /// Estimates y0 of all samples from the state, then computes the next state.
  void take_step(Samples& s);
  void estimate(const Samples& s);
  /// Writes the estimate in window `w` to y0 [samples, d, h, w, K].
  void estimate_window(const Samples& s, size_t w, Tensor& y0);
  void reverse(Samples& s);
  void trace_step(const Samples& s, size_t i, int64_t first) const;
  Tensor share_of(size_t w, const Tensor& pi_window);

  Setting s_;
  Device device_;
  Tensor image_, pi_;  // on the device; pi_ is 0 without a prior
  std::vector<ReverseStep> steps_;
  std::vector<Window> windows_;
  bool whole_;  // the volume is one window, so nothing is blended
  Tensor weight_,
      weight_sum_;  // blending weight of a window; sum of the weights of all windows at each voxel
  bool keep_;
  std::vector<Tensor> shares_;  // one for each window; undefined until computed
  int64_t group_;
  std::optional<Samples> samples_;
  Tensor first_sum_;  // sum of first estimates, on the device
  int64_t first_count_ = 0;
};

/// r_T of sample m of a case, standard normal [D, H, W, K] or [1, D, H, W, K].
Tensor start_noise(const std::string& case_name, uint64_t seed, int64_t m, const Shape& shape);

}  // namespace voxgrad
