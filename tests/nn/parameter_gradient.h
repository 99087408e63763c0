// The gradient of a loss with respect to all parameters of a network, against central differences.
#pragma once
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "autograd/gradcheck.h"
#include "nn/parameters.h"

namespace voxgrad::test {

/// Loss as a function of the flat f64 parameters, by central differences along random directions. Parameters
/// start at random numbers: zero-initialised parts would hide their gradients' partners. recompute: of the
/// tape.
inline void expect_gradient_of_parameters(Parameters& p, const std::function<Var()>& loss,
                                          bool recompute = false) {
  const Tensor start = sample_normal(p.values().shape(), 5, 0.3);
  std::memcpy(p.values().raw(), start.raw(), start.nbytes());
  p.zero_grads();
  {
    Tape tape;
    tape.set_recompute(recompute);
    tape.backward(loss());
  }
  for (uint32_t d = 0; d < 8; ++d) {
    const Tensor direction = sample_normal(p.values().shape(), 100 + d);
    double analytic = 0;
    for (int64_t i = 0; i < direction.numel(); ++i)
      analytic += direction.data<double>()[i] * p.grads().data<double>()[i];
    const double h = 1e-6;
    const auto shifted = [&](double by) {
      for (int64_t i = 0; i < direction.numel(); ++i)
        p.values().mutable_data<double>()[i] = start.data<double>()[i] + by * direction.data<double>()[i];
      return loss().value().item();
    };
    // Leaky ReLU has kinks: a direction may cross one within h, which costs about h relative.
    EXPECT_NEAR((shifted(h) - shifted(-h)) / (2 * h), analytic, 1e-4 * std::max(1.0, std::abs(analytic)))
        << d;
    shifted(0);
  }
}

}  // namespace voxgrad::test
