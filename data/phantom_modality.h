// The modalities of the phantom: channels, tissue contrasts and fields of view. Internal to data/.
#pragma once
#include <string_view>
#include <vector>

#include "data/phantom.h"

namespace voxgrad::phantom {

/// Intensities of the tissues. A lesion of contrast c has the intensity white + c (lesion - white), and its
/// core has white + c (core - white).
struct Tissue {
  float outside, white, grey, fluid, structure, lesion, core, bone;
};

struct Channel {
  std::string_view name;  ///< in dataset.json
  Tissue tissue;
};

struct Modality {
  std::string_view name;
  bool ct;     ///< true: HU, bone around the brain, 5 mm slices; false: arbitrary units, skull-stripped, 1 mm
  float view;  ///< half the field of view in plane, in units of the anatomy
  float core;  ///< w of the rater model; infinite if lesions have no core
  std::vector<Channel> channels;

  /// Voxels along z of a phantom without --depth.
  int64_t default_depth(int64_t size) const;
};

const std::vector<Modality>& modalities();

/// The modality named by the options. ErrorCode::usage for an unknown one.
const Modality& modality_of(const PhantomOptions& options);

}  // namespace voxgrad::phantom
