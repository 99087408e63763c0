// The normalisation of a channel, chosen by the channel's name as in nnU-Net.
#pragma once
#include <array>
#include <string>

namespace voxgrad {

/// How a channel is normalised.
///   ct              clip to the 0.5 and 99.5 percentiles of the data set's foreground, then z-score with the
///                   mean and deviation of that foreground
///   zscore          z-score with the mean and deviation of each case
///   none            unchanged
///   rescale_to_0_1  map the range of each case to [0, 1]
///   rgb_to_0_1      divide by 255; values must be from 0 to 255
inline constexpr std::array<const char*, 5> kNormalisations = {"ct", "zscore", "none", "rescale_to_0_1",
                                                               "rgb_to_0_1"};

/// The normalisation for a channel name: nnU-Net's words CT, noNorm, zscore, rescale_to_0_1 and rgb_to_0_1,
/// in upper or lower case. Every other name gives "zscore".
std::string normalisation_of(const std::string& channel_name);

/// A warning about a channel name that may have been misunderstood; empty if there is none. A name that
/// contains CT but is not "CT" ("CT_venous", "CT/PET") is z-scored, so that Hounsfield units are lost.
std::string channel_name_doubt(const std::string& channel_name);

}  // namespace voxgrad
