// `voxgrad train`: a method on a data set, and its scores on held-out cases.
#pragma once
#include "data/case_store.h"
#include "methods/method.h"

namespace voxgrad {

struct MemoryBounds {
  int64_t host = int64_t{4} << 30;    ///< half of the allocator's cap, bytes
  int64_t device = int64_t{4} << 30;  ///< half of what may be taken from a CUDA device, bytes
};

/// Trains a method, whose options are set, into a run folder (locked meanwhile). ErrorCode::data for a case
/// without a label. `cache`: where prepared cases lie; the result has the same bits with any and with none.
TrainResult train_method(Method& method, const std::string& dataset, const TrainRequest& request,
                         const MemoryBounds& memory = {}, const CacheOptions& cache = {});

}  // namespace voxgrad
