#include "tensor/core/gpu.h"

#include <dlfcn.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <string>
#include <vector>

#include "tensor/core/error.h"

namespace voxgrad::gpu {
namespace {

// Where the module may lie, in order. If the variable VOXGRAD_CUDA_MODULE is set, only its file is
// tried. Otherwise: beside the program, in the folder above, where it is installed, and where the
// dynamic linker looks.
std::vector<std::string> module_paths() {
  if (const char* const given = std::getenv("VOXGRAD_CUDA_MODULE")) return {given};
  std::error_code none;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", none).parent_path();
  return {(program / "voxgrad_cuda.so").string(), (program / "../voxgrad_cuda.so").string(),
          (program / "../lib/voxgrad/voxgrad_cuda.so").string(), "voxgrad_cuda.so"};
}

const cuda::Module& open_module() {
  std::string tried;
  void* handle = nullptr;
  for (const std::string& path : module_paths()) {
    handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (handle) break;
    const char* const why = dlerror();
    tried += (tried.empty() ? "" : "; ") + std::string(why ? why : path);
  }
  if (!handle)
    fail(ErrorCode::device, "[device] no CUDA backend: voxgrad_cuda.so cannot be opened (", tried,
         "); build with VOXGRAD_CUDA=ON, or name the file in VOXGRAD_CUDA_MODULE");
  const auto function = reinterpret_cast<cuda::ModuleFunction>(dlsym(handle, cuda::kModuleSymbol));
  const cuda::Module* const module = function ? function() : nullptr;
  if (!module || module->abi_version != cuda::kAbiVersion || module->size != sizeof(cuda::Module))
    fail(ErrorCode::device,
         "[device] voxgrad_cuda.so belongs to another build of voxgrad (interface version ",
         module ? module->abi_version : 0, " of ", module ? module->size : 0, " bytes, expected version ",
         cuda::kAbiVersion, " of ", sizeof(cuda::Module), ")");
  return *module;
}

constexpr int kMaxDevices = 16;

}  // namespace

const cuda::Module& module() {
  static const cuda::Module& opened = open_module();  // if this throws, the next call tries again
  return opened;
}

cuda::Kernel kernel(const char* op, uint32_t call_bytes) {
  const cuda::Kernel found = module().kernel(op, call_bytes);
  if (!found) fail(ErrorCode::device, "[", op, "] expected a kernel of the CUDA backend, which has none");
  return found;
}

void check(cuda::Status status) {
  if (status != 0) throw Error(static_cast<ErrorCode>(status), module().last_error());
}

cuda::Context* context(const Device& device) {
  static std::mutex mutex;
  static std::array<cuda::Context*, kMaxDevices> contexts{};  // they live as long as the program
  if (device.index < 0 || device.index >= kMaxDevices)
    fail(ErrorCode::device, "[device] expected a device of cuda:0 to cuda:", kMaxDevices - 1, ", got ",
         device.str());
  const std::lock_guard lock(mutex);
  cuda::Context*& c = contexts[static_cast<size_t>(device.index)];
  if (!c) check(module().device.open(device.index, &c));
  return c;
}

void copy(const Tensor& from, const Tensor& to) {
  if (from.nbytes() == 0) return;
  const cuda::MemoryFns& m = module().memory;
  if (!from.device().is_cuda()) {
    check(m.upload(context(to.device()), to.raw(), from.raw(), from.nbytes()));
  } else if (!to.device().is_cuda()) {
    check(m.download(context(from.device()), to.raw(), from.raw(), from.nbytes()));
  } else {
    require(from.device() == to.device(), "[copy] expected one CUDA device, got ", from.device().str(),
            " and ", to.device().str());
    check(m.copy(context(from.device()), to.raw(), from.raw(), from.nbytes()));
  }
}

double read_item(const Tensor& t) {
  const Tensor host = Tensor::empty_on(Device::cpu(), t.shape(), t.dtype());
  copy(t, host);
  return host.item();
}

void zero(const Tensor& t) { check(module().memory.zero(context(t.device()), t.raw(), t.nbytes())); }

}  // namespace voxgrad::gpu
