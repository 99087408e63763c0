// `voxgrad train`: trains a method on a data set and scores it on held-out cases.
#pragma once
#include "data/case_store.h"
#include "methods/method.h"

namespace voxgrad {

struct MemoryBounds {
  int64_t host = int64_t{4} << 30;    ///< half of the allocator's limit, bytes
  int64_t device = int64_t{4} << 30;  ///< half of the limit on a CUDA device, bytes
};

/// Trains a method, whose options must be set, into a run folder. The folder is locked during the training.
/// `cache`: the folder of prepared cases, which does not change a bit of the result. ErrorCode::data for a
/// case without a label.
TrainResult train_method(Method& method, const std::string& dataset, const TrainRequest& request,
                         const MemoryBounds& memory = {}, const CacheOptions& cache = {});

}  // namespace voxgrad
