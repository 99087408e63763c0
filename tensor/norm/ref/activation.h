// The activations after a normalisation, chosen by a value. Written once for host and device.
#pragma once
#include "tensor/core/act.h"
#include "tensor/core/math.h"

namespace voxgrad::ref {

template <class T>
VOXGRAD_HD T activate(T u, Act act, T slope) {
  switch (act) {
    case Act::none:
      return u;
    case Act::relu:
      return u <= 0 ? T(0) : u;  // NaN stays NaN
    case Act::leaky_relu:
      return u > 0 ? u : slope * u;
    case Act::silu:
      return u / (1 + math::exp(-u));
    case Act::gelu:
      return u * T(0.5) * (1 + math::erf(u * T(0.70710678118654752)));
  }
  return u;
}

/// The derivative of activate with respect to u. At 0 relu and leaky_relu take the derivative from the left.
template <class T>
VOXGRAD_HD T activation_slope(T u, Act act, T slope) {
  switch (act) {
    case Act::none:
      return 1;
    case Act::relu:
      return u > 0 ? T(1) : T(0);
    case Act::leaky_relu:
      return u > 0 ? T(1) : slope;
    case Act::silu: {
      const T s = 1 / (1 + math::exp(-u));
      return s * (1 + u * (1 - s));
    }
    case Act::gelu: {
      const T cdf = T(0.5) * (1 + math::erf(u * T(0.70710678118654752)));
      return cdf + u * T(0.39894228040143268) * math::exp(-u * u * T(0.5));
    }
  }
  return 1;
}

}  // namespace voxgrad::ref
