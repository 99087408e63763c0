#include "autograd/finite_check.h"

#include "tensor/core/finite.h"

namespace voxgrad {
namespace {

thread_local const FiniteCheck* current_check = nullptr;

}  // namespace

FiniteCheck::FiniteCheck(Name name) : name_(std::move(name)), outer_(current_check) { current_check = this; }
FiniteCheck::~FiniteCheck() { current_check = outer_; }
const FiniteCheck* FiniteCheck::current() { return current_check; }

std::string FiniteCheck::describe(const Tensor& input) const {
  if (!input.defined()) return "an input that was not kept";
  const std::string name = name_ ? name_(input) : "";
  return cat(name.empty() ? "a tensor" : name, ' ', input.shape());
}

void FiniteCheck::forward(const Op& op, std::span<const Tensor> in, const Tensor& out) const {
  const std::string bad = describe_not_finite(out);
  if (bad.empty()) return;
  std::string from;
  for (const Tensor& input : in) {
    if (const std::string earlier = describe_not_finite(input); !earlier.empty())
      fail(ErrorCode::diverged, "[", op.name, "] expected a finite input, got ", describe(input), " with ",
           earlier);
    from += (from.empty() ? "" : ", ") + describe(input);
  }
  fail(ErrorCode::diverged, "[", op.name, "] expected a finite output, got ", bad, ", computed from ", from);
}

void FiniteCheck::backward(const Op& op, std::span<const Tensor> in, std::span<const Tensor> grad_in) const {
  for (size_t i = 0; i < grad_in.size(); ++i) {
    if (!grad_in[i].defined()) continue;
    if (const std::string bad = describe_not_finite(grad_in[i]); !bad.empty())
      fail(ErrorCode::diverged, "[", op.name, "] backward: expected a finite gradient of input ", i, " (",
           describe(in[i]), "), got ", bad);
  }
}

}  // namespace voxgrad
