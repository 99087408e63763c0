#include "tensor/core/cuda/upload_ring.h"

#include <cstring>

namespace voxgrad::cuda {

UploadRing::~UploadRing() {
  for (const cudaEvent_t e : done_)
    if (e) (void)cudaEventDestroy(e);
  if (memory_) (void)cudaFreeHost(memory_);
}

void UploadRing::copy(cudaStream_t stream, void* to, const void* host, uint64_t bytes) {
  require(bytes <= kMaxBytes, "expected at most ", kMaxBytes, " bytes, got ", bytes);
  if (!memory_) {
    for (cudaEvent_t& e : done_)
      if (!e) check(cudaEventCreateWithFlags(&e, cudaEventDisableTiming), "cudaEventCreate");
    void* memory = nullptr;
    check(cudaHostAlloc(&memory, 2 * kHalf, cudaHostAllocDefault), "cudaHostAlloc");
    memory_ = static_cast<char*>(memory);
  }
  if (used_ + bytes > kHalf) {
    check(cudaEventRecord(done_[half_], stream), "cudaEventRecord");
    half_ = 1 - half_;
    check(cudaEventSynchronize(done_[half_]), "cudaEventSynchronize");  // no wait if it was never recorded
    used_ = 0;
  }
  char* const from = memory_ + static_cast<uint64_t>(half_) * kHalf + used_;
  std::memcpy(from, host, bytes);
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, stream), "cudaMemcpyAsync");
  used_ += (bytes + 15) / 16 * 16;
}

}  // namespace voxgrad::cuda
