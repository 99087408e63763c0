#include "data/dataset.h"

#include <algorithm>
#include <map>
#include <set>

#include "data/case_reader.h"
#include "data/channels.h"
#include "data/files.h"
#include "data/grid.h"
#include "data/importer.h"
#include "data/labels.h"
#include "io/file.h"
#include "io/text.h"

namespace voxgrad {
namespace {

std::vector<int> indices_of(const Dataset& dataset, const std::vector<std::string>& names) {
  std::vector<int> indices;
  for (size_t i = 0; i < dataset.cases.size(); ++i)
    if (std::binary_search(names.begin(), names.end(), dataset.cases[i].name))
      indices.push_back(static_cast<int>(i));
  return indices;
}

/// The named files, and the images in the named folders.
std::vector<std::string> expand(const std::vector<std::string>& files_or_folders) {
  std::vector<std::string> files;
  for (const std::string& path : files_or_folders) {
    if (!is_folder(path)) {
      if (image_stem(file_name_of(path)).empty())
        fail(ErrorCode::data, "[data] ", path,
             ": expected a folder or a name ending in .nii, .nii.gz or .hdr");
      if (!file_exists(path)) fail(ErrorCode::data, "[data] ", path, ": the file is not there");
      files.push_back(path);
      continue;
    }
    const size_t before = files.size();
    for (const std::string& name : list_folder(path))
      if (!image_stem(name).empty()) files.push_back(join_path(path, name));
    if (files.size() == before)
      fail(ErrorCode::data, "[data] ", path, ": expected images (.nii, .nii.gz, .hdr), found none");
  }
  return files;
}

}  // namespace

bool Dataset::is_ct() const {
  for (const std::string& channel : channel_names)
    if (normalisation_of(channel) == "ct") return true;
  return false;
}

Dataset open_dataset(const std::string& folder) {
  std::vector<Problem> problems;
  Dataset dataset = scan_dataset(folder, problems);
  throw_first_error(problems);
  dataset.warnings = std::move(problems);
  return dataset;
}

std::vector<Case> find_cases(const std::vector<std::string>& files_or_folders, int channels) {
  const std::vector<std::string> files = expand(files_or_folders);
  std::set<std::string> numbered;  // stems with a channel 0; only for these the numeric suffix is a channel
  for (const std::string& file : files) {
    const ChannelFile f = parse_channel_file(file_name_of(file));
    if (f.channel == 0) numbered.insert(f.case_name);
  }
  std::map<std::string, std::vector<std::string>> cases;
  for (const std::string& file : files) {
    const ChannelFile f = parse_channel_file(file_name_of(file));
    const bool is_channel =
        f.channel >= 0 && (numbered.count(f.case_name) > 0 || (channels > 1 && f.channel < channels));
    if (is_channel && f.channel >= channels)
      fail(ErrorCode::data, "[data] ", file, ": expected ", counted(channels, "channel"),
           ", got channel number ", f.channel);
    auto& slots = cases[is_channel ? f.case_name : image_stem(file_name_of(file))];
    if (is_channel) slots.resize(static_cast<size_t>(channels));
    if (!is_channel && !slots.empty())
      fail(ErrorCode::data, "[data] ", file, ": the case is there twice: also ", slots[0]);
    if (!is_channel) {
      slots.push_back(file);
      continue;
    }
    std::string& slot = slots[static_cast<size_t>(f.channel)];
    if (!slot.empty()) fail(ErrorCode::data, "[data] ", file, ": the channel is there twice: also ", slot);
    slot = file;
  }
  std::vector<Case> result;
  for (const auto& [name, images] : cases) {
    for (size_t i = 0; i < images.size(); ++i)
      if (images[i].empty()) fail(ErrorCode::data, "[data] case ", name, ": channel ", i, " is not there");
    result.push_back({name, images, ""});
  }
  return result;
}

Split split(const Dataset& dataset, int fold) {
  const int n = static_cast<int>(dataset.cases.size());
  Split s;
  if (fold == -1) {
    for (int i = 0; i < n; ++i) s.train.push_back(i);
    return s;
  }
  if (!dataset.splits.empty()) {
    const int folds = static_cast<int>(dataset.splits.size());
    if (fold < 0 || fold >= folds)
      fail(ErrorCode::usage, "[data] fold: expected 0 to ", folds - 1, " (splits_final.json), got ", fold);
    s.train = indices_of(dataset, dataset.training_splits[static_cast<size_t>(fold)]);
    s.validation = indices_of(dataset, dataset.splits[static_cast<size_t>(fold)]);
    return s;
  }
  const int folds = std::min(n, kFolds);
  if (n < 2)
    fail(ErrorCode::data, "[data] ", dataset.folder, ": expected at least two cases to leave one out, got ",
         n);
  if (fold < 0 || fold >= folds)
    fail(ErrorCode::usage, "[data] fold: expected 0 to ", folds - 1, " for ", n, " cases, got ", fold);
  for (int i = 0; i < n; ++i) {
    const bool validation = n < kFolds ? i == n - 1 - fold : i % kFolds == fold;
    (validation ? s.validation : s.train).push_back(i);
  }
  return s;
}

LoadedCase load_case(const Case& c, int channels, int classes) {
  std::vector<Problem> problems;
  CaseSummary summary;
  LoadedCase loaded = read_case(c, channels, classes, problems, summary);
  throw_first_error(problems);
  loaded.warnings = std::move(problems);
  return loaded;
}

std::string missing_annotations(const std::vector<Case>& cases) {
  std::map<std::string, std::vector<std::string>> lacking;  // by rater
  size_t fewest = SIZE_MAX, most = 0;
  for (const Case& c : cases) {
    fewest = std::min(fewest, c.annotations.size());
    most = std::max(most, c.annotations.size());
    for (const Annotation& a : c.annotations) lacking[a.rater];
  }
  for (auto& [rater, names] : lacking)
    for (const Case& c : cases)
      if (std::none_of(c.annotations.begin(), c.annotations.end(),
                       [&](const Annotation& a) { return a.rater == rater; }))
        names.push_back(c.name);
  std::string text;
  for (const auto& [rater, names] : lacking) {
    if (names.empty()) continue;
    text += cat(text.empty() ? "" : "; ", "rater ", rater, " has no annotation of ", names[0]);
    if (names.size() > 1) text += cat(" and of ", names.size() - 1, " more");
  }
  if (text.empty()) return text;
  return cat(text, ": cases have ", fewest, " to ", most,
             " annotations, and means of GED^2 and HM-IoU are over cases with different numbers");
}

std::vector<Tensor> load_annotations(const Case& c, int classes, const NiftiHeader& grid) {
  std::vector<Tensor> all;
  for (const Annotation& a : c.annotations) {
    NiftiHeader header;
    all.push_back(read_labels(a.file, classes, &header));
    check_same_grid(header, a.file, grid, c.images[0]);
  }
  return all;
}

Tensor load_posterior(const Case& c, int classes, const NiftiHeader& grid) {
  if (c.posterior.empty()) return {};
  NiftiHeader header;
  Tensor p = read_probabilities(c.posterior, &header);
  check_same_grid(header, c.posterior, grid, c.images[0]);
  if (p.dim(3) != classes)
    fail(ErrorCode::data, "[probabilities] ", c.posterior, ": expected ", classes, " classes, got ",
         p.dim(3));
  return p;
}

std::map<std::string, std::string> find_volumes(const std::string& folder) {
  std::vector<Problem> problems;
  std::map<std::string, std::string> found = volumes_of(folder, problems);
  throw_first_error(problems);
  return found;
}

std::map<std::string, std::vector<Annotation>> find_annotations(const std::string& folder) {
  std::vector<Problem> problems;
  auto found = annotations_of(folder, problems);
  throw_first_error(problems);
  return found;
}

std::vector<std::string> find_label_names(const std::string& folder) {
  if (!file_exists(join_path(folder, "dataset.json"))) return {};
  std::vector<Problem> problems;
  const std::optional<Description> description = read_description(folder, problems);
  throw_first_error(problems);
  return description ? description->label_names : std::vector<std::string>();
}

}  // namespace voxgrad
