// cast: converts to bf16 (rounded to nearest, ties to even) or f32. In f64, the precision of the reference,
// it is the identity. The gradient is cast back: for the derivative, rounding counts as the identity.
#include "tensor/core/convert.h"

#include "autograd/ops/common.h"

namespace voxgrad::ops {
namespace {

bool to_bf16(const Attrs& a) { return a.integer("bf16") != 0; }

void forward(ForwardCall& c) {
  if (c.in[0].dtype() == c.out.dtype())
    c.out.copy_from(c.in[0]);
  else
    convert(c.in[0], c.out);
}

void backward(BackwardCall& c) {
  // The input had the other type, unless all is f64. (A cast to the tensor's own type is not recorded.)
  const DType t = c.grad_out.dtype();
  c.grad_in[0] =
      t == DType::f64 ? c.grad_out : converted(c.grad_out, to_bf16(c.attrs) ? DType::f32 : DType::bf16);
}

std::vector<OpSample> samples() {
  // The parity tolerance of bf16 is half a unit in the last of 8 bits, 2^-8. Gradients of a cast to bf16 are
  // in bf16.
  return {{.name = "to bf16",
           .attrs = {{"bf16", int64_t{1}}},
           .inputs = {sample_normal({2, 2, 3, 2, 5}, 0)},
           .parity = 0x1p-8}};
}

}  // namespace

const Op cast_op{.name = "cast",
                 .equation = "y = x, rounded to bf16 or widened to f32",
                 .shape = same_shape,
                 .bf16_input = [](const Attrs& a, size_t, size_t) { return !to_bf16(a); },
                 .dtype =
                     [](const Attrs& a, DType in) {
                       if (in == DType::f64) return in;
                       return to_bf16(a) ? DType::bf16 : DType::f32;
                     },
                 .forward = forward,
                 .backward = backward,
                 .linear = true,
                 .samples = samples};

Var cast(const Var& x, DType dtype) {
  require(dtype == DType::f32 || dtype == DType::bf16, "[cast] expected f32 or bf16, got ", dtype);
  const DType in = x.value().dtype();
  if (in == dtype || in == DType::f64) return x;
  return apply(cast_op, {{"bf16", int64_t{dtype == DType::bf16}}}, {x});
}

}  // namespace voxgrad::ops
