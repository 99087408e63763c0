#include "apps/precision_advice.h"

#include "tensor/core/error.h"

namespace voxgrad::apps {

PrecisionAdvice precision_advice(CpuIsa isa, bool fast_dot) {
  if (isa == CpuIsa::amx)
    return {"bf16",
            "AMX multiplies bf16 on tiles, many times as fast as fp32, and activations take half the memory"};
  if (isa < CpuIsa::avx512bf16)
    return {"fp32", cat("the kernels in use, ", name_of(isa),
                        ", compute bf16 in fp32, which takes longer than fp32")};
  if (fast_dot)
    return {"bf16",
            "this CPU multiplies bf16 at twice the rate of fp32, and activations take half the memory"};
  return {"fp32",
          "without AMX, CPUs of this maker multiply bf16 no faster than fp32; bf16 only saves memory"};
}

PrecisionAdvice precision_advice() {
  bool fast_dot = false;
#if defined(__x86_64__)
  __builtin_cpu_init();
  fast_dot = __builtin_cpu_is("amd") != 0;
#endif
  return precision_advice(cpu_isa(), fast_dot);
}

}  // namespace voxgrad::apps
