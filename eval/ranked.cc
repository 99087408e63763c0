#include "eval/ranked.h"

#include <algorithm>
#include <cmath>

#include "tensor/core/math.h"

namespace voxgrad {

RankedVoxels::RankedVoxels(const Tensor& probabilities, const Tensor& truth, const Tensor& region) {
  detail::check_case("ranked_voxels", probabilities, truth, region);
  detail::check_probabilities("ranked_voxels", probabilities);
  const int64_t classes = probabilities.dim(3);
  const float* p = probabilities.data<float>();
  const int32_t* y = truth.data<int32_t>();
  const uint8_t* inside = region.defined() ? region.data<uint8_t>() : nullptr;
  keys_.reserve(static_cast<size_t>(region_voxels(region, truth.shape())));
  for (int64_t i = 0; i < truth.numel(); ++i, p += classes) {
    if (inside && !inside[i]) continue;
    const float* top = std::max_element(p, p + classes);
    keys_.push_back(key(std::fabs(*top), top - p == y[i]));  // fabs: the bits of -0 are not those of 0
  }
  std::sort(keys_.begin(), keys_.end());
}

Score adaptive_ce(const RankedVoxels& voxels, int bins) {
  require(bins > 0, "[adaptive_ce] expected at least one bin, got ", bins);
  const int64_t n = voxels.size();
  if (n == 0) return std::nullopt;
  const auto first_rank = [&](int64_t bin) { return bin * n / bins; };
  double sum = 0, excess = 0;  // excess: right voxels minus confidences of the current bin
  int64_t bin = 0, rank = 0;
  voxels.ascending([&](const ConfidenceGroup& group) {
    const double accuracy = static_cast<double>(group.right) / static_cast<double>(group.count);
    for (const int64_t end = rank + group.count; rank < end;) {
      while (first_rank(bin + 1) <= rank) {  // the current bin is full, or empty
        sum += std::fabs(excess);
        excess = 0;
        ++bin;
      }
      const int64_t taken = std::min(end, first_rank(bin + 1)) - rank;
      excess += static_cast<double>(taken) * (accuracy - group.confidence);
      rank += taken;
    }
  });
  return (sum + std::fabs(excess)) / static_cast<double>(n);
}

Score skce(const RankedVoxels& voxels, double width) {
  require(width > 0, "[skce] expected a positive width of the kernel, got ", width);
  if (voxels.size() == 0) return std::nullopt;
  // For sorted c, the sum over j < i of e_j exp(-(c_i - c_j) / width) follows from that of i - 1 by one
  // product. Each pair counts twice, and the pairs of a group with itself have the kernel 1.
  double pairs = 0, below = 0, last = 0;
  voxels.ascending([&](const ConfidenceGroup& group) {
    const double residual =
        static_cast<double>(group.right) - static_cast<double>(group.count) * group.confidence;
    below *= math::exp((last - group.confidence) / width);
    pairs += residual * (residual + 2 * below);
    below += residual;
    last = group.confidence;
  });
  const double n = static_cast<double>(voxels.size());
  return std::max(pairs / (n * n), 0.0);  // rounding may give a value just below 0
}

}  // namespace voxgrad
