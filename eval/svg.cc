#include "eval/svg.h"

#include <array>
#include <cmath>
#include <cstdio>

namespace voxgrad {

namespace {

/// A length with at most two decimals.
std::string px(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f", value);
  std::string s = text;
  s.erase(s.find_last_not_of('0') + 1);
  if (s.back() == '.') s.pop_back();
  return s == "-0" ? "0" : s;
}

std::string attribute(std::string_view name, std::string_view value) {
  return ' ' + std::string(name) + "=\"" + escape_markup(value) + '"';
}

std::string stroke_attributes(const Stroke& s) {
  std::string out = attribute("stroke", s.colour) + attribute("stroke-width", px(s.width));
  if (!s.dash.empty()) out += attribute("stroke-dasharray", s.dash);
  if (s.opacity < 1) out += attribute("stroke-opacity", px(s.opacity));
  return out;
}

std::string closed(std::string_view element, std::string_view tooltip) {
  if (tooltip.empty()) return "/>\n";
  return "><title>" + escape_markup(tooltip) + "</title></" + std::string(element) + ">\n";
}

}  // namespace

std::string escape_markup(std::string_view text) {
  std::string out;
  for (char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        if (static_cast<unsigned char>(c) >= 0x20 || c == '\n' || c == '\t') out += c;
    }
  }
  return out;
}

std::string_view palette(size_t index) {
  static constexpr std::array<std::string_view, 7> kColours = {"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                                               "#e69f00", "#56b4e9", "#7a6a00"};
  return kColours[index % kColours.size()];
}

std::string label_of(double value, int digits) {
  char text[40];
  const double size = std::fabs(value);
  if (size != 0 && (size < 1e-4 || size >= 1e6)) {
    std::snprintf(text, sizeof text, "%.*e", std::max(digits - 3, 0), value);
    return text;
  }
  std::snprintf(text, sizeof text, "%.*g", digits, value);
  if (std::string_view(text).find('e') != std::string_view::npos)
    std::snprintf(text, sizeof text, "%.0f", value);
  return text[0] == '-' ? "\u2212" + std::string(text + 1) : std::string(text);
}

Svg::Svg(double width, double height, std::string_view title) {
  body_ =
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 " + px(width) + ' ' + px(height) +
      "\" width=\"" + px(width) + "\" height=\"" + px(height) +
      "\" role=\"img\" font-family=\"system-ui, 'Segoe UI', 'Helvetica Neue', Arial, sans-serif\">\n<title>" +
      escape_markup(title) + "</title>\n";
}

void Svg::line(double x1, double y1, double x2, double y2, const Stroke& stroke) {
  body_ += "<line" + attribute("x1", px(x1)) + attribute("y1", px(y1)) + attribute("x2", px(x2)) +
           attribute("y2", px(y2)) + stroke_attributes(stroke) + "/>\n";
}

void Svg::polyline(const std::vector<std::pair<double, double>>& points, const Stroke& stroke) {
  std::string list;
  for (const auto& [x, y] : points) list += px(x) + ',' + px(y) + ' ';
  if (!list.empty()) list.pop_back();
  body_ += "<polyline fill=\"none\" stroke-linejoin=\"round\"" + attribute("points", list) +
           stroke_attributes(stroke) + "/>\n";
}

void Svg::rectangle(double x, double y, double width, double height, std::string_view fill, double opacity,
                    std::string_view tooltip) {
  body_ += "<rect" + attribute("x", px(x)) + attribute("y", px(y)) + attribute("width", px(width)) +
           attribute("height", px(height)) + attribute("fill", fill);
  if (opacity < 1) body_ += attribute("fill-opacity", px(opacity));
  body_ += closed("rect", tooltip);
}

void Svg::circle(double x, double y, double radius, std::string_view fill, std::string_view tooltip) {
  body_ += "<circle" + attribute("cx", px(x)) + attribute("cy", px(y)) + attribute("r", px(radius)) +
           attribute("fill", fill) + closed("circle", tooltip);
}

void Svg::text(double x, double y, std::string_view text, Anchor anchor, double size, std::string_view colour,
               double turn, bool bold) {
  static constexpr std::array<std::string_view, 3> kAnchors = {"start", "middle", "end"};
  body_ += "<text" + attribute("x", px(x)) + attribute("y", px(y)) +
           attribute("text-anchor", kAnchors[static_cast<size_t>(anchor)]) +
           attribute("font-size", px(size)) + attribute("fill", colour);
  if (bold) body_ += " font-weight=\"600\"";
  if (turn != 0) body_ += attribute("transform", "rotate(" + px(turn) + ' ' + px(x) + ' ' + px(y) + ')');
  body_ += '>' + escape_markup(text) + "</text>\n";
}

std::string Svg::str() const { return body_ + "</svg>\n"; }

std::vector<double> nice_ticks(double low, double high, int count) {
  if (!(high > low)) return {low};
  const double raw = (high - low) / count, power = std::pow(10, std::floor(std::log10(raw)));
  double step = power * 10;
  for (double m : {1.0, 2.0, 5.0})
    if (power * m >= raw * (1 - 1e-9)) {
      step = power * m;
      break;
    }
  std::vector<double> ticks;
  for (double k = std::ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; ++k)
    ticks.push_back(k == 0 ? 0 : k * step);
  return ticks;
}

}  // namespace voxgrad
