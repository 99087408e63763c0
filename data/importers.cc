#include <algorithm>
#include <set>

#include "data/files.h"
#include "data/importer.h"
#include "io/file.h"

namespace voxgrad {

extern const Importer decathlon_importer, nnunet_importer;

namespace {

using nlohmann::json;

// A new layout needs one line here.
constexpr const Importer* kImporters[] = {&decathlon_importer, &nnunet_importer};

// In both layouts, annotations of several raters are in ratersTr/RATER/CASE.nii.gz and exact posteriors in
// posteriorTr/CASE.nii.gz.
void add_annotations(Dataset& dataset, std::vector<Problem>& problems) {
  const std::string raters = join_path(dataset.folder, "ratersTr"),
                    posteriors = join_path(dataset.folder, "posteriorTr");
  auto annotations = annotations_of(raters, problems);
  auto posterior = volumes_of(posteriors, problems);
  for (Case& c : dataset.cases) {
    if (const auto it = annotations.find(c.name); it != annotations.end()) {
      c.annotations = it->second;
      annotations.erase(it);
    }
    if (const auto it = posterior.find(c.name); it != posterior.end()) {
      c.posterior = it->second;
      posterior.erase(it);
    }
  }
  const auto orphan = [&](const std::string& name, const std::string& file) {
    problems.push_back({false, "orphan-file", name, file, "there is no complete case of this name"});
  };
  for (const auto& [name, all] : annotations)
    for (const Annotation& a : all) orphan(name, a.file);
  for (const auto& [name, file] : posterior) orphan(name, file);
}

void read_splits(Dataset& dataset, std::vector<Problem>& problems) {
  const std::string path = join_path(dataset.folder, "splits_final.json");
  if (!file_exists(path)) return;
  const std::optional<json> read = parse_json_file(path, "splits", problems);
  if (!read) return;
  const json& j = *read;
  const auto bad = [&](const std::string& text) {
    problems.push_back({true, "splits", "", path, text});
    dataset.splits.clear();
    dataset.training_splits.clear();
  };
  if (!j.is_array() || j.empty()) return bad("expected a list of folds");
  std::set<std::string> known;
  for (const Case& c : dataset.cases) known.insert(c.name);
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
      if (part[0] == 't' && names.empty())
        return bad(cat("fold ", fold, ", train: expected at least one case"));
      std::sort(names.begin(), names.end());
      (part[0] == 't' ? dataset.training_splits : dataset.splits).push_back(std::move(names));
    }
  }
}

}  // namespace

std::span<const Importer* const> all_importers() { return kImporters; }

std::map<std::string, std::string> volumes_of(const std::string& folder, std::vector<Problem>& problems) {
  std::map<std::string, std::string> files;
  if (!is_folder(folder)) return files;
  for (const std::string& file : list_folder(folder)) {
    const std::string name = image_stem(file), path = join_path(folder, file);
    if (name.empty() || is_folder(path)) continue;
    if (const auto [it, fresh] = files.emplace(name, path); !fresh)
      problems.push_back(
          {true, "duplicate", name, path, "the volume is there twice: also as " + file_name_of(it->second)});
  }
  return files;
}

std::map<std::string, std::vector<Annotation>> annotations_of(const std::string& folder,
                                                              std::vector<Problem>& problems) {
  std::map<std::string, std::vector<Annotation>> annotations;
  if (!is_folder(folder)) return annotations;
  for (const std::string& rater : list_folder(folder)) {  // sorted
    const std::string path = join_path(folder, rater);
    if (rater[0] == '.') continue;
    if (!is_folder(path)) {
      problems.push_back({false, "foreign-file", "", path, "expected a folder a rater: RATER/CASE.nii.gz"});
      continue;
    }
    for (const auto& [name, file] : volumes_of(path, problems)) annotations[name].push_back({rater, file});
  }
  return annotations;
}

Dataset scan_dataset(const std::string& folder, std::vector<Problem>& problems) {
  Dataset dataset;
  dataset.folder = folder;
  dataset.name = file_name_of(folder);
  const std::optional<Description> description = read_description(folder, problems);
  if (!description) return dataset;
  dataset.name = description->name;
  dataset.channel_names = description->channel_names;
  dataset.label_names = description->label_names;
  for (const Importer* importer : kImporters) {
    if (!importer->recognises(folder, *description)) continue;
    dataset.layout = importer->name;
    dataset.cases = importer->find_cases(folder, *description, problems);
    break;
  }
  std::sort(dataset.cases.begin(), dataset.cases.end(),
            [](const Case& a, const Case& b) { return a.name < b.name; });
  if (dataset.cases.empty())
    problems.push_back({true, "no-cases", "", folder, "expected at least one complete case"});
  if (description->expected_cases >= 0 &&
      description->expected_cases != static_cast<int64_t>(dataset.cases.size()))
    problems.push_back(
        {false, "case-count", "", description->path,
         cat("numTraining: expected ", description->expected_cases, " cases, found ", dataset.cases.size())});
  add_annotations(dataset, problems);
  read_splits(dataset, problems);
  return dataset;
}

}  // namespace voxgrad
