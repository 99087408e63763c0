// sigmoid: the logistic function.
#include "autograd/ops/element.h"

namespace voxgrad::ops {

const Op sigmoid_op{.name = "sigmoid",
                    .equation = "y = 1 / (1 + exp(-x))",
                    .shape = same_shape,
                    .forward = element::forward<Unary::sigmoid>,
                    .backward = element::backward<Unary::sigmoid>,
                    .saves_output = true,
                    .flops = [](const Attrs&, std::span<const Shape>,
                                const Shape& out) { return 4.0 * static_cast<double>(out.numel()); },
                    .samples = [] { return element::samples(); }};

Var sigmoid(const Var& x) { return apply(sigmoid_op, {}, {x}); }

}  // namespace voxgrad::ops
