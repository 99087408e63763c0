// The functions of cuBLASLt that tensor/gemm/cuda/gemm.cc calls, as plain loops: column-major products of
// batches. They are part of the emulated module itself, and VOXGRAD_CUBLASLT names that module.
#include <cublasLt.h>

#include "emulation.h"

#include <cstdint>
#include <cstring>

namespace {

struct Operation {
  int32_t transpose[2] = {CUBLAS_OP_N, CUBLAS_OP_N};
};
struct Layout {
  cudaDataType type;
  uint64_t rows, columns;
  int64_t leading, stride = 0;
  int32_t batch = 1;
  int64_t place(int64_t i, int64_t j, int64_t b) const { return b * stride + j * leading + i; }
};

float read(const Layout& l, const void* p, int64_t at) {
  if (l.type == CUDA_R_32F) return static_cast<const float*>(p)[at];
  const uint32_t bits = static_cast<uint32_t>(static_cast<const uint16_t*>(p)[at]) << 16;
  float v;
  std::memcpy(&v, &bits, sizeof v);
  return v;
}

void write(const Layout& l, void* p, int64_t at, float v) {
  if (l.type == CUDA_R_32F) {
    static_cast<float*>(p)[at] = v;
    return;
  }
  uint32_t bits;
  std::memcpy(&bits, &v, sizeof bits);
  static_cast<uint16_t*>(p)[at] = static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

template <class T, class Opaque>
const T& of(Opaque* p) {
  return *reinterpret_cast<const T*>(p);
}

}  // namespace

cublasStatus_t cublasLtCreate(cublasLtHandle_t* h) {
  static int one;
  *h = reinterpret_cast<cublasLtHandle_t>(&one);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtDestroy(cublasLtHandle_t) { return CUBLAS_STATUS_SUCCESS; }
size_t cublasLtGetVersion() { return 0; }
const char* cublasLtGetStatusString(cublasStatus_t) { return "emulated failure"; }

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* d, cublasComputeType_t, cudaDataType_t) {
  *d = reinterpret_cast<cublasLtMatmulDesc_t>(new Operation);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t d) {
  delete reinterpret_cast<Operation*>(d);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t d, cublasLtMatmulDescAttributes_t a,
                                              const void* v, size_t bytes) {
  if (bytes != 4 || (a != CUBLASLT_MATMUL_DESC_TRANSA && a != CUBLASLT_MATMUL_DESC_TRANSB))
    return CUBLAS_STATUS_INVALID_VALUE;
  std::memcpy(&reinterpret_cast<Operation*>(d)->transpose[a == CUBLASLT_MATMUL_DESC_TRANSB], v, 4);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* l, cudaDataType type, uint64_t rows,
                                          uint64_t columns, int64_t leading) {
  if (leading < static_cast<int64_t>(rows)) return CUBLAS_STATUS_INVALID_VALUE;
  *l = reinterpret_cast<cublasLtMatrixLayout_t>(new Layout{type, rows, columns, leading});
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t l) {
  delete reinterpret_cast<Layout*>(l);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t l, cublasLtMatrixLayoutAttribute_t a,
                                                const void* v, size_t bytes) {
  Layout& layout = *reinterpret_cast<Layout*>(l);
  if (a == CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT && bytes == sizeof layout.batch)
    std::memcpy(&layout.batch, v, bytes);
  else if (a == CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET && bytes == sizeof layout.stride)
    std::memcpy(&layout.stride, v, bytes);
  else
    return CUBLAS_STATUS_INVALID_VALUE;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* p) {
  *p = reinterpret_cast<cublasLtMatmulPreference_t>(new int);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t p) {
  delete reinterpret_cast<int*>(p);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t,
                                                    cublasLtMatmulPreferenceAttributes_t, const void*,
                                                    size_t) {
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t, cublasLtMatmulDesc_t, cublasLtMatrixLayout_t,
                                              cublasLtMatrixLayout_t, cublasLtMatrixLayout_t,
                                              cublasLtMatrixLayout_t, cublasLtMatmulPreference_t, int,
                                              cublasLtMatmulHeuristicResult_t results[], int* found) {
  results[0] = {};
  *found = 1;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t, cublasLtMatmulDesc_t operation, const void* alpha,
                              const void* a, cublasLtMatrixLayout_t a_layout, const void* b,
                              cublasLtMatrixLayout_t b_layout, const void* beta, const void* c,
                              cublasLtMatrixLayout_t c_layout, void* d, cublasLtMatrixLayout_t d_layout,
                              const cublasLtMatmulAlgo_t*, void*, size_t, cudaStream_t stream) {
  const auto o = of<Operation>(operation);
  const auto la = of<Layout>(a_layout), lb = of<Layout>(b_layout), lc = of<Layout>(c_layout),
             ld = of<Layout>(d_layout);
  const bool ta = o.transpose[0] == CUBLAS_OP_T, tb = o.transpose[1] == CUBLAS_OP_T;
  const uint64_t depth = ta ? la.rows : la.columns;
  if ((ta ? la.columns : la.rows) != ld.rows || (tb ? lb.rows : lb.columns) != ld.columns ||
      (tb ? lb.columns : lb.rows) != depth || la.batch != ld.batch || lb.batch != ld.batch)
    return CUBLAS_STATUS_INVALID_VALUE;
  const float x = *static_cast<const float*>(alpha), y = *static_cast<const float*>(beta);
  emulation::enqueue(stream, [=] {
    for (int64_t n = 0; n < ld.batch; ++n)
      for (int64_t j = 0; j < static_cast<int64_t>(ld.columns); ++j)
        for (int64_t i = 0; i < static_cast<int64_t>(ld.rows); ++i) {
          double sum = 0;
          for (int64_t k = 0; k < static_cast<int64_t>(depth); ++k)
            sum += static_cast<double>(read(la, a, ta ? la.place(k, i, n) : la.place(i, k, n))) *
                   static_cast<double>(read(lb, b, tb ? lb.place(j, k, n) : lb.place(k, j, n)));
          const float old = y == 0 ? 0 : y * read(lc, c, lc.place(i, j, n));
          write(ld, d, ld.place(i, j, n), x * static_cast<float>(sum) + old);
        }
  });
  return CUBLAS_STATUS_SUCCESS;
}
