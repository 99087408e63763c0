// Tables of leaf functions. The files that are compiled for an instruction set (FAMILY/cpu/isa/) offer them
// to the drivers in FAMILY/cpu/. Drivers cut the work into tasks, allocate memory and run the threads. Leaf
// functions compute on plain pointers.
//
// A family declares its tables in FAMILY/cpu/kernels.h. Code that is compiled for wide instructions includes
// these headers. So they hold plain structs and no function with a body: an inline function would be compiled
// several times, and the linker might keep the copy that this CPU cannot run.
#pragma once
#include <cstdint>

namespace voxgrad::cpu {

constexpr int kLanes = 16;  ///< floats in a vector, on every instruction set

/// A bf16 number in the kernels: its bits.
using Bf16Bits = uint16_t;

/// Conversion and addition with the CPU's bf16 instructions.
struct Bf16Kernels {
  void (*from_f32)(const float* x, Bf16Bits* y, int64_t n);
  void (*to_f32)(const Bf16Bits* x, float* y, int64_t n);
  /// sum[i] = sum[i] + x[i], rounded to bf16.
  void (*add)(Bf16Bits* sum, const Bf16Bits* x, int64_t n);
};

}  // namespace voxgrad::cpu
