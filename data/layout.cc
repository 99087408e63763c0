#include "data/layout.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "io/file.h"

namespace voxgrad {
namespace {

using nlohmann::json;

bool ends_with(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

/// A decimal integer from 0 to 9999; -1 for anything else.
int small_integer(const std::string& text) {
  if (text.empty() || text.size() > 4 || text.find_first_not_of("0123456789") != std::string::npos) return -1;
  return std::stoi(text);
}

class Scan {
 public:
  Scan(const std::string& folder, std::vector<Problem>& problems) : problems_(problems) {
    dataset_.folder = folder;
    dataset_.name = file_name_of(folder);
    path_ = join_path(folder, "dataset.json");
  }

  Dataset run() {
    if (!read_description()) return dataset_;
    if (listed_.empty())
      scan_folders();
    else
      take_list();
    std::sort(dataset_.cases.begin(), dataset_.cases.end(),
              [](const Case& a, const Case& b) { return a.name < b.name; });
    if (dataset_.cases.empty()) error("no-cases", "", dataset_.folder, "expected at least one complete case");
    if (expected_cases_ >= 0 && expected_cases_ != static_cast<int64_t>(dataset_.cases.size()))
      warning("case-count", path_,
              cat("numTraining: expected ", expected_cases_, " cases, found ", dataset_.cases.size()));
    read_splits();
    return dataset_;
  }

 private:
  void error(const std::string& kind, const std::string& case_name, const std::string& file,
             const std::string& text) {
    problems_.push_back({true, kind, case_name, file, text});
  }
  void warning(const std::string& kind, const std::string& file, const std::string& text) {
    problems_.push_back({false, kind, "", file, text});
  }
  bool description_error(const std::string& text) {
    error("description", "", path_, text);
    return false;
  }

  bool parse(const std::string& path, json& out, const std::string& kind) {
    try {
      out = json::parse(read_text(path));
      return true;
    } catch (const json::exception& e) {
      error(kind, "", path, cat("expected JSON, got: ", e.what()));
    } catch (const Error& e) {
      if (e.code() != ErrorCode::data) throw;
      error(kind, "", path, e.what());
    }
    return false;
  }

  bool read_description() {
    if (!is_folder(dataset_.folder)) {
      error("missing-file", "", dataset_.folder, "expected a folder with dataset.json");
      return false;
    }
    if (!file_exists(path_)) {
      error("missing-file", "", path_, "expected the description of the data set");
      return false;
    }
    json j;
    if (!parse(path_, j, "description")) return false;
    if (!j.is_object()) return description_error("expected a JSON object");
    if (j.contains("name") && j["name"].is_string()) dataset_.name = j["name"].get<std::string>();
    if (j.contains("file_ending")) {
      if (!j["file_ending"].is_string()) return description_error("file_ending: expected a string");
      ending_ = j["file_ending"].get<std::string>();
      if (image_stem("x" + ending_) != "x")
        return description_error("file_ending: expected .nii, .nii.gz or .hdr, got \"" + ending_ + "\"");
    }
    if (j.contains("numTraining") && j["numTraining"].is_number_integer()) expected_cases_ = j["numTraining"];
    if (!read_channels(j) || !read_labels(j)) return false;
    return !j.contains("training") || read_list(j["training"]);
  }

  /// {"0": name, "1": name, ...} -> names in order.
  bool read_channels(const json& j) {
    const std::string key = j.contains("channel_names") ? "channel_names" : "modality";
    if (!j.contains(key) || !j[key].is_object() || j[key].empty())
      return description_error("channel_names: expected an object of channel number to name");
    std::vector<std::string>& names = dataset_.channel_names;
    names.assign(j[key].size(), "");
    for (const auto& [number, name] : j[key].items()) {
      const int i = small_integer(number);
      if (i < 0 || i >= static_cast<int>(names.size()) || !name.is_string() ||
          !names[static_cast<size_t>(i)].empty())
        return description_error(
            cat(key, ": expected names for channels 0 to ", names.size() - 1, ", got \"", number, "\""));
      names[static_cast<size_t>(i)] = name.get<std::string>();
    }
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
            cat("labels: \"", key, "\" is a region of several labels; expected exclusive classes"));
      if (!value.is_number_integer() && !value.is_string())
        return description_error(cat("labels: \"", key, "\": expected an integer or a name"));
      const bool by_name = value.is_number_integer();
      const std::string name = by_name ? key : value.get<std::string>();
      const int64_t k = by_name ? value.get<int64_t>() : small_integer(key);
      if (name == "ignore")
        return description_error("labels: the class \"ignore\" of nnU-Net is not supported");
      if (k < 0 || k >= static_cast<int64_t>(names.size()) || name.empty() ||
          !names[static_cast<size_t>(k)].empty())
        return description_error(cat("labels: expected the consecutive integers 0 to ", names.size() - 1,
                                     ", got ", by_name ? cat(k) : key, " (\"", name, "\")"));
      names[static_cast<size_t>(k)] = name;
    }
    dataset_.label_names = names;
    return true;
  }

  /// The Decathlon's list of pairs. nnU-Net's first version has the list too, but names files that are not
  /// there (CASE.nii.gz for CASE_0000.nii.gz): then the folders count.
  bool read_list(const json& list) {
    if (!list.is_array()) return description_error("training: expected a list");
    std::vector<Case> cases;
    bool any_image = false;
    for (const json& entry : list) {
      if (!entry.is_object() || !entry.contains("image") || !entry["image"].is_string() ||
          (entry.contains("label") && !entry["label"].is_string()))
        return description_error("training: expected entries {\"image\": file, \"label\": file}");
      Case c;
      const std::string image = entry["image"].get<std::string>();
      c.name = image_stem(file_name_of(image));
      c.images = {join_path(dataset_.folder, image)};
      if (entry.contains("label")) c.label = join_path(dataset_.folder, entry["label"].get<std::string>());
      any_image |= file_exists(c.images[0]);
      cases.push_back(std::move(c));
    }
    if (any_image || !is_folder(join_path(dataset_.folder, "imagesTr"))) listed_ = std::move(cases);
    return true;
  }

  void take_list() {
    std::set<std::string> names, used;
    for (Case& c : listed_) {
      if (c.name.empty()) {
        error("foreign-file", "", c.images[0], "training: expected a name ending in .nii, .nii.gz or .hdr");
        continue;
      }
      if (!names.insert(c.name).second) {
        error("duplicate", c.name, c.images[0], "training: the case is listed twice");
        continue;
      }
      bool complete = true;
      for (const std::string& file : {c.images[0], c.label}) {
        used.insert(file_name_of(file));
        if (file.empty() || !file_exists(file)) {
          error("missing-file", c.name, file.empty() ? path_ : file,
                file.empty() ? "training: no label" : "the file is not there");
          complete = false;
        }
      }
      if (complete) dataset_.cases.push_back(std::move(c));
    }
    for (const char* part : {"imagesTr", "labelsTr"}) {
      const std::string folder = join_path(dataset_.folder, part);
      if (!is_folder(folder)) continue;
      for (const std::string& file : list_folder(folder))
        if (!image_stem(file).empty() && used.count(file) == 0)
          warning("orphan-file", join_path(folder, file), "the file is not in the list `training`");
    }
  }

  void scan_folders() {
    const std::string images = join_path(dataset_.folder, "imagesTr"),
                      labels = join_path(dataset_.folder, "labelsTr");
    for (const std::string& folder : {images, labels})
      if (!is_folder(folder)) error("missing-file", "", folder, "expected a folder");
    const int channels = static_cast<int>(dataset_.channel_names.size());
    std::map<std::string, std::vector<std::string>> found;  // case -> a file a channel
    std::map<std::string, std::string> label_of;
    if (is_folder(images)) {
      for (const std::string& file : list_folder(images)) {
        if (skipped(file)) continue;
        const std::string path = join_path(images, file);
        const ChannelFile f = parse_channel_file(file);
        if (f.channel < 0 || f.channel >= channels) {
          error("foreign-file", f.case_name, path,
                cat("expected CASE_0000", ending_, " to CASE_", padded(channels - 1), ending_));
          continue;
        }
        auto& slots = found[f.case_name];
        slots.resize(static_cast<size_t>(channels));
        if (ends_with(file, ending_))
          slots[static_cast<size_t>(f.channel)] = path;
        else
          wrong_ending(f.case_name, images, file);
      }
    }
    if (is_folder(labels)) {
      for (const std::string& file : list_folder(labels)) {
        if (skipped(file)) continue;
        const std::string path = join_path(labels, file), name = image_stem(file);
        if (name.empty())
          error("foreign-file", "", path, "expected CASE" + ending_);
        else if (!ends_with(file, ending_))
          wrong_ending(name, labels, file);
        else if (label_of[name] = path; found.count(name) == 0)
          error("orphan-file", name, path, "a label without an image");
      }
    }
    for (const auto& [name, files] : found) {
      bool complete = true;
      for (int channel = 0; channel < channels; ++channel)
        if (files[static_cast<size_t>(channel)].empty()) {
          error("missing-file", name, join_path(images, name + "_" + padded(channel) + ending_),
                "channel \"" + dataset_.channel_names[static_cast<size_t>(channel)] + "\" is not there");
          complete = false;
        }
      if (label_of.count(name) == 0) {
        error("missing-file", name, join_path(labels, name + ending_), "the label is not there");
        complete = false;
      }
      if (complete) dataset_.cases.push_back({name, files, label_of[name]});
    }
  }

  void wrong_ending(const std::string& case_name, const std::string& folder, const std::string& file) {
    const std::string path = join_path(folder, file), twin = image_stem(file) + ending_;
    if (file_exists(join_path(folder, twin)))
      error("duplicate", case_name, path, "the image is there twice: also as " + twin);
    else
      error("foreign-file", case_name, path, "expected the file_ending " + ending_);
  }

  /// Hidden files (macOS leaves them), and the voxels of a pair, which belong to their header.
  bool skipped(const std::string& file) const {
    return file[0] == '.' ||
           (ending_.rfind(".hdr", 0) == 0 && (ends_with(file, ".img") || ends_with(file, ".img.gz")));
  }

  static std::string padded(int channel) {
    const std::string digits = std::to_string(channel);
    return std::string(4 - std::min<size_t>(4, digits.size()), '0') + digits;
  }

  void read_splits() {
    const std::string path = join_path(dataset_.folder, "splits_final.json");
    if (!file_exists(path)) return;
    json j;
    if (!parse(path, j, "splits")) return;
    const auto bad = [&](const std::string& text) {
      error("splits", "", path, text);
      dataset_.splits.clear();
      dataset_.training_splits.clear();
    };
    if (!j.is_array() || j.empty()) return bad("expected a list of folds");
    std::set<std::string> known;
    for (const Case& c : dataset_.cases) known.insert(c.name);
    for (size_t fold = 0; fold < j.size(); ++fold) {
      std::set<std::string> seen;
      for (const char* part : {"train", "val"}) {
        if (!j[fold].is_object() || !j[fold].contains(part) || !j[fold][part].is_array())
          return bad(cat("fold ", fold, ": expected the lists \"train\" and \"val\""));
        std::vector<std::string> names;
        for (const json& name : j[fold][part]) {
          if (!name.is_string()) return bad(cat("fold ", fold, ", ", part, ": expected names of cases"));
          names.push_back(name.get<std::string>());
          if (known.count(names.back()) == 0)
            return bad(cat("fold ", fold, ", ", part, ": there is no case \"", names.back(), "\""));
          if (!seen.insert(names.back()).second)
            return bad(cat("fold ", fold, ": the case \"", names.back(), "\" stands twice"));
        }
        std::sort(names.begin(), names.end());
        (part[0] == 't' ? dataset_.training_splits : dataset_.splits).push_back(std::move(names));
      }
    }
  }

  std::vector<Problem>& problems_;
  Dataset dataset_;
  std::string path_, ending_ = ".nii.gz";
  int64_t expected_cases_ = -1;
  std::vector<Case> listed_;
};

}  // namespace

Dataset scan_dataset(const std::string& folder, std::vector<Problem>& problems) {
  return Scan(folder, problems).run();
}

ChannelFile parse_channel_file(const std::string& file_name) {
  const std::string stem = image_stem(file_name);
  if (stem.size() < 6 || stem[stem.size() - 5] != '_') return {stem, -1};
  const int channel = small_integer(stem.substr(stem.size() - 4));
  if (channel < 0) return {stem, -1};
  return {stem.substr(0, stem.size() - 5), channel};
}

std::string image_stem(const std::string& file_name) {
  if (file_name.empty() || file_name[0] == '.') return "";
  for (const char* end : {".nii.gz", ".nii", ".hdr.gz", ".hdr"})
    if (ends_with(file_name, end)) return file_name.substr(0, file_name.size() - std::string(end).size());
  return "";
}

std::string join_path(const std::string& folder, const std::string& name) {
  if (!name.empty() && name[0] == '/') return name;
  std::string tail = name;
  while (tail.rfind("./", 0) == 0) tail = tail.substr(2);
  if (folder.empty()) return tail;
  return folder.back() == '/' ? folder + tail : folder + "/" + tail;
}

std::string file_name_of(const std::string& path) {
  std::string p = path;
  while (p.size() > 1 && p.back() == '/') p.pop_back();
  const size_t slash = p.rfind('/');
  return slash == std::string::npos || p.size() == 1 ? p : p.substr(slash + 1);
}

}  // namespace voxgrad
