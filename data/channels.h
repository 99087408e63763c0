// What the name of a channel says about its intensities: nnU-Net's rule.
#pragma once
#include <array>
#include <string>

namespace voxgrad {

/// How a channel is normalised.
///   ct              clip to the data set's foreground percentiles, z-score by its foreground
///   zscore          z-score a case
///   none            as it is
///   rescale_to_0_1  a case from its smallest to its largest value
///   rgb_to_0_1      values from 0 to 255, divided by 255
inline constexpr std::array<const char*, 5> kNormalisations = {"ct", "zscore", "none", "rescale_to_0_1",
                                                               "rgb_to_0_1"};

/// nnU-Net's words, in any case: CT, noNorm, zscore, rescale_to_0_1, rgb_to_0_1. Every other name is
/// "zscore".
std::string normalisation_of(const std::string& channel_name);

/// Why a name may not mean what its author thinks; empty where it does. A name with CT in it that is not CT
/// ("CT_venous", "CT/PET") is z-scored, and Hounsfield units are lost.
std::string channel_name_doubt(const std::string& channel_name);

}  // namespace voxgrad
