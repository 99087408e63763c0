// Chooses between the kernels of an instruction set and the reference loops, and reports the choice.
#pragma once
#include <string>
#include <type_traits>

#include "tensor/cpu/isa.h"
#include "tensor/cpu/kernels.h"
#include "tensor/trace.h"

namespace voxgrad::cpu {

/// Runs fast(kernel table) on the best instruction set allowed. Runs slow() for double, when only ref is
/// allowed, or when `declined` says why the kernels cannot take this problem. describe() is called only while
/// tracing.
template <class T, class Describe, class Fast, class Slow>
auto dispatch(const char* op, const char* declined, double flops, Describe&& describe, Fast&& fast,
              Slow&& slow) {
  if constexpr (std::is_same_v<T, float>) {
    const CpuIsa isa = cpu_isa();
    const KernelTable* const table = kernel_table(isa);
    if (table && !declined) {
      if (tracing()) detail::trace_kernel(op, name_of(isa), describe(), "", flops);
      return fast(*table);
    }
    if (tracing())
      detail::trace_kernel(op, "ref", describe(), table ? cat(name_of(isa), " declined: ", declined) : "",
                           flops);
  } else if (tracing()) {
    detail::trace_kernel(op, "ref", cat(describe(), " f64"), "", 0);
  }
  return slow();
}

/// The first choice for bf16: run(tile kernels) where the instruction set has them and `declined` is null.
/// Returns whether it ran; if not, dispatch_bf16 follows.
template <class Describe, class Run>
bool dispatch_tiles(const char* op, const char* declined, double flops, Describe&& describe, Run&& run) {
  const KernelTable* const table = kernel_table(cpu_isa());
  if (!table || !table->tiles || declined) return false;
  if (tracing()) detail::trace_kernel(op, name_of(CpuIsa::amx), describe() + " tiles bf16", "", flops);
  run(*table->tiles);
  return true;
}

/// As dispatch, for bf16: fast(kernel table) where the instruction set has bf16 kernels (avx512bf16, and amx,
/// which has the same), else slow(), which computes with the f32 kernels on widened copies. `tiles_declined`:
/// why the problem cannot run on tiles.
template <class Describe, class Fast, class Slow>
void dispatch_bf16(const char* op, const char* declined, double flops, Describe&& describe, Fast&& fast,
                   Slow&& slow, const char* tiles_declined = nullptr) {
  const CpuIsa isa = cpu_isa();
  const KernelTable* const table = kernel_table(isa);
  if (table && table->bf16 && !declined) {
    if (tracing())
      detail::trace_kernel(op, name_of(CpuIsa::avx512bf16), describe() + " bf16",
                           table->tiles && tiles_declined ? cat("amx declined: ", tiles_declined) : "",
                           flops);
    return fast(*table);
  }
  if (tracing())
    detail::trace_kernel(op, "widened to f32", describe() + " bf16",
                         cat(name_of(isa), " declined: ", declined ? declined : "no bf16 instructions"),
                         flops);
  slow();
}

}  // namespace voxgrad::cpu
