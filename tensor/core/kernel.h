// How an operation is computed: its call, and the list of its implementations.
//
// A call is a plain struct of extents and pointers. All implementations of an operation take the same call:
// the plain loops, the vector kernels of the CPU, and the kernels of a CUDA device. A family declares its
// calls in tensor/FAMILY/calls.h. Each call has the name of its operation (kOp), the device of all its
// pointers (device), and the type of the activations (type). A pointer to elements of that type, or of its
// parameter type, is a void pointer.
//
// The .cc file of the family checks the tensors, fills in the call, and gives it to run() with the list of
// implementations. The one to prefer comes first and the plain loop last. The first implementation for the
// device of the tensors that does not decline computes the call. A call that has str() and flops() is
// reported in the trace.
#pragma once
#include <string>
#include <string_view>

#include "tensor/core/as.h"
#include "tensor/core/cpu/isa.h"
#include "tensor/core/gpu.h"
#include "tensor/core/tensor.h"
#include "tensor/core/trace.h"

namespace voxgrad {

/// One way to compute a call.
template <class Call>
struct Implementation {
  std::string_view name;                 ///< in traces, and where a user asks for it
  const char* (*declines)(const Call&);  ///< why not this call, or null; a null function takes all calls
  void (*run)(const Call&);
  Device::Kind device = Device::Kind::cpu;
};

/// The reason of an implementation that is made for another type of activations. The trace leaves it out.
inline constexpr char kOtherType[] = "made for another type";

/// Runs the kernel of the CUDA backend that has the call's name. Waits for the device only if the
/// call says so.
template <class Call>
void run_on_cuda(const Call& call) {
  static const cuda::Kernel kernel = gpu::kernel(Call::kOp, sizeof(Call));
  gpu::check(kernel(gpu::context(call.device), &call));
}
template <class Call>
constexpr Implementation<Call> kCuda{"cuda", nullptr, run_on_cuda<Call>, Device::Kind::cuda};

/// Prefers the implementation `name` of the operation `op`: it computes every call that it does not decline.
/// "auto" removes the preference.
void prefer_implementation(const std::string& op, const std::string& name);
/// The name that was set; "auto" if there is none.
std::string preferred_implementation(std::string_view op);

namespace detail {
extern bool any_preferred;
void report_kernel(const char* op, std::string_view chosen, const Device& device, DType type,
                   std::string problem, const std::string& declined, double flops);
[[noreturn]] void no_implementation(const char* op, const Device& device, DType type,
                                    const std::string& declined);
const char* simd_declines(DType type);
}  // namespace detail

/// Computes the call with the first implementation on its device that does not decline. While tracing, a call
/// that has str() and flops() is reported: which implementation ran, and which declined and why. Throws
/// ErrorCode::device if all decline.
template <class Call, size_t N>
void run(const Implementation<Call> (&list)[N], const Call& call) {
  const auto why_not = [&](const Implementation<Call>& i) { return i.declines ? i.declines(call) : nullptr; };
  const auto compute = [&](const Implementation<Call>& i, const std::string& declined) {
    if constexpr (requires { call.str(); })
      if (tracing())
        detail::report_kernel(Call::kOp, i.name, call.device, call.type, call.str(), declined, call.flops());
    i.run(call);
  };
  if (detail::any_preferred) {
    const std::string wanted = preferred_implementation(Call::kOp);
    for (const Implementation<Call>& i : list)
      if (i.name == wanted && i.device == call.device.kind && !why_not(i)) return compute(i, "");
  }
  std::string declined;
  for (const Implementation<Call>& i : list) {
    if (i.device != call.device.kind) continue;
    const char* const why = why_not(i);
    if (!why) return compute(i, declined);
    if (tracing() && why != kOtherType) declined += cat("; ", i.name, " declined: ", why);
  }
  detail::no_implementation(Call::kOp, call.device, call.type, declined);
}

/// Why the vector kernels of the CPU do not take a call, or null if they do. They take f32, and bf16 if the
/// CPU has instructions for it.
template <class Call>
const char* simd_declines(const Call& call) {
  return detail::simd_declines(call.type);
}
/// Why a call is not computed by widening bf16 to f32, or null if it is: only bf16 is widened.
template <class Call>
const char* widened_declines(const Call& call) {
  return call.type == DType::bf16 ? nullptr : kOtherType;
}

/// Why an implementation in f32 does not take a call, or null if it does: it takes only f32.
template <class Call>
const char* f32_declines(const Call& call) {
  return call.type == DType::f32 ? nullptr : kOtherType;
}

/// The device of all these tensors. Undefined ones do not count. Throws ErrorCode::internal if they differ.
template <class... Rest>
Device device_of(const Tensor& first, const Rest&... rest) {
  (void)gpu::runs_on(first, rest...);
  return first.device();
}

/// The elements of a tensor for a call; null if the tensor is undefined. Throws ErrorCode::internal if they
/// have another type.
void* elements(const Tensor& t, DType type);
template <class T>
T* elements(const Tensor& t) {
  return static_cast<T*>(elements(t, dtype_of<T>()));
}

}  // namespace voxgrad
