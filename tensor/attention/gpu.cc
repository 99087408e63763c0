// Attention on a CUDA device.
#include "tensor/core/gpu.h"

namespace voxgrad::gpu {
namespace {

cuda::AttentionShape shape_of(const Tensor& q, const Tensor& v) {
  return {q.dim(0), q.dim(1), v.dim(1), q.dim(2), q.dim(3), v.dim(3)};
}
float* f32(const Tensor& t) { return t.mutable_data_on_device<float>(); }

}  // namespace

void attention_forward(const Tensor& q, const Tensor& k, const Tensor& v, double scale, Tensor& y,
                       Tensor& log_sum) {
  const cuda::AttentionShape s = shape_of(q, v);
  check(module().attention.forward(context(q.device()), &s, q.dtype(), static_cast<float>(scale), q.raw(),
                                   k.raw(), v.raw(), y.raw(), f32(log_sum)));
}

void attention_backward(const Tensor& q, const Tensor& k, const Tensor& v, double scale, const Tensor& y,
                        const Tensor& log_sum, const Tensor& dy, Tensor& dq, Tensor& dk, Tensor& dv) {
  const cuda::AttentionShape s = shape_of(q, v);
  check(module().attention.backward(context(q.device()), &s, q.dtype(), static_cast<float>(scale), q.raw(),
                                    k.raw(), v.raw(), y.raw(), f32(log_sum), dy.raw(), dq.raw(), dk.raw(),
                                    dv.raw()));
}

}  // namespace voxgrad::gpu
