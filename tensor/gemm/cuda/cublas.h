// cuBLASLt, opened at run time, with the functions that gemm.cc needs. A device keeps one (Context::part).
#pragma once
#include <cublasLt.h>

#include <map>
#include <string>

#include "tensor/core/cuda/library.h"

namespace voxgrad::cuda {

struct Cublas {
  Cublas();
  ~Cublas();
  Cublas(const Cublas&) = delete;
  Cublas& operator=(const Cublas&) = delete;
  std::string description() const;  ///< version and path
  void check(cublasStatus_t result, const char* what) const;

  Library library;
  cublasLtHandle_t handle = nullptr;
  std::map<std::string, cublasLtMatmulAlgo_t> algorithms;  ///< chosen by the heuristic, for each problem

#define VOXGRAD_CUBLAS_FUNCTIONS(F)       \
  F(cublasLtCreate)                       \
  F(cublasLtDestroy)                      \
  F(cublasLtGetVersion)                   \
  F(cublasLtGetStatusString)              \
  F(cublasLtMatmul)                       \
  F(cublasLtMatmulDescCreate)             \
  F(cublasLtMatmulDescDestroy)            \
  F(cublasLtMatmulDescSetAttribute)       \
  F(cublasLtMatrixLayoutCreate)           \
  F(cublasLtMatrixLayoutDestroy)          \
  F(cublasLtMatrixLayoutSetAttribute)     \
  F(cublasLtMatmulPreferenceCreate)       \
  F(cublasLtMatmulPreferenceDestroy)      \
  F(cublasLtMatmulPreferenceSetAttribute) \
  F(cublasLtMatmulAlgoGetHeuristic)
#define F(name) decltype(&::name) name = nullptr;
  VOXGRAD_CUBLAS_FUNCTIONS(F)
#undef F
};

}  // namespace voxgrad::cuda
