// How a process computes: device, precision, instruction set and algorithms. The command makes one Runtime
// from the options and passes it down.
#pragma once
#include "tensor/core/cpu/isa.h"
#include "tensor/core/device.h"
#include "tensor/core/dtype.h"
#include "tensor/core/options.h"

namespace voxgrad {

/// Whether convolutions on the CPU may use Winograd's minimal filtering, in f32 and in bf16. It is for 3x3x3
/// or 1x3x3 taps and stride 1, and it is faster (docs/results/winograd.md). Its errors differ from those of
/// direct sums. In f32 the errors of outputs and of gradients of inputs are no larger, and the errors of
/// gradients of weights are up to six times as large. In bf16 the errors of outputs are two and a half times
/// as large. The default is true, unless the environment variable VOXGRAD_WINOGRAD is 0. If it is not
/// allowed, and always in f64, convolutions are direct sums.
bool winograd_allowed();
void allow_winograd(bool yes);

/// The options as the user gave them. "auto" takes the default for this CPU, or what the process was
/// set to before.
struct RuntimeOptions {
  std::string instruction_set = "auto";
  std::string winograd = "auto";
  std::string gemm = "auto";
  std::string precision = "auto";
  std::string graphs = "auto";
  void declare(OptionList& options);
};

/// The options as resolved, with the device.
class Runtime {
 public:
  /// fp32 on the CPU. Changes no setting of the process.
  Runtime() = default;
  /// Resolves the options, sets up the process, and opens the device. The environment variables
  /// VOXGRAD_CPU_ISA, VOXGRAD_WINOGRAD, VOXGRAD_GEMM and VOXGRAD_CUDA_GRAPHS override the options. If
  /// `nondeterministic` is true, convolutions of a CUDA device may use engines whose bits differ from run to
  /// run. Throws ErrorCode::device if the CPU lacks the instruction set or the device cannot be opened.
  /// Throws ErrorCode::usage if the device does not offer the precision, for `nondeterministic` on the CPU,
  /// and for a wrong value of an environment variable.
  Runtime(const RuntimeOptions& options, const Device& device, bool nondeterministic);

  const Device& device() const { return device_; }
  Precision precision() const { return precision_; }
  /// The type of a network's activations: bf16, or f32 for the other precisions.
  DType activations() const { return precision_ == Precision::bf16 ? DType::bf16 : DType::f32; }
  // Settings of the process.
  CpuIsa instruction_set() const { return cpu_isa(); }
  bool winograd() const;
  /// The preferred implementation of matrix products on the CPU: "auto" or "openblas".
  std::string gemm() const;

 private:
  Device device_;
  Precision precision_ = Precision::fp32;
};

}  // namespace voxgrad
