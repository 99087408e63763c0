#include "tensor/core/kernel.h"
#include "tensor/norm/calls.h"
#include "tensor/norm/norm.h"

namespace voxgrad {
namespace {

void forward(const NormModulation& c) {
  visit_float(c.type, c.kOp, [&]<class T>(T) {
    const T *const gamma = as<T>(c.gamma), *const beta = as<T>(c.beta);
    const T *const scale = as<T>(c.scale), *const shift = as<T>(c.shift);
    T *const factor = as<T>(c.factor), *const offset = as<T>(c.offset);
    for (int64_t i = 0; i < c.n * c.channels; ++i) {
      const T s = scale ? 1 + scale[i] : T(1);
      factor[i] = gamma[i % c.channels] * s;
      offset[i] = beta[i % c.channels] * s + (shift ? shift[i] : T(0));
    }
  });
}

void backward(const NormModulationBackward& c) {
  visit_float(c.type, c.kOp, [&]<class T>(T) {
    const T *const gamma = as<T>(c.gamma), *const beta = as<T>(c.beta), *const scale = as<T>(c.scale);
    const T *const dfactor = as<T>(c.dfactor), *const doffset = as<T>(c.doffset);
    T *const dgamma = as<T>(c.dgamma), *const dbeta = as<T>(c.dbeta), *const dscale = as<T>(c.dscale);
    for (int64_t k = 0; k < c.channels; ++k) dgamma[k] = dbeta[k] = T(0);
    for (int64_t i = 0; i < c.n * c.channels; ++i) {
      const int64_t k = i % c.channels;
      const T s = scale ? 1 + scale[i] : T(1);
      dgamma[k] += dfactor[i] * s;
      dbeta[k] += doffset[i] * s;
      if (dscale) dscale[i] = dfactor[i] * gamma[k] + doffset[i] * beta[k];
    }
  });
}

constexpr Implementation<NormModulation> kForward[] = {kCuda<NormModulation>, {"ref", nullptr, forward}};
constexpr Implementation<NormModulationBackward> kBackward[] = {kCuda<NormModulationBackward>,
                                                                {"ref", nullptr, backward}};

}  // namespace

void norm_modulation(const Tensor& gamma, const Tensor& beta, const Tensor& scale, const Tensor& shift,
                     Tensor& factor, Tensor& offset) {
  const DType type = factor.dtype();
  run(kForward, {.device = device_of(factor, gamma, beta, scale, shift, offset),
                 .type = type,
                 .n = factor.dim(0),
                 .channels = factor.dim(1),
                 .gamma = elements(gamma, type),
                 .beta = elements(beta, type),
                 .scale = elements(scale, type),
                 .shift = elements(shift, type),
                 .factor = elements(factor, type),
                 .offset = elements(offset, type)});
}

void norm_modulation_backward(const Tensor& gamma, const Tensor& beta, const Tensor& scale,
                              const Tensor& dfactor, const Tensor& doffset, Tensor& dgamma, Tensor& dbeta,
                              Tensor& dscale) {
  const DType type = dfactor.dtype();
  run(kBackward, {.device = device_of(dfactor, gamma, beta, scale, doffset, dgamma, dbeta, dscale),
                  .type = type,
                  .n = dfactor.dim(0),
                  .channels = dfactor.dim(1),
                  .gamma = elements(gamma, type),
                  .beta = elements(beta, type),
                  .scale = elements(scale, type),
                  .dfactor = elements(dfactor, type),
                  .doffset = elements(doffset, type),
                  .dgamma = elements(dgamma, type),
                  .dbeta = elements(dbeta, type),
                  .dscale = elements(dscale, type)});
}

}  // namespace voxgrad
