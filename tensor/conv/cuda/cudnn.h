// cuDNN, opened at run time: the functions of its backend C API that convolution plans need.
#pragma once
#include <cudnn_backend.h>

#include <string>

#include "tensor/core/cuda/library.h"

namespace voxgrad::cuda {

struct Cudnn {
  explicit Cudnn(cudaStream_t stream);
  ~Cudnn();
  Cudnn(const Cudnn&) = delete;
  Cudnn& operator=(const Cudnn&) = delete;
  std::string description() const;  ///< version, path, and which modes are refused
  /// Throws ErrorCode::device with cuDNN's own text where `result` is a failure.
  void check(cudnnStatus_t result, const char* what) const;
  /// The text of a failure.
  std::string text(cudnnStatus_t result) const;

  Library nvrtc, cublas;  // only cuDNN uses them
  std::string path;
  cudnnHandle_t handle = nullptr;
  size_t version = 0;
  void (*cudnnGetLastErrorString)(char* message, size_t size) = nullptr;  // since 9.0; null before

#define VOXGRAD_CUDNN_FUNCTIONS(F) \
  F(cudnnCreate)                   \
  F(cudnnDestroy)                  \
  F(cudnnSetStream)                \
  F(cudnnGetVersion)               \
  F(cudnnGetErrorString)           \
  F(cudnnBackendCreateDescriptor)  \
  F(cudnnBackendDestroyDescriptor) \
  F(cudnnBackendFinalize)          \
  F(cudnnBackendSetAttribute)      \
  F(cudnnBackendGetAttribute)      \
  F(cudnnBackendExecute)
#define F(name) decltype(&::name) name = nullptr;
  VOXGRAD_CUDNN_FUNCTIONS(F)
#undef F
};

/// A descriptor of the backend API. It is created, filled, finalised and destroyed.
class Descriptor {
 public:
  Descriptor(Cudnn& cudnn, cudnnBackendDescriptorType_t type, const char* name);
  ~Descriptor();
  Descriptor(Descriptor&& o) noexcept : cudnn_(o.cudnn_), name_(o.name_), value_(o.value_) {
    o.value_ = nullptr;
  }
  Descriptor& operator=(Descriptor&&) = delete;

  cudnnBackendDescriptor_t get() const { return value_; }
  void set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t count,
           const void* values);
  void set(cudnnBackendAttributeName_t name, int64_t value) { set(name, CUDNN_TYPE_INT64, 1, &value); }
  void set(cudnnBackendAttributeName_t name, const Descriptor& part) {
    set(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &part.value_);
  }
  /// Returns the status, so that a caller can try another engine.
  cudnnStatus_t try_finalize();
  void finalize();
  /// Reads up to `capacity` values. Returns how many there are.
  int64_t read(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t capacity,
               void* values) const;

 private:
  Cudnn* cudnn_;
  const char* name_;
  cudnnBackendDescriptor_t value_ = nullptr;
};

}  // namespace voxgrad::cuda
