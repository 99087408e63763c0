#include "eval/report_grid.h"

#include <algorithm>
#include <cmath>

namespace voxgrad::detail {
namespace {

/// Whether the affine is the default of converters of pictures, which does not describe a patient.
bool is_default_of_pictures(const NiftiHeader& header, const Affine& a) {
  if (header.extent(0) > 1 && header.extent(1) > 1 && header.extent(2) > 1) return false;
  for (size_t i = 0; i < 3; ++i)
    for (size_t j = 0; j < 4; ++j)
      if (i != j && a[i][j] != 0) return false;
  return true;
}

}  // namespace

Orientation orientation_of(const NiftiHeader& header) {
  Orientation o;
  const Affine a = header.affine();
  o.known = (header.sform_code > 0 || header.qform_code > 0) && !is_default_of_pictures(header, a);
  if (!o.known) return o;
  std::array<std::array<double, 3>, 3> direction{};  // [file axis][world axis], unit vectors
  for (size_t j = 0; j < 3; ++j) {
    double norm = 0;
    for (size_t i = 0; i < 3; ++i) norm += a[i][j] * a[i][j];
    if (norm == 0) return {};
    for (size_t i = 0; i < 3; ++i) direction[j][i] = a[i][j] / std::sqrt(norm);
  }
  // Finds the pairing of file axes with world axes (right, anterior, superior) that fits the directions best.
  std::array<int, 3> order{0, 1, 2};
  double best = -1;
  do {
    double sum = 0;
    for (size_t w = 0; w < 3; ++w) sum += std::fabs(direction[static_cast<size_t>(order[w])][w]);
    if (sum > best) {
      best = sum;
      o.axis = order;
    }
  } while (std::next_permutation(order.begin(), order.end()));
  for (size_t w = 0; w < 3; ++w) {
    const double along = direction[static_cast<size_t>(o.axis[w])][w];
    o.flip[w] = (along > 0) != (w == 2);  // the display goes to left, posterior and superior
    o.oblique_degrees =
        std::max(o.oblique_degrees, std::acos(std::min(std::fabs(along), 1.0)) * 180 / 3.14159265358979);
  }
  return o;
}

Display::Display(const NiftiHeader& header) : orientation(orientation_of(header)) {
  const Place file_stride{1, header.extent(0), header.extent(0) * header.extent(1)};
  for (size_t d = 0; d < 3; ++d) {
    const int axis = orientation.axis[d];
    extent[d] = header.extent(axis);
    spacing[d] = header.spacing(axis);
    for (int64_t i = 0; i < extent[d]; ++i)
      offset_[d].push_back((orientation.flip[d] ? extent[d] - 1 - i : i) *
                           file_stride[static_cast<size_t>(axis)]);
  }
}

int64_t Box::voxels() const { return (end[0] - begin[0]) * (end[1] - begin[1]) * (end[2] - begin[2]); }

Box whole(const Display& display) { return {{}, display.extent}; }

Box box_of(const Display& display, const std::vector<Tensor>& labels) {
  Box box{display.extent, {}};
  for (const Tensor& t : labels) {
    const int32_t* y = t.data<int32_t>();
    for (int64_t z = 0; z < display.extent[2]; ++z)
      for (int64_t r = 0; r < display.extent[1]; ++r)
        for (int64_t x = 0; x < display.extent[0]; ++x) {
          const Place at{x, r, z};
          if (y[display.voxel(at)] <= 0) continue;
          for (size_t d = 0; d < 3; ++d) {
            box.begin[d] = std::min(box.begin[d], at[d]);
            box.end[d] = std::max(box.end[d], at[d] + 1);
          }
        }
  }
  return box.empty() ? Box{} : box;
}

Box grown(const Box& box, const Display& display, double mm) {
  Box out;
  for (size_t d = 0; d < 3; ++d) {
    const auto margin = static_cast<int64_t>(std::ceil(std::min(mm / display.spacing[d], 1e6)));
    out.begin[d] = std::max<int64_t>(box.begin[d] - margin, 0);
    out.end[d] = std::min(box.end[d] + margin, display.extent[d]);
  }
  return out;
}

Grid grid_of(const Box& box, const Display& display, int64_t most) {
  Grid g{box, {1, 1, 1}, {}};
  const auto measure = [&] {
    for (size_t d = 0; d < 3; ++d) g.shape[d] = (box.end[d] - box.begin[d] + g.stride[d] - 1) / g.stride[d];
  };
  const auto mm = [&](size_t d) { return display.spacing[d] * static_cast<double>(g.stride[d]); };
  for (measure(); g.values() > most; measure()) {
    size_t finest = 3;
    for (size_t d = 0; d < 3; ++d)
      if (g.shape[d] > 1 && (finest == 3 || mm(d) < mm(finest))) finest = d;
    if (finest == 3) break;
    ++g.stride[finest];
  }
  return g;
}

namespace {

/// Calls f(block, begin, end) for every block, x fastest.
template <class F>
void for_blocks(const Grid& g, F&& f) {
  for (int64_t z = 0; z < g.shape[2]; ++z)
    for (int64_t y = 0; y < g.shape[1]; ++y)
      for (int64_t x = 0; x < g.shape[0]; ++x) {
        const Place block{x, y, z};
        Place begin, end;
        for (size_t d = 0; d < 3; ++d) {
          begin[d] = g.box.begin[d] + block[d] * g.stride[d];
          end[d] = std::min(begin[d] + g.stride[d], g.box.end[d]);
        }
        f(begin, end);
      }
}

}  // namespace

std::vector<float> block_means(const float* field, const Grid& grid, const Display& display) {
  std::vector<float> out;
  out.reserve(static_cast<size_t>(grid.values()));
  for_blocks(grid, [&](const Place& begin, const Place& end) {
    double sum = 0;
    int64_t n = 0;
    for (int64_t z = begin[2]; z < end[2]; ++z)
      for (int64_t y = begin[1]; y < end[1]; ++y)
        for (int64_t x = begin[0]; x < end[0]; ++x)
          if (const float v = field[display.voxel({x, y, z})]; std::isfinite(v)) {
            sum += static_cast<double>(v);
            ++n;
          }
    out.push_back(n > 0 ? static_cast<float>(sum / static_cast<double>(n)) : NAN);
  });
  return out;
}

std::vector<int32_t> block_labels(const Tensor& labels, const Grid& grid, const Display& display) {
  const int32_t* y = labels.data<int32_t>();
  std::vector<int32_t> out;
  out.reserve(static_cast<size_t>(grid.values()));
  for_blocks(grid, [&](const Place& begin, const Place&) { out.push_back(y[display.voxel(begin)]); });
  return out;
}

}  // namespace voxgrad::detail
