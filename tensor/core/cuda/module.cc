// Defines the one exported function of the module, and finds kernels by name.
#include <cstring>

#include "tensor/core/cuda/kernels.h"

namespace voxgrad::cuda {

extern const std::span<const KernelEntry> softplus_kernels;  // tests/autograd/example/softplus.cu

namespace {

const char* last_error() { return failure_text().c_str(); }

// Finds a kernel in the lists of all families. Each family has one line.
Kernel kernel(const char* op, uint32_t call_bytes) {
  const std::span<const KernelEntry> families[] = {
    random_kernels,
    reduce_kernels,
    attention_kernels,
    conv_kernels,
    elementwise_kernels,
    gemm_kernels,
    layout_kernels,
    loss_kernels,
    norm_kernels,
    optimizer_kernels,
    pool_kernels,
    process_kernels,
    resample_kernels,
#if defined(VOXGRAD_EXAMPLE_KERNELS)  // in the emulated backend of the tests: docs/adding-an-op.md
    softplus_kernels,
#endif
  };
  for (const auto& family : families)
    for (const KernelEntry& e : family)
      if (e.call_bytes == call_bytes && std::strcmp(e.op, op) == 0) return e.run;
  return nullptr;
}

}  // namespace
}  // namespace voxgrad::cuda

extern "C" __attribute__((visibility("default"))) const voxgrad::cuda::Module* voxgrad_cuda_module() {
  using namespace voxgrad::cuda;
  static const Module module{kAbiVersion, sizeof(Module),   VOXGRAD_VERSION,  last_error,
                             kernel,      device_functions, memory_functions, graph_functions};
  return &module;
}
