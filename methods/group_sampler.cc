#include "methods/group_sampler.h"

#include <algorithm>

#include "autograd/finite_check.h"
#include "autograd/tracing.h"
#include "io/text.h"
#include "tensor/core/finite.h"
#include "tensor/core/reduce.h"
#include "tensor/core/trace.h"
#include "tensor/elementwise/elementwise.h"
#include "tensor/layout/layout.h"
#include "tensor/layout/window.h"

namespace voxgrad {
namespace {

Triple extent(const Tensor& volume) { return {volume.dim(0), volume.dim(1), volume.dim(2)}; }

Tensor zeros_like_pi(const Tensor& image, int64_t classes, const Device& device) {
  Tensor zeros = Tensor::empty_on(device, {image.dim(0), image.dim(1), image.dim(2), classes});
  fill(zeros, 0);
  return zeros;
}

}  // namespace

void SamplingOptions::declare(OptionList& options) {
  OptionTable table = options.table("sampling", OptionUse::prediction);
  table.integer("samples", samples, 1, 100000, "M, samples per case")
      .number("stop_tolerance", stop_tolerance, 0, 1,
              "early stop: sampling ends if four more samples change the mean probability of the samples by "
              "at most this, for every class at every voxel; 0: always M samples");
  sampler.declare(table);
  table
      .word("readout", readout, {"softmax", "clip"},
            "how a sample becomes probabilities; softmax: softmax(s / tau_out), as in the paper; clip: "
            "clipped to [0, 1] and renormalised")
      .word("mean", mean, {"first-estimates", "samples"},
            "what the mean probability averages; samples: the finished samples, as in the paper; "
            "first-estimates: the first estimate of each sample, which is made at t = T and is the "
            "conditional mean of the label")
      .number("tau_out", tau_out, 0, 100,
              "tau_out of the readout softmax; 0: fitted on the calibration cases and stored in the model");
}

Tensor start_noise(const std::string& case_name, uint64_t seed, int64_t m, const Shape& shape) {
  return random_normal(shape, {sample_seed(case_name, seed, m), Stream::start, 0});
}

GroupSampler::GroupSampler(const Setting& setting)
    : s_(setting),
      device_(setting.denoiser.device()),
      image_(setting.image.to(device_)),
      pi_(setting.pi.defined() ? setting.pi.to(device_)
                               : zeros_like_pi(setting.image, setting.plan.classes(), device_)),
      steps_(reverse_steps(setting.schedule, setting.options.sampler)),
      windows_(sliding_windows(extent(setting.image), setting.plan.patch)),
      whole_(windows_.size() == 1 && extent(setting.image) == setting.plan.patch),
      shares_(windows_.size()) {
  const Triple& patch = s_.plan.patch;
  if (!whole_) {
    weight_ = gaussian_window(patch);
    weight_sum_ = sum_of_weights(extent(s_.image), windows_, weight_).to(device_);
    weight_ = weight_.to(device_);
  }
  const int64_t voxels = patch[0] * patch[1] * patch[2], features = s_.plan.features[0];
  const int64_t shares = static_cast<int64_t>(windows_.size()) * voxels * features * int64_t{sizeof(float)};
  // Shares may take half of the bound. The other half leaves room for large groups of samples.
  const int64_t memory = s_.work.memory_on(device_);
  keep_ = shares <= memory / 2;
  // A sample keeps its state, the blended estimate and one more volume (noise, or the previous estimate).
  const int64_t volume = static_cast<int64_t>(pi_.nbytes()), kept = 3 * volume;
  const int64_t once = (keep_ ? shares : 0) + (s_.options.first_estimates() ? 2 * volume : 0);
  group_ = group_size(memory - once, voxels, features, kept);
}

Tensor GroupSampler::share_of(size_t w, const Tensor& pi_window) {
  if (shares_[w].defined()) return shares_[w];
  const Tensor image = gather_windows(image_, {windows_[w]}, s_.plan.patch);
  std::vector<Tensor> inputs{image};
  if (s_.pi.defined()) inputs.push_back(pi_window);
  const Tensor share = s_.denoiser.first_share(inputs, s_.plan.classes());
  if (keep_) shares_[w] = share;
  return share;
}

void GroupSampler::allocate(int64_t count, int64_t groups) {
  const auto some = [&](auto uses) { return std::any_of(steps_.begin(), steps_.end(), uses); };
  const Shape& volume = pi_.shape();
  const Shape shape{count, volume[0], volume[1], volume[2], volume[3]};
  samples_.emplace();
  Samples& s = *samples_;
  s.constants = Tensor::empty_on(device_, {kProcessConstants, count});
  s.keys = Tensor::empty_on(device_, {count, 2}, DType::i64);
  s.state = Tensor::empty_on(device_, shape);
  s.y0 = Tensor::empty_on(device_, shape);
  if (some([](const ReverseStep& r) { return r.previous != 0; }))
    s.previous = Tensor::empty_on(device_, shape);
  if (some([](const ReverseStep& r) { return r.noise != 0; })) s.z = Tensor::empty_on(device_, shape);
  s.step.emplace(
      device_, [this, &s] { take_step(s); }, groups * static_cast<int64_t>(steps_.size()));
}

void GroupSampler::estimate_window(const Samples& s, size_t w, Tensor& y0) {
  const Triple& at = windows_[w].begin;
  Tensor r = Tensor::empty_on(device_, y0.shape()), in = Tensor::empty_on(device_, y0.shape());
  shift_volume(s.state, {-at[0], -at[1], -at[2]}, 0, r);
  precondition_state(s.constants, r, in);
  const Tensor pi = gather_windows(pi_, {windows_[w]}, s_.plan.patch);
  const Tensor f = s_.denoiser.sample(in, share_of(w, pi), constant_of(s.constants, ProcessConstant::time));
  estimate_clean(s.constants, r, pi, f, y0);
}

void GroupSampler::estimate(const Samples& s) {
  Tensor y0 = s.y0;
  // On a CUDA device this code may run only once, to record the graph. There draw() reports the progress.
  const auto done = [&] {
    if (!device_.is_cuda()) s_.work.done(y0.dim(0));
  };
  if (whole_) {
    estimate_window(s, 0, y0);
    return done();
  }
  fill(y0, 0);
  const Triple& patch = s_.plan.patch;
  for (size_t w = 0; w < windows_.size(); ++w) {
    if (s_.work.poll) s_.work.poll();
    Tensor window = Tensor::empty_on(device_, {y0.dim(0), patch[0], patch[1], patch[2], y0.dim(4)});
    estimate_window(s, w, window);
    add_window(window, weight_, windows_[w].begin, y0);
    done();
  }
  divide_places(y0, weight_sum_);
}

// Traces one line for each step.
void GroupSampler::trace_step(const Samples& s, size_t i, int64_t first) const {
  const ReverseStep& step = steps_[i];
  std::string text = cat(i + 1, "/", steps_.size(), ": t = ", step.t, " -> ", step.s, ", samples ", first,
                         " to ", first + s.y0.dim(0) - 1, ", ", counted(windows_.size(), "window"));
  if (trace_values()) text += "; estimate " + values_text(s.y0);
  if (trace_values() && !s.last)
    text += "; state " + values_text(s.state);  // the last step computes no state
  trace({"diffusion", "step", text});
}

void GroupSampler::reverse(Samples& s) {
  if (s.z.defined())
    for (int64_t m = 0; m < s.z.dim(0); ++m) {
      Tensor z = s.z.rows(m, 1);
      fill_normal(z, {0, Stream::ancestral, 0}, s.keys.rows(m, 1).reshape({2}));
    }
  reverse_residual(s.constants, s.y0, pi_, s.z, s.state, s.previous);
}

// After the last step y0 holds the samples, and no next state is needed. On a CUDA device it is computed
// nevertheless, because a graph does the same work at every step.
void GroupSampler::take_step(Samples& s) {
  estimate(s);
  if (!s.last || device_.is_cuda()) reverse(s);
}

std::vector<Tensor> GroupSampler::draw(int64_t first, int64_t count) {
  require(count >= 1 && count <= group_, "[sampler] expected 1 to ", group_, " samples, got ", count);
  // On a CUDA device the next group of the same size reuses the buffers and the graph.
  if (!samples_ || samples_->state.dim(0) != count)
    allocate(count, std::max<int64_t>((s_.options.samples - first) / count, 1));
  Samples& s = *samples_;
  std::vector<int64_t> keys;
  for (int64_t m = 0; m < count; ++m) {
    const uint64_t seed = sample_seed(s_.case_name, s_.seed, first + m);
    Tensor state = s.state.rows(m, 1);
    fill_normal(state, {seed, Stream::start, 0});
    keys.insert(keys.end(), {static_cast<int64_t>(seed), 0});
  }
  for (size_t i = 0; i < steps_.size(); ++i) {
    const ReverseStep& step = steps_[i];
    if (s_.work.poll) s_.work.poll();
    const std::vector<int64_t> times(static_cast<size_t>(count), step.t);
    s.constants.copy_from(process_constants(s_.schedule, times, s_.prediction, step));
    for (size_t m = 0; m < keys.size() / 2; ++m) keys[2 * m + 1] = static_cast<int64_t>(i);
    s.keys.copy_from(Tensor::from<int64_t>({count, 2}, keys));
    s.last = step.s == 0;
    s.step->run();
    if (tracing()) trace_step(s, i, first);
    if (device_.is_cuda()) s_.work.done(count * static_cast<int64_t>(windows_.size()));
    if (i == 0 && s_.options.first_estimates()) {
      if (!first_sum_.defined()) {
        first_sum_ = Tensor::empty_on(device_, pi_.shape());
        fill(first_sum_, 0);
      }
      for (int64_t m = 0; m < count; ++m) {
        accumulate(first_sum_, readout(s.y0.rows(m, 1).reshape(pi_.shape()), "clip", 1));
        ++first_count_;
      }
    }
  }
  std::vector<Tensor> samples;
  const Tensor y0 = s.y0.to(Device::cpu());
  if (const std::string bad = describe_not_finite(y0); !bad.empty()) {
    if (!FiniteCheck::current()) {  // draw again with checks, so that the error names the op
      const FiniteCheck check;
      samples_.reset();
      draw(first, count);
    }
    fail(ErrorCode::diverged, "[sampler] case ", s_.case_name, ": expected finite samples, got ", bad);
  }
  for (int64_t m = 0; m < count; ++m) samples.push_back(y0.rows(m, 1).reshape(pi_.shape()));
  if (!device_.is_cuda())
    samples_.reset();  // the returned samples share its memory, so it must not be reused
  return samples;
}

Tensor GroupSampler::first_estimate() const {
  if (first_count_ == 0) return {};
  Tensor mean = Tensor::empty_on(device_, pi_.shape());
  scale(first_sum_, double{1 / static_cast<float>(first_count_)}, 0, mean);
  return mean.to(Device::cpu());
}

}  // namespace voxgrad
