// Gradient check: backward against central differences, in double precision.
#pragma once
#include <functional>

#include "autograd/tape.h"

namespace voxgrad {

struct GradCheck {
  double worst = 0;   ///< largest |analytic - numeric| / (largest |gradient| of that input, at least 1e-3)
  std::string where;  ///< input and element of the worst
};

/// Checks d <f(inputs), R> / d inputs for a fixed random R. `inputs` are f64; `differentiable` picks those
/// that are varied (empty: all f64 ones). At most `elements` elements an input are varied, spread evenly.
GradCheck check_gradient(const std::function<Var(const std::vector<Var>&)>& f,
                         const std::vector<Tensor>& inputs, std::vector<bool> differentiable = {},
                         int64_t elements = 200, double h = 1e-5);

/// check_gradient of one sample of an op.
GradCheck check_gradient(const Op& op, const OpSample& sample);

/// Standard normals as f64, for samples of ops; `which` picks independent tensors.
Tensor sample_normal(const Shape& shape, uint32_t which, double scale = 1);

}  // namespace voxgrad
