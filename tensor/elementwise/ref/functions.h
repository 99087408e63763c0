// Functions of single elements and their derivatives, written once for host and device, for float and double.
// Where kFromOutput is true, `slope` takes the output y; otherwise it takes the input x.
#pragma once
#include "tensor/core/math.h"

namespace voxgrad::ref {

/// max(x, 0).
struct Relu {
  static constexpr bool kFromOutput = true;
  template <class T>
  VOXGRAD_HD static T value(T x, T) {
    return x <= 0 ? T(0) : x;  // NaN stays NaN
  }
  template <class T>
  VOXGRAD_HD static T slope(T y, T) {
    return y > 0 ? T(1) : T(0);
  }
};

/// x where x > 0, else p x. p >= 0, so y has the sign of x.
struct LeakyRelu {
  static constexpr bool kFromOutput = true;
  template <class T>
  VOXGRAD_HD static T value(T x, T p) {
    return x > 0 ? x : p * x;
  }
  template <class T>
  VOXGRAD_HD static T slope(T y, T p) {
    return y > 0 ? T(1) : p;
  }
};

/// x sigmoid(x).
struct Silu {
  static constexpr bool kFromOutput = false;
  template <class T>
  VOXGRAD_HD static T value(T x, T) {
    return x / (1 + math::exp(-x));
  }
  template <class T>
  VOXGRAD_HD static T slope(T x, T) {
    const T s = 1 / (1 + math::exp(-x));
    return s * (1 + x * (1 - s));
  }
};

/// x Phi(x), where Phi is the distribution function of the standard normal (Hendrycks and Gimpel 2016).
struct Gelu {
  static constexpr bool kFromOutput = false;
  template <class T>
  VOXGRAD_HD static T value(T x, T) {
    return x * (T(0.5) * (1 + math::erf(x * T(0.70710678118654752))));
  }
  template <class T>
  VOXGRAD_HD static T slope(T x, T) {
    const T phi = T(0.39894228040143268) * math::exp(T(-0.5) * x * x);
    return T(0.5) * (1 + math::erf(x * T(0.70710678118654752))) + x * phi;
  }
};

/// 1 / (1 + exp(-x)).
struct Sigmoid {
  static constexpr bool kFromOutput = true;
  template <class T>
  VOXGRAD_HD static T value(T x, T) {
    return 1 / (1 + math::exp(-x));
  }
  template <class T>
  VOXGRAD_HD static T slope(T y, T) {
    return y * (1 - y);
  }
};

struct Exp {
  static constexpr bool kFromOutput = true;
  template <class T>
  VOXGRAD_HD static T value(T x, T) {
    return math::exp(x);
  }
  template <class T>
  VOXGRAD_HD static T slope(T y, T) {
    return y;
  }
};

}  // namespace voxgrad::ref
