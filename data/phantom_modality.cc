#include "data/phantom_modality.h"

#include <algorithm>
#include <cmath>

#include "tensor/core/error.h"

namespace voxgrad::phantom {

int64_t Modality::default_depth(int64_t size) const { return ct ? std::max<int64_t>(6, size / 4) : size; }

const std::vector<Modality>& modalities() {
  constexpr float kNone = HUGE_VALF;
  // Order of the intensities: outside, white, grey, fluid, structure, lesion, core, bone.
  static const std::vector<Modality> all{
      // One channel, similar to FLAIR.
      {"mri", false, 1, kNone, {{"MRI", {0, 0.60f, 0.78f, 0.16f, 0.40f, 1.0f, 0, 0}}}},
      {"ct", true, 1, kNone, {{"CT", {-1000, 30, 38, 8, 18, 68, 0, 850}}}},
      // Like a glioma in BraTS: oedema is bright on T2 and FLAIR, the core takes up contrast agent (T1c), and
      // fluid is bright on T2 only. As in BraTS, the head fills about 60 % of the field of view.
      {"mpmri",
       false,
       1.3f,
       2,
       {{"T1", {0, 0.80f, 0.60f, 0.22f, 0.70f, 0.52f, 0.42f, 0}},
        {"T1c", {0, 0.72f, 0.58f, 0.22f, 0.64f, 0.48f, 1.10f, 0}},
        {"T2", {0, 0.42f, 0.58f, 1.10f, 0.34f, 0.84f, 0.70f, 0}},
        {"FLAIR", {0, 0.52f, 0.64f, 0.16f, 0.44f, 1.0f, 0.80f, 0}}}}};
  return all;
}

const Modality& modality_of(const PhantomOptions& options) {
  std::string known;
  for (const Modality& m : modalities()) {
    if (m.name == options.modality) return m;
    known += cat(known.empty() ? "" : ", ", m.name);
  }
  fail(ErrorCode::usage, "[phantom] modality: expected one of ", known, ", got \"", options.modality, "\"");
}

}  // namespace voxgrad::phantom
