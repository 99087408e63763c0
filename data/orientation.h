// Where the axes of an image run, and turning images so that all run alike. Only whole axes are swapped and
// flipped; no voxel is resampled.
#pragma once
#include <array>
#include <string>

#include "io/nifti.h"

namespace voxgrad {

/// Where the axes x, y, z of every prepared image run to: the patient's right, anterior and superior.
inline constexpr const char* kCanonicalAxes = "RAS";

/// Where the axes x, y, z run to, each to a direction of the body of its own, as closely as can be: "RAS",
/// "LPS", "PIR", ... An axis without a direction takes what the others leave.
std::string axis_letters(const NiftiHeader& header);
/// The other letters that come as close, to a thousandth of an axis; empty where there are none. An image
/// that lies at 45 degrees has such.
std::string tied_axis_letters(const NiftiHeader& header);

/// Whether a text names three different directions, as "LPS" does.
bool names_axes(const std::string& text);

/// Swaps and flips of the axes x, y, z.
struct Turn {
  /// Axis d of the turned volume is axis |axis[d]| - 1 of the file; where it is negative it runs against it.
  std::array<int, 3> axis{1, 2, 3};

  bool none() const { return axis == std::array<int, 3>{1, 2, 3}; }
  Turn inverse() const;
  bool operator==(const Turn&) const = default;
};

/// The turn after which the axes of an image run to `letters`; none where they are empty. None for a 2-D file
/// (dim[0] is 2) either, and for a single slice whose depth would not stay along z: these are taken as they
/// are stored.
Turn turn_to(const std::string& letters, const NiftiHeader& header);

/// A volume [D, H, W] or [D, H, W, C] of 4-byte elements, turned. Without a turn it is the volume itself.
Tensor turned(const Tensor& volume, const Turn& turn);

/// What stands for D, H, W, turned.
template <class T>
std::array<T, 3> turned(const std::array<T, 3>& dhw, const Turn& turn) {
  std::array<T, 3> out{};
  for (size_t d = 0; d < 3; ++d)
    out[2 - d] = dhw[2 - static_cast<size_t>((turn.axis[d] < 0 ? -turn.axis[d] : turn.axis[d]) - 1)];
  return out;
}

}  // namespace voxgrad
