// Which instruction set the CPU kernels use. Every kernel family has an ordered list of implementations
// (amx, avx512bf16, avx512, avx2, portable, ref); the first that the CPU has, that the setting allows and
// that does not decline runs. What ran, and why others declined, goes to tensor/core/trace.h.
#pragma once
#include <string>
#include <string_view>

namespace voxgrad {

/// avx512bf16 is avx512 with the kernels of bf16 tensors beside it, amx is avx512bf16 with kernels on tiles
/// beside them (tensor/gemm/cpu/tiles.h): f32 results have the same bits on all three.
enum class CpuIsa : int { ref, portable, avx2, avx512, avx512bf16, amx };

std::string_view name_of(CpuIsa isa);
/// True when the CPU and the operating system can run it; for amx, when the system permitted it too
/// (tensor/core/cpu/amx.h).
bool cpu_has(CpuIsa isa);
/// The highest set that kernels may use: the best one that the CPU has, or what the environment variable
/// VOXGRAD_CPU_ISA or set_cpu_isa asked for.
CpuIsa cpu_isa();
/// Limits the kernels to `isa` and below. Throws ErrorCode::device when the CPU lacks it.
void set_cpu_isa(CpuIsa isa);
/// The same by name: "ref", "portable", "avx2", "avx512", "avx512bf16", "amx" or "auto". Throws
/// ErrorCode::usage for other names.
void set_cpu_isa(std::string_view name);

}  // namespace voxgrad
