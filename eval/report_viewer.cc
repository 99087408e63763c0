// The viewer of a case: voxels turned to the patient's axes, packed as text, and the controls that report.js
// drives.
#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>

#include "eval/evaluate.h"
#include "eval/report.h"
#include "eval/statistics.h"
#include "eval/svg.h"
#include "io/png.h"
#include "tensor/math.h"

namespace voxgrad::detail {

namespace {

using nlohmann::json;

/// How the display's axes (x to the patient's left, y to posterior, z to superior: radiological convention)
/// lie in the file's.
struct Orientation {
  bool known = false;
  double oblique_degrees = 0;        ///< largest angle between a file axis and the patient axis it stands for
  std::array<int, 3> axis{0, 1, 2};  ///< file axis of display x, y, z
  std::array<bool, 3> flip{};        ///< display index runs against the file's
};

Orientation orientation_of(const NiftiHeader& header) {
  Orientation o;
  o.known = header.sform_code > 0 || header.qform_code > 0;
  if (!o.known) return o;
  const Affine a = header.affine();
  std::array<std::array<double, 3>, 3> direction{};  // [file axis][world axis], unit vectors
  for (size_t j = 0; j < 3; ++j) {
    double norm = 0;
    for (size_t i = 0; i < 3; ++i) norm += a[i][j] * a[i][j];
    if (norm == 0) return {};
    for (size_t i = 0; i < 3; ++i) direction[j][i] = a[i][j] / std::sqrt(norm);
  }
  // The pairing of file axes with world axes (right, anterior, superior) that follows the directions most
  // closely.
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
    o.flip[w] = (along > 0) != (w == 2);  // the display runs to left, posterior and superior
    o.oblique_degrees =
        std::max(o.oblique_degrees, std::acos(std::min(std::fabs(along), 1.0)) * 180 / 3.14159265358979);
  }
  return o;
}

/// The display's grid: every stride-th voxel of the file's, turned.
class Grid {
 public:
  Grid(const NiftiHeader& header, const Shape& volume) : orientation(orientation_of(header)) {
    const std::array<int64_t, 3> extent{volume[2], volume[1], volume[0]};  // x, y, z of the file
    file_stride_ = {1, volume[2], volume[1] * volume[2]};
    for (size_t d = 0; d < 3; ++d) file_extent[d] = extent[static_cast<size_t>(orientation.axis[d])];
    // Thin the axis with the finest display spacing first, until the volume is small enough.
    for (size_t d = 0; d < 3; ++d) spacing[d] = header.spacing(orientation.axis[d]);
    while (shown(0) * shown(1) * shown(2) > kReportVoxels) {
      size_t finest = 0;
      for (size_t d = 1; d < 3; ++d)
        if (shown(finest) < 2 || (shown(d) > 1 && spacing[d] * static_cast<double>(stride[d]) <
                                                      spacing[finest] * static_cast<double>(stride[finest])))
          finest = d;
      ++stride[finest];
    }
  }

  int64_t shown(size_t d) const { return (file_extent[d] + stride[d] - 1) / stride[d]; }
  bool thinned() const { return stride[0] > 1 || stride[1] > 1 || stride[2] > 1; }

  /// Calls f(flat voxel of the file's [D, H, W] volume) in display order, x fastest.
  template <class F>
  void visit(F&& f) const {
    const auto file_offset = [&](size_t d, int64_t i) {
      const int64_t at = orientation.flip[d] ? file_extent[d] - 1 - i * stride[d] : i * stride[d];
      return at * file_stride_[static_cast<size_t>(orientation.axis[d])];
    };
    for (int64_t z = 0; z < shown(2); ++z)
      for (int64_t y = 0; y < shown(1); ++y)
        for (int64_t x = 0; x < shown(0); ++x) f(file_offset(0, x) + file_offset(1, y) + file_offset(2, z));
  }

  Orientation orientation;
  std::array<int64_t, 3> file_extent{};  ///< voxels of the file along display x, y, z
  std::array<int64_t, 3> stride{1, 1, 1};
  std::array<double, 3> spacing{};  ///< of the file, mm, along display x, y, z

 private:
  std::array<int64_t, 3> file_stride_{};
};

/// Little-endian words as base64, as they are or as runs (word, count), whichever is shorter.
template <class Word>
json packed(const std::vector<Word>& words) {
  constexpr size_t kMaxRun = static_cast<Word>(~Word{0});
  std::vector<Word> runs;
  for (size_t i = 0, end; i < words.size(); i = end) {
    for (end = i; end < words.size() && words[end] == words[i] && end - i < kMaxRun;) ++end;
    runs.push_back(words[i]);
    runs.push_back(static_cast<Word>(end - i));
  }
  const bool by_runs = runs.size() < words.size();
  const std::vector<Word>& chosen = by_runs ? runs : words;
  std::vector<std::byte> bytes;
  for (Word w : chosen)
    for (size_t b = 0; b < sizeof(Word); ++b) bytes.push_back(static_cast<std::byte>(w >> (8 * b)));
  return {{"bits", 8 * sizeof(Word)}, {"runs", by_runs}, {"data", base64(bytes)}};
}

/// A field scaled so that 0 and the largest word mean `low` and `high`.
template <class Word>
json scaled(const Tensor& field, const Grid& grid, double low, double high) {
  constexpr double kTop = static_cast<Word>(~Word{0});
  const double factor = high > low ? kTop / (high - low) : 0;
  const float* v = field.data<float>();
  std::vector<Word> words;
  grid.visit([&](int64_t i) {
    const double value = std::isfinite(v[i]) ? v[i] : low;
    words.push_back(static_cast<Word>(std::lround(std::clamp((value - low) * factor, 0.0, kTop))));
  });
  json out = packed(words);
  out["low"] = low;
  out["high"] = high;
  return out;
}

json label_map(const Tensor& labels, const Grid& grid) {
  const int32_t* y = labels.data<int32_t>();
  std::vector<uint8_t> words;
  grid.visit([&](int64_t i) { words.push_back(static_cast<uint8_t>(std::clamp(y[i], 0, 255))); });
  return packed(words);
}

/// The first window: the 0.5 and 99.5 percentiles of the image in the box around the foreground, half as
/// large again; of the whole image where there is no foreground.
std::pair<double, double> first_window(const ReportCase& c, const Grid& grid) {
  std::vector<double> near, all;
  const float* v = c.image.data<float>();
  std::array<int64_t, 3> begin{INT64_MAX, INT64_MAX, INT64_MAX}, end{-1, -1, -1};
  const auto is_foreground = [&](int64_t i) {
    return (c.truth.defined() && c.truth.data<int32_t>()[i] > 0) ||
           (c.mask.defined() && c.mask.data<int32_t>()[i] > 0);
  };
  const int64_t H = c.image.dim(1), W = c.image.dim(2);
  const auto place = [&](int64_t i) { return std::array<int64_t, 3>{i / (H * W), i / W % H, i % W}; };
  grid.visit([&](int64_t i) {
    if (!is_foreground(i)) return;
    for (size_t d = 0; d < 3; ++d) {
      begin[d] = std::min(begin[d], place(i)[d]);
      end[d] = std::max(end[d], place(i)[d]);
    }
  });
  grid.visit([&](int64_t i) {
    if (!std::isfinite(v[i])) return;
    all.push_back(v[i]);
    bool inside = end[0] >= 0;
    for (size_t d = 0; d < 3 && inside; ++d) {
      const int64_t margin = (end[d] - begin[d]) / 4 + 2, at = place(i)[d];
      inside = at >= begin[d] - margin && at <= end[d] + margin;
    }
    if (inside) near.push_back(v[i]);
  });
  if (near.size() < 100) near = all;
  if (near.empty()) return {0, 1};
  return {quantile(near, 0.005), quantile(near, 0.995)};
}

json case_data(const ReportCase& c, const Grid& grid, const std::vector<std::string>& class_names) {
  const Affine a = c.header.affine();
  json out = {{"name", c.name},
              {"unit", c.image_unit},
              {"classes", class_names},
              {"shape", {grid.shown(0), grid.shown(1), grid.shown(2)}},
              {"mm", json::array()},
              {"axis", grid.orientation.axis},
              {"flip", grid.orientation.flip},
              {"stride", grid.stride},
              {"extent", grid.file_extent},
              {"oriented", grid.orientation.known},
              {"affine", {a[0], a[1], a[2]}}};
  for (size_t d = 0; d < 3; ++d) out["mm"].push_back(grid.spacing[d] * static_cast<double>(grid.stride[d]));
  json colours = json::array();
  for (size_t k = 1; k < std::max<size_t>(class_names.size(), 2); ++k) colours.push_back(class_colour(k));
  out["colours"] = colours;
  double low = INFINITY, high = -INFINITY;
  const float* v = c.image.data<float>();
  grid.visit([&](int64_t i) {
    if (!std::isfinite(v[i])) return;
    low = std::min<double>(low, v[i]);
    high = std::max<double>(high, v[i]);
  });
  if (!(low <= high)) low = high = 0;
  out["image"] = scaled<uint16_t>(c.image, grid, low, high);
  out["window"] = first_window(c, grid);
  if (c.truth.defined()) out["truth"] = label_map(c.truth, grid);
  if (c.mask.defined()) out["mask"] = label_map(c.mask, grid);
  json maps = json::array();
  if (c.entropy.defined()) {
    json map = scaled<uint8_t>(c.entropy, grid, 0,
                               math::log(static_cast<double>(std::max<size_t>(class_names.size(), 2))));
    map["name"] = "Entropy";
    maps.push_back(std::move(map));
  }
  if (c.mutual_information.defined()) {
    double top = 0;
    for (int64_t i = 0; i < c.mutual_information.numel(); ++i)
      top = std::max<double>(top, c.mutual_information.data<float>()[i]);
    // The scale ends at a round number above the largest value.
    const std::vector<double> ticks = nice_ticks(0, std::max(top, 0.01), 4);
    const double step = ticks.size() > 1 ? ticks[1] : 0.01;
    json map = scaled<uint8_t>(c.mutual_information, grid, 0, std::ceil(std::max(top, 0.01) / step) * step);
    map["name"] = "Mutual information";
    maps.push_back(std::move(map));
  }
  out["maps"] = maps;
  return out;
}

/// Volumes (mL; areas in mm^2 of a 2-D image) and Dice of each class.
std::string class_table(const ReportCase& c, const std::vector<std::string>& class_names) {
  const Spacing mm = spacing_of(c.header);
  const Shape& shape = c.image.shape();
  const bool flat = shape[0] == 1 || shape[1] == 1 || shape[2] == 1;
  double unit = flat ? 1 : 1e-3;
  for (int d = 0; d < 3; ++d)
    if (!flat || shape[d] > 1) unit *= mm[static_cast<size_t>(d)];
  const auto size = [&](const Tensor& labels, size_t k) -> std::string {
    if (!labels.defined()) return "\u2013";
    const int32_t* y = labels.data<int32_t>();
    const auto n = std::count(y, y + labels.numel(), static_cast<int32_t>(k));
    return n == 0 ? "0" : label_of(static_cast<double>(n) * unit, 3);
  };
  const std::string measure =
      flat ? "area <span class=\"unit\">mm\u00b2</span>" : "volume <span class=\"unit\">mL</span>";
  std::string out =
      "<table class=\"numbers legend\"><thead><tr><th scope=\"col\">Class</th><th scope=\"col\">Truth, " +
      measure + "</th><th scope=\"col\">Prediction, " + measure +
      "</th><th scope=\"col\">Dice <span class=\"unit\">%</span></th></tr></thead><tbody>";
  ClassScores scores{std::vector<Score>(class_names.size()), std::nullopt};
  if (c.truth.defined() && c.mask.defined())
    scores = dice(c.mask, c.truth, static_cast<int>(class_names.size()));
  for (size_t k = 1; k < class_names.size(); ++k) {
    out += "<tr><th scope=\"row\"><span class=\"swatch\" style=\"background:" + std::string(class_colour(k)) +
           "\"></span>" + escape_markup(class_names[k]) + "</th><td>" + size(c.truth, k) + "</td><td>" +
           size(c.mask, k) + "</td><td>" +
           (scores.per_class[k] ? label_of(std::round(*scores.per_class[k] * 1000) / 10) : "\u2013") +
           "</td></tr>";
  }
  return out + "</tbody></table>";
}

std::string plane(const char* id, const std::string& name) {
  return std::string("<figure class=\"plane\" data-plane=\"") + id +
         "\"><canvas tabindex=\"0\" role=\"img\" aria-label=\"" + name +
         " slice; arrow keys change the slice\"></canvas><figcaption><span class=\"plane-name\">" + name +
         "</span><input type=\"range\" min=\"0\" step=\"1\" aria-label=\"" + name +
         " slice\"><output></output></figcaption></figure>";
}

std::string checkbox(const char* role, const char* label, bool on) {
  return std::string("<label class=\"check\"><input type=\"checkbox\" data-role=\"") + role + "\"" +
         (on ? " checked" : "") + ">" + label + "</label>";
}

std::string range(const char* role, const char* label, const char* attributes) {
  return std::string("<label class=\"range\">") + label + "<input type=\"range\" data-role=\"" + role +
         "\" " + attributes + "><output></output></label>";
}

}  // namespace

std::string_view class_colour(size_t class_index) {
  // Okabe and Ito's colours in the order in which they stand out from grey.
  static constexpr std::array<std::string_view, 7> kColours = {"#e69f00", "#56b4e9", "#cc79a7", "#2fd0a0",
                                                               "#f0e442", "#ff6a13", "#4d8dff"};
  return kColours[(class_index - 1) % kColours.size()];
}

std::string viewer(const ReportCase& c, size_t index, const std::vector<std::string>& class_names) {
  const Grid grid(c.header, c.image.shape());
  const bool known = grid.orientation.known;
  std::string planes, count;
  const std::array<std::array<size_t, 2>, 3> in_plane = {{{0, 1}, {0, 2}, {1, 2}}};
  constexpr std::array<const char*, 3> kIds = {"axial", "coronal", "sagittal"};
  constexpr std::array<const char*, 3> kNames = {"Axial", "Coronal", "Sagittal"};
  constexpr std::array<const char*, 3> kAxes = {"xy", "xz", "yz"};
  const size_t flat_axes = static_cast<size_t>((grid.file_extent[0] == 1) + (grid.file_extent[1] == 1) +
                                               (grid.file_extent[2] == 1));
  for (size_t p = 0; p < 3; ++p)
    if (flat_axes == 0 || (grid.file_extent[in_plane[p][0]] > 1 && grid.file_extent[in_plane[p][1]] > 1))
      planes += plane(kIds[p], known ? kNames[p] : kAxes[p] + std::string(" plane"));

  std::string notes;
  if (!known)
    notes += "The file states no orientation: shown as stored, without letters. ";
  else if (grid.orientation.oblique_degrees > 5)
    notes += "The grid is turned by up to " + label_of(std::round(grid.orientation.oblique_degrees), 3) +
             "\u00b0 against the patient\u2019s axes: letters name the nearest direction. ";
  if (grid.thinned())
    notes +=
        "Shown at every " + std::to_string(grid.stride[0]) + " \u00d7 " + std::to_string(grid.stride[1]) +
        " \u00d7 " + std::to_string(grid.stride[2]) +
        "-th voxel (display axes x, y, z) to keep the page small; volumes and scores are of all voxels. ";

  const Shape& s = c.image.shape();
  const Spacing mm = spacing_of(c.header);
  const std::string id = "case-" + std::to_string(index);
  std::string out = "<section class=\"case\" id=\"" + id + "\"><h3>" + escape_markup(c.name) +
                    "</h3><p class=\"small\">" + std::to_string(s[2]) + " \u00d7 " + std::to_string(s[1]) +
                    " \u00d7 " + std::to_string(s[0]) + " voxels of " + label_of(mm[2], 3) + " \u00d7 " +
                    label_of(mm[1], 3) + " \u00d7 " + label_of(mm[0], 3) + " mm. " + notes +
                    "</p><div class=\"viewer\"><div class=\"controls\"><div class=\"group\">";
  if (c.mask.defined()) out += checkbox("mask", "<span class=\"thin\"></span>Prediction", true);
  if (c.truth.defined()) out += checkbox("truth", "<span class=\"broad\"></span>Truth", true);
  out += checkbox("cross", "Cross-hair", false) + checkbox("smooth", "Interpolate", true) + "</div>";
  if (c.entropy.defined() || c.mutual_information.defined()) {
    out +=
        "<div class=\"group\"><label class=\"choice\">Uncertainty<select data-role=\"map\"><option "
        "value=\"-1\">off</option>";
    int option = 0;
    for (const auto& [name, map] : {std::pair<const char*, const Tensor*>{"entropy", &c.entropy},
                                    {"mutual information", &c.mutual_information}})
      if (map->defined()) {
        out += "<option value=\"" + std::to_string(option) + "\"" + (option == 0 ? " selected" : "") + ">" +
               name + "</option>";
        ++option;
      }
    out += "</select></label>" + range("opacity", "Opacity", "min=\"0\" max=\"100\" value=\"60\"") +
           "<span class=\"bar\" aria-hidden=\"true\"><span class=\"bar-low\">0</span><canvas width=\"120\" "
           "height=\"10\"></canvas><span class=\"bar-high\"></span></span></div>";
  }
  std::string presets;
  if (c.image_unit == "HU")
    presets =
        "<label class=\"choice\">CT window<select data-role=\"preset\"><option value=\"\">as "
        "found</option><option "
        "value=\"80,40\">brain 80/40</option><option value=\"400,40\">soft tissue 400/40</option><option "
        "value=\"1500,-600\">lung 1500/\u2212600</option><option value=\"1800,400\">bone "
        "1800/400</option></select></label>";
  out += "<div class=\"group\">" + presets + range("window", "Window", "min=\"0\" max=\"1000\" step=\"1\"") +
         range("level", "Level", "min=\"0\" max=\"1000\" step=\"1\"") +
         "<button type=\"button\" data-role=\"reset\">Reset</button></div></div><div class=\"planes\">" +
         planes + "</div><p class=\"readout\" aria-live=\"off\">&nbsp;</p></div>" +
         class_table(c, class_names);
  std::string data = case_data(c, grid, class_names).dump(-1, ' ', false, json::error_handler_t::replace);
  // In a script "<!--" and "<script" change what ends it, too.
  for (size_t at = 0; (at = data.find('<', at)) != std::string::npos;) data.replace(at, 1, "\\u003c");
  return out + "<script type=\"application/json\">" + data + "</script></section>\n";
}

}  // namespace voxgrad::detail
