// Writes SVG pictures. Lengths are in px, texts use a system font, and all texts are escaped.
#pragma once
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace voxgrad {

/// Replaces &, <, >, " and ' in `text` by entities, for HTML and XML. Control characters are removed.
std::string escape_markup(std::string_view text);

/// A colour-blind safe palette (Okabe and Ito 2008). The order keeps similar colours apart. It repeats after
/// seven.
std::string_view palette(size_t index);

/// A number as a label: at most `digits` significant digits, a typographic minus sign, and no exponent
/// between 1e-4 and 1e6.
std::string label_of(double value, int digits = 4);

struct Stroke {
  std::string colour = "#1c2733";
  double width = 1;
  std::string dash = {};  ///< for example "4 3"; empty: solid
  double opacity = 1;
};

enum class Anchor { start, middle, end };

class Svg {
 public:
  /// `title` is the text for screen readers.
  Svg(double width, double height, std::string_view title);
  void line(double x1, double y1, double x2, double y2, const Stroke& stroke);
  void polyline(const std::vector<std::pair<double, double>>& points, const Stroke& stroke);
  void rectangle(double x, double y, double width, double height, std::string_view fill, double opacity = 1,
                 std::string_view tooltip = {});
  void circle(double x, double y, double radius, std::string_view fill, std::string_view tooltip = {});
  /// `turn`: rotation about (x, y), degrees, clockwise.
  void text(double x, double y, std::string_view text, Anchor anchor = Anchor::start, double size = 12,
            std::string_view colour = "#1c2733", double turn = 0, bool bold = false);
  std::string str() const;

 private:
  std::string body_;
};

/// About `count` ticks that cover [low, high]. Their distance is 1, 2 or 5 times a power of ten.
std::vector<double> nice_ticks(double low, double high, int count = 5);

}  // namespace voxgrad
