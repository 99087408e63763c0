// manifest.json: what ran where, on which bytes. Written when a run starts, when it stops and when it ends.
#pragma once
#include "run/model.h"
#include "run/runtime_record.h"

namespace voxgrad {

/// A start of a run: the first one, or a resumption.
struct StartRecord {
  std::string date;                  ///< "2026-11-28T15:54:16Z"
  std::vector<std::string> command;  ///< the program and its arguments; empty: not started by a command
  bool operator==(const StartRecord&) const = default;
};
/// A start at this moment.
StartRecord start_now(std::vector<std::string> command);

struct Manifest {
  int format = 2;      ///< kRunFormat, or that it was read in
  std::string status;  ///< "running", "stopped at step 3 of 10 of prior" or "finished"
  // What the run was started as.
  std::string method;
  uint64_t seed = 0;
  std::string config_sha256;        ///< of config.toml; empty: not recorded
  std::string plan_sha256;          ///< of plan.toml; empty: the plan was made from the data
  std::string dataset_folder;       ///< absolute
  std::string from;                 ///< `--from` as given, several separated by spaces
  std::vector<StartRecord> starts;  ///< in order
  // What its data are: empty until they have been read.
  std::string dataset;                ///< its name
  std::string modality;               ///< "ct" or "mri"
  std::vector<std::string> channels;  ///< names of the image's channels
  std::string split;          ///< in words: who was trained on, who fits the calibration, who was scored
  std::string data_sha256;    ///< of the data that training sees
  std::string scored_sha256;  ///< of the data that are scored
  // What came out.
  Constants constants;
  std::vector<StageRecord> stages;
  int64_t parameters = 0;
  double seconds = 0;         ///< over all starts of the run
  std::string model_sha256;   ///< of the file; empty: none written yet
  std::string model_digest;   ///< model_digest of the model
  std::string scores_sha256;  ///< of metrics.json; empty: not scored yet
  // What computed.
  std::string prepared_data;  ///< folder that its cases were mapped from; empty: they were in memory
  RuntimeRecord runtime;      ///< as resolved; config.toml has it as asked
  int threads = 0;
  std::string device_text;          ///< describe_device of a CUDA device, else empty
  std::string convolutions;         ///< convolution_report of a CUDA device, else empty
  bool graphs = false;              ///< whether steps on a CUDA device may be graphs
  uint64_t device_memory_peak = 0;  ///< bytes; 0 on the CPU
  nlohmann::json machine;           ///< machine_record()
};

/// Writes format 2 atomically, indented, keys sorted. Bytes that are no UTF-8 (names of files) are replaced.
/// What a run on the CPU or without a model does not have is left out.
void write_manifest(const std::string& path, const Manifest& manifest);
/// Reads format 2 and 1. Fields that are absent keep their defaults. ErrorCode::data, naming file and field,
/// for JSON that is damaged, a field of another type, an impossible value (a negative time, a digest that is
/// no SHA-256), or another format.
Manifest read_manifest(const std::string& path);

}  // namespace voxgrad
