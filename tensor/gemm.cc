#include "tensor/gemm.h"

#include "tensor/cpu/isa.h"
#include "tensor/ref/gemm.h"

namespace voxgrad {

void gemm(const Tensor& a, bool transpose_a, const Tensor& b, bool transpose_b, Tensor& c, double alpha,
          double beta) {
  const char* const op = "gemm";
  require(a.defined() && b.defined() && c.defined() && a.rank() >= 2 && b.rank() >= 2 && c.rank() == a.rank(),
          "[", op, "] expected matrices A [..., M, K], B [..., K, N] and C [..., M, N]");
  const int64_t rows = c.dim(-2), columns = c.dim(-1), depth = a.dim(transpose_a ? -2 : -1);
  int64_t batch = 1, batch_b = 1;
  for (int i = 0; i + 2 < c.rank(); ++i) batch *= c.dim(i);
  for (int i = 0; i + 2 < b.rank(); ++i) batch_b *= b.dim(i);
  const bool fits = a.numel() == batch * rows * depth && a.dim(transpose_a ? -1 : -2) == rows &&
                    b.dim(transpose_b ? -1 : -2) == depth && b.dim(transpose_b ? -2 : -1) == columns &&
                    (batch_b == batch || b.rank() == 2) && a.dtype() == c.dtype() && b.dtype() == c.dtype();
  require(fits, "[", op,
          "] expected op(A) [..., M, K], op(B) [..., K, N] and C [..., M, N] of one type, got ", a.dtype(),
          " ", a.shape(), transpose_a ? "^T, " : ", ", b.dtype(), " ", b.shape(),
          transpose_b ? "^T and " : " and ", c.dtype(), " ", c.shape());
  visit_float(c.dtype(), op, [&]<class T>(T) {
    detail::trace_kernel(op, "ref", cat(batch, " x [", rows, ", ", columns, "], depth ", depth), "",
                         2.0 * static_cast<double>(batch * rows) * static_cast<double>(columns * depth));
    for (int64_t i = 0; i < batch; ++i)
      ref::gemm(rows, columns, depth, a.data<T>() + i * rows * depth, transpose_a,
                b.data<T>() + (batch_b == 1 ? 0 : i) * depth * columns, transpose_b,
                c.mutable_data<T>() + i * rows * columns, static_cast<T>(alpha), static_cast<T>(beta));
  });
}

}  // namespace voxgrad
