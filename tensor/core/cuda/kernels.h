// The families of functions that module.cc gathers; each is defined by the file of its name.
#pragma once
#include "tensor/core/cuda/entry.h"

namespace voxgrad::cuda {

extern const DeviceFns device_functions;        // context.cc
extern const MemoryFns memory_functions;        // memory.cc
extern const GraphFns graph_functions;          // graph.cc
extern const ConvFns conv_functions;            // conv.cc
extern const ElementFns element_functions;      // element.cu
extern const ReduceFns reduce_functions;        // reduce.cu
extern const AttentionFns attention_functions;  // attention.cu
extern const RandomFns random_functions;        // random.cu
extern const GemmFns gemm_functions;            // gemm.cc

extern const std::span<const KernelEntry> layout_kernels;     // layout/cuda/layout.cu
extern const std::span<const KernelEntry> loss_kernels;       // loss/cuda/loss.cu
extern const std::span<const KernelEntry> norm_kernels;       // norm/cuda/norm.cu
extern const std::span<const KernelEntry> optimizer_kernels;  // optimizer/cuda/optimizer.cu
extern const std::span<const KernelEntry> pool_kernels;       // pool/cuda/pool.cu
extern const std::span<const KernelEntry> process_kernels;    // process/cuda/process.cu
extern const std::span<const KernelEntry> resample_kernels;   // resample/cuda/resample.cu

}  // namespace voxgrad::cuda
