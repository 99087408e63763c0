// How a process computes: one object, built by the command from the options and passed down.
#pragma once
#include "tensor/core/cpu/isa.h"
#include "tensor/core/device.h"
#include "tensor/core/dtype.h"
#include "tensor/core/options.h"

namespace voxgrad {

/// Whether convolutions of 3x3x3 or 1x3x3 taps and stride 1 may run by Winograd's minimal filtering on the
/// CPU, in f32 and in bf16. It is faster (docs/results/winograd.md). In f32 the errors of outputs and of
/// gradients of inputs are no larger than those of direct sums, and the errors of gradients of weights are up
/// to six times as large. In bf16 outputs have two and a half times the error. True unless the environment
/// variable VOXGRAD_WINOGRAD is 0. If it is not allowed, and always in f64, sums are direct.
bool winograd_allowed();
void allow_winograd(bool yes);

/// As asked. "auto" is what the CPU and the defaults make of it, or what the process was set to before.
struct RuntimeOptions {
  std::string instruction_set = "auto";
  std::string winograd = "auto";
  std::string gemm = "auto";
  std::string precision = "auto";
  std::string graphs = "auto";
  void declare(OptionList& options);
};

/// As resolved.
class Runtime {
 public:
  /// fp32 on the CPU; changes nothing.
  Runtime() = default;
  /// Resolves the options, makes the process compute so, and opens the device. The environment variables
  /// VOXGRAD_CPU_ISA, VOXGRAD_WINOGRAD, VOXGRAD_GEMM and VOXGRAD_CUDA_GRAPHS override the options.
  /// `nondeterministic`: convolutions of a CUDA device may use engines whose bits differ from run to run.
  /// ErrorCode::device where the CPU lacks the instruction set or the device cannot be opened,
  /// ErrorCode::usage where the device does not offer the precision.
  Runtime(const RuntimeOptions& options, const Device& device, bool nondeterministic);

  const Device& device() const { return device_; }
  Precision precision() const { return precision_; }
  /// Type of a network's activations: bf16, or f32.
  DType activations() const { return precision_ == Precision::bf16 ? DType::bf16 : DType::f32; }
  // Of the process.
  CpuIsa instruction_set() const { return cpu_isa(); }
  bool winograd() const;
  /// What matrix products of the CPU prefer: "auto", "rows" or "openblas".
  std::string gemm() const;

 private:
  Device device_;
  Precision precision_ = Precision::fp32;
};

}  // namespace voxgrad
