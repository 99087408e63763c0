#include "eval/curvas.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "eval/reduce.h"
#include "eval/statistics.h"
#include "tensor/core/math.h"

namespace voxgrad {

namespace {

/// A box of voxels: begin <= index < end along D, H and W.
struct Box {
  std::array<int64_t, 3> begin, end;

  explicit Box(const Shape& volume) : begin{}, end{volume[0], volume[1], volume[2]} {}
  bool empty() const { return begin[0] >= end[0] || begin[1] >= end[1] || begin[2] >= end[2]; }
  bool contains(int64_t z, int64_t y, int64_t x) const {
    return begin[0] <= z && z < end[0] && begin[1] <= y && y < end[1] && begin[2] <= x && x < end[2];
  }
};

/// The smallest box of all voxels for which inside(flat index) is true.
template <class Inside>
Box bounding_box(const Shape& volume, Inside&& inside) {
  Box box(volume);
  std::swap(box.begin, box.end);
  int64_t i = 0;
  for (int64_t z = 0; z < volume[0]; ++z)
    for (int64_t y = 0; y < volume[1]; ++y)
      for (int64_t x = 0; x < volume[2]; ++x, ++i) {
        if (!inside(i)) continue;
        const std::array<int64_t, 3> at{z, y, x};
        for (size_t axis = 0; axis < 3; ++axis) {
          box.begin[axis] = std::min(box.begin[axis], at[axis]);
          box.end[axis] = std::max(box.end[axis], at[axis] + 1);
        }
      }
  return box;
}

/// 2025: the box of the foreground of all raters, 20 voxels larger below and 19 above, within the volume.
Box box_of_raters(const std::vector<Tensor>& annotations) {
  const Shape& volume = annotations[0].shape();
  Box box = bounding_box(volume, [&](int64_t i) {
    return std::any_of(annotations.begin(), annotations.end(),
                       [i](const Tensor& a) { return a.data<int32_t>()[i] != 0; });
  });
  if (box.empty()) return box;
  for (size_t axis = 0; axis < 3; ++axis) {
    box.begin[axis] = std::max<int64_t>(box.begin[axis] - 20, 0);
    box.end[axis] = std::min(box.end[axis] + 19, volume[static_cast<int>(axis)]);
  }
  return box;
}

/// 2024: the box of CT > 0 in the plane of the slices. All slices are kept.
Box box_of_body(const Tensor& image) {
  const float* hu = image.data<float>();
  Box box = bounding_box(image.shape(), [hu](int64_t i) { return hu[i] > 0; });
  if (box.empty()) return box;
  box.begin[0] = 0;
  box.end[0] = image.dim(0);
  return box;
}

/// Calls visit(partial, flat index) for the voxels of a box and adds up the partial results.
template <class Partial, class Visit>
Partial reduce_box(const Shape& volume, const Box& box, const Partial& zero, Visit&& visit) {
  const int64_t plane = volume[1] * volume[2];
  return detail::reduce_voxels(volume.numel(), zero, [&](Partial& partial, int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      if (box.contains(i / plane, i / volume[2] % volume[1], i % volume[2])) visit(partial, i);
  });
}

/// Sums of a fixed number of doubles.
struct Sums {
  std::vector<double> values;
  explicit Sums(size_t count) : values(count) {}
  Sums& operator+=(const Sums& other) {
    for (size_t i = 0; i < values.size(); ++i) values[i] += other.values[i];
    return *this;
  }
};

constexpr size_t kBins = 51;  // [b/50, (b+1)/50), and one bin for the confidence 1

/// The bin of a confidence. The edges are rounded to f32, as the confidence is.
size_t bin_of(float confidence) {
  static const std::array<float, kBins> edges = [] {
    std::array<float, kBins> e{};
    for (size_t b = 0; b < kBins; ++b) e[b] = static_cast<float>(static_cast<double>(b) / 50);
    return e;
  }();
  return static_cast<size_t>(std::upper_bound(edges.begin(), edges.end(), confidence) - edges.begin()) - 1;
}

/// The mean over the raters of the top-label ECE in a box. If `clamped`, probabilities below 1e-8 become
/// 1e-8, and all are divided by their sum.
Score ece_of_raters(const CurvasCase& c, const Box& box, bool clamped) {
  const int64_t classes = c.probabilities.dim(3);
  const float* p = c.probabilities.data<float>();
  const size_t raters = c.annotations.size();
  // For each bin: count, sum of confidences, number of right voxels for each rater.
  const size_t width = 2 + raters;
  const Sums sums = reduce_box(c.annotations[0].shape(), box, Sums(kBins * width), [&](Sums& s, int64_t i) {
    const float* at = p + i * classes;
    const float* top = std::max_element(at, at + classes);
    float confidence = *top;
    if (clamped) {
      float sum = 0;
      for (int64_t k = 0; k < classes; ++k) sum += std::max(at[k], 1e-8f);
      confidence = std::max(confidence, 1e-8f) / sum;
    }
    double* bin = s.values.data() + bin_of(confidence) * width;
    bin[0] += 1;
    bin[1] += confidence;
    for (size_t r = 0; r < raters; ++r) bin[2 + r] += c.annotations[r].data<int32_t>()[i] == top - at;
  });
  double voxels = 0, total = 0;
  for (size_t b = 0; b < kBins; ++b) {
    const double* bin = sums.values.data() + b * width;
    voxels += bin[0];
    for (size_t r = 0; r < raters; ++r) total += std::fabs(bin[2 + r] - bin[1]);
  }
  if (voxels == 0) return std::nullopt;
  return total / (voxels * static_cast<double>(raters));
}

/// The mean over six thresholds t of the Dice of p > t and of (share of raters) > t.
double thresholded_dice(const CurvasCase& c) {
  constexpr int kThresholds = 6;
  constexpr int64_t kHundredths[kThresholds] = {10, 24, 38, 52, 66, 80};  // .1 to .8 in equal steps
  const float* p = c.probabilities.data<float>();
  const auto raters = static_cast<int64_t>(c.annotations.size());
  const Shape& volume = c.annotations[0].shape();
  const Sums sums = reduce_box(volume, Box(volume), Sums(3 * kThresholds), [&](Sums& s, int64_t i) {
    int64_t marks = 0;
    for (const Tensor& a : c.annotations) marks += a.data<int32_t>()[i] == 1;
    for (size_t t = 0; t < kThresholds; ++t) {
      // Both comparisons are exact: the threshold is rounded to f32, as p is, and the share is not rounded.
      const bool predicted = p[2 * i + 1] > static_cast<float>(static_cast<double>(kHundredths[t]) / 100);
      const bool marked = 100 * marks > kHundredths[t] * raters;
      s.values[3 * t] += predicted && marked;
      s.values[3 * t + 1] += predicted;
      s.values[3 * t + 2] += marked;
    }
  });
  double total = 0;
  for (size_t t = 0; t < kThresholds; ++t) {
    const double both = sums.values[3 * t], sizes = sums.values[3 * t + 1] + sums.values[3 * t + 2];
    total += sizes == 0 ? 1 : 2 * both / (sizes + 1e-6);
  }
  return total / kThresholds;
}

void put(ScoreMap& to, const std::string& key, const Score& score) {
  if (score) to[key] = *score;
}

/// The volumes of a class in voxels: the sum of its probabilities, and the mean and standard deviation (n) of
/// the raters' volumes.
void put_crps(ScoreMap& to, const CurvasCase& c, const Box& box, int32_t k, const std::string& suffix) {
  const int64_t classes = c.probabilities.dim(3);
  const float* p = c.probabilities.data<float>();
  const size_t raters = c.annotations.size();
  const Sums volumes = reduce_box(c.annotations[0].shape(), box, Sums(1 + raters), [&](Sums& s, int64_t i) {
    s.values[0] += p[i * classes + k];
    for (size_t r = 0; r < raters; ++r) s.values[1 + r] += c.annotations[r].data<int32_t>()[i] == k;
  });
  const std::vector<double> drawn(volumes.values.begin() + 1, volumes.values.end());
  const double mean = *mean_of(drawn);
  double variance = 0;
  for (const double v : drawn) variance += (v - mean) * (v - mean) / static_cast<double>(raters);
  const double sd = std::sqrt(variance);
  put(to, "curvas_crps" + suffix, curvas_crps(volumes.values[0], mean, sd));
  put(to, "curvas_crps_uncut" + suffix, normal_crps(volumes.values[0], mean, sd));
}

/// 2024: Dice of a class and confidence, where all raters agree about the class.
void put_consensus(ScoreMap& to, const CurvasCase& c, const Box& box, int32_t k, const std::string& suffix) {
  const int64_t classes = c.probabilities.dim(3);
  const float* p = c.probabilities.data<float>();
  const int32_t* predicted = c.prediction.data<int32_t>();
  enum { both, prediction, organ, background, p_organ, p_background, sums };
  const Sums s = reduce_box(c.prediction.shape(), box, Sums(sums), [&](Sums& sum, int64_t i) {
    size_t marks = 0;
    for (const Tensor& a : c.annotations) marks += a.data<int32_t>()[i] == k;
    if (marks != 0 && marks != c.annotations.size()) return;  // the raters disagree
    const bool all = marks != 0;
    sum.values[both] += all && predicted[i] == k;
    sum.values[prediction] += predicted[i] == k;
    sum.values[all ? organ : background] += 1;
    sum.values[all ? p_organ : p_background] += p[i * classes + k];
  });
  const std::vector<double>& v = s.values;
  if (v[organ] > 0) to["curvas_dice" + suffix] = 2 * v[both] / (v[prediction] + v[organ]);
  if (v[organ] > 0 && v[background] > 0)
    to["curvas_confidence" + suffix] = (v[p_organ] / v[organ] + 1 - v[p_background] / v[background]) / 2;
}

}  // namespace

CurvasProfile curvas_profile(const std::string& name) {
  if (name == "curvas-2024") return CurvasProfile::curvas_2024;
  if (name == "curvas-2025") return CurvasProfile::curvas_2025;
  fail(ErrorCode::usage, "[evaluate] --profile: expected curvas-2024 or curvas-2025, got ", name);
}

int curvas_classes(CurvasProfile profile) { return profile == CurvasProfile::curvas_2024 ? 4 : 2; }
int curvas_raters(CurvasProfile profile) { return profile == CurvasProfile::curvas_2024 ? 3 : 5; }

ScoreMap curvas_scores(CurvasProfile profile, const CurvasCase& c) {
  require(!c.annotations.empty(), "[curvas] expected at least one annotation");
  for (const Tensor& a : c.annotations) detail::check_case("curvas", c.probabilities, a, {});
  detail::check_probabilities("curvas", c.probabilities);
  require(c.probabilities.dim(3) == curvas_classes(profile), "[curvas] expected ", curvas_classes(profile),
          " classes, got probabilities ", c.probabilities.shape());
  const Shape& volume = c.annotations[0].shape();
  ScoreMap out;
  if (profile == CurvasProfile::curvas_2025) {
    out["curvas_dice"] = thresholded_dice(c);
    put(out, "curvas_ece", ece_of_raters(c, box_of_raters(c.annotations), true));
    put_crps(out, c, Box(volume), 1, "");
    return out;
  }
  detail::check_map("curvas", c.prediction, DType::i32, volume);
  detail::check_map("curvas", c.image, DType::f32, volume);
  const Box body = box_of_body(c.image);
  put(out, "curvas_ece", ece_of_raters(c, body, false));
  for (int32_t k = 1; k < curvas_classes(profile); ++k) {
    const std::string suffix = '.' + std::to_string(k);
    put_consensus(out, c, body, k, suffix);
    put_crps(out, c, body, k, suffix);
  }
  for (const char* key : {"curvas_dice", "curvas_confidence", "curvas_crps", "curvas_crps_uncut"}) {
    std::vector<double> values;
    for (int32_t k = 1; k < curvas_classes(profile); ++k)
      if (const auto it = out.find(cat(key, '.', k)); it != out.end()) values.push_back(it->second);
    put(out, cat(key, ".mean_foreground"), mean_of(values));
  }
  return out;
}

double normal_crps(double value, double mean, double sd) {
  require(sd >= 0, "[normal_crps] expected a standard deviation of at least 0, got ", sd);
  if (sd == 0) return std::fabs(value - mean);
  const double z = (value - mean) / sd;
  const double density = math::exp(-z * z / 2) * 0.39894228040143268;  // 1 / sqrt(2 pi)
  const double below = 1 - normal_upper_tail(z);
  return sd * (z * (2 * below - 1) + 2 * density - 0.56418958354775629);  // 1 / sqrt(pi)
}

Score curvas_crps(double value, double mean, double sd) {
  require(sd >= 0, "[curvas_crps] expected a standard deviation of at least 0, got ", sd);
  if (sd == 0) return std::nullopt;
  constexpr int kPoints = 100;
  constexpr double kEnd = 2.3263478740408411;  // percentile 99 of the standard normal
  const double at = (value - mean) / sd;       // from here on everything is in units of sd
  double sum = 0;
  // The integral of (F - [x >= at])^2 from a to b, where F is linear. Simpson's rule is exact for squares.
  const auto piece = [&sum](double a, double b, double fa, double fb) {
    const double middle = (fa + fb) / 2;
    sum += (b - a) * (fa * fa + 4 * middle * middle + fb * fb) / 6;
  };
  // A part of the range: F rises from fa at a to fb at b. It is cut where the step of the value is.
  const auto add = [&](double a, double b, double fa, double fb) {
    const double cut = std::clamp(at, a, b), f = fa + (fb - fa) * (cut - a) / (b - a);
    piece(a, cut, fa, f);
    piece(cut, b, f - 1, fb - 1);
  };
  const auto x = [](int i) { return -kEnd + 2 * kEnd * i / (kPoints - 1); };
  add(-3, -kEnd, 0, 0);
  for (int i = 0; i + 1 < kPoints; ++i)
    add(x(i), x(i + 1), 1 - normal_upper_tail(x(i)), 1 - normal_upper_tail(x(i + 1)));
  add(kEnd, 3, 1, 1);
  return sd * sum;
}

}  // namespace voxgrad
