// Chooses between the kernels of an instruction set and the reference loops, and reports the choice.
#pragma once
#include <string>
#include <type_traits>

#include "tensor/core/cpu/isa.h"
#include "tensor/core/cpu/kernels.h"
#include "tensor/core/trace.h"

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

}  // namespace voxgrad::cpu
