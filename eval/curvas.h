// The scores of the CURVAS challenges, which judge probabilities against several raters: 2024 (pancreas,
// kidney, liver) and 2025 (pancreatic tumour). docs/metrics.md has the formulas, and says where they differ
// from the organisers' code.
#pragma once
#include <vector>

#include "eval/metrics.h"

namespace voxgrad {

enum class CurvasProfile { curvas_2024, curvas_2025 };
/// The profile "curvas-2024" or "curvas-2025". ErrorCode::usage for another name.
CurvasProfile curvas_profile(const std::string& name);
/// K, including the background: 4 or 2.
int curvas_classes(CurvasProfile profile);
/// The number of annotations that each case of the challenge has: 3 or 5.
int curvas_raters(CurvasProfile profile);

struct CurvasCase {
  Tensor prediction;                ///< i32 [D, H, W]; 2024 only
  Tensor probabilities;             ///< f32 [D, H, W, K]
  std::vector<Tensor> annotations;  ///< i32 [D, H, W]; at least one
  Tensor image;                     ///< CT in HU, f32 [D, H, W]; 2024 only
};
/// The scores by key: curvas_dice, curvas_ece, curvas_crps, curvas_crps_uncut and, in 2024,
/// curvas_confidence. Those of a class have its number behind a dot, if the profile has several. Scores
/// without a value are absent. ErrorCode::internal for wrong shapes or no annotation, ErrorCode::data for
/// labels or probabilities out of range.
ScoreMap curvas_scores(CurvasProfile profile, const CurvasCase& c);

/// Continuous ranked probability score of a value against a normal distribution: the integral of (F(x) -
/// [x >= value])^2 over all x. Unit of the value. |value - mean| if sd is 0. Source: Gneiting and Raftery,
/// JASA 2007.
double normal_crps(double value, double mean, double sd);

/// The same as in CURVAS: F is linear between 100 equally spaced points from percentile 1 to 99, 0 below and
/// 1 above, and the integral goes from mean - 3 sd to mean + 3 sd. No value if sd is 0.
Score curvas_crps(double value, double mean, double sd);

}  // namespace voxgrad
