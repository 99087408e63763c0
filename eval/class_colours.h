// The colours of classes in pictures.
#pragma once
#include <cstddef>
#include <string>
#include <vector>

namespace voxgrad {

/// n colours "#rrggbb" for contours on a grey image, all different. None is dark or grey, and none has a hue
/// between violet and pink, which show uncertainty. The first six are colour-blind safe. Each further colour
/// is as far as possible from all colours before it. n is at most 255.
std::vector<std::string> class_colours(size_t n);

}  // namespace voxgrad
