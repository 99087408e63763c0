#include "data/inspect.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <set>

#include "data/case_reader.h"
#include "data/channels.h"
#include "data/nonzero.h"
#include "data/orientation.h"
#include "io/text.h"

namespace voxgrad {
namespace {

constexpr double kForegroundInAir = 0.05;  // part of the foreground in air that gives a warning

/// FNV-1a hash of the voxels. Two different images may have one hash, so equal hashes give only a warning.
uint64_t hash_of(const Tensor& image) {
  uint64_t h = 1469598103934665603ull;
  const float* x = image.data<float>();
  for (int64_t i = 0; i < image.numel(); ++i) {
    uint32_t bits;
    std::memcpy(&bits, x + i, sizeof bits);
    h = (h ^ bits) * 1099511628211ull;
  }
  return h;
}

/// CaseSummary::corner.
std::vector<double> corners_of(const Tensor& image) {
  const int64_t channels = image.dim(3), d = image.dim(0) - 1, h = image.dim(1) - 1, w = image.dim(2) - 1;
  const float* x = image.data<float>();
  std::vector<double> values;
  for (int64_t channel = 0; channel < channels; ++channel) {
    bool equal = true;
    for (int corner = 1; corner < 8; ++corner) {
      const int64_t voxel =
          (((corner & 4) ? d : 0) * (h + 1) + ((corner & 2) ? h : 0)) * (w + 1) + ((corner & 1) ? w : 0);
      equal = equal && x[voxel * channels + channel] == x[channel];
    }
    values.push_back(equal ? double{x[channel]} : 0);
  }
  return values;
}

/// Finds the problems of one case.
class Inspection {
 public:
  Inspection(const Case& c, int classes, std::vector<Problem>& problems)
      : case_(c), classes_(classes), problems_(problems) {}

  void look_at(const LoadedCase& loaded) {
    look_at_annotations(loaded.header);
    if (loaded.label.defined()) look_at_foreground(loaded);
  }

 private:
  void warning(const std::string& kind, const std::string& file, const std::string& text) {
    problems_.push_back({false, kind, case_.name, file, text});
  }

  template <class Load>
  void check(const std::string& kind, const std::string& file, Load&& load) {
    try {
      load();
    } catch (const Error& e) {
      if (e.code() != ErrorCode::data) throw;
      problems_.push_back({true, kind, case_.name, file, e.what()});
    }
  }

  void look_at_annotations(const NiftiHeader& grid) {
    for (const Annotation& a : case_.annotations) {
      Case one = case_;
      one.annotations = {a};
      check("annotation", a.file, [&] { load_annotations(one, classes_, grid); });
    }
    if (!case_.posterior.empty())
      check("posterior", case_.posterior, [&] { load_posterior(case_, classes_, grid); });
  }

  /// Finds foreground where every channel is 0. Outside the non-zero box it is cropped. Inside, a network
  /// cannot distinguish it from air.
  void look_at_foreground(const LoadedCase& c) {
    const int64_t channels = c.image.dim(3), width = c.image.dim(2), height = c.image.dim(1);
    const float* x = c.image.data<float>();
    const int32_t* y = c.label.data<int32_t>();
    const Box box = nonzero_box(c.image);
    const auto inside = [&](int64_t v) {
      const Triple at{v / width / height, v / width % height, v % width};
      for (size_t a = 0; a < 3; ++a)
        if (at[a] < box.begin[a] || at[a] >= box.begin[a] + box.size[a]) return false;
      return true;
    };
    int64_t foreground = 0, in_air = 0, cut = 0;
    for (int64_t v = 0; v < c.label.numel(); ++v) {
      if (y[v] == 0) continue;
      ++foreground;
      if (std::any_of(x + v * channels, x + (v + 1) * channels, [](float f) { return f != 0; })) continue;
      ++in_air;
      cut += !inside(v);
    }
    if (cut == 0 && static_cast<double>(in_air) < kForegroundInAir * static_cast<double>(foreground)) return;
    if (in_air > 0)
      warning("foreground-in-air", case_.label,
              cat(in_air, " of ", foreground, " foreground voxels lie where the image is 0",
                  cut > 0 ? cat("; ", cut, " of them are cropped with the air") : ""));
  }

  const Case& case_;
  int classes_;
  std::vector<Problem>& problems_;
};

bool has_class(const CaseSummary& c, size_t k) { return k < c.class_voxels.size() && c.class_voxels[k] > 0; }

void inspect_classes(const Dataset& d, const std::vector<CaseSummary>& cases,
                     std::vector<Problem>& problems) {
  std::map<std::string, std::string> label_of;
  for (const Case& c : d.cases) label_of[c.name] = c.label;
  std::set<size_t> unused;
  const bool all_read =
      std::none_of(cases.begin(), cases.end(), [](const CaseSummary& c) { return c.class_voxels.empty(); });
  for (size_t k = 1; k < d.label_names.size() && !cases.empty() && all_read; ++k)
    if (std::none_of(cases.begin(), cases.end(), [k](const CaseSummary& c) { return has_class(c, k); })) {
      unused.insert(k);
      problems.push_back(
          {false, "unused-class", "", d.folder, "no case has a voxel of class \"" + d.label_names[k] + "\""});
    }
  for (const CaseSummary& c : cases) {
    bool foreground = false;
    for (size_t k = 1; k < c.class_voxels.size(); ++k) foreground |= has_class(c, k);
    if (!foreground) continue;  // reported when the case was read
    for (size_t k = 1; k < c.class_voxels.size() && k < d.label_names.size(); ++k)
      if (!has_class(c, k) && !unused.contains(k))
        problems.push_back({false, "missing-class", c.name, label_of[c.name],
                            "no voxel of class \"" + d.label_names[k] + "\""});
  }
}

void inspect_images(const Dataset& d, const std::vector<CaseSummary>& cases, std::vector<Problem>& problems) {
  std::map<uint64_t, std::string> seen;
  std::map<std::string, std::string> image_of;
  for (const Case& c : d.cases) image_of[c.name] = c.images[0];
  for (const CaseSummary& c : cases) {
    const auto [other, fresh] = seen.emplace(c.image_hash, c.name);
    if (!fresh)
      problems.push_back(
          {false, "same-image", c.name, image_of[c.name], "the same voxels as case " + other->second});
  }
}

void inspect_intensities(const Dataset& d, const std::vector<CaseSummary>& cases,
                         std::vector<Problem>& problems) {
  std::map<std::string, const Case*> case_of;
  for (const Case& c : d.cases) case_of[c.name] = &c;
  for (const CaseSummary& c : cases)
    for (size_t k = 0; k < d.channel_names.size(); ++k) {
      const std::vector<std::string>& images = case_of.at(c.name)->images;
      const std::string file = images[images.size() == 1 ? 0 : k], how = normalisation_of(d.channel_names[k]);
      if (how != "ct" && k < c.corner.size() && c.corner[k] != 0)
        problems.push_back(
            {false, "air-not-zero", c.name, file,
             cat("all corners of channel ", k, " are ", c.corner[k], ": nothing is cropped as air")});
      if (how == "rgb_to_0_1" && k < c.low.size() && (c.low[k] < 0 || c.high[k] > 255))
        problems.push_back({true, "rgb-range", c.name, file,
                            cat("channel ", k, " (", d.channel_names[k],
                                "): expected values from 0 to 255, got ", c.low[k], " to ", c.high[k])});
    }
}

/// Air is about -1000 HU, so a CT channel without any value below 0 is probably not in Hounsfield units.
void inspect_hounsfield(const Dataset& d, const std::vector<CaseSummary>& cases,
                        std::vector<Problem>& problems) {
  for (size_t k = 0; k < d.channel_names.size(); ++k) {
    if (normalisation_of(d.channel_names[k]) != "ct") continue;
    double low = HUGE_VAL, high = -HUGE_VAL;
    for (const CaseSummary& c : cases)
      if (k < c.low.size()) low = std::min(low, c.low[k]), high = std::max(high, c.high[k]);
    if (low >= 0 && low <= high)
      problems.push_back({false, "not-hounsfield", "", d.folder,
                          cat("channel ", k, " (", d.channel_names[k], "): values from ", low, " to ", high,
                              " in all cases: Hounsfield units of air are below 0; the images may have an "
                              "offset, a window or another scale")});
  }
}

void inspect_grids(const Dataset& d, const std::vector<CaseSummary>& cases, std::vector<Problem>& problems) {
  for (size_t axis = 0; axis < 3 && !cases.empty(); ++axis) {
    if (std::all_of(cases.begin(), cases.end(), [axis](const CaseSummary& c) { return c.shape[axis] == 1; }))
      continue;  // single slices have no spacing
    const auto [low, high] = std::minmax_element(
        cases.begin(), cases.end(),
        [&](const CaseSummary& a, const CaseSummary& b) { return a.spacing[axis] < b.spacing[axis]; });
    if (high->spacing[axis] > 2 * low->spacing[axis])
      problems.push_back({false, "mixed-spacing", "", d.folder,
                          cat("spacing along ", "zyx"[axis], " goes from ", low->spacing[axis], " mm (",
                              low->name, ") to ", high->spacing[axis], " mm (", high->name, ")")});
  }
  std::map<std::string, std::pair<int, std::string>>
      orientations;  // number of cases, and name of the first one
  for (const CaseSummary& c : cases) {
    auto& [count, first] = orientations[c.axes];
    if (count++ == 0) first = c.name;
  }
  if (orientations.size() < 2) return;
  std::string text;
  for (const auto& [letters, which] : orientations)
    text += cat(text.empty() ? "axes run to " : ", ", letters, " in ", which.first, " (", which.second, ")");
  problems.push_back(
      {false, "mixed-orientation", "", d.folder,
       cat(text, ": all are turned to ", kCanonicalAxes, " when they are prepared; are the headers right?")});
}

}  // namespace

std::string Problem::line() const {
  std::string s = kind + ": ";
  if (!case_name.empty()) s += case_name + ": ";
  // Error texts of readers already name the file.
  if (!file.empty() && text.find(file) == std::string::npos) s += file + ": ";
  return s + text;
}

LoadedCase inspect_case(const Case& c, int channels, int classes, std::vector<Problem>& problems,
                        CaseSummary& summary) {
  LoadedCase loaded = read_case(c, channels, classes, problems, summary);
  if (!loaded.image.defined()) return loaded;
  summary.axes = axis_letters(loaded.header);
  summary.image_hash = hash_of(loaded.image);
  summary.corner = corners_of(loaded.image);
  Inspection(c, classes, problems).look_at(loaded);
  return loaded;
}

void inspect_together(const Dataset& dataset, const std::vector<CaseSummary>& cases,
                      std::vector<Problem>& problems) {
  const auto is_ct = [](const std::string& name) { return normalisation_of(name) == "ct"; };
  if (std::all_of(dataset.channel_names.begin(), dataset.channel_names.end(), is_ct))
    std::erase_if(problems, [](const Problem& p) { return p.kind == "foreground-in-air"; });
  inspect_intensities(dataset, cases, problems);
  inspect_hounsfield(dataset, cases, problems);
  inspect_classes(dataset, cases, problems);
  inspect_images(dataset, cases, problems);
  inspect_grids(dataset, cases, problems);
  if (const std::string text = missing_annotations(dataset.cases); !text.empty())
    problems.push_back({false, "missing-annotation", "", dataset.folder, text});
}

void inspect_training(const Dataset& dataset, const std::vector<CaseSummary>& training,
                      const std::vector<CaseSummary>& cases, const std::string& where,
                      std::vector<Problem>& problems) {
  const auto any_has = [](const std::vector<CaseSummary>& of, size_t k) {
    return std::any_of(of.begin(), of.end(), [k](const CaseSummary& c) { return has_class(c, k); });
  };
  for (size_t k = 1; k < dataset.label_names.size(); ++k)
    if (!any_has(training, k) && any_has(cases, k))
      problems.push_back({false, "untrained-class", "", dataset.folder,
                          cat(where, "no training case has a voxel of class \"", dataset.label_names[k],
                              "\": a network cannot learn it")});
}

std::vector<ProblemLine> grouped(const std::vector<Problem>& problems, size_t most) {
  std::vector<ProblemLine> lines;
  std::set<std::pair<bool, std::string>> done;
  for (const Problem& first : problems) {
    if (!done.insert({first.error, first.kind}).second) continue;
    std::set<std::string> cases;
    size_t count = 0;
    for (const Problem& p : problems) {
      if (p.error != first.error || p.kind != first.kind) continue;
      ++count;
      if (!p.case_name.empty()) cases.insert(p.case_name);
      if (p.error && count <= most) lines.push_back({true, p.line()});
    }
    if (first.error) {
      if (count > most)
        lines.push_back({true, cat(first.kind, ": ", count - most, " more (--json lists all)")});
    } else if (count == 1) {
      lines.push_back({false, first.line()});
    } else {
      const std::string in = cases.empty() ? "" : " in " + counted(cases.size(), "case");
      lines.push_back({false, cat(first.kind, ": ", count, " times", in,
                                  ", the first: ", first.line().substr(first.kind.size() + 2))});
    }
  }
  return lines;
}

}  // namespace voxgrad
