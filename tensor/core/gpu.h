// The functions of tensor/*.h for tensors on a CUDA device: each is called by its namesake there, after that
// has checked the shapes, and passes plain pointers to the module. Only tensor/*.cc includes this.
#pragma once
#include <array>
#include <span>

#include "tensor/core/cuda/module.h"
#include "tensor/core/tensor.h"

namespace voxgrad::gpu {

// device.cc
const cuda::Module& module();
cuda::Context* context(const Device& device);
/// The backend's kernel for a call. Throws ErrorCode::device where it has none.
cuda::Kernel kernel(const char* op, uint32_t call_bytes);
/// Throws what the module reports.
void check(cuda::Status status);

/// Whether an operation runs on a CUDA device: its first tensor says. Throws where another lives elsewhere.
template <class... Rest>
bool runs_on(const Tensor& first, const Rest&... rest) {
  [[maybe_unused]] const auto same = [&](const Tensor& t) {
    require(!t.defined() || t.device() == first.device(), "[", current_op(), "] expected all tensors on ",
            first.device().str(), ", got one on ", t.device().str());
  };
  (same(rest), ...);
  return first.defined() && first.device().is_cuda();
}

// Copies between devices (either side may be the CPU), and one value.
void copy(const Tensor& from, const Tensor& to);
double read_item(const Tensor& t);
void zero(const Tensor& t);

// gpu_ops.cc
double kl_gaussian_sum(const Tensor& mq, const Tensor& sq, const Tensor& mp, const Tensor& sp);
void kl_gaussian_sum(const Tensor& mq, const Tensor& sq, const Tensor& mp, const Tensor& sp, double divisor,
                     Tensor& value);
void kl_gaussian_backward(const Tensor& mq, const Tensor& sq, const Tensor& mp, const Tensor& sp,
                          double divisor, const Tensor& upstream, Tensor& dmq, Tensor& dsq, Tensor& dmp,
                          Tensor& dsp);
void softmax_forward(const Tensor& x, double temperature, Tensor& y);
void softmax_backward(const Tensor& y, const Tensor& dy, double temperature, Tensor& dx);
void log_softmax_forward(const Tensor& x, Tensor& y);
void log_softmax_backward(const Tensor& y, const Tensor& dy, Tensor& dx);
double cross_entropy_sum(const Tensor& logits, const Tensor& label);
void cross_entropy_sum(const Tensor& logits, const Tensor& label, double divisor, Tensor& value);
void cross_entropy_backward(const Tensor& logits, const Tensor& label, double divisor, const Tensor& upstream,
                            Tensor& dlogits);
void soft_dice_sums(const Tensor& logits, const Tensor& label, Tensor& p, Tensor& sums);
void soft_dice_value(const Tensor& sums, int64_t first, double smooth, Tensor& value);
void soft_dice_slopes(const Tensor& sums, int64_t first, double smooth, const Tensor& upstream, Tensor& hit,
                      Tensor& all);
void soft_dice_backward(const Tensor& p, const Tensor& label, const Tensor& hit, const Tensor& all,
                        Tensor& dlogits);
void scaled_difference(const Tensor& x, const Tensor& y, double divisor, const Tensor& upstream, Tensor& dx);

}  // namespace voxgrad::gpu
