// Where a tensor lives: the CPU or a CUDA device. The CPU is always there. A CUDA device is opened when it is
// first asked for, through the module voxgrad_cuda.so (tensor/core/cuda/module.h). So the same program also
// runs on a machine without a driver.
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

/// "cpu", "cuda" (the first device) or "cuda:INDEX". Throws ErrorCode::usage for another text.
Device parse_device(const std::string& text);

/// How products of f32 numbers are computed, and how activations are stored.
enum class Precision : uint8_t { fp32, tf32, bf16 };
/// "fp32", "tf32" or "bf16". Throws ErrorCode::usage for another text.
Precision parse_precision(const std::string& text);
std::string name_of(Precision precision);
/// Throws ErrorCode::usage if a device cannot compute in a precision. Only CUDA devices have TF32.
void require_precision(const Device& device, Precision precision);

/// Opens a CUDA device; for the CPU it does nothing. Throws ErrorCode::device with the reason: the module is
/// missing (and where it was looked for) or of another version, there is no driver or no such device, or the
/// architecture is wrong.
void require_device(const Device& device);
/// The name, memory and libraries of an open device, in a few lines of text.
std::string describe_device(const Device& device);
/// The bytes in use on a CUDA device, and the most since the last call of reset_peak_memory.
struct DeviceMemory {
  uint64_t live, peak;
};
DeviceMemory device_memory(const Device& device);
void reset_peak_memory(const Device& device);
/// All memory of a CUDA device in bytes, in use or not.
uint64_t total_device_memory(const Device& device);
/// Limits the bytes that are taken from the device; 0 means no limit. A request above the limit throws
/// ErrorCode::memory, even if the device has more memory.
void cap_device_memory(const Device& device, uint64_t bytes);
/// Waits for all work on the device and reports its errors.
void synchronize(const Device& device);

/// Settings of CUDA devices. tf32: f32 products may round their factors to TF32 (off). nondeterministic:
/// engines whose results differ from run to run are allowed (off). graphs: repeated work is recorded and
/// replayed as a graph (on, unless VOXGRAD_CUDA_GRAPHS=0).
struct DeviceOptions {
  bool tf32 = false, nondeterministic = false, graphs = true;
};
DeviceOptions& device_options();

/// The device on which Tensor::empty makes tensors in this thread: the CPU, or that of
/// the innermost DeviceScope.
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

/// The operation that this thread computes, for error texts. "tensor" outside of any OpScope.
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
