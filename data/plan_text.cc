// Writes and reads plans: as JSON in model files, as TOML for users.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "data/channels.h"
#include "data/orientation.h"
#include "data/plan.h"
#include "io/json_reason.h"

namespace voxgrad {
namespace {

using nlohmann::json;

// The limits of a plan (docs/audit.md). They allow every plan that plan_network makes from valid options.
// They keep every product of a plan's numbers far below 2^63.
constexpr size_t kMostChannels = 1024, kMostClasses = 1 << 16, kMostStages = 32, kLongestName = 1000;
constexpr double kFinestSpacing = 1e-6, kCoarsestSpacing = 1e4;  // mm
constexpr int64_t kMostExtent = 1 << 20, kMostPatchEdge = 1 << 16, kMostPatchVoxels = int64_t{1} << 31;
constexpr int64_t kMostStride = 16, kMostFeatures = 4096, kMostBatch = 1024;
constexpr double kMostIntensity = 1e30, kLeastDeviation = 1e-30;

/// Reads the fields of a plan and checks them. Every error names the source of the text and the field.
class PlanReader {
 public:
  PlanReader(const std::string& text, const std::string& where) : where_(where) {
    try {
      root_ = json::parse(text);
    } catch (const json::exception& e) {
      bad("plan", "JSON, got: " + json_reason(e));
    }
    if (!root_.is_object()) bad("plan", "a JSON object");
  }

  Plan run() {
    Plan p;
    p.version = static_cast<int>(whole(at("version"), "version", 1, kPlanVersion));
    p.dims = static_cast<int>(whole(at("dims"), "dims", 2, 3));
    p.channel_names = texts("channel_names", 1, kMostChannels);
    read_channels(p);
    p.label_names = texts("label_names", 2, kMostClasses);  // the background and at least one class
    const json& spacing = list(at("spacing"), "spacing", 3);
    for (size_t a = 0; a < 3; ++a) {
      p.spacing[a] = spacing[a] == 0 && p.dims == 2 && a == 0
                         ? 0
                         : number(spacing[a], "spacing", kFinestSpacing, kCoarsestSpacing);
    }
    p.median_shape = triple(at("median_shape"), "median_shape", kMostExtent);
    p.patch = triple(at("patch"), "patch", kMostPatchEdge);
    p.batch_size = static_cast<int>(whole(at("batch_size"), "batch_size", 1, kMostBatch));
    p.strides = triples("strides", kMostStride);
    p.kernels = triples("kernels", 3);
    for (const json& f : stages("features"))
      p.features.push_back(static_cast<int>(whole(f, "features", 1, kMostFeatures)));
    p.anisotropic = boolean("anisotropic");
    p.mask_normalisation = boolean("mask_normalisation");
    for (const json& i : list(at("intensity"), "intensity", 0)) {
      if (!i.is_object()) bad("intensity", "objects");
      ChannelIntensity c;
      c.low = number(field(i, "low"), "intensity.low", -kMostIntensity, kMostIntensity);
      c.high = number(field(i, "high"), "intensity.high", c.low, kMostIntensity);
      // The mean is between low and high, up to rounding errors of a long sum.
      const double width = c.high - c.low, slack = 1e-6 * std::max(std::abs(c.low), std::abs(c.high));
      c.mean = number(field(i, "mean"), "intensity.mean", c.low - slack, c.high + slack);
      // A constant channel has the deviation 1.
      c.std = number(field(i, "std"), "intensity.std", kLeastDeviation, std::max(width + slack, 1.0));
      p.intensity.push_back(c);
    }
    check_whole(p);
    return p;
  }

 private:
  template <class... Parts>
  [[noreturn]] void bad(const std::string& name, const Parts&... expected) const {
    fail(ErrorCode::data, "[plan] ", where_, ": ", name, ": expected ", expected...);
  }
  const json& field(const json& object, const std::string& name) const {
    if (!object.contains(name)) bad(name, "a value, it is missing");
    return object.at(name);
  }
  const json& at(const std::string& name) const { return field(root_, name); }
  int64_t whole(const json& j, const std::string& name, int64_t low, int64_t high) const {
    if (!j.is_number_integer()) bad(name, "an integer");
    const bool beyond = j.is_number_unsigned() && j.get<uint64_t>() > static_cast<uint64_t>(high);
    if (beyond || j.get<int64_t>() < low || j.get<int64_t>() > high)
      bad(name, "an integer from ", low, " to ", high, ", got ", j.dump());
    return j.get<int64_t>();
  }
  double number(const json& j, const std::string& name, double low, double high) const {
    if (!j.is_number()) bad(name, "a number");
    const double value = j.get<double>();
    if (!(value >= low && value <= high)) bad(name, "a number from ", low, " to ", high, ", got ", value);
    return value;
  }
  std::string text(const json& j, const std::string& name) const {
    if (!j.is_string()) bad(name, "a string");
    return j.get<std::string>();
  }
  bool boolean(const std::string& name) const {
    if (!at(name).is_boolean()) bad(name, "true or false");
    return at(name).get<bool>();
  }
  const json& list(const json& j, const std::string& name, size_t size) const {
    if (!j.is_array() || (size > 0 && j.size() != size))
      bad(name, size > 0 ? cat("a list of ", size) : "a list");
    return j;
  }
  const json& list(const std::string& name, size_t low, size_t high) const {
    const json& j = list(at(name), name, 0);
    if (j.size() < low || j.size() > high)
      bad(name, "a list of ", low, " to ", high, " entries, got ", j.size());
    return j;
  }
  const json& stages(const std::string& name) const { return list(name, 1, kMostStages); }
  std::vector<std::string> texts(const std::string& name, size_t low, size_t high) const {
    std::vector<std::string> all;
    for (const json& j : list(name, low, high)) {
      all.push_back(text(j, name));
      if (all.back().size() > kLongestName)
        bad(name, "names of at most ", kLongestName, " bytes, got ", all.back().size());
    }
    return all;
  }
  Triple triple(const json& j, const std::string& name, int64_t high) const {
    list(j, name, 3);
    Triple t{};
    for (size_t a = 0; a < 3; ++a) t[a] = whole(j[a], name, 1, high);
    return t;
  }
  std::vector<Triple> triples(const std::string& name, int64_t high) const {
    std::vector<Triple> all;
    for (const json& j : stages(name)) all.push_back(triple(j, name, high));
    return all;
  }
  /// A plan of version 1 has one normalisation for all channels and no axes.
  void read_channels(Plan& p) const {
    if (p.version == 1) {
      const std::string modality = text(at("modality"), "modality");
      if (modality != "mri" && modality != "ct") bad("modality", "mri or ct");
      p.normalisation.assign(p.channel_names.size(), modality == "ct" ? "ct" : "zscore");
      return;
    }
    p.normalisation = texts("normalisation", p.channel_names.size(), p.channel_names.size());
    for (const std::string& n : p.normalisation)
      if (std::find(kNormalisations.begin(), kNormalisations.end(), n) == kNormalisations.end())
        bad("normalisation", "ct, zscore, none, rescale_to_0_1 or rgb_to_0_1, got \"", n, "\"");
    p.axes = text(at("axes"), "axes");
    if (!p.axes.empty() && !names_axes(p.axes))
      bad("axes", "three letters like RAS, or none, got \"", p.axes, "\"");
  }
  void check_whole(const Plan& p) const {
    if (p.strides.size() != p.features.size() || p.kernels.size() != p.features.size())
      bad("strides, kernels, features", "one entry a stage");
    if (p.strides[0] != Triple{1, 1, 1}) bad("strides", "1, 1, 1 in the first stage");
    for (size_t a = 0; a < 3; ++a) {
      int64_t divisor = 1;  // stays below kMostPatchEdge * kMostStride
      for (const Triple& s : p.strides) {
        divisor *= s[a];
        if (p.patch[a] % divisor != 0)
          bad("patch", "a multiple of ", divisor, " along ", "zyx"[a], ", got ", p.patch[a]);
      }
      for (const Triple& k : p.kernels)
        if (k[a] != 1 && k[a] != 3) bad("kernels", "1 or 3");
    }
    if (const int64_t voxels = p.patch[0] * p.patch[1] * p.patch[2]; voxels > kMostPatchVoxels)
      bad("patch", "at most ", kMostPatchVoxels, " voxels, got ", voxels);
    if (p.dims == 2 && p.patch[0] != 1) bad("patch", "a single slice for dims 2");
    if (p.intensity.size() !=
        static_cast<size_t>(std::count(p.normalisation.begin(), p.normalisation.end(), "ct")))
      bad("intensity", "one entry for each channel of normalisation ct");
  }

  std::string where_;
  json root_;
};

/// The shortest text that is read back as the same double. TOML requires a point or an exponent.
std::string shortest(double value) {
  std::array<char, 40> buffer{};
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value).ptr;
  std::string s(buffer.data(), end);
  return s.find_first_of(".en") == std::string::npos ? s + ".0" : s;
}

template <class List, class Text>
std::string joined(const List& list, Text text) {
  std::string s = "[";
  for (size_t i = 0; i < list.size(); ++i) s += (i ? ", " : "") + text(list[i]);
  return s + "]";
}

std::string quoted(const std::string& s) { return json(s).dump(); }
std::string of_triple(const Triple& t) {
  return joined(t, [](int64_t v) { return std::to_string(v); });
}

}  // namespace

std::string plan_to_json(const Plan& plan) {
  nlohmann::ordered_json j;
  j["version"] = kPlanVersion;
  j["dims"] = plan.dims;
  j["channel_names"] = plan.channel_names;
  j["label_names"] = plan.label_names;
  j["normalisation"] = plan.normalisation;
  j["axes"] = plan.axes;
  j["spacing"] = plan.spacing;
  j["median_shape"] = plan.median_shape;
  j["patch"] = plan.patch;
  j["batch_size"] = plan.batch_size;
  j["strides"] = plan.strides;
  j["kernels"] = plan.kernels;
  j["features"] = plan.features;
  j["anisotropic"] = plan.anisotropic;
  j["mask_normalisation"] = plan.mask_normalisation;
  j["intensity"] = nlohmann::ordered_json::array();
  for (const ChannelIntensity& c : plan.intensity)
    j["intensity"].push_back({{"low", c.low}, {"high", c.high}, {"mean", c.mean}, {"std", c.std}});
  return j.dump();
}

Plan plan_from_json(const std::string& text, const std::string& where) {
  return PlanReader(text, where).run();
}

std::string plan_to_toml(const Plan& plan) {
  std::ostringstream out;
  const auto names = [](const std::vector<std::string>& list) { return joined(list, quoted); };
  const auto triples = [](const std::vector<Triple>& list) { return joined(list, of_triple); };
  out << "# A plan of voxgrad. Edit it and train with it: voxgrad train DATASET --plan FILE\n"
      << "# Every triple is in the order z, y, x.\n"
      << "version = " << kPlanVersion << "\n"
      << "dims = " << plan.dims << "  # 2: slices, each a volume of depth one\n"
      << "channel_names = " << names(plan.channel_names) << "\n"
      << "label_names = " << names(plan.label_names) << "\n"
      << "normalisation = " << names(plan.normalisation)
      << "  # for each channel: ct, zscore, none, rescale_to_0_1 or rgb_to_0_1\n"
      << "axes = " << quoted(plan.axes)
      << "  # directions of the axes x, y, z (in this order) of every prepared image\n"
      << "spacing = " << joined(plan.spacing, shortest) << "  # mm; 0: not resampled\n"
      << "median_shape = " << of_triple(plan.median_shape)
      << "  # median of the cropped cases at this spacing\n"
      << "patch = " << of_triple(plan.patch) << "\n"
      << "batch_size = " << plan.batch_size << "\n"
      << "strides = " << triples(plan.strides) << "  # one for each stage\n"
      << "kernels = " << triples(plan.kernels) << "\n"
      << "features = " << joined(plan.features, [](int f) { return std::to_string(f); }) << "\n"
      << "anisotropic = " << (plan.anisotropic ? "true" : "false")
      << "  # true: nearest neighbour along the slice axis\n"
      << "mask_normalisation = " << (plan.mask_normalisation ? "true" : "false")
      << "  # true: z-score without the air\n";
  for (const ChannelIntensity& c : plan.intensity)
    out << "\n[[intensity]]  # foreground of a ct channel: percentiles 0.5 and 99.5; mean and deviation "
           "after "
           "clipping\n"
        << "low = " << shortest(c.low) << "\nhigh = " << shortest(c.high) << "\nmean = " << shortest(c.mean)
        << "\nstd = " << shortest(c.std) << "\n";
  return out.str();
}

}  // namespace voxgrad
