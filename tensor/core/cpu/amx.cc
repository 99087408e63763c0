#include "tensor/core/cpu/amx.h"

#include <cstring>

#include "tensor/core/error.h"

#if defined(VOXGRAD_X86_KERNELS) && defined(__linux__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#endif

namespace voxgrad::cpu {
namespace {

#if defined(VOXGRAD_X86_KERNELS) && defined(__linux__)
// CPUID leaf 7, register EDX (Intel SDM, volume 2, CPUID).
bool cpu_has_amx() {
  constexpr unsigned kBf16 = 1u << 22, kTile = 1u << 24;
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d & kBf16) && (d & kTile);
}

// Asks Linux for the tiles (Documentation/arch/x86/xstate.rst). Returns 0 or an errno.
int request_tiles() {
  constexpr long kRequest = 0x1023;  // ARCH_REQ_XCOMP_PERM
  constexpr long kTileData = 18;     // the state component
  return syscall(SYS_arch_prctl, kRequest, kTileData) == 0 ? 0 : errno;
}
#else
bool cpu_has_amx() { return false; }
int request_tiles() { return -1; }
#endif

}  // namespace

AmxState ask_for_amx(bool cpu_has_it, int (*request)()) {
  if (!cpu_has_it) return {false, "not on this CPU"};
  const int error = request();
  if (error != 0) return {false, cat("refused by the system: ", std::strerror(error))};
  return {true, "yes"};
}

const AmxState& amx_state() {
  static const AmxState state = ask_for_amx(cpu_has_amx(), request_tiles);
  return state;
}

}  // namespace voxgrad::cpu
