// Random augmentation of training patches: nnU-Net's transforms with nnU-Net's ranges (Isensee et al. 2021,
// supplement D). Each transform is drawn anew for each patch.
//
// Spatial transforms: rotation (up to 30 degrees about each axis, or any angle in the plane of slices),
// scaling by 0.7 to 1.4 (below 1 enlarges) and mirroring. They are done in one resampling, trilinear for the
// image and nearest neighbour for the label. Outside the volume they read air (PreparedCase::air, label 0).
// Then transforms of the values: noise, blur, brightness, contrast, low resolution, and gamma on the inverted
// and on the original image.
#pragma once
#include "data/patches.h"
#include "tensor/core/random.h"

namespace voxgrad {

/// The transforms of the values of one channel. Factors of 1 and sigmas of 0 change nothing.
struct ChannelAugmentation {
  double noise_sigma = 0;
  double blur_sigma = 0;      ///< voxels
  double brightness = 1;      ///< factor
  double contrast = 1;        ///< factor about the mean, clipped to the old range
  double zoom = 1;            ///< scale of the simulated low resolution
  double inverted_gamma = 1;  ///< exponent on the inverted image; mean and standard deviation are kept
  double gamma = 1;           ///< exponent; mean and standard deviation are kept
};

/// All random numbers of the augmentation of one patch.
struct Augmentation {
  std::array<bool, 3> mirror{};
  bool resampled = false;
  /// Maps offsets from the patch's centre, in voxels, D, H, W: source = matrix * target.
  std::array<std::array<double, 3>, 3> matrix{{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}};
  std::vector<ChannelAugmentation> channels;
};

/// Draws the augmentation of example `example` of a batch. `generator`: the generator of the step.
Augmentation draw_augmentation(const AugmentOptions& options, const Plan& plan, const Philox& generator,
                               int example);

/// Reads a patch of the case, mirrored, rotated and scaled, into image [D, H, W, C] and label [D, H, W]. Both
/// are allocated and have the extents of the patch. `truth`: the label map to read, c.label or one of
/// c.annotations. `origin`: first voxel in the case padded to the patch (padding(), data/preprocess.h).
/// Outside the case the patch has air and label 0.
void read_patch(const PreparedCase& c, const Tensor& truth, const Triple& origin, const Triple& patch,
                const Augmentation& augmentation, float* image, int32_t* label);

/// Changes the values of a patch [D, H, W, C] in place. `slices`: the simulated low resolution does not
/// change the slice axis.
void augment_values(Tensor& patch, const Augmentation& augmentation, const Philox& generator, int example,
                    bool slices);

}  // namespace voxgrad
