#include "tensor/gemm/gemm.h"

#include "tensor/core/cpu/isa.h"
#include "tensor/core/gpu.h"
#include "tensor/core/trace.h"
#include "tensor/gemm/cpu/gemm.h"
#include "tensor/gemm/ref/gemm.h"

namespace voxgrad {
namespace {

// Why the tiles of the direct convolution do not take a product, which OpenBLAS then does; null when they do.
const char* direct_declines(const cpu::GemmProblem& p) {
  if (p.depth > 4096) return "depth above 4096: a block of B leaves the cache";
  return nullptr;
}

}  // namespace

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
  if (c.numel() == 0) return;
  if (gpu::runs_on(c, a, b))
    return gpu::gemm({c.dtype(), device_options().tf32, transpose_a, transpose_b, batch, rows, columns, depth,
                      rows * depth, batch_b == 1 ? 0 : depth * columns, rows * columns,
                      static_cast<float>(alpha), static_cast<float>(beta)},
                     a, b, c);
  const double flops = 2.0 * static_cast<double>(batch * rows) * static_cast<double>(columns * depth);
  const auto describe = [&] { return cat(batch, " x [", rows, ", ", columns, "], depth ", depth); };
  if (c.dtype() == DType::f32) {
    const cpu::GemmProblem p{batch,
                             rows,
                             columns,
                             depth,
                             transpose_a,
                             transpose_b,
                             batch_b == 1,
                             static_cast<float>(alpha),
                             static_cast<float>(beta)};
    if (cpu_isa() != CpuIsa::ref && direct_declines(p)) {
      if (tracing())
        detail::trace_kernel(op, cat("openblas ", cpu::openblas_core()), describe(),
                             cat("direct declined: ", direct_declines(p)), flops);
      cpu::gemm_openblas(p, a.data<float>(), b.data<float>(), c.mutable_data<float>());
      return;
    }
    if (const cpu::KernelTable* k = cpu::kernel_table(cpu_isa())) {
      if (tracing()) detail::trace_kernel(op, name_of(cpu_isa()), describe(), "", flops);
      cpu::gemm(*k, p, a.data<float>(), b.data<float>(), c.mutable_data<float>());
      return;
    }
  }
  detail::trace_kernel(op, "ref", tracing() ? describe() : "", "", flops);
  visit_float(c.dtype(), op, [&]<class T>(T) {
    for (int64_t i = 0; i < batch; ++i)
      ref::gemm(rows, columns, depth, a.data<T>() + i * rows * depth, transpose_a,
                b.data<T>() + (batch_b == 1 ? 0 : i) * depth * columns, transpose_b,
                c.mutable_data<T>() + i * rows * columns, static_cast<T>(alpha), static_cast<T>(beta));
  });
}

}  // namespace voxgrad
