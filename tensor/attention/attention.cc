#include "tensor/attention/attention.h"

#include "tensor/attention/cpu/attention.h"
#include "tensor/core/convert.h"
#include "tensor/core/cpu/isa.h"
#include "tensor/core/gpu.h"
#include "tensor/core/trace.h"

namespace voxgrad {
namespace {

using ref::AttentionSizes;

AttentionSizes sizes_of(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& y,
                        const Tensor& log_sum) {
  require(q.rank() == 4 && k.rank() == 4 && v.rank() == 4, "[attention] expected tensors of rank 4");
  const AttentionSizes s{q.dim(0), q.dim(1), k.dim(1), q.dim(2), q.dim(3), v.dim(3)};
  require(s.keys >= 1 && s.width >= 1 && k.shape() == Shape{s.n, s.keys, s.heads, s.width} &&
              v.shape() == Shape{s.n, s.keys, s.heads, s.values} &&
              y.shape() == Shape{s.n, s.queries, s.heads, s.values} &&
              log_sum.shape() == Shape{s.n, s.heads, s.queries} && k.dtype() == q.dtype() &&
              v.dtype() == q.dtype() && y.dtype() == q.dtype() &&
              log_sum.dtype() == parameter_dtype(q.dtype()),
          "[attention] expected q [N, L, H, D], k [N, M, H, D], v [N, M, H, E], y [N, L, H, E] of one type "
          "and log_sum [N, H, L], got ",
          q.shape(), ", ", k.shape(), ", ", v.shape(), ", ", y.shape(), " and ", log_sum.shape());
  return s;
}

// The products for f32 numbers that are those of bf16 tensors (`half`) or not.
cpu::Products products_for(bool half) {
  const cpu::KernelTable* const kernels = cpu::kernel_table(cpu_isa());
  return {kernels, half && kernels ? kernels->tiles : nullptr};
}

void report(const char* op, const AttentionSizes& s, std::string_view chosen, int products,
            const char* type = "") {
  if (!tracing()) return;
  const double scores = static_cast<double>(s.n * s.heads * s.queries) * static_cast<double>(s.keys);
  detail::trace_kernel(
      op, chosen,
      cat(s.n * s.heads, " x [", s.queries, ", ", s.keys, "], width ", s.width, ", values ", s.values, type),
      "", scores * products * static_cast<double>(s.width + s.values));
}
// What multiplies bf16 tensors.
void report_bf16(const char* op, const AttentionSizes& s, const cpu::Products& p, int products) {
  report(op, s, p.tiles ? name_of(CpuIsa::amx) : "tiles", products,
         p.tiles ? " tiles bf16" : " bf16 widened to f32");
}

Tensor like_f32(const Tensor& t) { return Tensor::empty(t.shape(), DType::f32); }

}  // namespace

void attention_forward(const Tensor& q, const Tensor& k, const Tensor& v, double scale, Tensor& y,
                       Tensor& log_sum) {
  const char* const op = "attention_forward";
  const AttentionSizes s = sizes_of(q, k, v, y, log_sum);
  if (gpu::runs_on(q, k, v, y, log_sum)) return gpu::attention_forward(q, k, v, scale, y, log_sum);
  if (q.dtype() == DType::bf16) {
    const cpu::Products products = products_for(true);
    report_bf16(op, s, products, 2);
    const Tensor wide_q = converted(q, DType::f32), wide_k = converted(k, DType::f32),
                 wide_v = converted(v, DType::f32);
    const Tensor wide = like_f32(y);
    cpu::attention_forward(products, s, static_cast<float>(scale), wide_q.data<float>(), wide_k.data<float>(),
                           wide_v.data<float>(), wide.mutable_data<float>(), log_sum.mutable_data<float>());
    return convert(wide, y);
  }
  visit_float(q.dtype(), op, [&]<class T>(T) {
    const T *const pq = q.data<T>(), *const pk = k.data<T>(), *const pv = v.data<T>();
    T *const py = y.mutable_data<T>(), *const pl = log_sum.mutable_data<T>();
    report(op, s, std::is_same_v<T, float> ? "tiles" : "ref", 2);
    if constexpr (std::is_same_v<T, float>)
      cpu::attention_forward(products_for(false), s, static_cast<float>(scale), pq, pk, pv, py, pl);
    else
      ref::attention_forward(s, scale, pq, pk, pv, py, pl);
  });
}

void attention_backward(const Tensor& q, const Tensor& k, const Tensor& v, double scale, const Tensor& y,
                        const Tensor& log_sum, const Tensor& dy, Tensor& dq, Tensor& dk, Tensor& dv) {
  const char* const op = "attention_backward";
  const AttentionSizes s = sizes_of(q, k, v, y, log_sum);
  require(dy.shape() == y.shape() && dy.dtype() == y.dtype(), "[", op, "] expected dy ", y.dtype(), " ",
          y.shape(), ", got ", dy.dtype(), " ", dy.shape());
  if (gpu::runs_on(q, k, v, y, log_sum, dy, dq, dk, dv))
    return gpu::attention_backward(q, k, v, scale, y, log_sum, dy, dq, dk, dv);
  if (q.dtype() == DType::bf16) {
    const cpu::Products products = products_for(true);
    report_bf16(op, s, products, 7);
    const Tensor wide_q = converted(q, DType::f32), wide_k = converted(k, DType::f32),
                 wide_v = converted(v, DType::f32), wide_y = converted(y, DType::f32),
                 wide_dy = converted(dy, DType::f32);
    const Tensor wide_dq = like_f32(dq), wide_dk = like_f32(dk), wide_dv = like_f32(dv);
    cpu::attention_backward(products, s, static_cast<float>(scale), wide_q.data<float>(),
                            wide_k.data<float>(), wide_v.data<float>(), wide_y.data<float>(),
                            log_sum.data<float>(), wide_dy.data<float>(), wide_dq.mutable_data<float>(),
                            wide_dk.mutable_data<float>(), wide_dv.mutable_data<float>());
    convert(wide_dq, dq);
    convert(wide_dk, dk);
    return convert(wide_dv, dv);
  }
  visit_float(q.dtype(), op, [&]<class T>(T) {
    const T *const pq = q.data<T>(), *const pk = k.data<T>(), *const pv = v.data<T>(),
                   *const py = y.data<T>(), *const pl = log_sum.data<T>(), *const pdy = dy.data<T>();
    T *const pdq = dq.mutable_data<T>(), *const pdk = dk.mutable_data<T>(), *const pdv = dv.mutable_data<T>();
    report(op, s, std::is_same_v<T, float> ? "tiles" : "ref", 7);
    if constexpr (std::is_same_v<T, float>)
      cpu::attention_backward(products_for(false), s, static_cast<float>(scale), pq, pk, pv, py, pl, pdy, pdq,
                              pdk, pdv);
    else
      ref::attention_backward(s, scale, pq, pk, pv, py, pl, pdy, pdq, pdk, pdv);
  });
}

}  // namespace voxgrad
