#include "methods/group_sampler.h"

#include "tensor/random.h"

namespace voxgrad {
namespace {

Tensor subtract(const Tensor& a, const Tensor& b) { return apply_step({0, 0, 1, -1, 0, 0}, a, b, {}, {}); }

Triple extent(const Tensor& volume) { return {volume.dim(0), volume.dim(1), volume.dim(2)}; }

// Weights of all windows at each voxel: the same for every sample and step.
Tensor sum_of_weights(const Triple& shape, const std::vector<Window>& windows, const Tensor& weight) {
  const Tensor sum = Tensor::zeros({shape[0], shape[1], shape[2]});
  Tensor unused = Tensor::zeros({shape[0], shape[1], shape[2], 1});
  for (const Window& w : windows) accumulate_window(unused, sum, weight, weight, w);
  return sum;
}

}  // namespace

Tensor start_noise(uint64_t case_seed, int64_t m, const Shape& shape) {
  return random_normal(shape, {case_seed, Stream::start, static_cast<uint32_t>(m)});
}

GroupSampler::GroupSampler(const Setting& setting)
    : s_(setting),
      steps_(reverse_steps(setting.schedule, setting.options.sampler)),
      windows_(sliding_windows(extent(setting.image), setting.plan.patch)),
      whole_(windows_.size() == 1 && extent(setting.image) == setting.plan.patch),
      shares_(windows_.size()) {
  const Triple& patch = s_.plan.patch;
  if (!whole_) {
    weight_ = gaussian_window(patch);
    weight_sum_ = sum_of_weights(extent(s_.image), windows_, weight_);
  }
  const int64_t voxels = patch[0] * patch[1] * patch[2], features = s_.plan.features[0];
  const int64_t shares = static_cast<int64_t>(windows_.size()) * voxels * features * int64_t{sizeof(float)};
  // Half of the bound for what is kept, so that samples still go in large groups.
  keep_ = shares <= s_.options.memory / 2;
  // A sample keeps its state, the blended estimate and one more volume (the next state, or the estimate
  // before).
  const int64_t volume = static_cast<int64_t>(s_.pi.nbytes()), kept = 3 * volume;
  const int64_t once = (keep_ ? shares : 0) + (s_.options.first_estimates ? 2 * volume : 0);
  group_ = group_size(s_.options.memory - once, voxels, features, kept);
}

Tensor GroupSampler::share_of(size_t w, const Tensor& pi_window) {
  if (shares_[w].defined()) return shares_[w];
  const Tensor image = gather_windows(s_.image, {windows_[w]}, s_.plan.patch);
  const Tensor share = s_.denoiser.first_share({image, pi_window}, s_.plan.classes());
  if (keep_) shares_[w] = share;
  return share;
}

Tensor GroupSampler::estimate_window(const std::vector<Tensor>& state, size_t w, int64_t t) {
  const Triple& patch = s_.plan.patch;
  const int64_t many = static_cast<int64_t>(state.size());
  const Tensor r = Tensor::empty({many, patch[0], patch[1], patch[2], s_.plan.classes()});
  for (int64_t m = 0; m < many; ++m) {
    const Tensor one = cut(state[static_cast<size_t>(m)], windows_[w].begin, patch);
    std::memcpy(r.rows(m, 1).raw(), one.raw(), one.nbytes());
  }
  const double c_in = precondition(s_.schedule.alpha_bar(t), s_.residual_sd).in;
  const Tensor pi_window = gather_windows(s_.pi, {windows_[w]}, patch);
  const Tensor f = s_.denoiser
                       .sample(apply_step({0, 0, c_in, 0, 0, 0}, r, r, {}, {}), share_of(w, pi_window),
                               Tensor::full({many}, static_cast<double>(t)))
                       .value()
                       .to(Device::cpu());
  const std::vector<int64_t> times(static_cast<size_t>(many), t);
  return clean_estimate(s_.schedule, r, pi_window, f, times, s_.residual_sd);
}

std::vector<Tensor> GroupSampler::estimate(const std::vector<Tensor>& state, int64_t t) {
  const Shape& shape = state[0].shape();
  std::vector<Tensor> blended;
  if (whole_) {
    const Tensor y0 = estimate_window(state, 0, t);
    for (size_t m = 0; m < state.size(); ++m)
      blended.push_back(y0.rows(static_cast<int64_t>(m), 1).reshape(shape));
    return blended;
  }
  for (size_t m = 0; m < state.size(); ++m) blended.push_back(Tensor::zeros(shape));
  for (size_t w = 0; w < windows_.size(); ++w) {
    if (s_.options.poll) s_.options.poll();
    const Tensor y0 = estimate_window(state, w, t);
    for (size_t m = 0; m < state.size(); ++m)
      accumulate_window(blended[m], {}, y0.rows(static_cast<int64_t>(m), 1), weight_, windows_[w]);
  }
  for (Tensor& b : blended) finish_windows(b, weight_sum_);
  return blended;
}

std::vector<Tensor> GroupSampler::draw(int64_t first, int64_t count) {
  require(count >= 1 && count <= group_, "[sampler] expected 1 to ", group_, " samples, got ", count);
  const Shape shape = s_.pi.shape();
  std::vector<Tensor> state, previous(static_cast<size_t>(count));
  for (int64_t m = first; m < first + count; ++m) state.push_back(start_noise(s_.seed, m, shape));
  for (size_t i = 0; i < steps_.size(); ++i) {
    const ReverseStep& step = steps_[i];
    if (s_.options.poll) s_.options.poll();
    std::vector<Tensor> y0 = estimate(state, step.t);
    if (i == 0 && s_.options.first_estimates)
      for (const Tensor& e : y0) first_.add(readout(e, "clip", 1));
    if (step.s == 0) return y0;  // the samples themselves
    for (size_t m = 0; m < state.size(); ++m) {
      const Tensor r0 = subtract(y0[m], s_.pi);
      y0[m] = {};
      const uint64_t seed = s_.seed + 1 + static_cast<uint64_t>(first) + m;
      const Tensor z = step.noise != 0
                           ? random_normal(shape, {seed, Stream::ancestral, static_cast<uint32_t>(i)})
                           : Tensor();
      state[m] = apply_step(step, state[m], r0, previous[m], z);
      if (i + 1 < steps_.size() && steps_[i + 1].previous != 0) previous[m] = r0;
    }
  }
  fail(ErrorCode::internal, "[sampler] expected a last step to 0");
}

}  // namespace voxgrad
