// Turns volumes to the patient's axes and reduces them to blocks of voxels in a box, for the viewer. Internal
// to the report.
#pragma once
#include <array>
#include <vector>

#include "io/nifti.h"

namespace voxgrad::detail {

/// A voxel of the display. Display x goes to the patient's left, y to posterior, z to superior: the
/// radiological convention.
using Place = std::array<int64_t, 3>;

/// The directions of the display's axes in the file.
struct Orientation {
  bool known = false;
  double oblique_degrees = 0;        ///< largest angle between a file axis and its patient axis
  std::array<int, 3> axis{0, 1, 2};  ///< file axis of display x, y, z
  std::array<bool, 3> flip{};        ///< whether the display index runs opposite to the file's index
};
/// The orientation is unknown without sform and qform. It is also unknown for a single slice with the affine
/// that converters of pictures write: no turn, and voxel 0 at the origin.
Orientation orientation_of(const NiftiHeader& header);

/// The display of a volume.
struct Display {
  explicit Display(const NiftiHeader& header);
  Orientation orientation;
  Place extent{};                   ///< voxels along display x, y, z
  std::array<double, 3> spacing{};  ///< mm

  /// The flat index in the file's [D, H, W] volume of a voxel of the display.
  int64_t voxel(const Place& at) const { return offset_[0][at[0]] + offset_[1][at[1]] + offset_[2][at[2]]; }
  bool flat() const { return extent[0] == 1 || extent[1] == 1 || extent[2] == 1; }

 private:
  std::array<std::vector<int64_t>, 3> offset_;
};

/// A box in a display. `end` is excluded.
struct Box {
  Place begin{}, end{};
  bool empty() const { return end[0] <= begin[0]; }
  int64_t voxels() const;
  bool operator==(const Box&) const = default;
};
Box whole(const Display& display);
/// The smallest box around the voxels above 0 of label maps [D, H, W]; empty if there are none.
Box box_of(const Display& display, const std::vector<Tensor>& labels);
/// The box enlarged by `mm` on each side, inside the display.
Box grown(const Box& box, const Display& display, double mm);

/// A box divided into blocks of `stride` voxels. The last block of an axis may be smaller.
struct Grid {
  Box box;
  Place stride{1, 1, 1}, shape{};
  bool thinned() const { return stride != Place{1, 1, 1}; }
  int64_t values() const { return shape[0] * shape[1] * shape[2]; }
};
/// Divides a box into at most `most` blocks. The axis with the finest blocks is made coarser first.
Grid grid_of(const Box& box, const Display& display, int64_t most);

/// The mean of the finite values of each block, x fastest; NaN for a block without finite values. `field`:
/// f32 [D, H, W].
std::vector<float> block_means(const float* field, const Grid& grid, const Display& display);
/// The label of the first voxel of each block.
std::vector<int32_t> block_labels(const Tensor& labels, const Grid& grid, const Display& display);

}  // namespace voxgrad::detail
