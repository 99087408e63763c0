// Colours of classes in pictures.
#pragma once
#include <cstddef>
#include <string>
#include <vector>

namespace voxgrad {

/// n colours "#rrggbb" for contours on grey: no two alike, none dark, grey, or of the hue between violet and
/// pink, which uncertainty has. The first six are colour-blind safe; each further one lies as far from all
/// before it as it can. n at most 255.
std::vector<std::string> class_colours(size_t n);

}  // namespace voxgrad
