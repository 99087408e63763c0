// run/: what a run leaves behind, reader and writer side by side. folder.h (this file: the names of the
// files), manifest.h (what ran where, on which bytes), log.h (a line for each start, step and validation),
// scores.h (the rows of metrics.json), model.h (model.safetensors, all that prediction needs), checkpoint.h
// (where training stands), runtime_record.h (what computed), fields.h (typed JSON, for this folder alone).
// Nobody outside this folder names a file or a field of a run.
#pragma once
#include <string>
#include <vector>

namespace voxgrad {

/// Version of the layout of run folders, manifests, logs and metrics that this program writes. Version 1 had
/// no field for it.
constexpr int kRunFormat = 2;

/// The files of a run folder.
struct RunFolder {
  std::string path;
  std::string model() const { return path + "/model.safetensors"; }
  std::string checkpoint() const { return path + "/checkpoint.safetensors"; }
  std::string config() const { return path + "/config.toml"; }
  /// The plan that the run was given (`train --plan`); without one there is no such file.
  std::string plan() const { return path + "/plan.toml"; }
  std::string log() const { return path + "/log.jsonl"; }
  std::string metrics() const { return path + "/metrics.json"; }
  /// One line a case of the score row `key`.
  std::string metrics_csv(const std::string& key) const { return path + "/metrics-" + key + ".csv"; }
  std::string manifest() const { return path + "/manifest.json"; }
  /// Folder of the maps of scored cases, for the report.
  std::string validation() const { return path + "/validation"; }
  /// A map of a case: "image" (all channels), "truth", "mask", "probabilities", "entropy",
  /// "mutual_information", sample_map() or rater_map().
  std::string validation_map(const std::string& case_name, const std::string& map) const {
    return validation_case(case_name) + "/" + map + ".nii.gz";
  }
  std::string validation_case(const std::string& case_name) const { return validation() + "/" + case_name; }
  /// The label map of a sample, from 1.
  static std::string sample_map(size_t number) { return "sample_" + std::to_string(number); }
  /// The raters of a case whose maps are there, sorted.
  std::vector<std::string> kept_raters(const std::string& case_name) const;
  /// What a rater drew. `rater` is the name of a folder.
  static std::string rater_map(const std::string& rater) { return kRaterMap + rater; }
  static constexpr const char* kRaterMap = "rater_";
};

}  // namespace voxgrad
