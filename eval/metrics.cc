#include "eval/metrics.h"

#include <algorithm>

#include "eval/reduce.h"
#include "tensor/core/math.h"

namespace voxgrad {

namespace detail {

void check_map(std::string_view op, const Tensor& map, DType dtype, const Shape& shape) {
  require(map.defined() && map.dtype() == dtype && map.shape() == shape, "[", op, "] expected ", dtype, " ",
          shape, ", got ", map.dtype(), " ", map.shape());
}

void check_labels(std::string_view op, const Tensor& labels, int64_t classes) {
  const int32_t* y = labels.data<int32_t>();
  for (int64_t i = 0; i < labels.numel(); ++i)
    if (y[i] < 0 || y[i] >= classes)
      fail(ErrorCode::data, "[", op, "] expected labels from 0 to ", classes - 1, ", got ", y[i],
           " at voxel ", i);
}

void check_probabilities(std::string_view op, const Tensor& probabilities) {
  struct FirstFault {
    int64_t at = -1;
    FirstFault& operator+=(const FirstFault& later) {
      if (at < 0) at = later.at;
      return *this;
    }
  };
  const float* p = probabilities.data<float>();
  const FirstFault fault =
      reduce_voxels(probabilities.numel(), FirstFault{}, [p](FirstFault& first, int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end && first.at < 0; ++i)
          if (!(p[i] >= 0 && p[i] <= 1.001f)) first.at = i;  // NaN fails both comparisons
      });
  if (fault.at >= 0)
    fail(ErrorCode::data, "[", op, "] expected probabilities from 0 to 1, got ", p[fault.at], " at voxel ",
         fault.at / probabilities.dim(3), " for class ", fault.at % probabilities.dim(3));
}

void check_case(std::string_view op, const Tensor& probabilities, const Tensor& truth, const Tensor& region) {
  require(probabilities.defined() && probabilities.rank() == 4 && probabilities.dtype() == DType::f32, "[",
          op, "] expected probabilities f32 [D, H, W, K], got ", probabilities.dtype(), " ",
          probabilities.shape());
  const Shape volume{probabilities.dim(0), probabilities.dim(1), probabilities.dim(2)};
  check_map(op, truth, DType::i32, volume);
  if (region.defined()) check_map(op, region, DType::u8, volume);
  check_labels(op, truth, probabilities.dim(3));
}

}  // namespace detail

namespace {

/// The mean of value(voxel) over a region.
template <class Value>
Score region_mean(int64_t voxels, const Tensor& region, Value&& value) {
  const uint8_t* inside = region.defined() ? region.data<uint8_t>() : nullptr;
  const auto mean =
      detail::reduce_voxels(voxels, detail::Mean{}, [&](detail::Mean& m, int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          if (inside && !inside[i]) continue;
          m.sum += value(i);
          ++m.count;
        }
      });
  if (mean.count == 0) return std::nullopt;
  return mean.sum / static_cast<double>(mean.count);
}

struct Overlap {
  std::vector<int64_t> both, prediction, truth;
  explicit Overlap(int classes)
      : both(static_cast<size_t>(classes)), prediction(both.size()), truth(both.size()) {}
  Overlap& operator+=(const Overlap& o) {
    for (size_t c = 0; c < both.size(); ++c) {
      both[c] += o.both[c];
      prediction[c] += o.prediction[c];
      truth[c] += o.truth[c];
    }
    return *this;
  }
};

}  // namespace

Tensor most_probable_class(const Tensor& probabilities) {
  require(probabilities.defined() && probabilities.rank() == 4,
          "[most_probable_class] expected [D, H, W, K], got ", probabilities.shape());
  Tensor labels =
      Tensor::empty({probabilities.dim(0), probabilities.dim(1), probabilities.dim(2)}, DType::i32);
  const int64_t classes = probabilities.dim(3);
  const float* p = probabilities.data<float>();
  int32_t* out = labels.mutable_data<int32_t>();
  parallel_ranges(labels.numel(), detail::kVoxelTile, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      out[i] =
          static_cast<int32_t>(std::max_element(p + i * classes, p + (i + 1) * classes) - (p + i * classes));
  });
  return labels;
}

ClassScores with_mean(std::vector<Score> per_class) {
  ClassScores scores{std::move(per_class), std::nullopt};
  detail::Mean mean;
  for (size_t c = 1; c < scores.per_class.size(); ++c)
    if (scores.per_class[c]) mean += {*scores.per_class[c], 1};
  if (mean.count > 0) scores.mean_foreground = mean.sum / static_cast<double>(mean.count);
  return scores;
}

ClassScores dice(const Tensor& prediction, const Tensor& truth, int classes) {
  detail::check_map("dice", prediction, DType::i32, truth.shape());
  detail::check_labels("dice", prediction, classes);
  detail::check_labels("dice", truth, classes);
  const int32_t *a = prediction.data<int32_t>(), *b = truth.data<int32_t>();
  const Overlap n =
      detail::reduce_voxels(truth.numel(), Overlap(classes), [&](Overlap& o, int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          ++o.prediction[static_cast<size_t>(a[i])];
          ++o.truth[static_cast<size_t>(b[i])];
          if (a[i] == b[i]) ++o.both[static_cast<size_t>(a[i])];
        }
      });
  std::vector<Score> per_class(static_cast<size_t>(classes));
  for (size_t c = 1; c < per_class.size(); ++c) {
    const int64_t size = n.prediction[c] + n.truth[c];
    if (size > 0) per_class[c] = 2.0 * static_cast<double>(n.both[c]) / static_cast<double>(size);
  }
  return with_mean(std::move(per_class));
}

Score nll(const Tensor& probabilities, const Tensor& truth, const Tensor& region) {
  detail::check_case("nll", probabilities, truth, region);
  const int64_t classes = probabilities.dim(3);
  const float* p = probabilities.data<float>();
  const int32_t* y = truth.data<int32_t>();
  return region_mean(truth.numel(), region, [&](int64_t i) {
    return -math::log(std::max<double>(p[i * classes + y[i]], kMinProbability));
  });
}

Score brier(const Tensor& probabilities, const Tensor& truth, const Tensor& region) {
  detail::check_case("brier", probabilities, truth, region);
  const int64_t classes = probabilities.dim(3);
  const float* p = probabilities.data<float>();
  const int32_t* y = truth.data<int32_t>();
  return region_mean(truth.numel(), region, [&](int64_t i) {
    double sum = 0;
    for (int64_t c = 0; c < classes; ++c) {
      const double d = static_cast<double>(p[i * classes + c]) - (y[i] == c ? 1.0 : 0.0);
      sum += d * d;
    }
    return sum;
  });
}

Score kl_divergence(const Tensor& posterior, const Tensor& prediction, const Tensor& region) {
  require(posterior.defined() && posterior.rank() == 4,
          "[kl_divergence] expected a posterior [D, H, W, K], got ", posterior.shape());
  detail::check_map("kl_divergence", prediction, DType::f32, posterior.shape());
  const int64_t classes = posterior.dim(3), voxels = posterior.numel() / std::max<int64_t>(classes, 1);
  const float *q = posterior.data<float>(), *p = prediction.data<float>();
  return region_mean(voxels, region, [&](int64_t i) {
    double sum = 0;
    for (int64_t j = i * classes; j < (i + 1) * classes; ++j)
      if (q[j] > 0)
        sum += q[j] *
               (math::log(static_cast<double>(q[j])) - math::log(std::max<double>(p[j], kMinProbability)));
    return sum;
  });
}

Score mean_over(const Tensor& map, const Tensor& region) {
  if (region.defined()) detail::check_map("mean_over", region, DType::u8, map.shape());
  const float* v = map.data<float>();
  return region_mean(map.numel(), region, [&](int64_t i) { return static_cast<double>(v[i]); });
}

int64_t region_voxels(const Tensor& region, const Shape& shape) {
  if (!region.defined()) return shape.numel();
  const uint8_t* inside = region.data<uint8_t>();
  int64_t n = 0;
  for (int64_t i = 0; i < region.numel(); ++i) n += inside[i] != 0;
  return n;
}

}  // namespace voxgrad
