#include "data/labels.h"

#include <algorithm>
#include <cmath>

#include "data/grid.h"

namespace voxgrad {

Tensor read_labels(const std::string& path, int classes, NiftiHeader* header) {
  NiftiHeader own;
  const Tensor volume = read_volume(path, &own);
  refuse_geometry(own, path);
  if (header) *header = own;
  if (volume.dim(0) != 1)
    fail(ErrorCode::data, "[labels] ", path, ": expected a 3-D label map, got ", volume.dim(0), " volumes");
  const int limit = classes > 0 ? classes : 65536;
  const LabelCensus c = label_census(volume, limit);
  if (c.fractional + c.outside > 0) {
    const int64_t i = c.fractional > 0 ? c.fractional_at : c.outside_at, width = volume.dim(3),
                  height = volume.dim(2);
    fail(ErrorCode::data, "[labels] ", path, ": expected integers from 0 to ", limit - 1, ", got ",
         volume.data<float>()[i], " at voxel (", i % width, ", ", i / width % height, ", ",
         i / (width * height), ")");
  }
  return c.labels;
}

Tensor read_probabilities(const std::string& path, NiftiHeader* header) {
  NiftiHeader own;
  const Tensor volumes = read_volume(path, &own);  // [K, D, H, W]
  refuse_geometry(own, path);
  if (own.extent(3) > 1 && own.volumes() > own.extent(3))
    fail(ErrorCode::data, "[probabilities] ", path,
         ": expected the classes along dim[4] or, behind one time, along dim[5], got a 5-D image with both");
  if (header) *header = own;
  const int64_t classes = volumes.dim(0), voxels = volumes.numel() / classes;
  if (classes < 2)
    fail(ErrorCode::data, "[probabilities] ", path,
         ": expected a 4-D image, a volume a class, got one volume");
  Tensor p = Tensor::empty({volumes.dim(1), volumes.dim(2), volumes.dim(3), classes});
  const float* v = volumes.data<float>();
  float* out = p.mutable_data<float>();
  for (int64_t i = 0; i < voxels; ++i) {
    double sum = 0;
    for (int64_t c = 0; c < classes; ++c) {
      const float value = v[c * voxels + i];
      // The small tolerance allows for f32 rounding.
      if (!(value >= -1e-5f && value <= 1 + 1e-5f))
        fail(ErrorCode::data, "[probabilities] ", path, ": expected values from 0 to 1, got ", value,
             " in class ", c);
      out[i * classes + c] = std::clamp(value, 0.0f, 1.0f);
      sum += value;
    }
    if (std::fabs(sum - 1) > 1e-3)
      fail(ErrorCode::data, "[probabilities] ", path, ": expected classes that add up to 1, got ", sum,
           " at voxel ", i);
  }
  return p;
}

}  // namespace voxgrad
