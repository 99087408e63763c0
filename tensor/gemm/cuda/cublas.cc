#include "tensor/gemm/cuda/cublas.h"

#include <cuda_runtime.h>

#include "tensor/core/error.h"

namespace voxgrad::cuda {

Cublas::Cublas() : library(Library::open(cat("libcublasLt.so.", CUDART_VERSION / 1000), "VOXGRAD_CUBLASLT")) {
  if (!library)
    fail(ErrorCode::device, "cuBLASLt (libcublasLt.so.", CUDART_VERSION / 1000,
         ") was not found: ", library.trail(), "; set VOXGRAD_CUDA_LIBRARIES to the folders that hold it");
#define F(name) name = reinterpret_cast<decltype(name)>(library.symbol(#name));
  VOXGRAD_CUBLAS_FUNCTIONS(F)
#undef F
  check(cublasLtCreate(&handle), "cublasLtCreate");
}

Cublas::~Cublas() {
  if (handle) (void)cublasLtDestroy(handle);
}

std::string Cublas::description() const { return cat(cublasLtGetVersion(), " ", library.path()); }

void Cublas::check(cublasStatus_t result, const char* what) const {
  if (result != CUBLAS_STATUS_SUCCESS) fail(ErrorCode::device, what, ": ", cublasLtGetStatusString(result));
}

}  // namespace voxgrad::cuda
