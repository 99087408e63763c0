// Patch and topology of the network by the rules of nnU-Net (Isensee et al. 2021): get_pool_and_conv_props
// and the search for a patch. The patch is bounded by a number of voxels, where nnU-Net bounds the GPU
// memory.
#include <algorithm>
#include <cmath>

#include "data/plan.h"

namespace voxgrad {
namespace {

constexpr int64_t kMinimumEdge = 4;   // smallest edge of the bottleneck
constexpr int64_t kMinimumPatch = 8;  // smallest edge of a patch, except along a single slice
constexpr int64_t kMultiple = 4;      // a patch is a multiple of this along axes that are halved

struct Topology {
  std::vector<Triple> strides, kernels;  // one for each stage
  Triple divisor{1, 1, 1};
};

Topology topology_of(const Triple& patch, std::array<double, 3> spacing, int first_axis, int max_stages) {
  Topology t;
  Triple size = patch, kernel{1, 1, 1};
  t.strides.push_back({1, 1, 1});
  for (size_t a = 0; a < 3; ++a)
    if (patch[a] == 1) spacing[a] = HUGE_VAL;  // the spacing of a single slice is ignored
  const auto within_two = [&](size_t axis, double finest) { return spacing[axis] / finest < 2; };
  while (static_cast<int>(t.strides.size()) < max_stages) {
    std::vector<size_t> halved;
    double finest = HUGE_VAL, finest_of_all = HUGE_VAL;
    for (size_t a = static_cast<size_t>(first_axis); a < 3; ++a) {
      finest_of_all = std::min(finest_of_all, spacing[a]);
      if (size[a] >= 2 * kMinimumEdge) finest = std::min(finest, spacing[a]);
    }
    for (size_t a = static_cast<size_t>(first_axis); a < 3; ++a)
      if (size[a] >= 2 * kMinimumEdge && within_two(a, finest)) halved.push_back(a);
    if (halved.empty() || (halved.size() == 1 && size[halved[0]] < 3 * kMinimumEdge)) break;
    for (size_t a = static_cast<size_t>(first_axis); a < 3; ++a)
      if (within_two(a, finest_of_all)) kernel[a] = 3;
    t.kernels.push_back(kernel);
    Triple stride{1, 1, 1};
    for (const size_t a : halved) {
      stride[a] = 2;
      t.divisor[a] *= 2;
      size[a] = (size[a] + 1) / 2;
      spacing[a] *= 2;
    }
    t.strides.push_back(stride);
  }
  t.kernels.push_back({first_axis > 0 ? 1 : 3, 3, 3});  // the bottleneck has kernels of 3 along every axis
  for (Triple& k : t.kernels)
    for (size_t a = 0; a < 3; ++a)
      if (patch[a] == 1) k[a] = 1;
  return t;
}

int64_t product(const Triple& t) { return t[0] * t[1] * t[2]; }

}  // namespace

void plan_network(Plan& plan, const Triple& shape, const std::array<double, 3>& spacing,
                  const PlanOptions& options) {
  const int first_axis = plan.dims == 2 ? 1 : 0;
  // The first patch has the same length in mm along each axis and as many voxels as a cube with an edge of
  // 256 voxels (2-D: a square with an edge of 2048 pixels). It is cut to the extent of the volume.
  double scale = plan.dims == 2 ? 2048.0 * 2048.0 : 256.0 * 256.0 * 256.0;
  for (size_t a = static_cast<size_t>(first_axis); a < 3; ++a) scale *= spacing[a];
  scale = plan.dims == 2 ? std::sqrt(scale) : std::cbrt(scale);
  const int64_t longest_edge = options.max_patch_edge > 0 ? options.max_patch_edge : INT64_MAX;
  Triple patch{1, 1, 1};
  for (size_t a = static_cast<size_t>(first_axis); a < 3; ++a)
    if (shape[a] > 1)
      patch[a] = std::max(kMinimumPatch,
                          std::min({shape[a], longest_edge, int64_t{std::llround(scale / spacing[a])}}));
  const int64_t budget = plan.dims == 2 ? options.max_patch_pixels : options.max_patch_voxels;
  for (;;) {
    const Topology t = topology_of(patch, spacing, first_axis, static_cast<int>(options.max_stages));
    Triple multiple{}, padded{};
    for (size_t a = 0; a < 3; ++a) {
      multiple[a] = t.divisor[a] > 1 ? std::max(t.divisor[a], kMultiple) : 1;
      padded[a] = (patch[a] + multiple[a] - 1) / multiple[a] * multiple[a];
    }
    // If the patch is too large, shorten the axis of which it covers the largest part of the volume.
    size_t longest = 3;
    for (size_t a = static_cast<size_t>(first_axis); a < 3; ++a)
      if (padded[a] - multiple[a] >= kMinimumPatch &&
          (longest == 3 || padded[a] * shape[longest] > padded[longest] * shape[a]))
        longest = a;
    if (product(padded) <= budget || longest == 3) {
      plan.patch = padded;
      plan.strides = t.strides;
      plan.kernels = t.kernels;
      break;
    }
    patch = padded;
    patch[longest] -= multiple[longest];
  }
  plan.features.clear();
  int64_t features = options.base_features;
  for (size_t stage = 0; stage < plan.strides.size(); ++stage, features *= 2)
    plan.features.push_back(static_cast<int>(std::min<int64_t>(features, options.max_features)));
}

}  // namespace voxgrad
