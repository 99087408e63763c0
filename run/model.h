// model.safetensors: a trained model with everything that prediction needs. Files have format 2. Format 1 is
// also read, any other is refused. The content does not depend on host, path, time or number of threads.
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "tensor/core/tensor.h"

namespace voxgrad {

/// Numbers that training finds in the data and prediction needs ("residual_sd", "tau_out").
using Constants = std::map<std::string, double>;
/// Weights by dotted name ("prior.encoder.0.conv1.weight").
using NamedTensors = std::map<std::string, Tensor>;

/// SHA-256 in hexadecimal over names, types, shapes and bytes of tensors in the order of their names.
///
/// The bytes are these parts, one after the other. A number has 8 bytes, little-endian. A text is its length
/// as a number and then its bytes, so that different contents give different bytes.
///   text "voxgrad weights", number of tensors, and for each tensor, sorted by the bytes of its name:
///   text name, text type ("f32"), number of axes, each extent, number of bytes, the elements (little-endian,
///   last axis fastest).
std::string weights_digest(const NamedTensors& weights);

/// The range of a value in the training images.
struct SeenRange {
  double low = 0, high = 0;
  bool operator==(const SeenRange&) const = default;
};

/// The origin of the weights of a stage.
struct StageRecord {
  std::string name;     ///< name of the stage
  std::string digest;   ///< weights_digest of its weights; empty until it has ended
  std::string from;     ///< digest of the stage that it was taken or started from (`--from`); empty: none
  bool frozen = false;  ///< true if it was taken from another run and not trained
  int64_t steps = 0;    ///< steps trained in this run
  std::vector<std::string> constants;  ///< names of the constants that were found at its start
  bool operator==(const StageRecord&) const = default;
};

/// The origin of a model.
struct Provenance {
  uint64_t seed = 0;
  std::string dataset;      ///< name of the data set
  std::string data_sha256;  ///< hash of the training data: names, prepared voxels, and what raters drew if it
                            ///< is learnt
  std::string version;      ///< version of voxgrad
  std::vector<StageRecord> stages;
  bool operator==(const Provenance&) const = default;
};

struct ModelFile {
  int format = 2;  ///< the format of the file that was read; the newest format is written
  std::string method;
  std::string plan;    ///< plan_to_json
  std::string config;  ///< TOML without help texts and without runtime keys (device, threads, ...)
  Constants constants;
  bool complete = false;  ///< whether the training has ended
  // Properties of the training images, for warnings at prediction. Empty: not recorded (format 1).
  std::string axis_codes;  ///< axes of the training images, such as "RAS"; several are separated by commas
  std::vector<SeenRange> spacing;    ///< mm along x, y, z of the images
  std::vector<SeenRange> intensity;  ///< one for each channel; only in files of an earlier version
  /// For each channel, the range of the images' smallest values, and of their largest values.
  std::vector<SeenRange> intensity_low, intensity_high;
  std::map<std::string, double> thresholds;  ///< decision thresholds from 0 to 1 by name; none: the most
                                             ///< probable class
  Provenance provenance;
  NamedTensors weights;
  std::string digest;         ///< model_digest; set by read_model and write_model
  std::string stored_digest;  ///< digest in the file; empty: none (format 1)
};

/// SHA-256 in hexadecimal over weights, plan, constants and thresholds, the results of training on which a
/// prediction depends.
///
/// The bytes, in the terms of weights_digest: text "voxgrad model", text weights_digest(weights), text plan,
/// number of constants, and for each constant, sorted by name: text name, 8 bytes of its IEEE double,
/// little-endian; the same of the thresholds.
std::string model_digest(const ModelFile& model);

/// Writes a model atomically and sets its `digest` and `format`. Equal content gives equal bytes.
/// ErrorCode::internal, naming file and field, for values that read_model would refuse, such as a constant
/// that is not finite.
void write_model(const std::string& path, ModelFile& model);
/// Reads a model and checks its digest. A file of format 1 has no digest; then `warn` is called once.
/// ErrorCode::data, naming file and field, if the file is missing, damaged, of another kind or format, or
/// does not fit its digest.
ModelFile read_model(const std::string& path, const std::function<void(const std::string&)>& warn = {});
/// The same, but without the check of the digest: the caller compares `digest` with `stored_digest`.
ModelFile read_model_unchecked(const std::string& path);

}  // namespace voxgrad
