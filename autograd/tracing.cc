#include "autograd/tracing.h"

#include <algorithm>
#include <utility>

namespace voxgrad {
namespace {

thread_local std::string_view current_module;
bool values_wanted = false;

}  // namespace

ModuleScope::ModuleScope(std::string_view name) : outer_(std::exchange(current_module, name)) {}
ModuleScope::~ModuleScope() { current_module = outer_; }
std::string_view ModuleScope::current() { return current_module; }

void set_trace_values(bool on) { values_wanted = on; }
bool trace_values() { return values_wanted; }

std::string values_text(const Tensor& t) {
  const bool floats = t.dtype() == DType::f32 || t.dtype() == DType::f64 || t.dtype() == DType::bf16;
  if (!floats || t.numel() == 0 || t.device().is_cuda()) return "";
  const Tensor values = t.to(DType::f64);
  const double* const x = values.data<double>();
  double low = x[0], high = x[0], sum = 0;
  for (int64_t i = 0; i < values.numel(); ++i) {
    low = std::min(low, x[i]);
    high = std::max(high, x[i]);
    sum += x[i];
  }
  return cat("min ", low, ", mean ", sum / static_cast<double>(values.numel()), ", max ", high);
}

}  // namespace voxgrad
