#include "eval/uncertainty.h"

#include <algorithm>
#include <cmath>

#include "eval/reduce.h"
#include "tensor/core/math.h"

namespace voxgrad {

namespace {

/// -p log p with 0 log 0 = 0.
double surprise(double p) { return p > 0 ? -p * math::log(p) : 0; }

Shape volume_of(const Tensor& probabilities) {
  require(probabilities.defined() && probabilities.rank() == 4 && probabilities.dtype() == DType::f32,
          "[uncertainty] expected probabilities f32 [D, H, W, K], got ", probabilities.dtype(), " ",
          probabilities.shape());
  return {probabilities.dim(0), probabilities.dim(1), probabilities.dim(2)};
}

}  // namespace

Tensor entropy_map(const Tensor& probabilities) {
  Tensor map = Tensor::empty(volume_of(probabilities));
  const int64_t classes = probabilities.dim(3);
  const float* p = probabilities.data<float>();
  float* out = map.mutable_data<float>();
  parallel_ranges(map.numel(), detail::kVoxelTile, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      double sum = 0;
      for (int64_t c = 0; c < classes; ++c) sum += surprise(p[i * classes + c]);
      out[i] = static_cast<float>(sum);
    }
  });
  return map;
}

Tensor mutual_information_map(const std::vector<Tensor>& samples) {
  require(!samples.empty(), "[mutual_information] expected at least one sample");
  Tensor map = Tensor::empty(volume_of(samples[0]));
  for (const Tensor& s : samples) detail::check_map("mutual_information", s, DType::f32, samples[0].shape());
  const int64_t classes = samples[0].dim(3);
  const double weight = 1.0 / static_cast<double>(samples.size());
  float* out = map.mutable_data<float>();
  parallel_ranges(map.numel(), detail::kVoxelTile, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      double information = 0;
      for (int64_t c = 0; c < classes; ++c) {
        double mean = 0, mean_surprise = 0;
        for (const Tensor& s : samples) {
          const double p = s.data<float>()[i * classes + c];
          mean += p;
          mean_surprise += surprise(p);
        }
        information += surprise(mean * weight) - mean_surprise * weight;
      }
      out[i] = static_cast<float>(std::max(information, 0.0));
    }
  });
  return map;
}

ErrorUncertainty error_uncertainty(const Tensor& uncertainty, const Tensor& prediction, const Tensor& truth,
                                   const Tensor& region) {
  detail::check_map("error_uncertainty", uncertainty, DType::f32, truth.shape());
  detail::check_map("error_uncertainty", prediction, DType::i32, truth.shape());
  if (region.defined()) detail::check_map("error_uncertainty", region, DType::u8, truth.shape());
  struct Voxel {
    float uncertainty;
    bool wrong;
  };
  std::vector<Voxel> voxels;
  voxels.reserve(static_cast<size_t>(region_voxels(region, truth.shape())));
  const float* u = uncertainty.data<float>();
  const int32_t *a = prediction.data<int32_t>(), *b = truth.data<int32_t>();
  const uint8_t* inside = region.defined() ? region.data<uint8_t>() : nullptr;
  for (int64_t i = 0; i < truth.numel(); ++i)
    if (!inside || inside[i]) voxels.push_back({u[i], a[i] != b[i]});
  std::sort(voxels.begin(), voxels.end(),
            [](const Voxel& l, const Voxel& r) { return l.uncertainty < r.uncertainty; });

  const double n = static_cast<double>(voxels.size());
  double wrong = 0, wrong_ranks = 0, tied = 0;  // tied: sum of t^3 - t over groups of t equal values
  for (size_t begin = 0, end; begin < voxels.size(); begin = end) {
    double wrong_here = 0;
    for (end = begin; end < voxels.size() && voxels[end].uncertainty == voxels[begin].uncertainty; ++end)
      wrong_here += voxels[end].wrong;
    const double t = static_cast<double>(end - begin);
    wrong += wrong_here;
    wrong_ranks += wrong_here * 0.5 * static_cast<double>(begin + 1 + end);
    tied += t * t * t - t;
  }
  const double right = n - wrong;
  if (wrong == 0 || right == 0) return {};
  ErrorUncertainty result;
  result.auroc = (wrong_ranks - wrong * (wrong + 1) / 2) / (wrong * right);  // Mann-Whitney
  // Spearman's correlation with a binary variable is Pearson's correlation of the ranks with that variable.
  const double rank_variance = (n * n * n - n - tied) / 12;  // multiplied by n
  const double covariance = wrong_ranks - wrong * (n + 1) / 2;
  if (rank_variance > 0) result.spearman = covariance / std::sqrt(rank_variance * wrong * right / n);
  return result;
}

}  // namespace voxgrad
