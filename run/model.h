// model.safetensors: all that prediction needs. Format 2; format 1 stays readable, any other is refused.
// Nothing in it depends on host, path, time or number of threads.
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "tensor/tensor.h"

namespace voxgrad {

/// Numbers that training finds in the data and that prediction needs ("residual_sd", "tau_out").
using Constants = std::map<std::string, double>;
/// Weights by dotted name ("prior.encoder.0.conv1.weight").
using NamedTensors = std::map<std::string, Tensor>;

/// SHA-256 in hexadecimal over names, types, shapes and bytes of tensors in the order of their names.
///
/// The bytes are these parts, one after the other. A number is 8 bytes, little-endian. A text is its length
/// as a number, then its bytes. So no two contents give the same bytes.
///   text "voxgrad weights", number of tensors, and for each tensor, sorted by the bytes of its name:
///   text name, text type ("f32"), number of axes, each extent, number of bytes, the elements (little-endian,
///   last axis fastest).
std::string weights_digest(const NamedTensors& weights);

/// From `low` to `high`, both seen in training.
struct SeenRange {
  double low = 0, high = 0;
  bool operator==(const SeenRange&) const = default;
};

/// How the weights of a stage came about.
struct StageRecord {
  std::string name;    ///< of the stage
  std::string digest;  ///< weights_digest of its weights, empty until it has ended
  std::string
      from;  ///< digest of the stage that it was taken or started from (`--from`); empty: from scratch
  bool frozen = false;                 ///< it was taken as it was, no step was trained
  int64_t steps = 0;                   ///< steps trained in this run
  std::vector<std::string> constants;  ///< names of the constants that its start has found
  bool operator==(const StageRecord&) const = default;
};

/// Where a model comes from.
struct Provenance {
  uint64_t seed = 0;
  std::string dataset;      ///< its name
  std::string data_sha256;  ///< of names and prepared voxels of the training and calibration cases
  std::string version;      ///< of voxgrad
  std::vector<StageRecord> stages;
  bool operator==(const Provenance&) const = default;
};

struct ModelFile {
  int format = 2;  ///< that it was read in; what is written is always the newest
  std::string method;
  std::string plan;    ///< plan_to_json
  std::string config;  ///< TOML without help texts; no key that says how fast or where something is computed
  Constants constants;
  bool complete = false;  ///< all stages have ended
  // What was seen in training, for warnings at prediction. Empty: not recorded (format 1).
  std::string axis_codes;            ///< of the training images: "RAS"; several are separated by commas
  std::vector<SeenRange> spacing;    ///< mm along x, y, z of the images
  std::vector<SeenRange> intensity;  ///< of each channel; of an earlier version, which had no other
  /// Of each channel: of the smallest value of each image, and of the largest.
  std::vector<SeenRange> intensity_low, intensity_high;
  std::map<std::string, double> thresholds;  ///< decision thresholds from 0 to 1 by name; none: the most
                                             ///< probable class
  Provenance provenance;
  NamedTensors weights;
  std::string digest;         ///< model_digest; set by read_model and write_model
  std::string stored_digest;  ///< that the file has; empty: none (format 1)
};

/// SHA-256 in hexadecimal over weights, plan, constants and thresholds: what training found and a prediction
/// depends on.
///
/// The bytes, in the terms of weights_digest: text "voxgrad model", text weights_digest(weights), text plan,
/// number of constants, and for each constant, sorted by name: text name, 8 bytes of its IEEE double,
/// little-endian; the same of the thresholds.
std::string model_digest(const ModelFile& model);

/// Writes atomically, sets `digest` and `format`. Equal content gives equal bytes. ErrorCode::internal,
/// naming file and field, for values that read_model would refuse (a constant that is not finite).
void write_model(const std::string& path, ModelFile& model);
/// Reads and checks the digest. `warn` is told once where a file of format 1 has none. ErrorCode::data,
/// naming file and field, where it is missing, damaged, of another kind or format, or not what its digest
/// says.
ModelFile read_model(const std::string& path, const std::function<void(const std::string&)>& warn = {});
/// The same, but it is for the caller to compare `digest` with `stored_digest`.
ModelFile read_model_unchecked(const std::string& path);

}  // namespace voxgrad
