// Which precision suits a CPU, by its instruction set. Nothing follows the advice by itself: the default is
// fp32.
#pragma once
#include <string>

#include "tensor/core/cpu/isa.h"

namespace voxgrad::apps {

struct PrecisionAdvice {
  std::string precision;  ///< a value of --precision: "fp32" or "bf16"
  std::string reason;
};

/// The rule of docs/precision.md for kernels of `isa`. `fast_dot`: the CPU multiplies bf16 pairs (VDPBF16PS)
/// at twice the rate of fp32.
PrecisionAdvice precision_advice(CpuIsa isa, bool fast_dot);

/// For this CPU with the kernels in use.
PrecisionAdvice precision_advice();

}  // namespace voxgrad::apps
