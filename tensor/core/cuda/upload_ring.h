// Small uploads that do not wait for the device. The bytes are copied to pinned memory, and the device
// fetches them later.
#pragma once
#include "tensor/core/cuda/context.h"

namespace voxgrad::cuda {

class UploadRing {
 public:
  /// The largest upload that goes through the ring. For larger ones a second copy does not pay.
  static constexpr uint64_t kMaxBytes = 4096;

  UploadRing() = default;
  ~UploadRing();
  UploadRing(const UploadRing&) = delete;
  UploadRing& operator=(const UploadRing&) = delete;

  /// Queues a copy of at most kMaxBytes. `host` may be reused at once.
  void copy(cudaStream_t stream, void* to, const void* host, uint64_t bytes);

 private:
  static constexpr uint64_t kHalf = 16 * kMaxBytes;

  // The halves are used in turn. A half is written again when the copies from it are done.
  char* memory_ = nullptr;
  cudaEvent_t done_[2] = {};
  uint64_t used_ = 0;
  int half_ = 0;
};

}  // namespace voxgrad::cuda
