// Plans as JSON (in model files) and as TOML (for people).
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "data/plan.h"

namespace voxgrad {
namespace {

using nlohmann::json;

/// The fields of a plan, read with checks; every error names where the text came from and the field.
class PlanReader {
 public:
  PlanReader(const std::string& text, const std::string& where) : where_(where) {
    try {
      root_ = json::parse(text);
    } catch (const json::exception& e) {
      bad("plan", std::string("JSON, got ") + e.what());
    }
    if (!root_.is_object()) bad("plan", "a JSON object");
  }

  Plan run() {
    Plan p;
    if (integer(at("version"), "version") != 1) bad("version", "1");
    p.dims = static_cast<int>(integer(at("dims"), "dims"));
    if (p.dims != 2 && p.dims != 3) bad("dims", "2 or 3");
    p.modality = text(at("modality"), "modality");
    if (p.modality != "mri" && p.modality != "ct") bad("modality", "mri or ct");
    p.channel_names = texts("channel_names");
    p.label_names = texts("label_names");
    if (p.label_names.size() < 2) bad("label_names", "the background and at least one class");
    const json& spacing = list(at("spacing"), "spacing", 3);
    for (size_t a = 0; a < 3; ++a) {
      p.spacing[a] = number(spacing[a], "spacing");
      const bool free_axis = p.dims == 2 && a == 0;
      if (!(free_axis ? p.spacing[a] >= 0 : p.spacing[a] > 0)) bad("spacing", "positive numbers");
    }
    p.median_shape = triple(at("median_shape"), "median_shape");
    p.patch = triple(at("patch"), "patch");
    p.batch_size = static_cast<int>(integer(at("batch_size"), "batch_size"));
    if (p.batch_size < 1) bad("batch_size", "at least 1");
    p.strides = triples("strides");
    p.kernels = triples("kernels");
    for (const json& f : list(at("features"), "features", 0)) {
      p.features.push_back(static_cast<int>(integer(f, "features")));
      if (p.features.back() < 1) bad("features", "positive integers");
    }
    p.anisotropic = boolean("anisotropic");
    p.mask_normalisation = boolean("mask_normalisation");
    for (const json& i : list(at("intensity"), "intensity", 0)) {
      if (!i.is_object()) bad("intensity", "objects");
      ChannelIntensity c;
      c.low = number(field(i, "low"), "intensity.low");
      c.high = number(field(i, "high"), "intensity.high");
      c.mean = number(field(i, "mean"), "intensity.mean");
      c.std = number(field(i, "std"), "intensity.std");
      if (!(c.low <= c.high && c.std > 0)) bad("intensity", "low <= high and std > 0");
      p.intensity.push_back(c);
    }
    check_whole(p);
    return p;
  }

 private:
  [[noreturn]] void bad(const std::string& name, const std::string& expected) const {
    fail(ErrorCode::data, "[plan] ", where_, ": ", name, ": expected ", expected);
  }
  const json& field(const json& object, const std::string& name) const {
    if (!object.contains(name)) bad(name, "a value, it is missing");
    return object.at(name);
  }
  const json& at(const std::string& name) const { return field(root_, name); }
  int64_t integer(const json& j, const std::string& name) const {
    if (!j.is_number_integer()) bad(name, "an integer");
    return j.get<int64_t>();
  }
  double number(const json& j, const std::string& name) const {
    if (!j.is_number()) bad(name, "a number");
    return j.get<double>();
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
  std::vector<std::string> texts(const std::string& name) const {
    std::vector<std::string> all;
    for (const json& j : list(at(name), name, 0)) all.push_back(text(j, name));
    if (all.empty()) bad(name, "at least one name");
    return all;
  }
  Triple triple(const json& j, const std::string& name) const {
    list(j, name, 3);
    Triple t{};
    for (size_t a = 0; a < 3; ++a) {
      t[a] = integer(j[a], name);
      if (t[a] < 1) bad(name, "positive integers");
    }
    return t;
  }
  std::vector<Triple> triples(const std::string& name) const {
    std::vector<Triple> all;
    for (const json& j : list(at(name), name, 0)) all.push_back(triple(j, name));
    return all;
  }
  void check_whole(const Plan& p) const {
    if (p.features.empty() || p.strides.size() != p.features.size() || p.kernels.size() != p.features.size())
      bad("strides, kernels, features", "one entry a stage");
    if (p.strides[0] != Triple{1, 1, 1}) bad("strides", "1, 1, 1 in the first stage");
    for (size_t a = 0; a < 3; ++a) {
      int64_t divisor = 1;
      for (const Triple& s : p.strides) divisor *= s[a];
      if (p.patch[a] % divisor != 0) bad("patch", cat("a multiple of ", divisor, " along ", "zyx"[a]));
      for (const Triple& k : p.kernels)
        if (k[a] != 1 && k[a] != 3) bad("kernels", "1 or 3");
    }
    if (p.dims == 2 && p.patch[0] != 1) bad("patch", "a single slice for dims 2");
    if (p.intensity.size() != (p.modality == "ct" ? p.channel_names.size() : 0))
      bad("intensity", "one entry a channel for ct");
  }

  std::string where_;
  json root_;
};

/// The shortest text that reads back as the same double; TOML wants a point or an exponent.
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
  j["version"] = 1;
  j["dims"] = plan.dims;
  j["modality"] = plan.modality;
  j["channel_names"] = plan.channel_names;
  j["label_names"] = plan.label_names;
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
  out << "# A plan of voxgrad. Every triple is in the order z, y, x.\n"
      << "version = 1\n"
      << "dims = " << plan.dims << "  # 2: slices, each a volume of depth one\n"
      << "modality = " << quoted(plan.modality)
      << "  # mri: z-score a case; ct: clip and z-score by the data set\n"
      << "channel_names = " << names(plan.channel_names) << "\n"
      << "label_names = " << names(plan.label_names) << "\n"
      << "spacing = " << joined(plan.spacing, shortest) << "  # mm; 0: kept as it is\n"
      << "median_shape = " << of_triple(plan.median_shape) << "  # of the cropped cases at this spacing\n"
      << "patch = " << of_triple(plan.patch) << "\n"
      << "batch_size = " << plan.batch_size << "\n"
      << "strides = " << triples(plan.strides) << "  # a stage each\n"
      << "kernels = " << triples(plan.kernels) << "\n"
      << "features = " << joined(plan.features, [](int f) { return std::to_string(f); }) << "\n"
      << "anisotropic = " << (plan.anisotropic ? "true" : "false") << "  # slices are resampled apart\n"
      << "mask_normalisation = " << (plan.mask_normalisation ? "true" : "false")
      << "  # z-score without the air\n";
  for (const ChannelIntensity& c : plan.intensity)
    out << "\n[[intensity]]  # foreground of a channel: percentiles .5 and 99.5, then mean and deviation in "
           "between\n"
        << "low = " << shortest(c.low) << "\nhigh = " << shortest(c.high) << "\nmean = " << shortest(c.mean)
        << "\nstd = " << shortest(c.std) << "\n";
  return out.str();
}

}  // namespace voxgrad
