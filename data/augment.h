// Random augmentation of training patches: nnU-Net's set with its ranges (Isensee et al. 2021, supplement D),
// each transform drawn a patch. Space: rotation (up to 30 degrees about each axis, or any angle in plane for
// slices) and scaling by .7 to 1.4 (< 1 enlarges) in one resampling, trilinear for the image and nearest for
// the label; what lies outside the volume is air (PreparedCase::air, label 0). Then values: noise, blur,
// brightness, contrast, low resolution, gamma on the inverted and on the plain image. Mirroring is part of
// the resampling.
#pragma once
#include "data/patches.h"
#include "tensor/random.h"

namespace voxgrad {

/// What happens to the values of one channel; factors of 1 and sigmas of 0 do nothing.
struct ChannelAugmentation {
  double noise_sigma = 0;
  double blur_sigma = 0;      ///< voxels
  double brightness = 1;      ///< factor
  double contrast = 1;        ///< factor about the mean, clipped to the old range
  double zoom = 1;            ///< of the low resolution
  double inverted_gamma = 1;  ///< exponents; mean and standard deviation are kept
  double gamma = 1;
};

/// All that is random about the augmentation of one patch.
struct Augmentation {
  std::array<bool, 3> mirror{};
  bool resampled = false;
  /// Offset from the patch's centre, in voxels, D, H, W: source = matrix * target.
  std::array<std::array<double, 3>, 3> matrix{{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}};
  std::vector<ChannelAugmentation> channels;
};

/// Draws for example `example` of a batch; `generator` is that of the step.
Augmentation draw_augmentation(const AugmentOptions& options, const Plan& plan, const Philox& generator,
                               int example);

/// Reads a patch of the case, mirrored, rotated and scaled, into image [D, H, W, C] and label [D, H, W] (both
/// of the patch's extents, already allocated). `origin`: in the frame of the case padded to the patch
/// (padding(), data/preprocess.h). Beyond the case it finds air.
void read_patch(const PreparedCase& c, const Triple& origin, const Triple& patch,
                const Augmentation& augmentation, float* image, int32_t* label);

/// Changes the values of a patch [D, H, W, C] in place. `slices`: low resolution keeps the slice axis.
void augment_values(Tensor& patch, const Augmentation& augmentation, const Philox& generator, int example,
                    bool slices);

}  // namespace voxgrad
