// leaky_relu: x if x > 0, else slope x (Maas et al. 2013).
#include "autograd/ops/element.h"

namespace voxgrad::ops {

const Op leaky_relu_op{.name = "leaky_relu",
                       .equation = "y = x if x > 0, else slope x",
                       .shape = same_shape,
                       .forward = element::forward<Unary::leaky_relu>,
                       .backward = element::backward<Unary::leaky_relu>,
                       .saves_output = true,  // has the sign of x; the next op keeps it anyway
                       .samples = [] {
                         return element::samples({{"slope", 0.1}});
                       }};

Var leaky_relu(const Var& x, double slope) {
  require(slope >= 0, "[leaky_relu] expected a slope of at least 0, got ", slope);
  return apply(leaky_relu_op, {{"slope", slope}}, {x});
}

}  // namespace voxgrad::ops
