#include "tensor/gemm/gemm.h"

#include "tensor/core/kernel.h"
#include "tensor/gemm/calls.h"
#include "tensor/gemm/cpu/gemm.h"
#include "tensor/gemm/ref/gemm.h"

namespace voxgrad {
namespace {

const char* rows_decline(const Gemm& c) {
  if (c.type != DType::f32) return kOtherType;
  if (cpu_isa() == CpuIsa::ref) return "the instruction set is ref";
  if (c.depth > 4096) return "depth above 4096: a block of B does not fit in the cache";
  return nullptr;
}
void rows(const Gemm& c) { cpu::gemm_rows(*cpu::row_kernels(cpu_isa()), c); }

const char* openblas_declines(const Gemm& c) {
  if (c.type != DType::f32) return kOtherType;
  return cpu_isa() == CpuIsa::ref ? "the instruction set is ref" : nullptr;
}

void plain(const Gemm& c) {
  visit_float(c.type, c.kOp, [&]<class T>(T) {
    for (int64_t i = 0; i < c.batch; ++i)
      ref::gemm(c.rows, c.columns, c.depth, as<T>(c.a) + i * c.rows * c.depth, c.transpose_a,
                as<T>(c.b) + (c.shared_b ? 0 : i) * c.depth * c.columns, c.transpose_b,
                as<T>(c.c) + i * c.rows * c.columns, static_cast<T>(c.alpha), static_cast<T>(c.beta));
  });
}

constexpr Implementation<Gemm> kGemm[] = {
    kCuda<Gemm>,
    {"rows", rows_decline, rows},
    {"openblas", openblas_declines, cpu::gemm_openblas},
    {"ref", nullptr, plain},
};

}  // namespace

std::string Gemm::str() const { return cat(batch, " x [", rows, ", ", columns, "], depth ", depth); }

void gemm(const Tensor& a, bool transpose_a, const Tensor& b, bool transpose_b, Tensor& c, double alpha,
          double beta) {
  const char* const op = Gemm::kOp;
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
  run(kGemm, {.device = device_of(c, a, b),
              .type = c.dtype(),
              .tf32 = device_options().tf32,
              .batch = batch,
              .rows = rows,
              .columns = columns,
              .depth = depth,
              .transpose_a = transpose_a,
              .transpose_b = transpose_b,
              .shared_b = batch_b == 1,
              .alpha = static_cast<float>(alpha),
              .beta = static_cast<float>(beta),
              .a = a.raw(),
              .b = b.raw(),
              .c = c.raw()});
}

}  // namespace voxgrad
