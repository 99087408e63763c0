// checkpoint.safetensors: the state of a training. A training resumed from it gives the same bits as one that
// was not stopped. The content does not depend on host, path, time or number of threads.
#pragma once
#include "run/model.h"

namespace voxgrad {

struct Checkpoint {
  // The properties of the run at its start. A resumed run must have the same.
  std::string method;
  std::string plan;  ///< plan_to_json, or another text that determines the shapes of the weights
  uint64_t seed = 0;
  std::string data_sha256;    ///< hash of the data used in training
  std::string scored_sha256;  ///< hash of the scored data; empty: not recorded
  // The present state.
  std::string stage;  ///< name of the present stage, one of `stages`; empty: all have ended
  int64_t step = 0;   ///< steps done in the present stage; 0 if all have ended
  Constants constants;
  std::vector<StageRecord> stages;  ///< the stages that have begun, in order
  NamedTensors weights;             ///< weights of these stages
  NamedTensors optimizer;           ///< optimizer state of the present stage ("m", "v", "ema")
};

/// Writes a file of format 2, atomically. Equal content gives equal bytes. ErrorCode::internal, naming file
/// and field, for values that read_checkpoint would refuse.
void write_checkpoint(const std::string& path, const Checkpoint& checkpoint);
/// Reads a checkpoint. ErrorCode::data, naming file and field, if the file is missing, damaged, of another
/// kind or format, or has impossible values: a present stage that is not in the list, a negative step, a step
/// above 0 after the last stage, an earlier stage that has not ended, a missing constant that a stage has
/// found. Checkpoints of format 1 are refused: their runs cannot be resumed.
Checkpoint read_checkpoint(const std::string& path);

}  // namespace voxgrad
