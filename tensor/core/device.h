// Where a tensor lives. The CPU is always there; a CUDA device is opened when first asked for, through the
// module voxgrad_cuda.so (tensor/core/cuda/module.h), so that the same program runs where there is no driver.
#pragma once
#include <cstdint>
#include <string>

namespace voxgrad {

struct Device {
  enum class Kind : uint8_t { cpu, cuda };
  Kind kind = Kind::cpu;
  int index = 0;

  static Device cpu() { return {}; }
  static Device cuda(int index = 0) { return {Kind::cuda, index}; }
  bool is_cuda() const { return kind == Kind::cuda; }
  bool operator==(const Device&) const = default;
  std::string str() const { return is_cuda() ? "cuda:" + std::to_string(index) : "cpu"; }
};

/// "cpu", "cuda" (the first) or "cuda:INDEX". Throws ErrorCode::usage for another text.
Device parse_device(const std::string& text);

/// How products of f32 numbers are computed, and how activations are stored.
enum class Precision : uint8_t { fp32, tf32, bf16 };
/// "fp32", "tf32" or "bf16". Throws ErrorCode::usage for another text.
Precision parse_precision(const std::string& text);
std::string name_of(Precision precision);
/// Throws ErrorCode::usage where a device cannot compute in a precision: TF32 is a mode of CUDA devices.
void require_precision(const Device& device, Precision precision);

/// Opens the device, which does nothing for the CPU. Throws ErrorCode::device with the reason: no module (and
/// where it was looked for), another version of it, no driver, no device, wrong architecture.
void require_device(const Device& device);
/// Name, memory and libraries of a device that is open, a few lines.
std::string describe_device(const Device& device);
/// Bytes in tensors on a CUDA device, and the most since the last call of reset_peak_memory.
struct DeviceMemory {
  uint64_t live, peak;
};
DeviceMemory device_memory(const Device& device);
void reset_peak_memory(const Device& device);
/// Bytes that a CUDA device has, in use or not.
uint64_t total_device_memory(const Device& device);
/// More than `bytes` taken from the device is ErrorCode::memory, even where it has more; 0: no cap.
void cap_device_memory(const Device& device, uint64_t bytes);
/// Waits for all work on the device and reports its errors.
void synchronize(const Device& device);

/// Whether f32 products on CUDA devices may round their factors to TF32 (off), whether engines that differ
/// from run to run are allowed (off), and whether repeated work is recorded and replayed as a graph (on,
/// unless VOXGRAD_CUDA_GRAPHS=0).
struct DeviceOptions {
  bool tf32 = false, nondeterministic = false, graphs = true;
};
DeviceOptions& device_options();

/// Where Tensor::empty puts memory on this thread: the CPU unless a scope says otherwise.
Device default_device();
class DeviceScope {
 public:
  explicit DeviceScope(const Device& device);
  ~DeviceScope();
  DeviceScope(const DeviceScope&) = delete;
  DeviceScope& operator=(const DeviceScope&) = delete;

 private:
  Device before_;
};

/// What this thread is computing, for error texts; "tensor" outside of any scope.
const char* current_op();
class OpScope {
 public:
  explicit OpScope(const char* op);
  ~OpScope();
  OpScope(const OpScope&) = delete;
  OpScope& operator=(const OpScope&) = delete;

 private:
  const char* before_;
};

}  // namespace voxgrad
