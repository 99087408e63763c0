// The activation that follows a normalisation or a convolution.
#pragma once

namespace voxgrad {

enum class Act { none, relu, leaky_relu, silu, gelu };

}  // namespace voxgrad
