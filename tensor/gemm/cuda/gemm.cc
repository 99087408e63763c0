// Matrix products with cuBLASLt. It takes column-major matrices, so the row-major C = A B is passed as C'
// = B' A'.
#include <algorithm>

#include "tensor/core/cuda/kernels.h"
#include "tensor/gemm/calls.h"
#include "tensor/gemm/cuda/cublas.h"

namespace voxgrad::cuda {
namespace {

constexpr uint64_t kWorkspace = uint64_t{32} << 20;

// A descriptor of cuBLASLt that is destroyed at the end of the scope.
template <class T>
struct Owned {
  T value = nullptr;
  cublasStatus_t (*destroy)(T);
  explicit Owned(cublasStatus_t (*d)(T)) : destroy(d) {}
  ~Owned() {
    if (value) (void)destroy(value);
  }
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;
};

// The largest power of two up to 256 that divides an address. An algorithm may rely on it.
uint32_t alignment_of(const void* p) {
  const auto address = reinterpret_cast<uintptr_t>(p);
  return address == 0 ? 256u : static_cast<uint32_t>(std::min<uintptr_t>(256, address & (~address + 1)));
}

class Product {
 public:
  Product(Cublas& blas, const Gemm& call)
      : blas_(blas),
        g_(call),
        operation_(blas.cublasLtMatmulDescDestroy),
        a_(blas.cublasLtMatrixLayoutDestroy),
        b_(blas.cublasLtMatrixLayoutDestroy),
        c_(blas.cublasLtMatrixLayoutDestroy) {
    const cublasComputeType_t compute =
        g_.tf32 && g_.type == DType::f32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
    blas.check(blas.cublasLtMatmulDescCreate(&operation_.value, compute, CUDA_R_32F),
               "cublasLtMatmulDescCreate");
    set_transpose(CUBLASLT_MATMUL_DESC_TRANSA, g_.transpose_b);
    set_transpose(CUBLASLT_MATMUL_DESC_TRANSB, g_.transpose_a);
    layout(a_.value, g_.columns, g_.depth, g_.transpose_b, g_.shared_b ? 0 : g_.depth * g_.columns);
    layout(b_.value, g_.depth, g_.rows, g_.transpose_a, g_.rows * g_.depth);
    layout(c_.value, g_.columns, g_.rows, false, g_.rows * g_.columns);
  }

  void run(Context& context, const void* a, const void* b, void* c) {
    const uint32_t alignments[3] = {alignment_of(b), alignment_of(a), alignment_of(c)};
    const cublasLtMatmulAlgo_t algorithm = choose(alignments);
    const Scratch workspace(context, kWorkspace);
    blas_.check(blas_.cublasLtMatmul(blas_.handle, operation_.value, &g_.alpha, b, a_.value, a, b_.value,
                                     &g_.beta, c, c_.value, c, c_.value, &algorithm, workspace.as<void>(),
                                     kWorkspace, context.stream),
                "cublasLtMatmul");
  }

 private:
  void set_transpose(cublasLtMatmulDescAttributes_t attribute, bool transpose) {
    const cublasOperation_t value = transpose ? CUBLAS_OP_T : CUBLAS_OP_N;
    blas_.check(blas_.cublasLtMatmulDescSetAttribute(operation_.value, attribute, &value, sizeof value),
                "cublasLtMatmulDescSetAttribute");
  }

  // Describes the column-major matrix that op() turns into rows x columns.
  void layout(cublasLtMatrixLayout_t& l, int64_t rows, int64_t columns, bool transposed, int64_t stride) {
    if (transposed) std::swap(rows, columns);
    const cudaDataType_t type = g_.type == DType::bf16 ? CUDA_R_16BF : CUDA_R_32F;
    blas_.check(blas_.cublasLtMatrixLayoutCreate(&l, type, static_cast<uint64_t>(rows),
                                                 static_cast<uint64_t>(columns), rows),
                "cublasLtMatrixLayoutCreate");
    const auto batch = static_cast<int32_t>(g_.batch);
    blas_.check(
        blas_.cublasLtMatrixLayoutSetAttribute(l, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &batch, sizeof batch),
        "cublasLtMatrixLayoutSetAttribute");
    blas_.check(blas_.cublasLtMatrixLayoutSetAttribute(l, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET,
                                                       &stride, sizeof stride),
                "cublasLtMatrixLayoutSetAttribute");
  }

  cublasLtMatmulAlgo_t choose(const uint32_t (&alignments)[3]) {
    const std::string key = cat(g_.type, g_.tf32, g_.transpose_a, g_.transpose_b, ' ', g_.batch, ' ', g_.rows,
                                ' ', g_.columns, ' ', g_.depth, ' ', g_.shared_b, ' ', g_.beta == 0, ' ',
                                alignments[0], ' ', alignments[1], ' ', alignments[2]);
    if (const auto known = blas_.algorithms.find(key); known != blas_.algorithms.end()) return known->second;
    Owned<cublasLtMatmulPreference_t> preference(blas_.cublasLtMatmulPreferenceDestroy);
    blas_.check(blas_.cublasLtMatmulPreferenceCreate(&preference.value), "cublasLtMatmulPreferenceCreate");
    const auto set = [&](cublasLtMatmulPreferenceAttributes_t attribute, auto value) {
      blas_.check(
          blas_.cublasLtMatmulPreferenceSetAttribute(preference.value, attribute, &value, sizeof value),
          "cublasLtMatmulPreferenceSetAttribute");
    };
    set(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, kWorkspace);
    // Not CUBLASLT_REDUCTION_SCHEME_INPLACE, which adds with atomics, in any order.
    set(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
        static_cast<uint32_t>(CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE));
    set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, alignments[0]);
    set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, alignments[1]);
    set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, alignments[2]);
    set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, alignments[2]);
    cublasLtMatmulHeuristicResult_t result{};
    int found = 0;
    blas_.check(
        blas_.cublasLtMatmulAlgoGetHeuristic(blas_.handle, operation_.value, a_.value, b_.value, c_.value,
                                             c_.value, preference.value, 1, &result, &found),
        "cublasLtMatmulAlgoGetHeuristic");
    if (found == 0) fail(ErrorCode::device, "cuBLASLt has no algorithm for ", key);
    return blas_.algorithms.emplace(key, result.algo).first->second;
  }

  Cublas& blas_;
  const Gemm g_;
  Owned<cublasLtMatmulDesc_t> operation_;
  Owned<cublasLtMatrixLayout_t> a_, b_, c_;
};

void gemm(Context& c, const Gemm& call) {
  require(call.type == DType::f32 || call.type == DType::bf16, "expected f32 or bf16, got ", call.type);
  if (call.batch * call.rows * call.columns == 0) return;
  require(call.depth > 0, "expected a depth of at least 1");
  Product(c.part<Cublas>(), call).run(c, call.a, call.b, call.c);
}

constexpr KernelEntry kEntries[] = {kEntry<gemm>};

}  // namespace

std::string describe_cublas(Context& c) { return c.part<Cublas>().description(); }

extern const std::span<const KernelEntry> gemm_kernels{kEntries};

}  // namespace voxgrad::cuda
