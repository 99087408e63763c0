// exp: the exponential function.
#include "autograd/ops/element.h"

namespace voxgrad::ops {

const Op exp_op{.name = "exp",
                .equation = "y = exp(x)",
                .shape = same_shape,
                .forward = element::forward<Unary::exp>,
                .backward = element::backward<Unary::exp>,
                .saves_output = true,
                .samples = [] { return element::samples(); }};

Var exp(const Var& x) { return apply(exp_op, {}, {x}); }

}  // namespace voxgrad::ops
