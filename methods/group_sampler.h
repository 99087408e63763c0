// Drawing samples of the residual: all samples of a group in one batch of the denoiser, window by window
// inside each step. What depends on the image alone, the share of X and pi in the denoiser's first
// convolution, is computed once a window and serves all samples and steps; where the memory bound leaves no
// room for it, it is computed again each time, with the same bits. All of it happens where the denoiser
// computes; on a CUDA device a step is one graph (ReplayedWork, tensor/graph.h).
#pragma once
#include <optional>

#include "diffusion/aggregate.h"
#include "diffusion/residual.h"
#include "methods/denoiser.h"
#include "methods/method.h"
#include "tensor/graph.h"

namespace voxgrad {

/// How samples are drawn and read.
struct SamplingOptions {
  int64_t samples = 16;  ///< M
  SamplerOptions sampler;
  double stop_tolerance = 0;  ///< EarlyStop's
  std::string readout = "clip", mean = "first-estimates";
  double tau_out = 0;
  /// The keys sampling.*.
  void declare(OptionList& options);
  /// Whether the mean probability comes from the samples' first estimates.
  bool first_estimates() const { return mean == "first-estimates"; }
};

class GroupSampler {
 public:
  struct Setting {
    const Plan& plan;
    const NoiseSchedule& schedule;
    const Denoiser& denoiser;
    double residual_sd;
    const Tensor& image;  ///< [D, H, W, C], at least the plan's patch; on any device, as pi
    const Tensor& pi;     ///< [D, H, W, K]
    const std::string& case_name;
    uint64_t seed;  ///< with the case's name it makes those of the samples (sample_seed)
    const SamplingOptions& options;
    const Work& work;
  };
  /// What `setting` refers to must outlive the sampler.
  explicit GroupSampler(const Setting& setting);
  GroupSampler(const GroupSampler&) = delete;
  GroupSampler& operator=(const GroupSampler&) = delete;

  /// How many samples fit into the memory bound at once.
  int64_t group() const { return group_; }
  bool keeps_shares() const { return keep_; }
  /// Whether the steps of the last group were replayed as a graph.
  bool replayed() const { return samples_ && samples_->step->recorded(); }
  /// Samples first .. first + count - 1, [D, H, W, K] each, on the CPU; count at most group().
  std::vector<Tensor> draw(int64_t first, int64_t count);
  /// Mean over all samples drawn so far of their first estimates of y0, clipped and renormalised,
  /// [D, H, W, K], on the CPU. That estimate is made at t = T, where the state says nothing about y0: it is
  /// the conditional mean E[y | X], the probabilities themselves. Undefined unless
  /// SamplingOptions::first_estimates.
  Tensor first_estimate() const;

 private:
  // Samples under way. Buffers of N samples [N, D, H, W, K] that every step reads and writes in their place.
  struct Samples {
    Tensor constants;    // process_constants of the step
    Tensor keys;         // seed and draw of each sample's noise in this step, i64 [N, 2]
    Tensor state, y0;    // r_t, and y0_hat blended over the windows
    Tensor previous, z;  // r0_hat of the step before, and noise: where the sampler has them
    bool last;           // whether no state follows the step
    std::optional<ReplayedWork> step;
  };
  /// Buffers of `count` samples, for so many groups.
  void allocate(int64_t count, int64_t groups);
  /// y0 of all samples at the state, and the next state.
  void take_step(Samples& s);
  void estimate(const Samples& s);
  /// The estimate in window `w`, into y0 [samples, d, h, w, K].
  void estimate_window(const Samples& s, size_t w, Tensor& y0);
  void reverse(Samples& s);
  void trace_step(const Samples& s, size_t i, int64_t first) const;
  Tensor share_of(size_t w, const Tensor& pi_window);

  Setting s_;
  Device device_;
  Tensor image_, pi_;  // on the device
  std::vector<ReverseStep> steps_;
  std::vector<Window> windows_;
  bool whole_;                  // one window that is the volume: nothing to blend
  Tensor weight_, weight_sum_;  // of a window, and of all windows at each voxel
  bool keep_;
  std::vector<Tensor> shares_;  // a window each; undefined until computed
  int64_t group_;
  std::optional<Samples> samples_;
  Tensor first_sum_;  // of first estimates, on the device
  int64_t first_count_ = 0;
};

/// r_T of sample m of a case, standard normal [D, H, W, K] or [1, D, H, W, K].
Tensor start_noise(const std::string& case_name, uint64_t seed, int64_t m, const Shape& shape);

}  // namespace voxgrad
