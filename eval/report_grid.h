// Volumes of the viewer: turned to the patient's axes, as blocks of voxels in a box. Internal to the report.
#pragma once
#include <array>
#include <vector>

#include "io/nifti.h"

namespace voxgrad::detail {

/// Display x runs to the patient's left, y to posterior, z to superior: the radiological convention.
using Place = std::array<int64_t, 3>;

/// How the display's axes lie in the file's.
struct Orientation {
  bool known = false;
  double oblique_degrees = 0;        ///< largest angle between a file axis and the patient axis it stands for
  std::array<int, 3> axis{0, 1, 2};  ///< file axis of display x, y, z
  std::array<bool, 3> flip{};        ///< display index runs against the file's
};
/// Unknown without sform and qform, and where a single slice has the affine that converters of pictures
/// write: no turn and voxel 0 at the origin.
Orientation orientation_of(const NiftiHeader& header);

/// A volume as it is displayed.
struct Display {
  explicit Display(const NiftiHeader& header);
  Orientation orientation;
  Place extent{};                   ///< voxels along display x, y, z
  std::array<double, 3> spacing{};  ///< mm

  /// The flat voxel of the file's [D, H, W] volume at a place.
  int64_t voxel(const Place& at) const { return offset_[0][at[0]] + offset_[1][at[1]] + offset_[2][at[2]]; }
  bool flat() const { return extent[0] == 1 || extent[1] == 1 || extent[2] == 1; }

 private:
  std::array<std::vector<int64_t>, 3> offset_;
};

/// A box of a display, end excluded.
struct Box {
  Place begin{}, end{};
  bool empty() const { return end[0] <= begin[0]; }
  int64_t voxels() const;
  bool operator==(const Box&) const = default;
};
Box whole(const Display& display);
/// Around the voxels above 0 of label maps [D, H, W]; empty where there are none.
Box box_of(const Display& display, const std::vector<Tensor>& labels);
/// Larger by so many mm on each side, inside the display.
Box grown(const Box& box, const Display& display, double mm);

/// A box in blocks of `stride` voxels; the last block of an axis may be cut.
struct Grid {
  Box box;
  Place stride{1, 1, 1}, shape{};
  bool thinned() const { return stride != Place{1, 1, 1}; }
  int64_t values() const { return shape[0] * shape[1] * shape[2]; }
};
/// At most `most` blocks: the axis with the finest blocks is made coarser first.
Grid grid_of(const Box& box, const Display& display, int64_t most);

/// Means of the finite values of each block, x fastest; NaN where there is none. `field`: f32 [D, H, W].
std::vector<float> block_means(const float* field, const Grid& grid, const Display& display);
/// The first voxel of each block.
std::vector<int32_t> block_labels(const Tensor& labels, const Grid& grid, const Display& display);

}  // namespace voxgrad::detail
