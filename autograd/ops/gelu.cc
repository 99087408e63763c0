// gelu: x Phi(x), the exact form with erf (Hendrycks and Gimpel 2016).
#include "autograd/ops/element.h"

namespace voxgrad::ops {

const Op gelu_op{.name = "gelu",
                 .equation = "y = x (1 + erf(x / sqrt 2)) / 2",
                 .shape = same_shape,
                 .forward = element::forward<Unary::gelu>,
                 .backward = element::backward<Unary::gelu>,
                 .saves_input = save_all,
                 .recompute = element::recompute<Unary::gelu>,
                 .flops = [](const Attrs&, std::span<const Shape>,
                             const Shape& out) { return 8.0 * static_cast<double>(out.numel()); },
                 .samples = [] { return element::samples(); }};

Var gelu(const Var& x) { return apply(gelu_op, {}, {x}); }

}  // namespace voxgrad::ops
