#include "data/description.h"

#include <algorithm>
#include <cctype>

#include "data/channels.h"
#include "data/files.h"
#include "io/file.h"
#include "io/json_reason.h"

namespace voxgrad {
namespace {

using nlohmann::json;

class Reader {
 public:
  Reader(const std::string& folder, std::vector<Problem>& problems) : folder_(folder), problems_(problems) {
    d_.name = file_name_of(folder);
    d_.path = join_path(folder, "dataset.json");
  }

  std::optional<Description> run() {
    if (!is_folder(folder_)) return missing(folder_, "expected a folder with dataset.json");
    if (!file_exists(d_.path))
      return missing(d_.path,
                     "expected the description of the data set: channel_names, labels, file_ending "
                     "(docs/data.md has an example)");
    const std::optional<json> j = parse_json_file(d_.path, "description", problems_);
    if (!j || !read(*j)) return std::nullopt;
    d_.json = *j;
    return std::move(d_);
  }

 private:
  std::optional<Description> missing(const std::string& file, const std::string& text) {
    problems_.push_back({true, "missing-file", "", file, text});
    return std::nullopt;
  }
  bool description_error(const std::string& text) {
    problems_.push_back({true, "description", "", d_.path, text});
    return false;
  }

  bool read(const json& j) {
    if (!j.is_object()) return description_error("expected a JSON object");
    if (j.contains("name") && j["name"].is_string()) d_.name = j["name"].get<std::string>();
    if (j.contains("file_ending")) {
      if (!j["file_ending"].is_string()) return description_error("file_ending: expected a string");
      d_.ending = j["file_ending"].get<std::string>();
      if (image_stem("x" + d_.ending) != "x")
        return description_error("file_ending: expected .nii, .nii.gz or .hdr, got \"" + d_.ending + "\"");
    }
    if (j.contains("numTraining") && j["numTraining"].is_number_integer())
      d_.expected_cases = j["numTraining"];
    return read_channels(j) && read_labels(j);
  }

  /// {"0": name, "1": name, ...} -> names in order.
  bool read_channels(const json& j) {
    const std::string key = j.contains("channel_names") ? "channel_names" : "modality";
    if (!j.contains(key) || !j[key].is_object() || j[key].empty())
      return description_error("channel_names: expected an object of channel number to name");
    std::vector<std::string>& names = d_.channel_names;
    names.assign(j[key].size(), "");
    for (const auto& [number, name] : j[key].items()) {
      const int i = small_integer(number);
      if (i < 0 || i >= static_cast<int>(names.size()) || !name.is_string() ||
          !names[static_cast<size_t>(i)].empty())
        return description_error(
            cat(key, ": expected names for channels 0 to ", names.size() - 1, ", got \"", number, "\""));
      names[static_cast<size_t>(i)] = name.get<std::string>();
    }
    for (const std::string& name : names)
      if (const std::string doubt = channel_name_doubt(name); !doubt.empty())
        problems_.push_back({false, "channel-name", "", d_.path, doubt});
    return true;
  }

  /// name -> integer (nnU-Net) or integer -> name (Decathlon).
  bool read_labels(const json& j) {
    if (!j.contains("labels") || !j["labels"].is_object() || j["labels"].size() < 2)
      return description_error("labels: expected an object with the background and at least one class");
    std::vector<std::string> names(j["labels"].size());
    for (const auto& [key, value] : j["labels"].items()) {
      if (value.is_array())
        return description_error(
            cat("labels: \"", key,
                "\" is a region of several labels (nnU-Net trains a sigmoid for each), which is "
                "not supported; expected one integer a name: list the labels themselves, voxels keep their "
                "numbers"));
      if (!value.is_number_integer() && !value.is_string())
        return description_error(cat("labels: \"", key, "\": expected an integer or a name"));
      const bool by_name = value.is_number_integer();
      const std::string name = by_name ? key : value.get<std::string>();
      const int64_t k = by_name ? value.get<int64_t>() : small_integer(key);
      if (name == "ignore")
        return description_error(
            "labels: \"ignore\" (nnU-Net leaves its voxels out of the loss) is not supported; expected every "
            "voxel "
            "to have a class, or the case to be left out");
      if (k < 0 || k >= static_cast<int64_t>(names.size()) || name.empty() ||
          !names[static_cast<size_t>(k)].empty())
        return description_error(cat("labels: expected the consecutive integers 0 to ", names.size() - 1,
                                     ", got ", by_name ? cat(k) : key, " (\"", name, "\")"));
      names[static_cast<size_t>(k)] = name;
    }
    std::string zero = names[0];
    std::transform(zero.begin(), zero.end(), zero.begin(), [](unsigned char c) { return std::tolower(c); });
    if (zero.find("background") == std::string::npos && zero != "bg" && zero != "unlabeled" &&
        zero != "unlabelled")
      problems_.push_back({false, "no-background", "", d_.path,
                           cat("labels: class 0 is \"", names[0],
                               "\", but class 0 is taken as the background: no score counts its voxels")});
    d_.label_names = names;
    return true;
  }

  const std::string folder_;
  std::vector<Problem>& problems_;
  Description d_;
};

}  // namespace

std::optional<json> parse_json_file(const std::string& path, const std::string& kind,
                                    std::vector<Problem>& problems) {
  std::string why;
  try {
    return json::parse(read_text(path));
  } catch (const json::exception& e) {
    why = cat("expected JSON, got: ", json_reason(e));
  } catch (const Error& e) {
    if (e.code() != ErrorCode::data) throw;
    why = e.what();
  }
  problems.push_back({true, kind, "", path, why});
  return std::nullopt;
}

std::optional<Description> read_description(const std::string& folder, std::vector<Problem>& problems) {
  return Reader(folder, problems).run();
}

}  // namespace voxgrad
