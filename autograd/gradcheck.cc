#include "autograd/gradcheck.h"

#include <algorithm>
#include <cmath>

#include "tensor/core/random.h"

namespace voxgrad {
namespace {

double project(const Tensor& out, const Tensor& r) {
  const double *a = out.data<double>(), *b = r.data<double>();
  double s = 0;
  for (int64_t i = 0; i < out.numel(); ++i) s += a[i] * b[i];
  return s;
}

std::vector<Var> as_vars(const std::vector<Tensor>& inputs, const std::vector<bool>& leaf) {
  std::vector<Var> vars;
  for (size_t i = 0; i < inputs.size(); ++i) vars.push_back(leaf[i] ? Var::leaf(inputs[i]) : Var(inputs[i]));
  return vars;
}

}  // namespace

Tensor sample_normal(const Shape& shape, uint32_t which, double scale) {
  Tensor t = random_normal(shape, {2024, Stream::test, which}).to(DType::f64);
  double* p = t.mutable_data<double>();
  for (int64_t i = 0; i < t.numel(); ++i) p[i] *= scale;
  return t;
}

GradCheck check_gradient(const std::function<Var(const std::vector<Var>&)>& f,
                         const std::vector<Tensor>& inputs, std::vector<bool> differentiable,
                         int64_t elements, double h) {
  if (differentiable.empty())
    for (const Tensor& t : inputs) differentiable.push_back(t.dtype() == DType::f64);
  const std::vector<Var> vars = as_vars(inputs, differentiable);
  Tensor r;
  {
    Tape tape;
    const Var out = f(vars);
    r = sample_normal(out.shape(), 99);
    tape.backward(out, r);
  }
  const auto value = [&](const std::vector<Tensor>& at) {
    return project(f(as_vars(at, std::vector<bool>(at.size(), false))).value(), r);
  };
  GradCheck result;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!differentiable[i]) continue;
    const Tensor analytic = vars[i].grad();
    std::vector<double> numeric, exact;
    std::vector<int64_t> index;
    const int64_t n = inputs[i].numel(), stride = std::max<int64_t>(1, n / elements);
    for (int64_t e = 0; e < n; e += stride) {
      std::vector<Tensor> shifted = inputs;
      shifted[i] = inputs[i].clone();
      double* p = shifted[i].mutable_data<double>();
      const double x = p[e];
      p[e] = x + h;
      const double up = value(shifted);
      p[e] = x - h;
      const double down = value(shifted);
      numeric.push_back((up - down) / (2 * h));
      exact.push_back(analytic.defined() ? analytic.data<double>()[e] : 0);
      index.push_back(e);
    }
    double scale = 1e-3;
    for (const double g : numeric) scale = std::max(scale, std::abs(g));
    for (size_t k = 0; k < numeric.size(); ++k) {
      const double error = std::abs(numeric[k] - exact[k]) / scale;
      if (!(error <= result.worst)) {
        result.worst = error;
        result.where =
            cat("input ", i, " element ", index[k], ": analytic ", exact[k], ", numeric ", numeric[k]);
      }
    }
  }
  return result;
}

GradCheck check_gradient(const Op& op, const OpSample& sample) {
  return check_gradient([&](const std::vector<Var>& in) { return apply(op, sample.attrs, in); },
                        sample.inputs, sample.differentiable);
}

}  // namespace voxgrad
