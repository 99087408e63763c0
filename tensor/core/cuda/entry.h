// A family of CUDA kernels offers its functions under the names of their calls (tensor/core/kernel.h).
#pragma once
#include <span>

#include "tensor/core/cuda/context.h"

namespace voxgrad::cuda {

/// A function of a family and the name under which it is found.
struct KernelEntry {
  const char* op;
  uint32_t call_bytes;
  Kernel run;
};

template <auto kFunction>
struct EntryOf;
template <class Call, void (*kFunction)(Context&, const Call&)>
struct EntryOf<kFunction> {
  static Status run(Context* context, const void* call) {
    return enter(context, Call::kOp, [&](Context& c) { kFunction(c, *static_cast<const Call*>(call)); });
  }
  static constexpr KernelEntry entry{Call::kOp, sizeof(Call), run};
};

/// The entry of a function void(Context&, const Call&). Its run() goes through enter() (context.h).
template <auto kFunction>
constexpr KernelEntry kEntry = EntryOf<kFunction>::entry;

}  // namespace voxgrad::cuda
