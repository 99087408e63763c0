// The functions that module.cc gathers. The file named beside each list defines it.
#pragma once
#include "tensor/core/cuda/entry.h"

namespace voxgrad::cuda {

extern const DeviceFns device_functions;  // context.cc
extern const MemoryFns memory_functions;  // memory.cc
extern const GraphFns graph_functions;    // graph.cc

extern const std::span<const KernelEntry> random_kernels;       // core/cuda/random.cu
extern const std::span<const KernelEntry> reduce_kernels;       // core/cuda/reduce.cu
extern const std::span<const KernelEntry> attention_kernels;    // attention/cuda/attention.cu
extern const std::span<const KernelEntry> conv_kernels;         // conv/cuda/conv.cc
extern const std::span<const KernelEntry> elementwise_kernels;  // elementwise/cuda/elementwise.cu
extern const std::span<const KernelEntry> gemm_kernels;         // gemm/cuda/gemm.cc
extern const std::span<const KernelEntry> layout_kernels;       // layout/cuda/layout.cu
extern const std::span<const KernelEntry> loss_kernels;         // loss/cuda/loss.cu
extern const std::span<const KernelEntry> norm_kernels;         // norm/cuda/norm.cu
extern const std::span<const KernelEntry> optimizer_kernels;    // optimizer/cuda/optimizer.cu
extern const std::span<const KernelEntry> pool_kernels;         // pool/cuda/pool.cu
extern const std::span<const KernelEntry> process_kernels;      // process/cuda/process.cu
extern const std::span<const KernelEntry> resample_kernels;     // resample/cuda/resample.cu

// The version and path of a library. Throws ErrorCode::device if it cannot be opened; the error lists the
// places that were tried.
std::string describe_cudnn(Context& c);   // conv/cuda/cudnn_plans.cc
std::string describe_cublas(Context& c);  // gemm/cuda/gemm.cc

}  // namespace voxgrad::cuda
