// Finds the table of kernels for an instruction set. A family writes its kernels once, in
// FAMILY/cpu/isa/. They are compiled once for each instruction set, in a namespace of its name, where a
// function `name` returns their table. The macros of this file declare these functions and define `const
// Table* cpu::name(CpuIsa)`. It returns the table for an instruction set, or null if this build or this
// CPU has none.
#pragma once
#include "tensor/core/cpu/isa.h"

#if defined(VOXGRAD_X86_KERNELS)

/// For kernels in f32: FAMILY/cpu/isa/*.cc.
#define VOXGRAD_KERNEL_TABLE(Table, name)                         \
  namespace voxgrad::portable {                                   \
  const Table& name();                                            \
  }                                                               \
  namespace voxgrad::avx2 {                                       \
  const Table& name();                                            \
  }                                                               \
  namespace voxgrad::avx512 {                                     \
  const Table& name();                                            \
  }                                                               \
  namespace voxgrad::cpu {                                        \
  const Table* name(CpuIsa isa) {                                 \
    if (isa == CpuIsa::ref || !cpu_has(isa)) return nullptr;      \
    if (isa == CpuIsa::portable) return &portable::name();        \
    return isa == CpuIsa::avx2 ? &avx2::name() : &avx512::name(); \
  }                                                               \
  }

/// For kernels with products of bf16: FAMILY/cpu/isa/bf16/*.cc.
#define VOXGRAD_BF16_KERNEL_TABLE(Table, name)                                        \
  namespace voxgrad::avx512bf16 {                                                     \
  const Table& name();                                                                \
  }                                                                                   \
  namespace voxgrad::cpu {                                                            \
  const Table* name(CpuIsa isa) {                                                     \
    return isa >= CpuIsa::avx512bf16 && cpu_has(isa) ? &avx512bf16::name() : nullptr; \
  }                                                                                   \
  }

/// For kernels on tiles: FAMILY/cpu/isa/amx/*.cc.
#define VOXGRAD_TILE_KERNEL_TABLE(Table, name)                                                          \
  namespace voxgrad::amx {                                                                              \
  const Table& name();                                                                                  \
  }                                                                                                     \
  namespace voxgrad::cpu {                                                                              \
  const Table* name(CpuIsa isa) { return isa == CpuIsa::amx && cpu_has(isa) ? &amx::name() : nullptr; } \
  }

#else

#define VOXGRAD_KERNEL_TABLE(Table, name)                                                         \
  namespace voxgrad::portable {                                                                   \
  const Table& name();                                                                            \
  }                                                                                               \
  namespace voxgrad::cpu {                                                                        \
  const Table* name(CpuIsa isa) { return isa == CpuIsa::portable ? &portable::name() : nullptr; } \
  }
#define VOXGRAD_BF16_KERNEL_TABLE(Table, name)  \
  namespace voxgrad::cpu {                      \
  const Table* name(CpuIsa) { return nullptr; } \
  }
#define VOXGRAD_TILE_KERNEL_TABLE(Table, name) VOXGRAD_BF16_KERNEL_TABLE(Table, name)

#endif
