#include "tensor/core/device.h"

#include <cstdlib>

#include "tensor/core/error.h"
#include "tensor/core/gpu.h"

namespace voxgrad {
namespace {

thread_local Device current_device;
thread_local const char* op_name = "tensor";

}  // namespace

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
