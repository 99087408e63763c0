// Declares the option keys of plans and augmentation.
#include "data/patches.h"

namespace voxgrad {

void PlanOptions::declare(OptionList& options) {
  options.table("plan")
      .integer("dims", dims, 0, 3,
               "2 or 3; 0: 2 if the depth is 1 or if CT has a spacing ratio above 3, else 3")
      .integer("base_features", base_features, 1, 512,
               "channels of the first stage; nnU-Net's 32 is meant for a GPU")
      .integer("max_features", max_features, 1, 4096, "most channels of a stage")
      .integer("max_patch_voxels", max_patch_voxels, 512, 1e9, "largest training patch, voxels")
      .integer("max_patch_pixels", max_patch_pixels, 64, 1e9, "largest training patch of a 2-D plan, pixels")
      .integer(
          "max_patch_edge", max_patch_edge, 0, 4096,
          "longest edge of a patch, voxels; the edge is then rounded up, so that the network can halve it "
          "at each of its strides; 0: no limit")
      .integer("batch_size", batch_size, 1, 1024, "patches per step; the PGRD paper trains with 2");
}

void AugmentOptions::declare(OptionList& options) {
  options.table("augment")
      .flag("enabled", enabled, "random augmentation of training patches (nnU-Net's set)")
      .flag(
          "mirror", mirror,
          "mirror along every axis with probability 1/2, as nnU-Net does; use it only if no label depends on "
          "side or direction")
      .number("rotation", rotation, 0, 1, "probability of a rotation")
      .number("scaling", scaling, 0, 1, "probability of a scaling by 0.7 to 1.4")
      .number("noise", noise, 0, 1, "probability of Gaussian noise")
      .number("blur", blur, 0, 1, "probability of a Gaussian blur")
      .number("brightness", brightness, 0, 1, "probability of a change of brightness")
      .number("contrast", contrast, 0, 1, "probability of a change of contrast")
      .number("low_resolution", low_resolution, 0, 1, "probability of simulated low resolution")
      .number("gamma", gamma, 0, 1, "probability of a gamma transform, exponent 0.7 to 1.5");
}

}  // namespace voxgrad
