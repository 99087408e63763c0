// Selective prediction: how the risk falls if the least confident voxels or cases are not accepted. Computes
// risk-coverage curves (run/scores.h) and the areas under them.
#pragma once
#include <optional>
#include <vector>

#include "eval/ranked.h"

namespace voxgrad {

/// The areas under the two risk-coverage curves. The coverage grows from 0 to 1, the most confident first.
/// Equal confidences enter together, so the curves do not depend on the order of voxels or cases. Between
/// their points the curves are straight lines (trapezoids). At coverage 0 the selective risk is that of the
/// first group, and the generalised risk is 0.
struct SelectiveRisk {
  double aurc = 0;   ///< area under the selective risk. Source: Geifman, Uziel and El-Yaniv, ICLR 2019
  double augrc = 0;  ///< area under the generalised risk. Source: Traub et al., NeurIPS 2024
  RiskCurve curve;   ///< of one case (voxels), or of several (cases)
};

/// Over voxels: the risk of a voxel is 1 if its most probable class is not the true class, else 0. The curve
/// has the coverages 0, 0.01, ..., 1, read from the exact curve. Nothing without voxels.
std::optional<SelectiveRisk> selective_risk(const RankedVoxels& voxels);

/// Over cases: confidence[i] and risk[i] belong to case i. The curve has a point for each different
/// confidence, and the one at coverage 0. Nothing without cases. ErrorCode::internal for lists of different
/// lengths and for values that are not finite.
std::optional<SelectiveRisk> selective_risk(const std::vector<double>& confidence,
                                            const std::vector<double>& risk);

}  // namespace voxgrad
