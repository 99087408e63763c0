#include "data/plan.h"

#include <algorithm>
#include <cmath>

#include "data/case_reader.h"
#include "data/case_store.h"
#include "data/channels.h"
#include "data/grid.h"
#include "data/nonzero.h"
#include "data/orientation.h"

namespace voxgrad {
namespace {

constexpr double kAnisotropy = 3;       // nnU-Net's threshold for slices
constexpr double kMaskFraction = 0.75;  // z-score over the mask if cropping leaves less than this fraction
constexpr int64_t kIntensitySamples = 10000000;  // for each channel, over the data set

/// Percentile of a sorted list, with linear interpolation between neighbours (numpy's default).
double percentile_of_sorted(const std::vector<double>& sorted, double percent) {
  const double position = percent / 100 * static_cast<double>(sorted.size() - 1);
  const size_t i = static_cast<size_t>(position);
  if (i + 1 >= sorted.size()) return sorted.back();
  return sorted[i] + (position - static_cast<double>(i)) * (sorted[i + 1] - sorted[i]);
}

double percentile(std::vector<double> values, double percent) {
  std::sort(values.begin(), values.end());
  return percentile_of_sorted(values, percent);
}

/// Samples about `samples` of the `total` wanted voxels, by taking every n-th one: f32 [n, C].
template <class Wanted>
Tensor intensities(const LoadedCase& c, int64_t total, int64_t samples, Wanted&& wanted) {
  const float* x = c.image.data<float>();
  const int64_t channels = c.image.dim(3), step = std::max<int64_t>(1, (total + samples - 1) / samples);
  const int64_t taken = (total + step - 1) / step;
  Tensor t = Tensor::empty({taken, channels});
  float* out = t.mutable_data<float>();
  for (int64_t v = 0, seen = 0; v < c.label.numel(); ++v)
    if (wanted(v) && seen++ % step == 0) out = std::copy_n(x + v * channels, channels, out);
  return t;
}

/// The fingerprints of all cases together.
struct Fingerprint {
  std::array<std::vector<double>, 3> spacing, size;  // of each cropped case
  std::vector<double> kept;  // for each case, the fraction of the volume that cropping leaves
  bool flat = true;          // whether every case is a single slice
  std::vector<std::vector<double>> foreground, anything;  // intensities of each channel

  void add(const CaseFingerprint& c) {
    for (size_t a = 0; a < 3; ++a) {
      spacing[a].push_back(c.spacing[a]);
      size[a].push_back(static_cast<double>(c.box[a]));
    }
    kept.push_back(static_cast<double>(c.box[0] * c.box[1] * c.box[2]) /
                   static_cast<double>(c.extent[0] * c.extent[1] * c.extent[2]));
    flat = flat && c.extent[0] == 1;
    take(c.foreground, foreground);
    take(c.anything, anything);
  }

 private:
  static void take(const Tensor& from, std::vector<std::vector<double>>& into) {
    if (!from.defined()) return;
    const float* x = from.data<float>();
    const size_t channels = into.size();
    for (int64_t i = 0; i < from.numel(); ++i) into[static_cast<size_t>(i) % channels].push_back(x[i]);
  }
};

std::vector<ChannelIntensity> intensities_of(std::vector<std::vector<double>> values) {
  std::vector<ChannelIntensity> result;
  for (auto& channel : values) {
    std::sort(channel.begin(), channel.end());
    ChannelIntensity c;
    c.low = percentile_of_sorted(channel, 0.5);
    c.high = percentile_of_sorted(channel, 99.5);
    double sum = 0, squares = 0;
    for (double& v : channel) sum += v = std::clamp(v, c.low, c.high);
    c.mean = sum / static_cast<double>(channel.size());
    for (const double v : channel) squares += (v - c.mean) * (v - c.mean);
    c.std = std::sqrt(squares / static_cast<double>(channel.size()));
    if (!(c.std > 0x1p-24 * std::abs(c.mean))) c.std = 1;  // a constant channel: every voxel becomes about 0
    result.push_back(c);
  }
  return result;
}

/// The median spacing of each axis. A slice axis gets the 10th percentile of its spacings instead, but not
/// less than the larger spacing of the other axes.
std::array<double, 3> target_spacing(const Fingerprint& f) {
  std::array<double, 3> target{}, size{};
  for (size_t a = 0; a < 3; ++a) {
    target[a] = percentile(f.spacing[a], 50);
    size[a] = percentile(f.size[a], 50);
  }
  const size_t worst = static_cast<size_t>(std::max_element(target.begin(), target.end()) - target.begin());
  double other_spacing = 0, other_size = HUGE_VAL;
  for (size_t a = 0; a < 3; ++a)
    if (a != worst) {
      other_spacing = std::max(other_spacing, target[a]);
      other_size = std::min(other_size, size[a]);
    }
  if (target[worst] > kAnisotropy * other_spacing && size[worst] * kAnisotropy < other_size)
    target[worst] = std::max(other_spacing, percentile(f.spacing[worst], 10));
  return target;
}

void check(const PlanOptions& o) {
  const auto at_least = [](std::string_view name, int64_t value, int64_t low) {
    if (value < low) fail(ErrorCode::usage, "[plan] ", name, ": expected at least ", low, ", got ", value);
  };
  if (o.dims != 0 && o.dims != 2 && o.dims != 3)
    fail(ErrorCode::usage, "[plan] dims: expected 0 (decide), 2 or 3, got ", o.dims);
  at_least("base_features", o.base_features, 1);
  at_least("max_features", o.max_features, o.base_features);
  at_least("max_stages", o.max_stages, 1);
  at_least("batch_size", o.batch_size, 1);
  at_least("max_patch_voxels", o.max_patch_voxels, 8 * 8 * 8);
  at_least("max_patch_pixels", o.max_patch_pixels, 8 * 8);
}

}  // namespace

std::string Plan::modality() const {
  return std::find(normalisation.begin(), normalisation.end(), "ct") != normalisation.end() ? "ct" : "mri";
}

const ChannelIntensity& Plan::intensity_of(size_t channel) const {
  require(channel < normalisation.size() && normalisation[channel] == "ct", "[plan] channel ", channel,
          ": expected one that is normalised as CT");
  const auto before =
      std::count(normalisation.begin(), normalisation.begin() + static_cast<std::ptrdiff_t>(channel), "ct");
  return intensity.at(static_cast<size_t>(before));
}

CaseFingerprint read_fingerprint(const Case& which, int channels, int classes, int64_t samples) {
  CaseFingerprint f;
  const LoadedCase c = inspect_case(which, channels, classes, f.warnings, f.summary);
  throw_first_error(f.warnings);
  const Turn turn = turn_to(kCanonicalAxes, c.header);
  f.extent = turned(Triple{c.image.dim(0), c.image.dim(1), c.image.dim(2)}, turn);
  f.box = turned(nonzero_box(c.image).size, turn);
  f.spacing = turned(spacing_of(c.header), turn);
  if (samples <= 0) return f;
  const int32_t* y = c.label.data<int32_t>();
  int64_t count = 0;
  for (int64_t v = 0; v < c.label.numel(); ++v) count += y[v] > 0;
  if (count > 0) f.foreground = intensities(c, count, samples, [&](int64_t v) { return y[v] > 0; });
  // Used if the data set has no foreground. Fewer samples are enough.
  f.anything =
      intensities(c, c.label.numel(), std::max<int64_t>(1, samples / 10), [](int64_t) { return true; });
  return f;
}

int64_t intensity_samples(const Dataset& dataset, size_t cases) {
  if (!dataset.is_ct()) return 0;
  return std::max<int64_t>(1000, kIntensitySamples / static_cast<int64_t>(std::max<size_t>(cases, 1)));
}

std::vector<CaseFingerprint> fingerprints(const Dataset& dataset, const std::vector<int>& cases,
                                          int64_t samples, CaseStore* store,
                                          const std::function<void()>& poll) {
  const int channels = static_cast<int>(dataset.channel_names.size());
  std::vector<CaseFingerprint> all;
  for (const int i : cases) {
    if (poll) poll();
    const Case& c = dataset.cases.at(static_cast<size_t>(i));
    all.push_back(store ? store->fingerprint(c, channels, dataset.classes(), samples)
                        : read_fingerprint(c, channels, dataset.classes(), samples));
  }
  return all;
}

std::vector<Problem> run_warnings(const Dataset& dataset, const std::vector<CaseFingerprint>& training,
                                  const std::vector<CaseFingerprint>& others) {
  std::vector<Problem> problems = dataset.warnings;
  std::vector<CaseSummary> trained, all;
  for (const auto* part : {&training, &others})
    for (const CaseFingerprint& f : *part) {
      problems.insert(problems.end(), f.warnings.begin(), f.warnings.end());
      all.push_back(f.summary);
      if (part == &training) trained.push_back(f.summary);
    }
  inspect_together(dataset, all, problems);
  inspect_training(dataset, trained, all, "", problems);
  std::erase_if(problems, [](const Problem& p) {
    return p.error;
  });  // these errors follow from channel names, which a plan may override
  return problems;
}

Plan plan_from_fingerprints(const Dataset& dataset, const std::vector<CaseFingerprint>& training,
                            const PlanOptions& options) {
  check(options);
  require(!training.empty(), "[plan] expected at least one case");
  Plan plan;
  plan.channel_names = dataset.channel_names;
  plan.label_names = dataset.label_names;
  plan.axes = kCanonicalAxes;
  for (const std::string& name : plan.channel_names) plan.normalisation.push_back(normalisation_of(name));
  plan.batch_size = static_cast<int>(options.batch_size);
  Fingerprint f;
  f.foreground.resize(dataset.channel_names.size());
  f.anything.resize(dataset.channel_names.size());
  for (const CaseFingerprint& c : training) f.add(c);
  if (dataset.is_ct()) {
    const auto all = intensities_of(f.foreground[0].empty() ? f.anything : f.foreground);
    for (size_t c = 0; c < all.size(); ++c)
      if (plan.normalisation[c] == "ct") plan.intensity.push_back(all[c]);
  }

  const std::array<double, 3> target = target_spacing(f);
  const auto coarsest = std::max_element(target.begin(), target.end());
  const double ratio = *coarsest / *std::min_element(target.begin(), target.end());
  const bool slices = dataset.is_ct() && ratio > kAnisotropy && coarsest == target.begin();
  plan.dims = options.dims != 0 ? static_cast<int>(options.dims) : f.flat || slices ? 2 : 3;
  plan.spacing = target;
  if (plan.dims == 2) plan.spacing[0] = 0;
  plan.anisotropic = plan.dims == 3 && ratio > kAnisotropy;
  const bool z_scored =
      std::find(plan.normalisation.begin(), plan.normalisation.end(), "zscore") != plan.normalisation.end();
  plan.mask_normalisation = z_scored && percentile(f.kept, 50) < kMaskFraction;
  for (size_t a = 0; a < 3; ++a) {
    std::vector<double> resampled;
    for (size_t i = 0; i < f.size[a].size(); ++i)
      resampled.push_back(plan.spacing[a] > 0 ? std::round(f.size[a][i] * f.spacing[a][i] / plan.spacing[a])
                                              : f.size[a][i]);
    plan.median_shape[a] = std::max<int64_t>(1, std::llround(percentile(resampled, 50)));
  }
  plan_network(plan, plan.median_shape, target, options);
  return plan_from_json(plan_to_json(plan),
                        dataset.folder);  // refuses a plan with which no model could be read
}

}  // namespace voxgrad
