// The CUDA backend as core/ and the lists of implementations use it: its module, the context of a device, and
// copies. Kernels are called through tensor/core/kernel.h.
#pragma once
#include "tensor/core/cuda/module.h"
#include "tensor/core/tensor.h"

namespace voxgrad::gpu {

/// The module, opened at first use. Throws ErrorCode::device if it is not found or belongs to another build.
const cuda::Module& module();
/// The context of a CUDA device. The device is opened at first use.
cuda::Context* context(const Device& device);
/// The backend's kernel for a call. Throws ErrorCode::device if there is none.
cuda::Kernel kernel(const char* op, uint32_t call_bytes);
/// Throws the error that the module reports if `status` is not 0.
void check(cuda::Status status);

/// Whether an operation runs on a CUDA device: the one of its first tensor. Throws ErrorCode::internal if
/// another tensor is on another device. Undefined ones do not count.
template <class... Rest>
bool runs_on(const Tensor& first, const Rest&... rest) {
  [[maybe_unused]] const auto same = [&](const Tensor& t) {
    require(!t.defined() || t.device() == first.device(), "[", current_op(), "] expected all tensors on ",
            first.device().str(), ", got one on ", t.device().str());
  };
  (same(rest), ...);
  return first.defined() && first.device().is_cuda();
}

/// Copies the bytes of a tensor. At least one of the two lives on a CUDA device.
void copy(const Tensor& from, const Tensor& to);
/// The single element of a tensor on a CUDA device. Waits for the device.
double read_item(const Tensor& t);
void zero(const Tensor& t);

}  // namespace voxgrad::gpu
