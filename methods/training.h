// `voxgrad train`: a method on a data set, and its scores on held-out cases.
#pragma once
#include "methods/method.h"

namespace voxgrad {

struct MemoryBounds {
  int64_t host = int64_t{4} << 30;    ///< half of the allocator's cap, bytes
  int64_t device = int64_t{4} << 30;  ///< half of what may be taken from a CUDA device, bytes
};

/// Trains a method, whose options are set, into a run folder (locked meanwhile). ErrorCode::data for a case
/// without a label.
TrainResult train_method(Method& method, const std::string& dataset, const TrainRequest& request,
                         const MemoryBounds& memory = {});

}  // namespace voxgrad
