// A device that is open: its stream, pool, libraries and plans. What the boundary calls Context.
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

/// Throws ErrorCode::device (or memory) with the runtime's text where `result` is an error.
void check(cudaError_t result, const char* what);
/// Throws where the launch before failed.
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
  cudaEvent_t released = nullptr, copied = nullptr;  ///< of input beside computation (MemoryFns)
  int arena = 0;                                     ///< of the capture under way; 0: none
  const char* op = "cuda";                           ///< what the boundary is doing, for error texts
  std::unique_ptr<Pool> pool;
  std::unique_ptr<UploadRing> uploads;

  bool capturing() const { return arena != 0; }
  void make_current() const { check(cudaSetDevice(index), "cudaSetDevice"); }
  /// What a family keeps with a device: its plans, a library. Made at first use, destroyed with the context.
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

/// Memory of the pool for the length of a scope.
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

/// What every function of the boundary does: name the op, make the device current, turn errors into codes.
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
