#include <cblas.h>

#include "tensor/core/kernel.h"
#include "tensor/core/parallel.h"
#include "tensor/gemm/cpu/gemm.h"

namespace voxgrad::cpu {
namespace {
constexpr int64_t kRows = 192;  // rows of a tile
}

void gemm_openblas(const Gemm& p) {
  const float *const a = as<float>(p.a), *const b = as<float>(p.b);
  float* const c = as<float>(p.c);
  const int64_t tiles = (p.rows + kRows - 1) / kRows;
  parallel_for(p.batch * tiles, [&](int64_t task) {
    const int64_t i = task / tiles, first = task % tiles * kRows;
    const int64_t rows = first + kRows < p.rows ? kRows : p.rows - first;
    const float* const at = a + i * p.rows * p.depth + first * (p.transpose_a ? 1 : p.depth);
    cblas_sgemm(
        CblasRowMajor, p.transpose_a ? CblasTrans : CblasNoTrans, p.transpose_b ? CblasTrans : CblasNoTrans,
        static_cast<int>(rows), static_cast<int>(p.columns), static_cast<int>(p.depth), p.alpha, at,
        static_cast<int>(p.transpose_a ? p.rows : p.depth), b + (p.shared_b ? 0 : i) * p.depth * p.columns,
        static_cast<int>(p.transpose_b ? p.depth : p.columns), p.beta, c + (i * p.rows + first) * p.columns,
        static_cast<int>(p.columns));
  });
}

const char* openblas_core() { return openblas_get_corename(); }

}  // namespace voxgrad::cpu
