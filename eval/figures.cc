#include "eval/figures.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "eval/svg.h"

namespace voxgrad {

namespace {

constexpr const char* kGrid = "#e3e7eb";
constexpr const char* kAxis = "#5b6773";
constexpr const char* kInk = "#1c2733";

/// An axis: maps values to px and has ticks.
struct Axis {
  double low, high, from, to;
  bool logarithmic;
  std::vector<double> ticks;

  static Axis cover(double low, double high, double from, double to, bool logarithmic, int count = 5) {
    Axis a{low, high, from, to, logarithmic, {}};
    if (logarithmic) {
      if (!(a.high > a.low)) a.high = a.low * 2;
      a.ticks = log_ticks(a.low, a.high);
    } else {
      if (!(a.high > a.low)) {
        a.low -= 0.5;
        a.high += 0.5;
      }
      a.ticks = nice_ticks(a.low, a.high, count);
    }
    return a;
  }
  double operator()(double v) const {
    const double share = logarithmic
                             ? (std::log10(v) - std::log10(low)) / (std::log10(high) - std::log10(low))
                             : (v - low) / (high - low);
    return from + share * (to - from);
  }

 private:
  static std::vector<double> log_ticks(double low, double high) {
    const double decades = std::log10(high / low);
    std::vector<double> all, out;
    for (double power = std::floor(std::log10(low)); power <= std::log10(high); ++power)
      for (double m : {1.0, 2.0, 5.0})
        if (decades < 3 || m == 1) all.push_back(m * std::pow(10, power));
    for (double t : all)
      if (t >= low * (1 - 1e-9) && t <= high * (1 + 1e-9)) out.push_back(t);
    return out;
  }
};

struct Frame {
  double left, top, right, bottom;
};

void draw_axes(Svg& svg, const Frame& f, const Axis& x, const Axis& y, const PlotOptions& o) {
  for (double t : y.ticks) {
    svg.line(f.left, y(t), f.right, y(t), {kGrid});
    svg.text(f.left - 8, y(t) + 4, label_of(t), Anchor::end, 11.5, kAxis);
  }
  for (double t : x.ticks) {
    svg.line(x(t), f.bottom, x(t), f.bottom + 4, {kAxis});
    svg.text(x(t), f.bottom + 18, label_of(t), Anchor::middle, 11.5, kAxis);
  }
  svg.line(f.left, f.bottom, f.right, f.bottom, {kAxis});
  if (!o.x_label.empty())
    svg.text((f.left + f.right) / 2, f.bottom + 37, o.x_label, Anchor::middle, 12, kInk);
  if (!o.y_label.empty()) svg.text(f.left, f.top - 12, o.y_label, Anchor::start, 12, kInk);
}

/// The text "10" with an exponent in superscript digits.
std::string power_of_ten(int exponent) {
  static constexpr std::array<const char*, 10> kDigits = {"\u2070", "\u00b9", "\u00b2", "\u00b3", "\u2074",
                                                          "\u2075", "\u2076", "\u2077", "\u2078", "\u2079"};
  std::string out = "10";
  for (char digit : std::to_string(exponent)) out += kDigits[static_cast<size_t>(digit - '0')];
  return out;
}

bool drawable(double x, double y, const PlotOptions& o) {
  return std::isfinite(x) && std::isfinite(y) && (!o.log_x || x > 0) && (!o.log_y || y > 0);
}

/// The points of a curve that can be drawn.
Curve cleaned(const Curve& curve, const PlotOptions& o) {
  Curve out{curve.name, {}, {}};
  for (size_t i = 0; i < std::min(curve.x.size(), curve.y.size()); ++i)
    if (drawable(curve.x[i], curve.y[i], o)) {
      out.x.push_back(curve.x[i]);
      out.y.push_back(curve.y[i]);
    }
  return out;
}

/// Reduces a curve to at most `limit` points, by means of neighbours.
Curve thinned(const Curve& curve, size_t limit) {
  const size_t n = curve.x.size();
  if (n <= limit) return curve;
  Curve out{curve.name, {}, {}};
  for (size_t b = 0; b < limit; ++b) {
    const size_t begin = b * n / limit, end = (b + 1) * n / limit;
    const auto mean = [&](const std::vector<double>& v) {
      return std::accumulate(v.begin() + static_cast<std::ptrdiff_t>(begin),
                             v.begin() + static_cast<std::ptrdiff_t>(end), 0.0) /
             static_cast<double>(end - begin);
    };
    out.x.push_back(mean(curve.x));
    out.y.push_back(mean(curve.y));
  }
  return out;
}

struct Layer {
  Curve curve;
  size_t colour;
  Stroke stroke;
  bool markers;
  bool named;
};

std::string dash_of(size_t index) {
  static const std::vector<std::string> kDashes = {"", "7 3", "2 3", "9 3 2 3"};
  return kDashes[index % kDashes.size()];
}

constexpr double kLegendRow = 18;

constexpr double kLegendSample = 26;  // width of the line sample and of the space before the name

/// The width in px of a curve's entry in the legend.
double legend_width(const Layer& l) {
  return kLegendSample + 6.6 * static_cast<double>(l.curve.name.size()) + 14;
}

/// The curves of each row of the legend.
std::vector<std::vector<const Layer*>> legend_rows(const std::vector<Layer>& layers, double width) {
  std::vector<std::vector<const Layer*>> rows;
  double used = 0;
  for (const Layer& l : layers) {
    if (!l.named) continue;
    if (rows.empty() || used + legend_width(l) > width) {
      rows.emplace_back();
      used = 0;
    }
    rows.back().push_back(&l);
    used += legend_width(l);
  }
  return rows;
}

double legend_width(const std::vector<const Layer*>& row) {
  return std::accumulate(row.begin(), row.end(), 0.0,
                         [](double sum, const Layer* l) { return sum + legend_width(*l); });
}

void draw_legend(Svg& svg, const std::vector<const Layer*>& row, double left, double y) {
  for (const Layer* l : row) {
    svg.line(left, y - 4, left + 20, y - 4, l->stroke);
    svg.text(left + kLegendSample, y, l->curve.name, Anchor::start, 12, kInk);
    left += legend_width(*l);
  }
}

std::string draw(const std::vector<Layer>& layers, const PlotOptions& o) {
  double x_low = INFINITY, x_high = -INFINITY, y_low = INFINITY, y_high = -INFINITY;
  size_t named = 0;
  for (const Layer& l : layers) {
    for (double v : l.curve.x) {
      x_low = std::min(x_low, v);
      x_high = std::max(x_high, v);
    }
    for (double v : l.curve.y) {
      y_low = std::min(y_low, v);
      y_high = std::max(y_high, v);
    }
    named += l.named;
  }
  if (!(x_low <= x_high)) return "";
  if (!o.log_y) {  // adds a margin, and includes zero if it is near
    const double room = 0.06 * (y_high - y_low);
    y_low = y_low >= 0 && y_low < 0.35 * y_high ? 0 : y_low - room;
    y_high += room;
  }
  Frame f{58, o.title.empty() ? 30.0 : 52.0, o.width - 16, o.height - 46};
  // The legend is on the same line as the label of the y axis if it fits. Otherwise it has its own lines
  // above, and the picture becomes higher.
  std::vector<std::vector<const Layer*>> legend;
  if (named > 1)
    legend = legend_rows(layers, f.right - f.left - 7.0 * static_cast<double>(o.y_label.size()) - 8);
  const double first_row = f.top - 12;
  if (legend.size() > 1) {
    legend = legend_rows(layers, f.right - f.left);
    const double room = kLegendRow * static_cast<double>(legend.size());
    f.top += room;
    f.bottom += room;
  }
  const Axis x = Axis::cover(x_low, x_high, f.left + 6, f.right, o.log_x, 6);
  const Axis y = Axis::cover(y_low, y_high, f.bottom, f.top, o.log_y, 5);
  Svg svg(o.width, f.bottom + 46, o.title.empty() ? o.y_label : o.title);
  if (!o.title.empty()) svg.text(0, 16, o.title, Anchor::start, 14, kInk, 0, true);
  draw_axes(svg, f, x, y, o);
  for (size_t row = 0; row < legend.size(); ++row)
    draw_legend(svg, legend[row], legend.size() > 1 ? f.left : f.right - legend_width(legend[row]),
                first_row + kLegendRow * static_cast<double>(row));
  for (const Layer& l : layers) {
    std::vector<std::pair<double, double>> points;
    for (size_t i = 0; i < l.curve.x.size(); ++i) points.emplace_back(x(l.curve.x[i]), y(l.curve.y[i]));
    svg.polyline(points, l.stroke);
    if (l.markers)
      for (size_t i = 0; i < points.size(); ++i)
        svg.circle(points[i].first, points[i].second, 3, l.stroke.colour,
                   l.curve.name + ": " + label_of(l.curve.x[i], 6) + ", " + label_of(l.curve.y[i], 6));
  }
  return svg.str();
}

}  // namespace

size_t smoothing_window(size_t points) { return std::clamp<size_t>(points / 100, 5, 25); }

std::vector<double> smoothed(const std::vector<double>& values, size_t window) {
  std::vector<double> out;
  for (size_t i = 0; i < values.size(); ++i) {
    const size_t before = (window - 1) / 2, begin = i - std::min(i, before),
                 end = std::min(i + (window - before), values.size());
    double sum = 0;
    for (size_t k = begin; k < end; ++k) sum += values[k];
    out.push_back(sum / static_cast<double>(end - begin));
  }
  return out;
}

std::string line_plot(const std::vector<Curve>& curves, const PlotOptions& options) {
  std::vector<Layer> layers;
  for (size_t i = 0; i < curves.size(); ++i)
    layers.push_back(
        {cleaned(curves[i], options), i, {std::string(palette(i)), 1.8, dash_of(i)}, true, true});
  return draw(layers, options);
}

std::string training_plot(const std::vector<Curve>& curves, const PlotOptions& options, size_t window) {
  constexpr size_t kPoints = 400;
  std::vector<Layer> layers;
  for (size_t i = 0; i < curves.size(); ++i) {
    const Curve raw = cleaned(curves[i], options);
    Curve mean = raw;
    mean.y = smoothed(raw.y, window);
    const std::string colour(palette(i));
    layers.push_back({thinned(raw, kPoints), i, {colour, 1, "", 0.3}, false, false});
    layers.push_back({thinned(mean, kPoints), i, {colour, 2, dash_of(i)}, false, true});
  }
  return draw(layers, options);
}

std::string reliability_diagram(const Reliability& bins, const std::string& title,
                                const std::string& region) {
  if (bins.total() == 0) return "";
  constexpr double kWidth = 320, kHeight = 404;
  const Frame f{46, 68, kWidth - 12, 288}, counts{f.left, 316, f.right, 364};
  PlotOptions labels;
  labels.y_label = "Accuracy";
  Svg svg(kWidth, kHeight, "Reliability diagram: " + title + ", " + region);
  svg.text(0, 16, title, Anchor::start, 14, kInk, 0, true);
  svg.text(0, 34, region, Anchor::start, 12, kAxis);
  const Axis x = Axis::cover(0, 1, f.left, f.right, false), y = Axis::cover(0, 1, f.bottom, f.top, false);
  Axis without_ticks = x;  // the ticks are drawn below the counts
  without_ticks.ticks.clear();
  draw_axes(svg, f, without_ticks, y, labels);
  const double step = 1.0 / bins.bins();
  int64_t largest = 1;
  for (int64_t n : bins.count) largest = std::max(largest, n);
  const Axis c = Axis::cover(0.8, static_cast<double>(largest), counts.bottom, counts.top, true);
  for (size_t b = 0; b < bins.count.size(); ++b) {
    if (bins.count[b] == 0) continue;
    const double n = static_cast<double>(bins.count[b]), accuracy = bins.correct[b] / n,
                 confidence = bins.confidence[b] / n, left = x(static_cast<double>(b) * step) + 0.75,
                 width = (f.right - f.left) * step - 1.5;
    const std::string tooltip = "confidence " + label_of(confidence, 3) + ", accuracy " +
                                label_of(accuracy, 3) + ", " + label_of(n, 9) + " voxels";
    // The ECE is the weighted sum of these gaps between confidence and accuracy.
    const double high = std::max(accuracy, confidence), low = std::min(accuracy, confidence);
    svg.rectangle(left, y(low), width, f.bottom - y(low), palette(0), 0.75, tooltip);
    svg.rectangle(left, y(high), width, y(low) - y(high), palette(4), 0.6, tooltip);
    svg.line(left, y(accuracy), left + width, y(accuracy), {std::string(palette(0)), 2});
    svg.rectangle(left, c(n), width, counts.bottom - c(n), "#8a96a3", 1, tooltip);
  }
  svg.line(x(0), y(0), x(1), y(1), {kInk, 1, "4 3"});
  svg.text(f.left + 8, f.top + 14, "Pooled ECE " + label_of(*ece(bins), 3), Anchor::start, 12, kInk);
  svg.line(counts.left, counts.bottom, counts.right, counts.bottom, {kAxis});
  const double decade = std::floor(std::log10(static_cast<double>(largest)));
  for (double power : {0.0, decade}) {
    const double t = std::pow(10, power);
    svg.text(counts.left - 8, c(t) + 4, power < 4 ? label_of(t) : power_of_ten(static_cast<int>(power)),
             Anchor::end, 10.5, kAxis);
    if (decade == 0) break;
  }
  for (double t : x.ticks) svg.text(x(t), counts.bottom + 16, label_of(t), Anchor::middle, 11.5, kAxis);
  svg.text((f.left + f.right) / 2, counts.bottom + 34, "Confidence (largest class probability)",
           Anchor::middle, 12, kInk);
  svg.text(counts.left, counts.top - 3, "Voxels (log scale)", Anchor::start, 11, kAxis);
  return svg.str();
}

std::string case_bars(const std::vector<std::string>& names, const std::vector<double>& values,
                      const PlotOptions& o) {
  if (names.empty() || names.size() != values.size()) return "";
  std::vector<size_t> order(names.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return values[a] > values[b]; });
  size_t longest = 0;
  for (const std::string& n : names) longest = std::max(longest, n.size());
  const bool named = names.size() <= 40;  // more labels would be illegible
  const double foot = named ? std::min(20 + 5.6 * static_cast<double>(longest), 130.0) : 46;
  const Frame f{58, o.title.empty() ? 30.0 : 52.0, o.width - 16, o.height - foot};
  const Axis x = Axis::cover(0, static_cast<double>(names.size()), f.left, f.right, false);
  const Axis y = Axis::cover(0, 1, f.bottom, f.top, false);
  Svg svg(o.width, o.height, o.title.empty() ? o.y_label : o.title);
  if (!o.title.empty()) svg.text(0, 16, o.title, Anchor::start, 14, kInk, 0, true);
  Axis without_ticks = x;
  without_ticks.ticks.clear();
  PlotOptions labels = o;
  if (named) labels.x_label.clear();
  draw_axes(svg, f, without_ticks, y, labels);
  const double slot = (f.right - f.left) / static_cast<double>(names.size()),
               bar = std::min(slot * 0.72, 34.0);
  double sum = 0;
  for (size_t i = 0; i < order.size(); ++i) {
    const double v = values[order[i]], centre = f.left + (static_cast<double>(i) + 0.5) * slot;
    sum += v;
    svg.rectangle(centre - bar / 2, y(v), bar, f.bottom - y(v), palette(0), 0.85,
                  names[order[i]] + ": " + label_of(v, 4));
    if (named) svg.text(centre + 4, f.bottom + 10, names[order[i]], Anchor::end, 10.5, kAxis, -60);
  }
  const double mean = sum / static_cast<double>(values.size());
  svg.line(f.left, y(mean), f.right, y(mean), {std::string(palette(1)), 1.5, "5 3"});
  svg.text(f.right, f.top - 12, "mean " + label_of(mean, 3), Anchor::end, 12, palette(1));
  return svg.str();
}

}  // namespace voxgrad
