// Training: the stages of a method one after the other, checkpoints, and the scores at the end.
#pragma once
#include <atomic>

#include "methods/validation.h"

namespace voxgrad {

struct TrainProgress {
  std::string stage;  ///< "prior", "denoiser", "calibration", "validation"
  int64_t step = 0, steps = 0;
  double loss = 0;         ///< of this step
  double seconds = 0;      ///< since this stage began in this process
  double eta_seconds = 0;  ///< of this stage
};

struct TrainOptions {
  std::string dataset, method, run;
  uint64_t seed = 1;
  bool resume = false;
  double max_minutes = 0;                    ///< 0: no limit
  int64_t memory = int64_t{4} << 30;         ///< half of the allocator's cap
  int64_t device_memory = int64_t{4} << 30;  ///< half of what may be taken from a CUDA device
  Device device;                             ///< where the networks compute
  std::function<void(const TrainProgress&)> progress;
  std::function<void(const std::string&)> message;  ///< one line for the user
  std::function<bool()> stop_requested;             ///< polled every step
};

enum class TrainEnd { finished, already_finished, out_of_time, stopped };
struct TrainResult {
  TrainEnd end = TrainEnd::finished;
  std::string stopped_at;  ///< "step 120 of 500 of prior"
  RunScores scores;
};

/// Trains into a run folder (locked meanwhile). A folder that holds a run is refused without `resume`
/// (ErrorCode::usage); a resumed run ends in the same bits as one that was never stopped.
TrainResult train(const TrainOptions& options, const Config& config);

}  // namespace voxgrad
