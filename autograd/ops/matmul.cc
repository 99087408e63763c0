// matmul: op(A) op(B) over the last two axes. op is the transpose if the attribute is set, else the identity.
#include "autograd/ops/common.h"
#include "tensor/gemm.h"

namespace voxgrad::ops {
namespace {

bool ta(const Attrs& a) { return a.integer("transpose_a") != 0; }
bool tb(const Attrs& a) { return a.integer("transpose_b") != 0; }

Shape shape(const Attrs& at, std::span<const Shape> in) {
  const Shape &a = in[0], &b = in[1];
  bool fits = a.rank() >= 2 && a.rank() == b.rank();
  for (int i = 0; fits && i + 2 < a.rank(); ++i) fits = a[i] == b[i];
  fits = fits && a[ta(at) ? -2 : -1] == b[tb(at) ? -1 : -2];
  require(fits, "[matmul] expected [..., M, K] and [..., K, N] with equal leading extents, got ", a,
          ta(at) ? " transposed" : "", " and ", b, tb(at) ? " transposed" : "");
  Shape out = a;
  out.set(-2, a[ta(at) ? -1 : -2]);
  out.set(-1, b[tb(at) ? -2 : -1]);
  return out;
}

void forward(ForwardCall& c) { gemm(c.in[0], ta(c.attrs), c.in[1], tb(c.attrs), c.out); }

// C = op(A) op(B), so d op(A) = dC op(B)^T and d op(B) = op(A)^T dC. The gradient of a transposed operand is
// the transpose of this, computed as a product in the other order.
void backward(BackwardCall& c) {
  const bool a = ta(c.attrs), b = tb(c.attrs);
  const DType dtype = c.grad_out.dtype();
  if (c.wanted[0]) {
    c.grad_in[0] = Tensor::empty(c.shapes[0], dtype);
    if (a)
      gemm(c.in[1], b, c.grad_out, true, c.grad_in[0]);
    else
      gemm(c.grad_out, false, c.in[1], !b, c.grad_in[0]);
  }
  if (c.wanted[1]) {
    c.grad_in[1] = Tensor::empty(c.shapes[1], dtype);
    if (b)
      gemm(c.grad_out, true, c.in[0], a, c.grad_in[1]);
    else
      gemm(c.in[0], !a, c.grad_out, false, c.grad_in[1]);
  }
}

double flops(const Attrs& at, std::span<const Shape> in, const Shape& out) {
  return 2.0 * static_cast<double>(out.numel()) * static_cast<double>(in[0][ta(at) ? -2 : -1]);
}

std::vector<OpSample> samples() {
  const auto attrs = [](int64_t a, int64_t b) { return Attrs{{"transpose_a", a}, {"transpose_b", b}}; };
  return {
      {"matrix", attrs(0, 0), {sample_normal({3, 4}, 0), sample_normal({4, 5}, 1)}},
      {"batch, b transposed", attrs(0, 1), {sample_normal({2, 3, 4}, 0), sample_normal({2, 5, 4}, 1)}},
      {"batch, a transposed", attrs(1, 0), {sample_normal({2, 2, 4, 3}, 0), sample_normal({2, 2, 4, 5}, 1)}},
      {"both transposed", attrs(1, 1), {sample_normal({4, 3}, 0), sample_normal({1, 4}, 1)}}};
}

}  // namespace

const Op matmul_op{
    .name = "matmul",
    .equation = "y[..., m, n] = sum_k op(a)[..., m, k] op(b)[..., k, n]; op(a) is a or its transpose",
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .saves_input = save_all,
    .flops = flops,
    .samples = samples};

Var matmul(const Var& a, const Var& b, bool transpose_a, bool transpose_b) {
  return apply(matmul_op, {{"transpose_a", int64_t{transpose_a}}, {"transpose_b", int64_t{transpose_b}}},
               {a, b});
}

}  // namespace voxgrad::ops
