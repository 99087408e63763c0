// run/ reads and writes the files of a run folder. Code outside run/ does not name a file or a field of a
// run.
//
// folder.h (this file): the names of the files. manifest.h: the record of the run, its machine and its data.
// log.h: a line for each start, step and validation. scores.h: metrics.json. model.h: model.safetensors,
// which has everything that prediction needs. checkpoint.h: the state of a training. runtime_record.h:
// device, precision and similar settings. Internal: fields.h (typed JSON).
#pragma once
#include <string>
#include <vector>

namespace voxgrad {

/// The format version of run folders, manifests, logs and metrics that this program writes. Files of version
/// 1 have no version field.
constexpr int kRunFormat = 2;

/// The files of a run folder.
struct RunFolder {
  std::string path;
  std::string model() const { return path + "/model.safetensors"; }
  std::string checkpoint() const { return path + "/checkpoint.safetensors"; }
  std::string config() const { return path + "/config.toml"; }
  /// The plan given by `train --plan`. Without that option the file does not exist.
  std::string plan() const { return path + "/plan.toml"; }
  std::string log() const { return path + "/log.jsonl"; }
  std::string metrics() const { return path + "/metrics.json"; }
  /// The score row `key`, with one line for each case.
  std::string metrics_csv(const std::string& key) const { return path + "/metrics-" + key + ".csv"; }
  std::string manifest() const { return path + "/manifest.json"; }
  /// The folder of the maps of scored cases, which the report shows.
  std::string validation() const { return path + "/validation"; }
  /// The file of a map of a case. `map` is "image" (all channels), "truth", "mask", "probabilities",
  /// "entropy", "mutual_information", sample_map() or rater_map().
  std::string validation_map(const std::string& case_name, const std::string& map) const {
    return validation_case(case_name) + "/" + map + ".nii.gz";
  }
  std::string validation_case(const std::string& case_name) const { return validation() + "/" + case_name; }
  /// The name of the label map of a sample, counted from 1.
  static std::string sample_map(size_t number) { return "sample_" + std::to_string(number); }
  /// The raters whose maps of a case exist, sorted.
  std::vector<std::string> kept_raters(const std::string& case_name) const;
  /// The name of the label map of a rater. `rater` is the name of the rater's folder.
  static std::string rater_map(const std::string& rater) { return kRaterMap + rater; }
  static constexpr const char* kRaterMap = "rater_";
};

}  // namespace voxgrad
