// Which instruction set the kernels of the CPU use. There is one setting for the process: cpu_isa(). An
// implementation takes the kernels that were compiled for it (tensor/core/cpu/tables.h). If there are none,
// the implementation declines and the next one of the operation's list runs (tensor/core/kernel.h). The trace
// says what ran and why others declined (tensor/core/trace.h).
#pragma once
#include <string>
#include <string_view>

namespace voxgrad {

/// In ascending order. avx512bf16 adds kernels for bf16 tensors to avx512. amx adds kernels on tiles to
/// avx512bf16 (tensor/gemm/cpu/tiles.h). So f32 results have the same bits on all three.
enum class CpuIsa : int { ref, portable, avx2, avx512, avx512bf16, amx };

std::string_view name_of(CpuIsa isa);
/// True if the CPU and the operating system can run the instruction set. For amx the system must also
/// permit it (tensor/core/cpu/amx.h).
bool cpu_has(CpuIsa isa);
/// The highest instruction set that kernels may use: the best one of this CPU, unless the environment
/// variable VOXGRAD_CPU_ISA or set_cpu_isa asked for another.
CpuIsa cpu_isa();
/// Limits the kernels to `isa` and below. Throws ErrorCode::device if the CPU lacks it.
void set_cpu_isa(CpuIsa isa);
/// The same by name: "ref", "portable", "avx2", "avx512", "avx512bf16", "amx", or "auto" for the best one of
/// this CPU. Throws ErrorCode::usage for other names.
void set_cpu_isa(std::string_view name);

}  // namespace voxgrad
