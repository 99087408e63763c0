#include "data/orientation.h"

#include <algorithm>
#include <cmath>

#include "tensor/core/parallel.h"

namespace voxgrad {
namespace {

constexpr double kTie = 1e-3;

/// Assigns the axes x, y, z to directions of the body: 0 (right-left), 1 (anterior-posterior), 2
/// (superior-inferior).
struct Pairing {
  std::array<size_t, 3> world{0, 1, 2};
  double closeness = -1;  ///< sum of the cosines; 3 if the axes are parallel to those of the body
};

/// Unit vectors of the axes, [world][axis]. A vector is 0 if the affine gives no direction.
std::array<std::array<double, 3>, 3> directions(const NiftiHeader& header) {
  const Affine a = header.affine();
  std::array<std::array<double, 3>, 3> unit{};
  for (size_t axis = 0; axis < 3; ++axis) {
    const double length = std::hypot(a[0][axis], a[1][axis], a[2][axis]);
    for (size_t world = 0; world < 3 && length > 0; ++world) unit[world][axis] = a[world][axis] / length;
  }
  return unit;
}

/// The six pairings, the closest first. The identity comes before others that are equally close.
std::array<Pairing, 6> pairings(const std::array<std::array<double, 3>, 3>& unit) {
  std::array<Pairing, 6> all{};
  std::array<size_t, 3> world{0, 1, 2};
  for (Pairing& p : all) {
    p.world = world;
    p.closeness = 0;
    for (size_t axis = 0; axis < 3; ++axis) p.closeness += std::fabs(unit[world[axis]][axis]);
    std::next_permutation(world.begin(), world.end());
  }
  std::stable_sort(all.begin(), all.end(),
                   [](const Pairing& a, const Pairing& b) { return a.closeness > b.closeness; });
  return all;
}

std::string letters_of(const Pairing& p, const std::array<std::array<double, 3>, 3>& unit) {
  std::string letters;
  for (size_t axis = 0; axis < 3; ++axis)
    letters += unit[p.world[axis]][axis] < 0 ? "LPI"[p.world[axis]] : "RAS"[p.world[axis]];
  return letters;
}

/// The index of a letter's direction among R, A, S, and whether the letter is the opposite (L, P, I).
std::pair<size_t, bool> direction(char letter) {
  for (size_t world = 0; world < 3; ++world) {
    if (letter == "RAS"[world]) return {world, false};
    if (letter == "LPI"[world]) return {world, true};
  }
  fail(ErrorCode::internal, "[orientation] expected one of R, L, A, P, S, I, got ", letter);
}

}  // namespace

std::string axis_letters(const NiftiHeader& header) {
  const auto unit = directions(header);
  return letters_of(pairings(unit)[0], unit);
}

bool names_axes(const std::string& text) {
  if (text.size() != 3 || text.find_first_not_of("RASLPI") != std::string::npos) return false;
  return direction(text[0]).first + direction(text[1]).first + direction(text[2]).first == 3 &&
         direction(text[0]).first != direction(text[1]).first &&
         direction(text[1]).first != direction(text[2]).first;
}

std::string tied_axis_letters(const NiftiHeader& header) {
  const auto unit = directions(header);
  for (size_t axis = 0; axis < 3; ++axis)
    if (unit[0][axis] == 0 && unit[1][axis] == 0 && unit[2][axis] == 0) return "";
  const auto all = pairings(unit);
  return all[0].closeness - all[1].closeness <= kTie ? letters_of(all[1], unit) : "";
}

Turn Turn::inverse() const {
  Turn t;
  for (int d = 0; d < 3; ++d) {
    const int from = axis[static_cast<size_t>(d)];
    t.axis[static_cast<size_t>(std::abs(from) - 1)] = from < 0 ? -(d + 1) : d + 1;
  }
  return t;
}

Turn turn_to(const std::string& letters, const NiftiHeader& header) {
  Turn t;
  if (letters.empty() || header.dims.size() < 3) return t;
  const std::string stored = axis_letters(header);
  for (size_t d = 0; d < 3; ++d)
    for (int axis = 0; axis < 3; ++axis) {
      const auto [from, from_opposite] = direction(stored[static_cast<size_t>(axis)]);
      const auto [to, to_opposite] = direction(letters.at(d));
      if (from == to) t.axis[d] = from_opposite == to_opposite ? axis + 1 : -(axis + 1);
    }
  const bool slice = header.extent(2) == 1;
  return slice && std::abs(t.axis[2]) != 3 ? Turn() : t;
}

Tensor turned(const Tensor& volume, const Turn& turn) {
  if (turn.none()) return volume;
  const bool channels = volume.rank() == 4;
  require(volume.rank() == 3 || channels, "[orientation] expected [D, H, W] or [D, H, W, C], got ",
          volume.shape());
  require(volume.dtype() == DType::f32 || volume.dtype() == DType::i32,
          "[orientation] expected elements of 4 bytes");
  const int64_t item = channels ? volume.dim(3) : 1;
  const std::array<int64_t, 3> extent{volume.dim(2), volume.dim(1), volume.dim(0)};  // x, y, z of the file
  const std::array<int64_t, 3> stride{item, item * extent[0], item * extent[0] * extent[1]};
  std::array<int64_t, 3> size{}, step{};  // extent and step of the turned volume's axes in the file
  int64_t begin = 0;
  for (size_t d = 0; d < 3; ++d) {
    const size_t axis = static_cast<size_t>(std::abs(turn.axis[d]) - 1);
    size[d] = extent[axis];
    step[d] = turn.axis[d] < 0 ? -stride[axis] : stride[axis];
    if (turn.axis[d] < 0) begin += (extent[axis] - 1) * stride[axis];
  }
  Tensor out = channels ? Tensor::empty({size[2], size[1], size[0], item}, volume.dtype())
                        : Tensor::empty({size[2], size[1], size[0]}, volume.dtype());
  const auto* const from = static_cast<const uint32_t*>(volume.raw()) + begin;
  auto* const to = static_cast<uint32_t*>(out.raw());
  parallel_for(size[2], [&](int64_t z) {
    for (int64_t y = 0; y < size[1]; ++y) {
      const uint32_t* in = from + z * step[2] + y * step[1];
      uint32_t* row = to + (z * size[1] + y) * size[0] * item;
      for (int64_t x = 0; x < size[0]; ++x, in += step[0])
        for (int64_t i = 0; i < item; ++i) *row++ = in[i];
    }
  });
  return out;
}

}  // namespace voxgrad
