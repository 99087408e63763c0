// The layout of the Medical Segmentation Decathlon: dataset.json lists pairs of image and label files. An
// image has all its channels in one 4-D file.
#include <set>

#include "data/files.h"
#include "data/importer.h"
#include "io/file.h"

namespace voxgrad {
namespace {

using nlohmann::json;

bool is_pair(const json& entry) {
  return entry.is_object() && entry.contains("image") && entry["image"].is_string() &&
         (!entry.contains("label") || entry["label"].is_string());
}

// Data sets of nnU-Net's first version also have the list, but it names files that do not exist (CASE.nii.gz
// instead of CASE_0000.nii.gz). They belong to the other importer, which searches the folders.
bool recognises(const std::string& folder, const Description& d) {
  if (!d.json.contains("training")) return false;
  const json& list = d.json["training"];
  if (!list.is_array() || !is_folder(join_path(folder, "imagesTr"))) return true;
  for (const json& entry : list)
    if (!is_pair(entry) || file_exists(join_path(folder, entry["image"].get<std::string>()))) return true;
  return false;
}

std::vector<Case> find_cases(const std::string& folder, const Description& d,
                             std::vector<Problem>& problems) {
  const json& list = d.json["training"];
  const auto error = [&](const std::string& kind, const std::string& name, const std::string& file,
                         const std::string& text) {
    problems.push_back({true, kind, name, file, text});
  };
  if (!list.is_array()) {
    error("description", "", d.path, "training: expected a list");
    return {};
  }
  std::vector<Case> cases;
  std::set<std::string> names, used;
  for (const json& entry : list) {
    if (!is_pair(entry)) {
      error("description", "", d.path, "training: expected entries {\"image\": file, \"label\": file}");
      return {};
    }
    Case c;
    c.images = {join_path(folder, entry["image"].get<std::string>())};
    c.name = image_stem(file_name_of(c.images[0]));
    if (entry.contains("label")) c.label = join_path(folder, entry["label"].get<std::string>());
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
      if (!file.empty() && file_exists(file)) continue;
      error("missing-file", c.name, file.empty() ? d.path : file,
            file.empty() ? "training: no label" : "the file is not there");
      complete = false;
    }
    if (complete) cases.push_back(std::move(c));
  }
  for (const char* part : {"imagesTr", "labelsTr"}) {
    const std::string where = join_path(folder, part);
    if (!is_folder(where)) continue;
    for (const std::string& file : list_folder(where))
      if (!image_stem(file).empty() && used.count(file) == 0)
        problems.push_back(
            {false, "orphan-file", "", join_path(where, file), "the file is not in the list `training`"});
  }
  return cases;
}

}  // namespace

extern const Importer decathlon_importer{"Medical Segmentation Decathlon", recognises, find_cases};

}  // namespace voxgrad
