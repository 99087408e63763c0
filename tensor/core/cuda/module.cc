// The one exported function.
#include <cstring>

#include "tensor/core/cuda/kernels.h"

namespace voxgrad::cuda {
namespace {

const char* last_error() { return failure_text().c_str(); }

Kernel kernel(const char* op, uint32_t call_bytes) {
  for (const std::span<const KernelEntry> family : {
           layout_kernels,
           loss_kernels,
           norm_kernels,
           optimizer_kernels,
           pool_kernels,
           process_kernels,
           resample_kernels,
       })
    for (const KernelEntry& e : family)
      if (e.call_bytes == call_bytes && std::strcmp(e.op, op) == 0) return e.run;
  return nullptr;
}

}  // namespace
}  // namespace voxgrad::cuda

extern "C" __attribute__((visibility("default"))) const voxgrad::cuda::Module* voxgrad_cuda_module() {
  using namespace voxgrad::cuda;
  static const Module module{kAbiVersion,      sizeof(Module),    VOXGRAD_VERSION,  last_error,
                             kernel,           device_functions,  memory_functions, graph_functions,
                             conv_functions,   element_functions, reduce_functions, attention_functions,
                             random_functions, gemm_functions};
  return &module;
}
