// concat: concatenates tensors along the last axis.
#include "autograd/ops/common.h"
#include "tensor/layout.h"

namespace voxgrad::ops {
namespace {

Shape shape(const Attrs&, std::span<const Shape> in) {
  require(!in.empty() && in[0].rank() >= 1, "[concat] expected at least one tensor [..., C]");
  Shape out = in[0];
  int64_t channels = 0;
  for (const Shape& s : in) {
    bool fits = s.rank() == out.rank();
    for (int i = 0; fits && i + 1 < s.rank(); ++i) fits = s[i] == out[i];
    require(fits, "[concat] expected shapes that differ in the last axis only, got ", in[0], " and ", s);
    channels += s[-1];
  }
  out.set(-1, channels);
  return out;
}

void join(std::span<const Tensor> in, Tensor& out) {
  int64_t first = 0;
  for (const Tensor& t : in) {
    copy_columns(t, 0, out, first, t.dim(-1));
    first += t.dim(-1);
  }
}

void forward(ForwardCall& c) { join(c.in, c.out); }

void backward(BackwardCall& c) {
  int64_t first = 0;
  for (size_t i = 0; i < c.shapes.size(); ++i) {
    const int64_t channels = c.shapes[i][-1];
    if (c.wanted[i]) {
      c.grad_in[i] = Tensor::empty(c.shapes[i], c.grad_out.dtype());
      copy_columns(c.grad_out, first, c.grad_in[i], 0, channels);
    }
    first += channels;
  }
}

std::vector<OpSample> samples() {
  return {{"two volumes", {}, {sample_normal({2, 3, 2, 2, 3}, 0), sample_normal({2, 3, 2, 2, 1}, 1)}},
          {"three, depth 1",
           {},
           {sample_normal({1, 1, 3, 2, 2}, 0), sample_normal({1, 1, 3, 2, 7}, 1),
            sample_normal({1, 1, 3, 2, 4}, 2)}},
          {"one", {}, {sample_normal({2, 3}, 0)}}};
}

}  // namespace

const Op concat_op{.name = "concat",
                   .equation = "y = x_1, then x_2, ... along the last axis",
                   .shape = shape,
                   .forward = forward,
                   .backward = backward,
                   .flops = flops_an_element<0>,
                   .linear = true,
                   .samples = samples};

Var concat(const std::vector<Var>& x) { return apply(concat_op, {}, x); }

}  // namespace voxgrad::ops
