#include "tensor/conv/cuda/cudnn.h"

#include <cuda_runtime.h>

#include "tensor/core/error.h"

namespace voxgrad::cuda {

// cuDNN opens NVRTC and cuBLASLt by name. Where they are installed with a Python, it finds them only if they
// are loaded already.
Cudnn::Cudnn(cudaStream_t stream)
    : nvrtc(Library::open(cat("libnvrtc.so.", CUDART_VERSION / 1000), nullptr)),
      cublas(Library::open(cat("libcublasLt.so.", CUDART_VERSION / 1000), "VOXGRAD_CUBLASLT")) {
  Library found = Library::open("libcudnn.so.9", "VOXGRAD_CUDNN");
  if (!found)
    fail(ErrorCode::device, "cuDNN (libcudnn.so.9) was not found: ", found.trail(),
         "; set VOXGRAD_CUDA_LIBRARIES to the folders that hold it");
#define F(name) name = reinterpret_cast<decltype(name)>(found.symbol(#name));
  VOXGRAD_CUDNN_FUNCTIONS(F)
#undef F
  cudnnGetLastErrorString =
      reinterpret_cast<decltype(cudnnGetLastErrorString)>(found.optional_symbol("cudnnGetLastErrorString"));
  version = cudnnGetVersion();
  path = found.path();
  check(cudnnCreate(&handle), "cudnnCreate");
  check(cudnnSetStream(handle, stream), "cudnnSetStream");
}

Cudnn::~Cudnn() {
  if (handle) (void)cudnnDestroy(handle);
}

std::string Cudnn::description() const {
  std::string text = cat(version / 10000, ".", version / 100 % 100, ".", version % 100, " ", path);
  for (const ConvMode mode : {ConvMode::bf16, ConvMode::tf32})
    if (const char* const why = cudnn_refusal(version, mode)) text += cat("; refused: ", why);
  return text;
}

std::string Cudnn::text(cudnnStatus_t result) const {
  std::string s = cudnnGetErrorString(result);
  char detail[512] = "";
  if (cudnnGetLastErrorString) cudnnGetLastErrorString(detail, sizeof detail);
  return detail[0] ? s + " (" + detail + ")" : s;
}

void Cudnn::check(cudnnStatus_t result, const char* what) const {
  if (result != CUDNN_STATUS_SUCCESS) fail(ErrorCode::device, what, ": ", text(result));
}

Descriptor::Descriptor(Cudnn& cudnn, cudnnBackendDescriptorType_t type, const char* name)
    : cudnn_(&cudnn), name_(name) {
  cudnn.check(cudnn.cudnnBackendCreateDescriptor(type, &value_), name);
}

Descriptor::~Descriptor() {
  if (value_) (void)cudnn_->cudnnBackendDestroyDescriptor(value_);
}

void Descriptor::set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t count,
                     const void* values) {
  cudnn_->check(cudnn_->cudnnBackendSetAttribute(value_, name, type, count, values), name_);
}

cudnnStatus_t Descriptor::try_finalize() { return cudnn_->cudnnBackendFinalize(value_); }

void Descriptor::finalize() { cudnn_->check(try_finalize(), name_); }

int64_t Descriptor::read(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t capacity,
                         void* values) const {
  int64_t count = 0;
  cudnn_->check(cudnn_->cudnnBackendGetAttribute(value_, name, type, capacity, &count, values), name_);
  return count;
}

}  // namespace voxgrad::cuda
