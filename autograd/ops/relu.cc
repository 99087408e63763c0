// relu: the rectifier, max(x, 0).
#include "autograd/ops/element.h"

namespace voxgrad::ops {

const Op relu_op{.name = "relu",
                 .equation = "y = max(x, 0)",
                 .shape = same_shape,
                 .forward = element::forward<Unary::relu>,
                 .backward = element::backward<Unary::relu>,
                 .saves_output = true,  // the next op keeps it anyway
                 .samples = [] { return element::samples(); }};

Var relu(const Var& x) { return apply(relu_op, {}, {x}); }

}  // namespace voxgrad::ops
