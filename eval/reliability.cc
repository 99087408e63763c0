#include "eval/reliability.h"

#include <algorithm>
#include <cmath>

#include "eval/reduce.h"

namespace voxgrad {

Score ece(const Reliability& r) {
  const int64_t total = r.total();
  if (total == 0) return std::nullopt;
  double sum = 0;  // n_b / N |correct_b / n_b - confidence_b / n_b|
  for (size_t b = 0; b < r.count.size(); ++b) sum += std::fabs(r.correct[b] - r.confidence[b]);
  return sum / static_cast<double>(total);
}

namespace {

/// |acc_b - conf_b|; the bin has voxels.
double gap(const Reliability& r, size_t bin) {
  return std::fabs(r.correct[bin] - r.confidence[bin]) / static_cast<double>(r.count[bin]);
}

}  // namespace

Score average_ce(const Reliability& r) {
  detail::Mean mean;
  for (size_t b = 0; b < r.count.size(); ++b)
    if (r.count[b] > 0) mean += {gap(r, b), 1};
  if (mean.count == 0) return std::nullopt;
  return mean.sum / static_cast<double>(mean.count);
}

Score maximum_ce(const Reliability& r, int64_t fewest) {
  require(fewest > 0, "[maximum_ce] expected at least one voxel in a bin, got ", fewest);
  Score largest;
  for (size_t b = 0; b < r.count.size(); ++b)
    if (r.count[b] >= fewest) largest = std::max(largest.value_or(0), gap(r, b));
  return largest;
}

Reliability top_label_reliability(const Tensor& probabilities, const Tensor& truth, const Tensor& region,
                                  int bins) {
  detail::check_case("reliability", probabilities, truth, region);
  const int64_t classes = probabilities.dim(3);
  const float* p = probabilities.data<float>();
  const int32_t* y = truth.data<int32_t>();
  const uint8_t* inside = region.defined() ? region.data<uint8_t>() : nullptr;
  return detail::reduce_voxels(
      truth.numel(), Reliability(bins), [&](Reliability& r, int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          if (inside && !inside[i]) continue;
          const float* top = std::max_element(p + i * classes, p + (i + 1) * classes);
          r.add(*top, top - (p + i * classes) == y[i]);
        }
      });
}

Reliability class_reliability(const Tensor& probabilities, const Tensor& truth, int class_index,
                              const Tensor& region, int bins) {
  detail::check_case("reliability", probabilities, truth, region);
  const int64_t classes = probabilities.dim(3);
  require(class_index >= 0 && class_index < classes, "[reliability] expected a class below ", classes,
          ", got ", class_index);
  const float* p = probabilities.data<float>();
  const int32_t* y = truth.data<int32_t>();
  const uint8_t* inside = region.defined() ? region.data<uint8_t>() : nullptr;
  return detail::reduce_voxels(truth.numel(), Reliability(bins),
                               [&](Reliability& r, int64_t begin, int64_t end) {
                                 for (int64_t i = begin; i < end; ++i)
                                   if (!inside || inside[i])
                                     r.add(p[i * classes + class_index], y[i] == class_index);
                               });
}

Score ece_top_label(const Tensor& probabilities, const Tensor& truth, const Tensor& region, int bins) {
  return ece(top_label_reliability(probabilities, truth, region, bins));
}

Score ece_class_marginal(const Tensor& probabilities, const Tensor& truth, const Tensor& region, int bins) {
  detail::Mean mean;
  for (int c = 0; c < probabilities.dim(3); ++c) {
    const Score one = ece(class_reliability(probabilities, truth, c, region, bins));
    if (!one) return std::nullopt;
    mean += {*one, 1};
  }
  return mean.sum / static_cast<double>(mean.count);
}

}  // namespace voxgrad
