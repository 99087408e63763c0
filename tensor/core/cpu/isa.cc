#include "tensor/core/cpu/isa.h"

#include <array>
#include <atomic>
#include <cstdlib>

#include "tensor/core/cpu/amx.h"
#include "tensor/core/error.h"

namespace voxgrad {

namespace {

constexpr std::array<CpuIsa, 6> kAll{CpuIsa::ref,    CpuIsa::portable,   CpuIsa::avx2,
                                     CpuIsa::avx512, CpuIsa::avx512bf16, CpuIsa::amx};
std::atomic<int> chosen{-1};

CpuIsa best() {
  CpuIsa isa = CpuIsa::ref;
  for (CpuIsa i : kAll)
    if (cpu_has(i)) isa = i;
  return isa;
}

CpuIsa parse(std::string_view name) {
  if (name == "auto" || name.empty()) return best();
  for (CpuIsa i : kAll)
    if (name == name_of(i)) return i;
  fail(ErrorCode::usage,
       "[cpu] expected instruction set auto, ref, portable, avx2, avx512, avx512bf16 or amx, got '", name,
       "'");
}

}  // namespace

std::string_view name_of(CpuIsa isa) {
  constexpr std::array<std::string_view, 6> names{"ref", "portable", "avx2", "avx512", "avx512bf16", "amx"};
  return names[static_cast<size_t>(isa)];
}

bool cpu_has(CpuIsa isa) {
#if defined(VOXGRAD_X86_KERNELS)
  // __builtin_cpu_supports also checks that the operating system saves the wide registers.
  __builtin_cpu_init();
  if (isa == CpuIsa::avx2) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (isa == CpuIsa::avx512)
    return cpu_has(CpuIsa::avx2) && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw");
  if (isa == CpuIsa::avx512bf16) return cpu_has(CpuIsa::avx512) && __builtin_cpu_supports("avx512bf16");
  if (isa == CpuIsa::amx) return cpu_has(CpuIsa::avx512bf16) && cpu::amx_state().usable;
  return true;
#else
  return isa == CpuIsa::ref || isa == CpuIsa::portable;
#endif
}

CpuIsa cpu_isa() {
  const int c = chosen.load(std::memory_order_relaxed);
  if (c >= 0) return static_cast<CpuIsa>(c);
  const char* wanted = std::getenv("VOXGRAD_CPU_ISA");
  set_cpu_isa(wanted ? std::string_view(wanted) : std::string_view("auto"));
  return static_cast<CpuIsa>(chosen.load(std::memory_order_relaxed));
}

void set_cpu_isa(CpuIsa isa) {
  if (!cpu_has(isa))
    fail(ErrorCode::device, "[cpu] expected instruction set ", name_of(isa), ", got a CPU that has only ",
         name_of(best()), isa == CpuIsa::amx ? cat("; AMX: ", cpu::amx_state().text) : "");
  chosen.store(static_cast<int>(isa), std::memory_order_relaxed);
}

void set_cpu_isa(std::string_view name) { set_cpu_isa(parse(name)); }

}  // namespace voxgrad
