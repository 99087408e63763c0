// The modalities of the phantom: channels, tissue contrasts and fields of view. Internal to data/.
#pragma once
#include <string_view>
#include <vector>

#include "data/phantom.h"

namespace voxgrad::phantom {

/// Intensities of the tissues. A lesion of contrast c lies c of the way from white matter to `lesion`, its
/// core c of the way from white matter to `core`.
struct Tissue {
  float outside, white, grey, fluid, structure, lesion, core, bone;
};

struct Channel {
  std::string_view name;  ///< in dataset.json
  Tissue tissue;
};

struct Modality {
  std::string_view name;
  bool ct;     ///< HU, bone around the brain, 5 mm slices; else arbitrary units, skull-stripped, 1 mm
  float view;  ///< half the field of view in plane, in units of the anatomy
  float core;  ///< w of the rater model; infinite where lesions have no core
  std::vector<Channel> channels;

  /// Voxels along z of a phantom without --depth.
  int64_t default_depth(int64_t size) const;
};

const std::vector<Modality>& modalities();

/// The modality that the options name. ErrorCode::usage for an unknown one.
const Modality& modality_of(const PhantomOptions& options);

}  // namespace voxgrad::phantom
