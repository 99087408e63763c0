#include "eval/class_colours.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "tensor/core/error.h"

namespace voxgrad {
namespace {

/// Lightness and the two colour axes of Oklab (Ottosson 2020). Its distances agree with perceived
/// differences.
struct Oklab {
  double l, a, b;
};

Oklab oklab_of(const std::array<int, 3>& rgb) {
  std::array<double, 3> c{};
  for (size_t i = 0; i < 3; ++i) {
    const double v = rgb[i] / 255.0;
    c[i] = v <= 0.04045 ? v / 12.92 : std::pow((v + 0.055) / 1.055, 2.4);
  }
  const double l = std::cbrt(0.4122214708 * c[0] + 0.5363325363 * c[1] + 0.0514459929 * c[2]),
               m = std::cbrt(0.2119034982 * c[0] + 0.6806995451 * c[1] + 0.1073969566 * c[2]),
               s = std::cbrt(0.0883024619 * c[0] + 0.2817188376 * c[1] + 0.6299787005 * c[2]);
  return {0.2104542553 * l + 0.7936177850 * m - 0.0040720468 * s,
          1.9779984951 * l - 2.4285922050 * m + 0.4505937099 * s,
          0.0259040371 * l + 0.7827717662 * m - 0.8086757660 * s};
}

double squared_distance(const Oklab& p, const Oklab& q) {
  return (p.l - q.l) * (p.l - q.l) + (p.a - q.a) * (p.a - q.a) + (p.b - q.b) * (p.b - q.b);
}

/// True for a bright and saturated colour whose hue in Oklab is not between violet (285 degrees) and rose (25
/// degrees).
bool allowed(const Oklab& c) {
  const double chroma = std::hypot(c.a, c.b), hue = std::atan2(c.b, c.a) * 180 / 3.14159265358979;
  return c.l > 0.6 && chroma > 0.07 && (hue < -75 || hue > 25);
}

std::string text_of(const std::array<int, 3>& rgb) {
  constexpr const char* kDigits = "0123456789abcdef";
  std::string out = "#";
  for (const int v : rgb) {
    out += kDigits[v / 16];
    out += kDigits[v % 16];
  }
  return out;
}

}  // namespace

std::vector<std::string> class_colours(size_t n) {
  require(n <= 255, "[colours] expected at most 255 classes, got ", n);
  // Okabe and Ito's colours without the purple one, brightened for contours on dark grey.
  constexpr std::array<std::array<int, 3>, 6> kFirst = {{{0xe6, 0x9f, 0x00},
                                                         {0x56, 0xb4, 0xe9},
                                                         {0x2f, 0xd0, 0xa0},
                                                         {0xf0, 0xe4, 0x42},
                                                         {0xff, 0x6a, 0x13},
                                                         {0x4d, 0x8d, 0xff}}};
  struct Candidate {
    std::array<int, 3> rgb;
    Oklab lab;
    double nearest;  ///< squared distance to the nearest chosen colour
  };
  std::vector<Candidate> candidates;
  constexpr int kStep = 15;
  for (int r = 0; r <= 255; r += kStep)
    for (int g = 0; g <= 255; g += kStep)
      for (int b = 0; b <= 255; b += kStep)
        if (const Oklab lab = oklab_of({r, g, b}); allowed(lab))
          candidates.push_back({{r, g, b}, lab, INFINITY});
  std::vector<std::string> colours;
  while (colours.size() < n) {
    const auto farthest =
        std::max_element(candidates.begin(), candidates.end(),
                         [](const Candidate& x, const Candidate& y) { return x.nearest < y.nearest; });
    const std::array<int, 3> rgb = colours.size() < kFirst.size() ? kFirst[colours.size()] : farthest->rgb;
    colours.push_back(text_of(rgb));
    const Oklab lab = oklab_of(rgb);
    for (Candidate& c : candidates) c.nearest = std::min(c.nearest, squared_distance(c.lab, lab));
  }
  return colours;
}

}  // namespace voxgrad
