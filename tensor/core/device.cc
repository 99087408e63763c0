#include "tensor/core/device.h"

#include <dlfcn.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <vector>

#include "tensor/core/error.h"
#include "tensor/core/gpu.h"

namespace voxgrad {
namespace {

thread_local Device current_device;
thread_local const char* op_name = "tensor";

// Where the module may lie, in order: the variable's file alone, or beside the program and where it is
// installed.
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
    fail(ErrorCode::device, "[device] voxgrad_cuda.so belongs to another build of voxgrad (interface ",
         module ? module->abi_version : 0, " of ", module ? module->size : 0, " bytes, expected ",
         cuda::kAbiVersion, " of ", sizeof(cuda::Module), ")");
  return *module;
}

constexpr int kMaxDevices = 16;

}  // namespace

namespace gpu {

const cuda::Module& module() {
  static const cuda::Module& opened = open_module();  // thrown errors leave it to be tried again
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
  static std::array<cuda::Context*, kMaxDevices> contexts{};  // live as long as the program
  if (device.index < 0 || device.index >= kMaxDevices)
    fail(ErrorCode::device, "[device] expected a device of cuda:0 to cuda:", kMaxDevices - 1, ", got ",
         device.str());
  const std::lock_guard lock(mutex);
  cuda::Context*& c = contexts[static_cast<size_t>(device.index)];
  if (!c) check(module().device.open(device.index, &c));
  return c;
}

}  // namespace gpu

Device parse_device(const std::string& text) {
  if (text == "cpu") return Device::cpu();
  if (text == "cuda") return Device::cuda();
  const std::string digits = text.starts_with("cuda:") ? text.substr(5) : "";
  if (digits.empty() || digits.size() > 2 || digits.find_first_not_of("0123456789") != std::string::npos)
    fail(ErrorCode::usage, "expected a device cpu, cuda or cuda:INDEX, got ", text);
  return Device::cuda(std::stoi(digits));
}

Precision parse_precision(const std::string& text) {
  if (text == "fp32") return Precision::fp32;
  if (text == "tf32") return Precision::tf32;
  if (text == "bf16") return Precision::bf16;
  fail(ErrorCode::usage, "expected a precision fp32, tf32 or bf16, got ", text);
}

std::string name_of(Precision precision) {
  return precision == Precision::bf16 ? "bf16" : precision == Precision::tf32 ? "tf32" : "fp32";
}

void require_precision(const Device& device, Precision precision) {
  if (precision == Precision::tf32 && !device.is_cuda())
    fail(ErrorCode::usage,
         "precision tf32 is a mode of CUDA devices; use --device cuda or another precision");
}

void require_device(const Device& device) {
  if (device.is_cuda()) (void)gpu::context(device);
}

std::string describe_device(const Device& device) {
  if (!device.is_cuda()) return "cpu\n";
  cuda::DeviceInfo d{};
  gpu::check(gpu::module().device.info(gpu::context(device), &d));
  return cat(device.str(), " ", d.name, ", compute capability ", d.major, ".", d.minor, ", ",
             d.multiprocessors, " multiprocessors, ", d.total_bytes >> 20, " MiB (", d.free_bytes >> 20,
             " free)\nCUDA driver ", d.driver_version / 1000, ".", d.driver_version % 1000 / 10, ", runtime ",
             d.runtime_version / 1000, ".", d.runtime_version % 1000 / 10, "\n", d.libraries);
}

DeviceMemory device_memory(const Device& device) {
  cuda::PoolStats s{};
  gpu::check(gpu::module().memory.stats(gpu::context(device), &s));
  return {s.live, s.peak};
}

uint64_t total_device_memory(const Device& device) {
  cuda::DeviceInfo d{};
  gpu::check(gpu::module().device.info(gpu::context(device), &d));
  return d.total_bytes;
}

void cap_device_memory(const Device& device, uint64_t bytes) {
  gpu::check(gpu::module().memory.set_cap(gpu::context(device), bytes));
}

void reset_peak_memory(const Device& device) {
  gpu::check(gpu::module().memory.reset_peak(gpu::context(device)));
}

void synchronize(const Device& device) {
  if (device.is_cuda()) gpu::check(gpu::module().device.wait(gpu::context(device)));
}

DeviceOptions& device_options() {
  static DeviceOptions options{.graphs = [] {
    const char* const given = std::getenv("VOXGRAD_CUDA_GRAPHS");
    const std::string wanted = given ? given : "";
    if (!wanted.empty() && wanted != "0" && wanted != "1")
      fail(ErrorCode::usage, "[device] expected VOXGRAD_CUDA_GRAPHS to be 0 or 1, got '", wanted, "'");
    return wanted != "0";
  }()};
  return options;
}

Device default_device() { return current_device; }
DeviceScope::DeviceScope(const Device& device) : before_(current_device) { current_device = device; }
DeviceScope::~DeviceScope() { current_device = before_; }

const char* current_op() { return op_name; }
OpScope::OpScope(const char* op) : before_(op_name) { op_name = op; }
OpScope::~OpScope() { op_name = before_; }

}  // namespace voxgrad
