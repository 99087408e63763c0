// An open CUDA device: its stream, its memory pool, its libraries and its plans. The boundary (module.h)
// passes it around as an opaque Context.
#pragma once
#include <cuda_runtime.h>

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "tensor/core/cuda/failure.h"
#include "tensor/core/cuda/module.h"
#include "tensor/core/cuda/pool.h"

namespace voxgrad::cuda {

/// If `result` is an error, throws ErrorCode::memory (out of memory) or ErrorCode::device with the text of
/// the CUDA runtime.
void check(cudaError_t result, const char* what);
/// Throws if the last kernel launch failed.
void check_launch(const char* kernel);

class UploadRing;  // upload_ring.h

struct Context {
  explicit Context(int index);
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  int index;
  cudaDeviceProp properties{};
  cudaStream_t stream = nullptr, copy_stream = nullptr;
  cudaEvent_t released = nullptr, copied = nullptr;  ///< for uploads during computation (MemoryFns)
  int arena = 0;                                     ///< arena of the capture in progress; 0: no capture
  const char* op = "cuda";                           ///< what the boundary is doing, for error texts
  std::unique_ptr<Pool> pool;
  std::unique_ptr<UploadRing> uploads;

  bool capturing() const { return arena != 0; }
  void make_current() const { check(cudaSetDevice(index), "cudaSetDevice"); }
  /// What a family keeps for a device, such as plans or a library. It is made at first use and destroyed
  /// with the context.
  template <class T>
  T& part() {
    static constexpr char kKey = 0;
    std::shared_ptr<void>& kept = parts_[&kKey];
    if (!kept) kept = std::make_shared<T>();
    return *static_cast<T*>(kept.get());
  }

 private:
  std::map<const void*, std::shared_ptr<void>> parts_;
};

/// Memory of the pool that is freed at the end of the scope.
class Scratch {
 public:
  Scratch(Context& c, uint64_t bytes) : context_(c), data_(c.pool->allocate(c.op, bytes)) {}
  ~Scratch() { context_.pool->deallocate(data_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  template <class T>
  T* as() const {
    return static_cast<T*>(data_);
  }

 private:
  Context& context_;
  void* data_;
};

/// Every function of the boundary runs through this. It stores the name of the operation for error texts,
/// makes the device current, and turns exceptions into status codes.
template <class F>
Status enter(Context* context, const char* op, F&& f) noexcept {
  return guarded(op, [&] {
    require(context != nullptr, "expected an open device");
    const char* const outer = std::exchange(context->op, op);
    context->make_current();
    f(*context);
    context->op = outer;
  });
}

}  // namespace voxgrad::cuda
