#include "tensor/core/gpu.h"
#include "tensor/norm/norm.h"

namespace voxgrad {

void norm_modulation(const Tensor& gamma, const Tensor& beta, const Tensor& scale, const Tensor& shift,
                     Tensor& factor, Tensor& offset) {
  if (gpu::runs_on(factor, gamma, beta, scale, shift, offset))
    return gpu::norm_modulation(gamma, beta, scale, shift, factor, offset);
  const int64_t channels = factor.dim(1);
  visit_float(factor.dtype(), "norm_modulation", [&]<class T>(T) {
    const T *const g = gamma.data<T>(), *const b = beta.data<T>();
    const T* const s = scale.defined() ? scale.data<T>() : nullptr;
    const T* const h = scale.defined() ? shift.data<T>() : nullptr;
    T *const f = factor.mutable_data<T>(), *const o = offset.mutable_data<T>();
    for (int64_t i = 0; i < factor.numel(); ++i) {
      const T one = s ? 1 + s[i] : T(1);
      f[i] = g[i % channels] * one;
      o[i] = b[i % channels] * one + (h ? h[i] : T(0));
    }
  });
}

void norm_modulation_backward(const Tensor& gamma, const Tensor& beta, const Tensor& scale,
                              const Tensor& dfactor, const Tensor& doffset, Tensor& dgamma, Tensor& dbeta,
                              Tensor& dscale) {
  if (gpu::runs_on(dfactor, gamma, beta, scale, doffset, dgamma, dbeta, dscale))
    return gpu::norm_modulation_backward(gamma, beta, scale, dfactor, doffset, dgamma, dbeta, dscale);
  const int64_t channels = dfactor.dim(1);
  visit_float(dfactor.dtype(), "norm_modulation", [&]<class T>(T) {
    const T *const g = gamma.data<T>(), *const b = beta.data<T>();
    const T *const f = dfactor.data<T>(), *const o = doffset.data<T>();
    const T* const s = scale.defined() ? scale.data<T>() : nullptr;
    T *const dg = dgamma.mutable_data<T>(), *const db = dbeta.mutable_data<T>();
    T* const ds = dscale.defined() ? dscale.mutable_data<T>() : nullptr;
    for (int64_t c = 0; c < channels; ++c) dg[c] = db[c] = T(0);
    for (int64_t i = 0; i < dfactor.numel(); ++i) {
      const T one = s ? 1 + s[i] : T(1);
      dg[i % channels] += f[i] * one;
      db[i % channels] += o[i] * one;
      if (ds) ds[i] = f[i] * g[i % channels] + o[i] * b[i % channels];
    }
  });
}

}  // namespace voxgrad
