#include "tensor/core/kernel.h"

#include <map>
#include <set>

namespace voxgrad {
namespace {

std::map<std::string, std::string, std::less<>>& preferences() {
  static std::map<std::string, std::string, std::less<>> all;
  return all;
}

}  // namespace

void prefer_implementation(const std::string& op, const std::string& name) {
  if (name == "auto")
    preferences().erase(op);
  else
    preferences()[op] = name;
  detail::any_preferred = !preferences().empty();
}

std::string preferred_implementation(std::string_view op) {
  const auto known = preferences().find(op);
  return known == preferences().end() ? "auto" : known->second;
}

void* elements(const Tensor& t, DType type) {
  if (!t.defined()) return nullptr;
  require(t.dtype() == type, "[", current_op(), "] expected ", type, ", got ", t.dtype());
  return t.raw();
}

namespace detail {

bool any_preferred = false;

const char* simd_declines(DType type) {
  const CpuIsa isa = cpu_isa();
  if (isa == CpuIsa::ref) return "the instruction set is ref";
  if (type == DType::f32) return nullptr;
  if (type == DType::bf16) return isa >= CpuIsa::avx512bf16 ? nullptr : "no bf16 instructions";
  return kOtherType;
}

void report_kernel(const char* op, std::string_view chosen, const Device& device, DType type,
                   std::string problem, const std::string& declined, double flops) {
  if (type != DType::f32) problem += cat(' ', type);
  const std::string text =
      cat(problem, "; ", chosen, device.is_cuda() ? cat(' ', device.str()) : cat(' ', name_of(cpu_isa())),
          declined);
  trace({"kernel", op, text, 0, flops});
  static std::set<std::string> reported;  // tracing is single-threaded (trace.h)
  if (chosen == "ref" && type != DType::f64 && cpu_isa() != CpuIsa::ref && flops > 1e7 &&
      reported.insert(cat(op, text)).second)
    trace({"warning", op, cat("large problem runs on the plain loop: ", text), 0, flops});
}

void no_implementation(const char* op, const Device& device, DType type, const std::string& declined) {
  fail(ErrorCode::device, "[", op, "] expected an implementation for ", type, " on ", device.str(), declined);
}

}  // namespace detail
}  // namespace voxgrad
