// A module whose device 0 is host memory and whose kernels do nothing. It is for tests of what happens around
// kernels. In a capture it refuses what a real device refuses: to wait, to read a result, to copy from the
// host. Compiled with VOXGRAD_FAKE_ABI, it pretends to come from another build.
#include <cstdlib>
#include <cstring>

#include "tensor/core/cuda/module.h"
#include "tensor/core/error.h"

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
bool capturing = false;
Status refuse(const char* what) {
  static char message[100];
  std::strcpy(message, what);
  return fail_with(ErrorCode::internal, std::strcat(message, " inside a capture"));
}
Status wait(Context*) { return capturing ? refuse("wait") : 0; }
Status begin(Context*) { return capturing = true, 0; }
Status end(Context*, Graph** g) { return capturing = false, *g = nullptr, 0; }
Status abandon(Context*) { return capturing = false, 0; }
template <class... Arguments>
Status nothing(Arguments...) {
  return 0;
}
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
Status upload(Context*, void* to, const void* from, uint64_t bytes) {
  return capturing ? refuse("upload") : (std::memcpy(to, from, bytes), 0);
}
Status download(Context*, void* to, const void* from, uint64_t bytes) {
  return capturing ? refuse("download") : (std::memcpy(to, from, bytes), 0);
}
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
  m.kernel = [](const char*, uint32_t) -> Kernel {
    return [](Context*, const void*) -> Status { return 0; };
  };
  m.device.count = count;
  m.device.open = open;
  m.device.close = close;
  m.device.wait = wait;
  m.memory.allocate = allocate;
  m.memory.deallocate = deallocate;
  m.memory.upload = upload;
  m.memory.download = download;
  m.memory.copy = copy;
  m.memory.zero = zero;
  m.graph.begin = begin;
  m.graph.end = end;
  m.graph.abandon = abandon;
  return m;
}

}  // namespace
}  // namespace voxgrad::cuda

extern "C" const voxgrad::cuda::Module* voxgrad_cuda_module() {
  static const voxgrad::cuda::Module module = voxgrad::cuda::make();
  return &module;
}
