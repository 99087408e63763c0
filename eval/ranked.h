// The voxels of a case in the order of their confidence, and two calibration errors that need this order:
// the adaptive calibration error and the squared kernel calibration error (SKCE). selective.h has the
// risk-coverage curves, which need it too.
#pragma once
#include <bit>
#include <cstdint>
#include <vector>

#include "eval/metrics.h"

namespace voxgrad {

/// Voxels that have exactly the same confidence. Scores take such voxels together, so that no score depends
/// on the order of the voxels in memory.
struct ConfidenceGroup {
  double confidence = 0;
  int64_t count = 0;  ///< number of voxels
  int64_t right = 0;  ///< number of voxels whose most probable class is the true class
};

/// The voxels of a region, sorted by their confidence: the largest probability of the voxel. It needs 4 bytes
/// for each voxel.
class RankedVoxels {
 public:
  /// `probabilities`: f32 [D, H, W, K]. `truth`: i32 [D, H, W]. `region`: u8 [D, H, W], or undefined for all
  /// voxels. ErrorCode::data for a probability that is NaN, below 0 or above 1 (tolerance 1e-3).
  RankedVoxels(const Tensor& probabilities, const Tensor& truth, const Tensor& region = {});

  int64_t size() const { return static_cast<int64_t>(keys_.size()); }

  /// Calls visit(ConfidenceGroup) for each group, the least confident group first.
  template <class Visit>
  void ascending(Visit&& visit) const {
    for (size_t begin = 0, end; begin < keys_.size(); begin = end) {
      ConfidenceGroup group{confidence(begin)};
      for (end = begin; end < keys_.size() && same_confidence(begin, end); ++end) add(group, end);
      visit(group);
    }
  }
  /// The same, the most confident group first.
  template <class Visit>
  void descending(Visit&& visit) const {
    for (size_t end = keys_.size(), begin; end > 0; end = begin) {
      ConfidenceGroup group{confidence(end - 1)};
      for (begin = end; begin > 0 && same_confidence(begin - 1, end - 1); --begin) add(group, begin - 1);
      visit(group);
    }
  }

 private:
  // A key is the 31 bits of a confidence of at least 0 as f32, then one bit: 1 if the voxel is right. Such
  // bits, read as an integer, have the order of the confidences.
  static uint32_t key(float confidence, bool right) {
    return std::bit_cast<uint32_t>(confidence) << 1 | static_cast<uint32_t>(right);
  }
  double confidence(size_t i) const { return std::bit_cast<float>(keys_[i] >> 1); }
  bool same_confidence(size_t i, size_t j) const { return keys_[i] >> 1 == keys_[j] >> 1; }
  void add(ConfidenceGroup& group, size_t i) const {
    ++group.count;
    group.right += keys_[i] & 1;
  }

  std::vector<uint32_t> keys_;
};

/// Adaptive calibration error: the ECE of bins with equal numbers of voxels. Of N voxels sorted by
/// confidence, bin b of n has those with the ranks floor(b N / n) to floor((b + 1) N / n) - 1. If a group of
/// equal confidences lies in two bins, both bins get the accuracy of the group. No value without voxels.
/// Source: Nguyen and O'Connor, EMNLP 2015; Nixon et al., CVPR workshops 2019.
Score adaptive_ce(const RankedVoxels& voxels, int bins = 15);

/// Squared kernel calibration error of the top label, as the biased V-statistic: 1/N^2 sum_ij (r_i - c_i)
/// (r_j - c_j) exp(-|c_i - c_j| / width), where c is the confidence and r is 1 for a right voxel, else 0. It
/// is exact over all pairs, in time linear in the sorted voxels. At least 0. No value without voxels. Source:
/// Widmann, Lindsten and Zachariah, NeurIPS 2019; its root is the MMCE of Kumar et al., ICML 2018.
Score skce(const RankedVoxels& voxels, double width = 0.2);

}  // namespace voxgrad
