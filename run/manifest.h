// manifest.json: the record of a run: how it was started, its data and results by their hashes, and the
// machine. It is written when a run starts, stops and ends.
#pragma once
#include "run/model.h"
#include "run/runtime_record.h"

namespace voxgrad {

/// A start of a run: the first one, or a resumption.
struct StartRecord {
  std::string date;                  ///< for example "2026-11-28T15:54:16Z"
  std::vector<std::string> command;  ///< program and arguments; empty: not started from the command line
  bool operator==(const StartRecord&) const = default;
};
/// A start with the present time.
StartRecord start_now(std::vector<std::string> command);

struct Manifest {
  int format = 2;      ///< kRunFormat, or the format of the file that was read
  std::string status;  ///< "running", "stopped at step 3 of 10 of prior" or "finished"
  // How the run was started.
  std::string method;
  uint64_t seed = 0;
  std::string config_sha256;        ///< hash of config.toml; empty: not recorded
  std::string plan_sha256;          ///< hash of plan.toml; empty: the plan was made from the data
  std::string dataset_folder;       ///< absolute
  std::string from;                 ///< values of `--from`, separated by spaces
  std::vector<StartRecord> starts;  ///< in order
  // Its data. Empty until they have been read.
  std::string dataset;                ///< name of the data set
  std::string modality;               ///< "ct" or "mri"
  std::vector<std::string> channels;  ///< names of the image's channels
  std::string split;                  ///< describes the training, calibration and scored cases
  std::string data_sha256;            ///< hash of the data used in training
  std::string scored_sha256;          ///< hash of the scored data
  // Its results.
  Constants constants;
  std::vector<StageRecord> stages;
  int64_t parameters = 0;
  double seconds = 0;         ///< sum over all starts of the run
  std::string model_sha256;   ///< hash of the model file; empty: none written yet
  std::string model_digest;   ///< model_digest of the model
  std::string scores_sha256;  ///< hash of metrics.json; empty: not scored yet
  // The machine and its settings.
  std::string prepared_data;  ///< folder of the prepared cases; empty: they were in memory
  RuntimeRecord runtime;      ///< the resolved settings; config.toml has the requested ones
  int threads = 0;
  std::string device_text;          ///< describe_device of a CUDA device, else empty
  std::string convolutions;         ///< convolution_report of a CUDA device, else empty
  bool graphs = false;              ///< whether steps on a CUDA device may run as graphs
  uint64_t device_memory_peak = 0;  ///< bytes; 0 on the CPU
  nlohmann::json machine;           ///< machine_record()
};

/// Writes a manifest of format 2, atomically, indented, with sorted keys. Bytes that are not UTF-8 (in file
/// names) are replaced. Empty fields are left out, for example those of a CUDA device for a run on the CPU.
void write_manifest(const std::string& path, const Manifest& manifest);
/// Reads a manifest of format 2 or 1. Missing fields keep their defaults. ErrorCode::data, naming file and
/// field, for damaged JSON, a field of another type, an impossible value (a negative time, a digest that is
/// not a SHA-256), or another format.
Manifest read_manifest(const std::string& path);

}  // namespace voxgrad
