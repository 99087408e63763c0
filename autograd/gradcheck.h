// Gradient check: compares backward with central differences, in double precision.
#pragma once
#include <functional>

#include "autograd/tape.h"

namespace voxgrad {

struct GradCheck {
  double worst = 0;   ///< largest |analytic - numeric| / (largest |gradient| of that input, at least 1e-3)
  std::string where;  ///< input and element with the largest error
};

/// Checks d <f(inputs), R> / d inputs for a fixed random R, with steps of size `h`. Varied inputs are f64.
/// `differentiable`: which inputs are varied (empty: all f64 inputs). At most `elements` elements of each
/// input are varied, evenly spread.
GradCheck check_gradient(const std::function<Var(const std::vector<Var>&)>& f,
                         const std::vector<Tensor>& inputs, std::vector<bool> differentiable = {},
                         int64_t elements = 200, double h = 1e-5);

/// Checks the gradient of an op on one of its samples.
GradCheck check_gradient(const Op& op, const OpSample& sample);

/// Standard normal numbers as f64, for samples of ops. Different values of `which` give independent tensors.
Tensor sample_normal(const Shape& shape, uint32_t which, double scale = 1);

}  // namespace voxgrad
