// The functions of tensor/*.h for tensors on a CUDA device: each is called by its namesake there, after that
// has checked the shapes, and passes plain pointers to the module. Only tensor/*.cc includes this.
#pragma once
#include <array>
#include <span>

#include "tensor/conv/conv.h"
#include "tensor/core/cuda/module.h"
#include "tensor/core/tensor.h"
#include "tensor/elementwise/elementwise.h"

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
void convert(const Tensor& from, const Tensor& to);

// gpu_conv.cc
void conv3d_forward(const ConvProblem& p, std::span<const Tensor> x, const Tensor& w, const Tensor& bias,
                    Tensor& y);
void conv3d_backward_data(const ConvProblem& p, const Tensor& dy, const Tensor& w, std::span<Tensor> dx,
                          std::span<const int64_t> channels);
void conv3d_backward_weights(const ConvProblem& p, std::span<const Tensor> x, const Tensor& dy, Tensor& dw,
                             Tensor* dbias);
void conv_transpose3d_forward(const ConvProblem& p, const Tensor& x, const Tensor& w, const Tensor& bias,
                              Tensor& y);
void conv_transpose3d_backward_data(const ConvProblem& p, const Tensor& dy, const Tensor& w, Tensor& dx);
void conv_transpose3d_backward_weights(const ConvProblem& p, const Tensor& x, const Tensor& dy, Tensor& dw,
                                       Tensor* dbias);
/// One line a convolution plan made so far on the device.
std::string conv_report(const Device& device);

// gpu_ops.cc
void unary_forward(Unary f, const Tensor& x, double parameter, Tensor& y);
void unary_backward(Unary f, const Tensor& value, double parameter, const Tensor& dy, Tensor& dx);
void binary(cuda::Binary f, const Tensor& a, const Tensor& b, Tensor& y);
void scale(const Tensor& x, double factor, double offset, Tensor& y);
void axpby(const Tensor& p, const Tensor& a, const Tensor& q, const Tensor& b, Tensor& y);
void dropout(const Tensor& x, uint32_t threshold, double keep, const Tensor& key, uint64_t first, Tensor& y);
void channel_affine(const Tensor& x, const Tensor& factor, int64_t factor_rows, const Tensor& shift,
                    int64_t shift_rows, Tensor& y);
void channel_sum(const Tensor& x, const Tensor& y, double weight, int64_t rows, Tensor& sum);
void time_embedding(const Tensor& t, double max_period, Tensor& y);
double sum_all(const Tensor& x);
double squared_distance(const Tensor& x, const Tensor& y);
// The same as value [1] = the sum / divisor, which stays on the device.
void sum_all(const Tensor& x, double divisor, Tensor& value);
void squared_distance(const Tensor& x, const Tensor& y, double divisor, Tensor& value);
void fill(const Tensor& x, double value);
void broadcast_places(const Tensor& x, double factor, Tensor& y);
void gemm(const cuda::GemmCall& call, const Tensor& a, const Tensor& b, Tensor& c);

// gpu_attention.cc
void attention_forward(const Tensor& q, const Tensor& k, const Tensor& v, double scale, Tensor& y,
                       Tensor& log_sum);
void attention_backward(const Tensor& q, const Tensor& k, const Tensor& v, double scale, const Tensor& y,
                        const Tensor& log_sum, const Tensor& dy, Tensor& dq, Tensor& dk, Tensor& dv);

// gpu_process.cc
/// `normal`: else uniform.
void random(Tensor& y, const Philox& generator, uint64_t first, bool normal, const Tensor& offset);
void random_columns(const Tensor& table, Stream stream, const Tensor& key, const Tensor& y);

}  // namespace voxgrad::gpu
