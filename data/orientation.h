// The directions of an image's axes, and turning images so that all have the same directions. Turning swaps
// and flips whole axes. No voxel is resampled.
#pragma once
#include <array>
#include <string>

#include "io/nifti.h"

namespace voxgrad {

/// The directions of the axes x, y, z of every prepared image: the patient's right, anterior and superior.
inline constexpr const char* kCanonicalAxes = "RAS";

/// The directions of the axes x, y, z, for example "RAS", "LPS" or "PIR". Each axis gets a different
/// direction of the body, so that the axes fit as closely as possible. An axis without a direction in the
/// affine gets the remaining one.
std::string axis_letters(const NiftiHeader& header);
/// Other letters that fit equally closely, to a thousandth of an axis; empty if there are none. An image
/// turned by 45 degrees has such letters.
std::string tied_axis_letters(const NiftiHeader& header);

/// Whether a text names three different directions, for example "LPS".
bool names_axes(const std::string& text);

/// Swaps and flips of the axes x, y, z.
struct Turn {
  /// Axis d of the turned volume is axis |axis[d]| - 1 of the file. A negative number means that it is
  /// flipped.
  std::array<int, 3> axis{1, 2, 3};

  bool none() const { return axis == std::array<int, 3>{1, 2, 3}; }
  Turn inverse() const;
  bool operator==(const Turn&) const = default;
};

/// The turn that gives the axes of an image the directions `letters`. There is no turn if `letters` is empty,
/// for a 2-D file (dim[0] is 2), and for a single slice whose depth would not stay along z: these images stay
/// as stored.
Turn turn_to(const std::string& letters, const NiftiHeader& header);

/// Turns a volume [D, H, W] or [D, H, W, C] of 4-byte elements. Without a turn it returns the volume itself.
Tensor turned(const Tensor& volume, const Turn& turn);

/// Turns a triple of values for D, H, W.
template <class T>
std::array<T, 3> turned(const std::array<T, 3>& dhw, const Turn& turn) {
  std::array<T, 3> out{};
  for (size_t d = 0; d < 3; ++d)
    out[2 - d] = dhw[2 - static_cast<size_t>((turn.axis[d] < 0 ? -turn.axis[d] : turn.axis[d]) - 1)];
  return out;
}

}  // namespace voxgrad
