#include "data/preprocess.h"

#include <algorithm>
#include <cmath>
#include <tuple>

#include "data/grid.h"
#include "data/nonzero.h"
#include "data/resample.h"
#include "tensor/core/parallel.h"

namespace voxgrad {
namespace {

constexpr int64_t kClassVoxels = 10000;  // voxels of each class that are kept for drawing patch centres
constexpr int64_t kTile = 1 << 15;       // voxels of a partial sum
constexpr double kMostExtent = 0x1p20, kMostVoxels = 0x1p36;  // limits of a case at the plan's spacing

/// The sum of f(voxel) over all voxels. Partial sums are added in order, so that the bits do not depend on
/// threads.
template <class F>
double sum_over(int64_t voxels, F&& f) {
  std::vector<double> partial(static_cast<size_t>((voxels + kTile - 1) / kTile));
  parallel_ranges(voxels, kTile, [&](int64_t begin, int64_t end) {
    double sum = 0;
    for (int64_t v = begin; v < end; ++v) sum += f(v);
    partial[static_cast<size_t>(begin / kTile)] = sum;
  });
  double sum = 0;
  for (const double p : partial) sum += p;
  return sum;
}

/// A deviation below this fraction of the mean is a rounding error of a constant. The fraction is relative,
/// so that the unit of the image has no influence.
constexpr double kLeastDeviation = 0x1p-24;

/// z-scores a channel over the voxels where `mask` is not 0. The other voxels become 0. A null mask means all
/// voxels.
void z_score(Tensor& image, int64_t channel, const uint8_t* mask) {
  const int64_t channels = image.dim(3), voxels = image.numel() / channels;
  float* x = image.mutable_data<float>() + channel;
  const auto inside = [&](int64_t v) { return !mask || mask[v] != 0; };
  const double count = sum_over(voxels, [&](int64_t v) { return inside(v) ? 1.0 : 0.0; });
  const double mean = sum_over(voxels, [&](int64_t v) { return inside(v) ? double{x[v * channels]} : 0.0; }) /
                      std::max(count, 1.0);
  const double variance = sum_over(voxels,
                                   [&](int64_t v) {
                                     const double d = x[v * channels] - mean;
                                     return inside(v) ? d * d : 0.0;
                                   }) /
                          std::max(count, 1.0);
  const double deviation = std::sqrt(variance);
  const double scale = deviation > kLeastDeviation * std::abs(mean) ? 1 / deviation : 0;
  parallel_ranges(voxels, kTile, [&](int64_t begin, int64_t end) {
    for (int64_t v = begin; v < end; ++v)
      x[v * channels] = inside(v) ? static_cast<float>((x[v * channels] - mean) * scale) : 0.0f;
  });
}

void clip_and_scale(Tensor& image, int64_t channel, const ChannelIntensity& c) {
  const int64_t channels = image.dim(3), voxels = image.numel() / channels;
  float* x = image.mutable_data<float>() + channel;
  parallel_ranges(voxels, kTile, [&](int64_t begin, int64_t end) {
    for (int64_t v = begin; v < end; ++v)
      x[v * channels] =
          static_cast<float>((std::clamp<double>(x[v * channels], c.low, c.high) - c.mean) / c.std);
  });
}

/// x -> (x - shift) * scale.
void shift_and_scale(Tensor& image, int64_t channel, double shift, double scale) {
  const int64_t channels = image.dim(3), voxels = image.numel() / channels;
  float* x = image.mutable_data<float>() + channel;
  parallel_ranges(voxels, kTile, [&](int64_t begin, int64_t end) {
    for (int64_t v = begin; v < end; ++v)
      x[v * channels] = static_cast<float>((x[v * channels] - shift) * scale);
  });
}

/// Maps the range of the case to [0, 1]. A constant becomes 0.
void rescale_to_0_1(Tensor& image, int64_t channel) {
  const auto [low, high] = channel_range(image, channel);
  const double width = double{high} - double{low};
  shift_and_scale(image, channel, low, width > 0 ? 1 / width : 0);
}

void rgb_to_0_1(Tensor& image, int64_t channel, const std::string& case_name) {
  const auto [low, high] = channel_range(image, channel);
  expect_rgb(case_name, static_cast<size_t>(channel), low, high);
  shift_and_scale(image, channel, 0, 1.0 / 255);
}

void normalise(Tensor& image, const Plan& plan, const std::string& case_name) {
  const int64_t channels = image.dim(3);
  const Tensor mask = plan.mask_normalisation ? nonzero_mask(image) : Tensor();
  for (int64_t c = 0; c < channels; ++c) {
    const std::string& how = plan.normalisation[static_cast<size_t>(c)];
    if (how == "ct")
      clip_and_scale(image, c, plan.intensity_of(static_cast<size_t>(c)));
    else if (how == "rescale_to_0_1")
      rescale_to_0_1(image, c);
    else if (how == "rgb_to_0_1")
      rgb_to_0_1(image, c, case_name);
    else if (how == "zscore")
      z_score(image, c, mask.defined() ? mask.data<uint8_t>() : nullptr);
    else
      require(how == "none", "[preprocess] expected a known normalisation, got ", how);
  }
}

std::vector<float> air_of(const Tensor& image, const Plan& plan) {
  std::vector<float> air(static_cast<size_t>(image.dim(3)));
  for (size_t c = 0; c < air.size(); ++c)
    if (!(plan.mask_normalisation && plan.normalisation[c] == "zscore"))
      air[c] = channel_range(image, static_cast<int64_t>(c)).first;
  return air;
}

/// Copies a volume [D, H, W], with `item` values for each voxel, to `begin` in a larger volume.
template <class T>
void paste(const Tensor& from, Tensor& to, const Triple& begin, int64_t item) {
  const int64_t height = from.dim(1), width = from.dim(2);
  const T* in = from.data<T>();
  T* out = to.mutable_data<T>();
  const int64_t to_height = to.dim(1), to_width = to.dim(2);
  parallel_for(from.dim(0), [&](int64_t z) {
    for (int64_t y = 0; y < height; ++y)
      std::memcpy(out + (((z + begin[0]) * to_height + y + begin[1]) * to_width + begin[2]) * item,
                  in + (z * height + y) * width * item, static_cast<size_t>(width * item) * sizeof(T));
  });
}

/// A volume in which every voxel has the values `item`.
Tensor filled(const Triple& size, const std::vector<float>& item) {
  const int64_t channels = static_cast<int64_t>(item.size());
  Tensor t = Tensor::empty({size[0], size[1], size[2], channels});
  float* out = t.mutable_data<float>();
  parallel_ranges(t.numel() / channels, kTile, [&](int64_t begin, int64_t end) {
    for (int64_t v = begin; v < end; ++v) std::copy(item.begin(), item.end(), out + v * channels);
  });
  return t;
}

std::vector<Tensor> class_voxels_of(const Tensor& label, int classes) {
  const int32_t* y = label.data<int32_t>();
  std::vector<int64_t> count(static_cast<size_t>(classes)), seen(static_cast<size_t>(classes));
  for (int64_t v = 0; v < label.numel(); ++v) ++count[static_cast<size_t>(y[v])];
  std::vector<std::vector<int64_t>> voxels(static_cast<size_t>(classes));
  for (int64_t v = 0; v < label.numel(); ++v) {
    const size_t k = static_cast<size_t>(y[v]);
    if (k == 0) continue;
    const int64_t step = (count[k] + kClassVoxels - 1) / kClassVoxels;
    if (seen[k]++ % step == 0) voxels[k].push_back(v);
  }
  std::vector<Tensor> tensors;
  for (const std::vector<int64_t>& v : voxels)
    tensors.push_back(Tensor::from<int64_t>({static_cast<int64_t>(v.size())}, v));
  return tensors;
}

/// Resamples a field to the resolution of the input, inside the crop.
Tensor to_crop(const Tensor& field, const PreprocessedCase& c) {
  require(field.rank() == 4, "[preprocess] expected a field [D, H, W, C], got ", field.shape());
  require(field.dim(0) == c.padded[0] && field.dim(1) == c.padded[1] && field.dim(2) == c.padded[2],
          "[preprocess] expected a field on the grid of the preprocessed image, got ", field.shape());
  constexpr Interpolation kLinear = Interpolation::linear;
  return resample(c.padded != c.content ? crop(field, {c.pad_begin, c.content}) : field, c.crop_size,
                  {kLinear, kLinear, kLinear});
}

/// The plan's spacing. Along the slice axis of a 2-D plan, the case's spacing.
std::array<double, 3> target_spacing(const std::array<double, 3>& spacing, const Plan& plan) {
  std::array<double, 3> target = plan.spacing;
  for (size_t a = 0; a < 3; ++a)
    if (!(target[a] > 0)) target[a] = spacing[a];
  return target;
}

/// Pastes the crop into the whole volume and turns it to the input's axes. `outside`: the values of voxels
/// outside the crop.
Tensor onto_input(const Tensor& inside, const PreprocessedCase& c, const std::vector<float>& outside) {
  if (c.crop_size == c.original) return turned(inside, c.turn.inverse());
  Tensor whole = filled(c.original, outside);
  paste<float>(inside, whole, c.crop_begin, inside.dim(3));
  return turned(whole, c.turn.inverse());
}

}  // namespace

PreparedCase prepare_case(const LoadedCase& loaded, const std::vector<Tensor>& annotations,
                          const Plan& plan) {
  require(loaded.image.defined() && loaded.image.rank() == 4, "[preprocess] expected an image [D, H, W, C]");
  if (loaded.image.dim(3) != plan.channels())
    fail(ErrorCode::data, "[preprocess] case ", loaded.name, ": expected ", plan.channels(),
         " channels, got ", loaded.image.dim(3));
  require(plan.normalisation.size() == plan.channel_names.size(),
          "[preprocess] expected a normalisation a channel");
  PreparedCase c;
  c.name = loaded.name;
  c.axes = axis_letters(loaded.header);
  for (int64_t channel = 0; channel < loaded.image.dim(3); ++channel) {
    const auto [low, high] = channel_range(loaded.image, channel);
    c.low.push_back(low);
    c.high.push_back(high);
  }
  c.turn = turn_to(plan.axes, loaded.header);
  c.image = turned(loaded.image, c.turn);
  c.original = {c.image.dim(0), c.image.dim(1), c.image.dim(2)};
  c.spacing = turned(spacing_of(loaded.header), c.turn);
  const Box box = nonzero_box(c.image);
  c.crop_begin = box.begin;
  c.crop_size = box.size;
  c.image = crop(c.image, box);
  normalise(c.image, plan, loaded.name);

  c.content = prepared_extent(c.name, c.crop_size, c.spacing, plan);
  const std::array<double, 3> target = target_spacing(c.spacing, plan);
  const Interpolations along = separate_axes(c.spacing, target, Interpolation::cubic);
  c.image = resample(c.image, c.content, along);
  c.air = air_of(c.image, plan);
  const DType stored = plan.classes() <= 256 ? DType::u8 : DType::i32;
  const auto labels = [&](const Tensor& on_grid) {
    return resample_labels(crop(turned(on_grid, c.turn), box), c.content, plan.classes(), along);
  };
  if (loaded.label.defined()) {
    const Tensor label = labels(loaded.label);
    c.class_voxels = class_voxels_of(label, plan.classes());
    c.label = label.to(stored);
  }
  for (const Tensor& a : annotations) c.annotations.push_back(labels(a).to(stored));
  return c;
}

std::pair<float, float> channel_range(const Tensor& image, int64_t channel) {
  const int64_t channels = image.dim(3), voxels = image.numel() / channels;
  const float* x = image.data<float>() + channel;
  float low = x[0], high = x[0];
  for (int64_t v = 1; v < voxels; ++v) {
    low = std::min(low, x[v * channels]);
    high = std::max(high, x[v * channels]);
  }
  return {low, high};
}

void expect_rgb(const std::string& case_name, size_t channel, double low, double high) {
  if (low < 0 || high > 255)
    fail(ErrorCode::data, "[preprocess] case ", case_name, ": channel ", channel,
         " (rgb_to_0_1): expected values from 0 to 255, got ", low, " to ", high);
}

Triple prepared_extent(const std::string& case_name, const Triple& box, const std::array<double, 3>& spacing,
                       const Plan& plan) {
  const std::array<double, 3> target = target_spacing(spacing, plan);
  Triple content{};
  double voxels = 1;
  for (size_t a = 0; a < 3; ++a) {
    const double extent = std::max(1.0, static_cast<double>(box[a]) * spacing[a] / target[a]);
    voxels *= extent;
    if (!(extent <= kMostExtent && voxels <= kMostVoxels))
      fail(ErrorCode::memory, "[preprocess] case ", case_name,
           ": expected at most 2^20 voxels along an axis and 2^36 in all at the plan's spacing, got ", extent,
           " along ", "zyx"[a], ": from ", spacing[a], " to ", target[a], " mm");
    content[a] = std::llround(extent);
  }
  return content;
}

std::pair<Triple, Triple> padding(const Triple& content, const Triple& patch) {
  Triple padded{}, begin{};
  for (size_t a = 0; a < 3; ++a) {
    padded[a] = std::max(content[a], patch[a]);
    begin[a] = (padded[a] - content[a]) / 2;
  }
  return {padded, begin};
}

PreprocessedCase pad_case(const PreparedCase& c, const Triple& patch) {
  c.verify();
  PreprocessedCase p;
  static_cast<CaseGrid&>(p) = c;
  p.name = c.name;
  std::tie(p.padded, p.pad_begin) = padding(c.content, patch);
  const bool larger = p.padded != c.content;
  if (larger) {
    p.image = filled(p.padded, c.air);
    paste<float>(c.image, p.image, p.pad_begin, c.image.dim(3));
  } else {
    p.image = c.file ? c.image.clone() : c.image;
  }
  if (c.label.defined()) {
    const Tensor label = c.label.to(DType::i32);
    p.label = c.file && label.raw() == c.label.raw() ? label.clone() : label;
    if (larger) {
      p.label = Tensor::zeros({p.padded[0], p.padded[1], p.padded[2]}, DType::i32);
      paste<int32_t>(label, p.label, p.pad_begin, 1);
    }
  }
  c.check();
  return p;
}

PreprocessedCase preprocess(const LoadedCase& loaded, const Plan& plan) {
  return pad_case(prepare_case(loaded, {}, plan), plan.patch);
}

Tensor invert_field(const Tensor& field, const PreprocessedCase& c, float outside) {
  const Tensor inside = to_crop(field, c);
  return onto_input(inside, c, std::vector<float>(static_cast<size_t>(field.dim(3)), outside));
}

Tensor invert_probabilities(const Tensor& probabilities, const PreprocessedCase& c) {
  Tensor inside = to_crop(probabilities, c);
  const int64_t classes = inside.dim(3), voxels = inside.numel() / classes;
  // Without resampling, `inside` may be the caller's tensor.
  if (inside.raw() == probabilities.raw()) inside = inside.clone();
  float* p = inside.mutable_data<float>();
  parallel_ranges(voxels, kTile, [&](int64_t begin, int64_t end) {
    for (int64_t v = begin; v < end; ++v) {
      float sum = 0;
      for (int64_t k = 0; k < classes; ++k) sum += p[v * classes + k];
      if (!(sum > 0) || std::isinf(sum))
        fail(ErrorCode::diverged, "[preprocess] case ", c.name,
             ": expected probabilities with a positive sum at every voxel, got ", sum,
             ": the network gives no numbers for this case");
      for (int64_t k = 0; k < classes; ++k) p[v * classes + k] /= sum;
    }
  });
  std::vector<float> background(static_cast<size_t>(classes));
  background[0] = 1;
  return onto_input(inside, c, background);
}

}  // namespace voxgrad
