// Training batches of patches, and sliding windows over a volume.
#pragma once
#include "data/preprocess.h"

namespace voxgrad {

struct AugmentOptions {
  bool enabled = true;
  bool mirror = false;
  // Probabilities of nnU-Net's default augmentation.
  double rotation = 0.2, scaling = 0.2, noise = 0.1, blur = 0.2, brightness = 0.15, contrast = 0.15,
         low_resolution = 0.25, gamma = 0.3;
  /// Declares the keys augment.*.
  void declare(OptionList& options);
};

/// Which label map of a case training reads.
enum class LabelSource {
  label,   ///< PreparedCase::label
  raters,  ///< the annotation of a random rater; the label of a case that has no annotations
};

struct Batch {
  Tensor image;                ///< f32 [N, D, H, W, C]
  Tensor label;                ///< i32 [N, D, H, W]
  std::vector<int> cases;      ///< for each example, the index of its case in the given list
  std::vector<Triple> origin;  ///< first voxel of each example's patch in its (padded) case
  /// For each example, the index of its label map in PreparedCase::annotations; -1: PreparedCase::label.
  std::vector<int> raters;
};

/// The batch of a training step. The cases are in the order of a permutation for each epoch, with one patch
/// each. A third of the examples (with batch size 2: one of two) is centred on a foreground voxel of a random
/// class. Patches lie inside the padded case. Outside it, rotation and scaling read air (augment.h). A pure
/// function of (seed, step, index), with the same bits for any number of threads.
///
/// `source` changes only the labels: each example draws its rater anew, with equal probabilities. The
/// foreground voxels are those of PreparedCase::label either way.
Batch training_batch(const std::vector<PreparedCase>& cases, const Plan& plan, const AugmentOptions& augment,
                     uint64_t seed, int64_t step, LabelSource source = LabelSource::label);

struct Window {
  Triple begin{};  ///< first voxel in the volume; negative in the padding
};

/// Windows of extent `patch` that cover a volume of `shape`, ordered with D outermost. The distance between
/// windows is at most `step` times the patch. A volume smaller than the patch gets one window and is padded
/// on both sides.
std::vector<Window> sliding_windows(const Triple& shape, const Triple& patch, double step = 0.5);
/// The number of windows of sliding_windows.
int64_t count_windows(const Triple& shape, const Triple& patch, double step = 0.5);
/// Blending weight of each voxel of a window, f32 [D, H, W]: a Gaussian with sigma = patch / 8 and maximum 1.
/// No weight is 0.
Tensor gaussian_window(const Triple& patch);
/// Copies windows of a volume f32 [D, H, W, C] to [windows, d, h, w, C] on the volume's device. Values
/// outside the volume are 0.
Tensor gather_windows(const Tensor& volume, const std::vector<Window>& windows, const Triple& patch);
/// The sum of the weights of all windows at each voxel of a volume of `shape`: f32 [D, H, W]. It is the
/// divisor for sums of weighted windows (add_window, tensor/layout/window.h).
Tensor sum_of_weights(const Triple& shape, const std::vector<Window>& windows, const Tensor& weight);

}  // namespace voxgrad
