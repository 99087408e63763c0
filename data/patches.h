// Training patches and sliding windows.
#pragma once
#include "data/preprocess.h"

namespace voxgrad {

struct AugmentOptions {
  bool enabled = true;
  bool mirror = false;
  // Probabilities of nnU-Net's default augmentation.
  double rotation = 0.2, scaling = 0.2, noise = 0.1, blur = 0.2, brightness = 0.15, contrast = 0.15,
         low_resolution = 0.25, gamma = 0.3;
  /// The keys augment.*.
  void declare(OptionList& options);
};

struct Batch {
  Tensor image;                ///< f32 [N, D, H, W, C]
  Tensor label;                ///< i32 [N, D, H, W]
  std::vector<int> cases;      ///< index of each example's case in the list given
  std::vector<Triple> origin;  ///< first voxel of each example's patch in its (padded) case
};

/// The batch of a training step: cases in the order of an epoch-wise permutation, one patch each; a third of
/// the examples (at batch 2: one of two) is centred on foreground of a class drawn at random. Patches lie
/// inside the padded case; a rotation or scaling that reads beyond it finds air (see augment.h). A pure
/// function of (seed, step, index): the same bits with any number of threads.
Batch training_batch(const std::vector<PreparedCase>& cases, const Plan& plan, const AugmentOptions& augment,
                     uint64_t seed, int64_t step);

struct Window {
  Triple begin{};  ///< in the padded volume's frame (negative in the padding)
};

/// Windows of the plan's patch over a volume of `shape` with the given overlap step (0.5), D outermost.
/// A volume smaller than the patch is padded symmetrically: one window.
std::vector<Window> sliding_windows(const Triple& shape, const Triple& patch, double step = 0.5);
/// How many they are.
int64_t count_windows(const Triple& shape, const Triple& patch, double step = 0.5);
/// Weight of each voxel of a window: Gaussian, sigma = patch / 8, maximum 1, no zeros. f32 [D, H, W].
Tensor gaussian_window(const Triple& patch);
/// Windows of a volume f32 [D, H, W, C], stacked where it is, 0 outside it: [windows, d, h, w, C].
Tensor gather_windows(const Tensor& volume, const std::vector<Window>& windows, const Triple& patch);
/// Weights of all windows at each voxel of a volume of `shape`: what sums of weighted windows (add_window,
/// tensor/window.h) are divided by. f32 [D, H, W].
Tensor sum_of_weights(const Triple& shape, const std::vector<Window>& windows, const Tensor& weight);

}  // namespace voxgrad
