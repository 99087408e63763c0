// A module whose device 0 is host memory and which computes nothing: for tests of what happens around
// kernels. Compiled with VOXGRAD_FAKE_ABI it pretends to be of another build.
#include <cstdlib>
#include <cstring>

#include "tensor/cuda/module.h"
#include "tensor/error.h"

namespace voxgrad::cuda {
namespace {

const char* text = "";
constexpr uint64_t kMemory = uint64_t{1} << 30;

Status fail_with(ErrorCode code, const char* why) {
  text = why;
  return static_cast<Status>(code);
}

const char* last_error() { return text; }
Status count(int32_t* n) { return *n = 1, 0; }
Status open(int32_t index, Context** c) {
  if (index != 0) return fail_with(ErrorCode::device, "[device] cuda: no NVIDIA driver");
  static int device;
  *c = reinterpret_cast<Context*>(&device);
  return 0;
}
void close(Context*) {}
Status wait(Context*) { return 0; }
Status allocate(Context*, const char* op, uint64_t bytes, void** p) {
  static char message[200];
  if (bytes <= kMemory) return *p = std::malloc(bytes ? bytes : 1), 0;
  std::strcpy(message, "[");
  std::strncat(message, op, 100);
  std::strcat(message, "] cuda: out of device memory");
  return fail_with(ErrorCode::memory, message);
}
Status deallocate(Context*, void* p) { return std::free(p), 0; }
Status copy(Context*, void* to, const void* from, uint64_t bytes) { return std::memcpy(to, from, bytes), 0; }
Status zero(Context*, void* to, uint64_t bytes) { return std::memset(to, 0, bytes), 0; }

Module make() {
  Module m{};
#if defined(VOXGRAD_FAKE_ABI)
  m.abi_version = VOXGRAD_FAKE_ABI;
#else
  m.abi_version = kAbiVersion;
#endif
  m.size = sizeof(Module);
  m.version = "fake";
  m.last_error = last_error;
  m.device.count = count;
  m.device.open = open;
  m.device.close = close;
  m.device.wait = wait;
  m.memory.allocate = allocate;
  m.memory.deallocate = deallocate;
  m.memory.upload = m.memory.download = m.memory.copy = copy;
  m.memory.zero = zero;
  return m;
}

}  // namespace
}  // namespace voxgrad::cuda

extern "C" const voxgrad::cuda::Module* voxgrad_cuda_module() {
  static const voxgrad::cuda::Module module = voxgrad::cuda::make();
  return &module;
}
