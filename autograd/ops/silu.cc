// silu: x sigmoid(x) (Elfwing et al. 2018).
#include "autograd/ops/element.h"

namespace voxgrad::ops {

const Op silu_op{.name = "silu",
                 .equation = "y = x / (1 + exp(-x))",
                 .shape = same_shape,
                 .forward = element::forward<Unary::silu>,
                 .backward = element::backward<Unary::silu>,
                 .saves_input = save_all,
                 .recompute = element::recompute<Unary::silu>,
                 .flops = [](const Attrs&, std::span<const Shape>,
                             const Shape& out) { return 4.0 * static_cast<double>(out.numel()); },
                 .samples = [] { return element::samples(); }};

Var silu(const Var& x) { return apply(silu_op, {}, {x}); }

}  // namespace voxgrad::ops
