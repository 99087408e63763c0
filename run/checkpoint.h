// checkpoint.safetensors: where training stands, so that it goes on to the same bits. Nothing in it depends
// on host, path, time or number of threads.
#pragma once
#include "run/model.h"

namespace voxgrad {

struct Checkpoint {
  // What the run was started as: a resumed run must agree.
  std::string method;
  std::string plan;  ///< plan_to_json, or what else fixes the shapes of the weights
  uint64_t seed = 0;
  std::string data_sha256;    ///< of the data that training sees
  std::string scored_sha256;  ///< of the data that are scored; empty: not recorded
  // Where it stands.
  std::string stage;  ///< name of the stage under way, one of `stages`; empty: all have ended
  int64_t step = 0;   ///< steps done in it; 0 where all have ended
  Constants constants;
  std::vector<StageRecord> stages;  ///< of the stages that have ended or begun, in order
  NamedTensors weights;             ///< of these stages
  NamedTensors optimizer;           ///< of the stage under way ("m", "v", "ema")
};

/// Writes atomically, format 2. Equal content gives equal bytes. ErrorCode::internal, naming file and field,
/// for values that read_checkpoint would refuse.
void write_checkpoint(const std::string& path, const Checkpoint& checkpoint);
/// ErrorCode::data, naming file and field, where it is missing, damaged, of another kind or format, or
/// impossible: a stage under way that is not in the list, a step that is negative or stands behind the last
/// stage, a stage before the one under way that has not ended, a constant that a stage has found and that is
/// not there. Checkpoints of format 1 are refused: such a run cannot be resumed.
Checkpoint read_checkpoint(const std::string& path);

}  // namespace voxgrad
