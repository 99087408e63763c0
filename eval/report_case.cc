// Makes the data of a predicted case for the page.
#include "eval/report_case.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "eval/evaluate.h"
#include "eval/report_grid.h"
#include "eval/statistics.h"
#include "eval/svg.h"
#include "io/gzip.h"
#include "io/png.h"
#include "tensor/math.h"

namespace voxgrad {
namespace {

using namespace detail;
using nlohmann::json;

json place_json(const Place& p) { return {p[0], p[1], p[2]}; }

json grid_json(const Grid& g) {
  return {
      {"begin", place_json(g.box.begin)}, {"stride", place_json(g.stride)}, {"shape", place_json(g.shape)}};
}

/// Writes blobs and their descriptions. Each 16-bit word is stored as the difference to the previous word,
/// first the low bytes of all words and then the high bytes, because similar neighbours then compress well.
class Packer {
 public:
  explicit Packer(CaseView& view) : view_(view) {}

  std::string add(const std::vector<uint8_t>& bytes) { return put(bytes.data(), bytes.size()); }
  std::string add(const std::vector<uint16_t>& words) {
    std::vector<uint8_t> bytes(2 * words.size());
    uint16_t before = 0;
    for (size_t i = 0; i < words.size(); ++i) {
      const auto step = static_cast<uint16_t>(words[i] - before);
      bytes[i] = static_cast<uint8_t>(step & 0xff);
      bytes[words.size() + i] = static_cast<uint8_t>(step >> 8);
      before = words[i];
    }
    return put(bytes.data(), bytes.size());
  }

 private:
  std::string put(const uint8_t* bytes, size_t size) {
    const std::string name = std::to_string(view_.blobs.size());
    view_.blobs.emplace_back(name, base64(gzip({reinterpret_cast<const std::byte*>(bytes), size})));
    return name;
  }
  CaseView& view_;
};

/// Converts values to bytes: 0 to 0 and `high` to 255. Values that are not finite become 0.
std::vector<uint8_t> as_bytes(const std::vector<float>& values, double high) {
  std::vector<uint8_t> out;
  for (const float v : values) {
    const double share = std::isfinite(v) && high > 0 ? static_cast<double>(v) / high : 0;
    out.push_back(static_cast<uint8_t>(std::lround(255 * std::clamp(share, 0.0, 1.0))));
  }
  return out;
}

/// Whether a channel's name contains the word "PET", "SUV" or "FDG".
bool is_pet(const std::string& name) {
  std::string word;
  for (const char c : name + ' ') {
    if (std::isalpha(static_cast<unsigned char>(c))) {
      word += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
      continue;
    }
    if (word == "PET" || word == "SUV" || word == "FDG") return true;
    word.clear();
  }
  return false;
}

/// The window that is shown first: the 0.5 and 99.5 percentiles of the finite values. For PET it begins at 0.
std::pair<double, double> first_window(const std::vector<float>& image, bool pet) {
  std::vector<double> values;
  for (const float v : image)
    if (std::isfinite(v)) values.push_back(static_cast<double>(v));
  if (values.empty()) return {0, 1};
  const double low = quantile(values, 0.005), high = quantile(values, 0.995);
  return {pet && low > 0 ? 0 : low, high};
}

/// The encoding of image values as words: value = low + step * word.
struct Scale {
  double low = 0, step = 1;

  /// Whole numbers are encoded exactly. Otherwise a window has at least 1024 steps, if 16 bits allow it.
  static Scale of(const float* v, int64_t n, double window) {
    double low = INFINITY, high = -INFINITY;
    bool whole = true;
    for (int64_t i = 0; i < n; ++i) {
      if (!std::isfinite(v[i])) continue;
      const auto value = static_cast<double>(v[i]);
      low = std::min(low, value);
      high = std::max(high, value);
      whole = whole && value == std::floor(value);
    }
    if (!(high > low)) return {std::isfinite(low) ? low : 0, 1};
    const double finest = (high - low) / 65535;
    if (whole && finest <= 1 && window > 64) return {low, 1};
    return {low, std::max(finest, window / 1024)};
  }
  std::vector<uint16_t> words(const std::vector<float>& values) const {
    std::vector<uint16_t> out;
    for (const float v : values) {
      const double word = std::isfinite(v) ? (static_cast<double>(v) - low) / step : 0;
      out.push_back(static_cast<uint16_t>(std::lround(std::clamp(word, 0.0, 65535.0))));
    }
    return out;
  }
};

/// Builds the view of one case.
class Builder {
 public:
  Builder(const ReportCase& c, const std::vector<std::string>& class_names)
      : case_(c), names_(class_names), display_(c.header), packer_(view_) {}

  CaseView operator()() {
    view_.name = case_.name;
    view_.rank = case_.rank;
    view_.score = case_.score;
    view_.oriented = display_.orientation.known;
    view_.flat = display_.flat();
    view_.measured = view_.oriented || !view_.flat || display_.spacing != std::array<double, 3>{1, 1, 1};
    find_labels();
    choose_grids();
    describe();
    channels();
    label_maps();
    maps();
    probabilities();
    class_sizes();
    notes();
    view_.description = description_.dump(-1, ' ', false, json::error_handler_t::replace);
    return std::move(view_);
  }

 private:
  struct Layer {
    const char* role;
    std::string name;
    Tensor labels;
  };

  void find_labels() {
    const auto take = [&](const char* role, const std::string& name, const Tensor& labels) {
      if (labels.defined()) layers_.push_back({role, name, labels});
    };
    take("solid", "prediction", case_.mask);
    for (size_t i = 0; i < std::min(case_.samples.size(), kReportSamples); ++i)
      take("solid", case_.samples[i].name, case_.samples[i].labels);
    take("dashed", "truth", case_.truth);
    for (size_t i = 0; i < std::min(case_.raters.size(), kReportRaters); ++i)
      take("dashed", case_.raters[i].name, case_.raters[i].labels);
    std::set<int32_t> present;
    for (const Layer& l : layers_) {
      const int32_t* y = l.labels.data<int32_t>();
      int32_t last = 0;
      for (int64_t i = 0; i < l.labels.numel(); ++i)
        if (y[i] != last && (last = y[i]) > 0) present.insert(last);
    }
    for (const int32_t k : present) view_.classes.push_back(static_cast<size_t>(k));
  }

  void choose_grids() {
    std::vector<Tensor> all;
    for (const Layer& l : layers_) all.push_back(l.labels);
    const Box box = box_of(display_, all), everything = whole(display_);
    labels_ = grid_of(box.empty() ? Box{{}, {1, 1, 1}} : box, display_, kReportLabels);
    near_ = grid_of(box.empty() ? everything : grown(box, display_, 10), display_, kReportContext);
    const int64_t most = std::max<int64_t>(kReportFocus / static_cast<int64_t>(case_.channels.size()), 1);
    Box focus = everything;
    if (focus.voxels() > most && !box.empty())
      for (const double margin : {80.0, 40.0, 20.0, 10.0, 5.0, 0.0}) {
        focus = grown(box, display_, margin);
        if (focus.voxels() <= most) break;
      }
    levels_ = {grid_of(focus, display_, most)};
    if (!(focus == everything))
      levels_.push_back(
          grid_of(everything, display_, kReportContext / static_cast<int64_t>(case_.channels.size())));
  }

  void describe() {
    const Affine a = case_.header.affine();
    const auto& d = display_;
    json levels = json::array();
    for (const Grid& g : levels_) levels.push_back(grid_json(g));
    description_ = {
        {"name", case_.name},           {"extent", place_json(d.extent)}, {"mm", d.spacing},
        {"axis", d.orientation.axis},   {"flip", d.orientation.flip},     {"oriented", d.orientation.known},
        {"affine", {a[0], a[1], a[2]}}, {"measured", view_.measured},     {"levels", levels},
        {"box", grid_json(labels_)},    {"classes", view_.classes}};
    const Shape& s = case_.channels.at(0).image.shape();
    const Spacing mm = spacing_of(case_.header);
    const auto three = [](const auto& text) { return text(2) + " \u00d7 " + text(1) + " \u00d7 " + text(0); };
    view_.size = three([&](int k) { return std::to_string(s[k]); }) + " voxels";
    if (view_.measured)
      view_.size += " of " + three([&](int k) { return label_of(mm[static_cast<size_t>(k)], 3); }) + " mm";
    constexpr std::array<std::array<size_t, 2>, 3> kInPlane = {{{0, 1}, {0, 2}, {1, 2}}};
    constexpr std::array<const char*, 3> kIds = {"axial", "coronal", "sagittal"};
    for (size_t p = 0; p < 3; ++p)
      if (!view_.flat || (d.extent[kInPlane[p][0]] > 1 && d.extent[kInPlane[p][1]] > 1))
        view_.planes.emplace_back(kIds[p]);
  }

  void channels() {
    json list = json::array();
    for (const ReportCase::Channel& c : case_.channels) {
      const float* v = c.image.data<float>();
      const bool pet = is_pet(c.name);
      std::vector<std::vector<float>> values;
      for (const Grid& g : levels_) values.push_back(block_means(v, g, display_));
      const auto [low, high] = first_window(block_means(v, near_, display_), pet);
      const Scale scale = Scale::of(v, c.image.numel(), high - low);
      json one = {{"name", c.name},        {"unit", c.unit}, {"low", scale.low},      {"step", scale.step},
                  {"window", {low, high}}, {"inverse", pet}, {"blobs", json::array()}};
      for (const auto& level : values) one["blobs"].push_back(packer_.add(scale.words(level)));
      list.push_back(std::move(one));
    }
    description_["channels"] = std::move(list);
  }

  void label_maps() {
    const bool wide = !view_.classes.empty() && view_.classes.back() > 255;
    json list = json::array();
    for (const Layer& l : layers_) {
      const std::vector<int32_t> y = block_labels(l.labels, labels_, display_);
      list.push_back({{"role", l.role},
                      {"name", l.name},
                      {"bits", wide ? 16 : 8},
                      {"blob", wide ? packer_.add(std::vector<uint16_t>(y.begin(), y.end()))
                                    : packer_.add(std::vector<uint8_t>(y.begin(), y.end()))}});
    }
    description_["labels"] = std::move(list);
  }

  void maps() {
    json list = json::array();
    const auto add = [&](const char* name, const Tensor& field, double high) {
      json one = {{"name", name}, {"high", high}, {"unit", "nats"}, {"blobs", json::array()}};
      for (const Grid& g : levels_)
        one["blobs"].push_back(packer_.add(as_bytes(block_means(field.data<float>(), g, display_), high)));
      list.push_back(std::move(one));
    };
    if (case_.entropy.defined())
      add("entropy", case_.entropy, math::log(static_cast<double>(std::max<size_t>(names_.size(), 2))));
    if (case_.mutual_information.defined()) {
      const float* v = case_.mutual_information.data<float>();
      const double top =
          std::max(static_cast<double>(*std::max_element(v, v + case_.mutual_information.numel())), 0.01);
      // The scale ends at a round number above the largest value.
      const std::vector<double> ticks = nice_ticks(0, top, 4);
      const double step = ticks.size() > 1 ? ticks[1] : 0.01;
      add("mutual information", case_.mutual_information, std::ceil(top / step) * step);
    }
    description_["maps"] = std::move(list);
  }

  /// Adds the probabilities of the classes in the case, the largest class first.
  void probabilities() {
    json list = json::array();
    if (case_.probabilities.defined()) {
      const int64_t voxels = case_.channels[0].image.numel();
      std::vector<std::pair<int64_t, size_t>> order;
      for (const size_t k : view_.classes) {
        if (static_cast<int64_t>(k) >= case_.probabilities.dim(0)) continue;
        int64_t n = 0;
        for (const Layer& l : layers_)
          n += std::count(l.labels.data<int32_t>(), l.labels.data<int32_t>() + voxels,
                          static_cast<int32_t>(k));
        order.emplace_back(-n, k);
      }
      std::sort(order.begin(), order.end());
      const int64_t room = std::min<int64_t>(kReportProbabilities / levels_[0].values(),
                                             static_cast<int64_t>(kReportProbabilityClasses));
      left_out_ = order.size() - std::min(order.size(), static_cast<size_t>(room));
      order.resize(order.size() - left_out_);
      for (const auto& [n, k] : order) {
        const float* p = case_.probabilities.data<float>() + static_cast<int64_t>(k) * voxels;
        list.push_back(
            {{"class", k}, {"blobs", {packer_.add(as_bytes(block_means(p, levels_[0], display_), 1))}}});
      }
    }
    description_["probabilities"] = std::move(list);
  }

  void class_sizes() {
    const Spacing mm = spacing_of(case_.header);
    double unit = view_.flat ? 1 : 1e-3;
    const Shape& shape = case_.channels[0].image.shape();
    for (int d = 0; d < 3; ++d)
      if (!view_.flat || shape[d] > 1) unit *= mm[static_cast<size_t>(d)];
    size_t classes = names_.size();
    if (!view_.classes.empty()) classes = std::max(classes, view_.classes.back() + 1);
    const auto counts = [&](const Tensor& labels) {
      std::vector<int64_t> n(classes);
      if (labels.defined())
        for (int64_t i = 0; i < labels.numel(); ++i)
          ++n[static_cast<size_t>(std::max(labels.data<int32_t>()[i], 0))];
      return n;
    };
    const std::vector<int64_t> truth = counts(case_.truth), mask = counts(case_.mask);
    ClassScores scores{std::vector<Score>(classes), std::nullopt};
    if (case_.truth.defined() && case_.mask.defined())
      scores = dice(case_.mask, case_.truth, static_cast<int>(classes));
    for (size_t k = 1; k < classes; ++k)
      if (truth[k] + mask[k] > 0)
        view_.sizes.push_back({k, unit * static_cast<double>(truth[k]), unit * static_cast<double>(mask[k]),
                               scores.per_class[k]});
  }

  std::string blocks(const Grid& g) const {
    return std::to_string(g.stride[0]) + " \u00d7 " + std::to_string(g.stride[1]) + " \u00d7 " +
           std::to_string(g.stride[2]) + " voxels (display axes x, y, z)";
  }

  void notes() {
    std::string& n = view_.notes;
    if (!view_.measured)
      n += "The file states neither orientation nor size. So the image is shown as stored, without letters "
           "and scale. ";
    else if (!view_.oriented)
      n += "The file states no orientation. So the image is shown as stored, without letters. ";
    else if (display_.orientation.oblique_degrees > 5)
      n += "The grid is rotated by up to " + label_of(std::round(display_.orientation.oblique_degrees), 3) +
           "\u00b0 from the patient\u2019s axes. Letters name the nearest direction. ";
    if (levels_[0].thinned())
      n += std::string("To keep the page small, ") +
           (levels_.size() > 1 ? "image and uncertainty near the labels" : "image and uncertainty") +
           " are means of " + blocks(levels_[0]) + ". ";
    if (levels_.size() > 1)
      n += std::string(
               levels_[0].thinned() ? "" : "Near the labels, image and uncertainty have full resolution. ") +
           "Farther away they are means of " + blocks(levels_[1]) + ". ";
    n += labels_.thinned()
             ? "Contours show one voxel of every " + blocks(labels_) + ". Volumes and scores use all voxels. "
         : levels_.size() > 1 || levels_[0].thinned() ? "Contours have full resolution everywhere. "
                                                      : "";
    if (left_out_ > 0)
      n += "The page has the probabilities of the largest classes only: " + std::to_string(left_out_) +
           (left_out_ == 1 ? " class has none. " : " classes have none. ");
    if (case_.raters.size() > kReportRaters)
      n += "The first " + std::to_string(kReportRaters) + " of " + std::to_string(case_.raters.size()) +
           " raters are shown. ";
  }

  const ReportCase& case_;
  const std::vector<std::string>& names_;
  const Display display_;
  CaseView view_;
  Packer packer_;
  std::vector<Layer> layers_;
  std::vector<Grid> levels_;  // near the labels; and the whole volume, if that is larger
  Grid labels_;
  Grid near_;  // region of the first window: the labels and 10 mm around them
  json description_;
  size_t left_out_ = 0;
};

}  // namespace

CaseView view_of(const ReportCase& c, const std::vector<std::string>& class_names) {
  return Builder(c, class_names)();
}

}  // namespace voxgrad
