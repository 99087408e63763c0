// The boundary of the CUDA backend. The backend is built as voxgrad_cuda.so and is opened only if a CUDA
// device is asked for. One exported C function returns a table of functions on plain pointers. The rest of
// voxgrad sees only this file, and no CUDA header is needed to include it.
//
// Behind the boundary: context.h holds a device with its stream, pool.h is the memory pool, library.h finds
// cuBLASLt and cuDNN, and kernels.h lists the kernels of all families. A family keeps its kernels in
// tensor/FAMILY/cuda/. Convolutions are the largest: tensor/conv/cuda/conv.cc chooses an implementation,
// cudnn_plans.cc makes the plans of cuDNN.
//
// Rules of the boundary
// - Pointers are device memory unless a comment says host. Work is queued on the stream of the context and
//   runs in order. Only functions whose comment says "waits" wait.
// - A function returns 0 or the value of an ErrorCode. After an error, last_error() gives the text of this
//   thread's failure. No exception crosses the boundary.
// - Activations are f32 or bf16 (`type`). Statistics, parameters of norms and scalars are f32 or f64, as
//   their comments say.
// - The order of a sum depends on the shapes alone, so every run gives the same bits.
// - A captured graph reads from device memory what may change between replays.
#pragma once
#include <cstdint>

#include "tensor/core/dtype.h"

namespace voxgrad::cuda {

/// Increased with every change of a struct or signature in this file. Both sides compare it.
constexpr int32_t kAbiVersion = 4;

struct Context;  ///< a device, its stream, its pool, its libraries
struct Graph;    ///< a captured sequence of work
using Status = int32_t;

struct DeviceInfo {
  char name[128];
  int32_t major, minor, multiprocessors;
  int32_t driver_version, runtime_version;  ///< 1000 major + 10 minor
  uint64_t total_bytes, free_bytes, l2_bytes, shared_bytes_a_block;
  char libraries[768];  ///< a line for each: name, version, path, or why it could not be opened
};

struct PoolStats {
  uint64_t live, peak;                    ///< bytes in use, and the most since reset_peak
  uint64_t reserved, peak_reserved, cap;  ///< bytes taken from the device, the most, the limit (0: none)
  uint64_t device_allocations;            ///< calls of cudaMalloc; constant once a step has run
};

struct DeviceFns {
  Status (*count)(int32_t* devices);
  /// Opens device `index`. cuBLASLt and cuDNN are opened when first needed.
  Status (*open)(int32_t index, Context** context);
  void (*close)(Context* context);
  Status (*info)(Context* context, DeviceInfo* info);
  Status (*wait)(Context* context);  ///< waits for all queued work and reports its errors
};

struct MemoryFns {
  /// If memory runs out, the error names `op`.
  Status (*allocate)(Context* context, const char* op, uint64_t bytes, void** memory);
  Status (*deallocate)(Context* context, void* memory);
  Status (*stats)(Context* context, PoolStats* stats);
  Status (*reset_peak)(Context* context);
  Status (*set_cap)(Context* context, uint64_t bytes);
  Status (*trim)(Context* context);  ///< gives unused reserved memory back to the device; waits
  Status (*allocate_pinned)(Context* context, uint64_t bytes, void** host);
  Status (*deallocate_pinned)(Context* context, void* host);
  /// The caller may reuse the host memory when this returns. Copies of up to 4 KiB are queued; larger ones
  /// wait for the device.
  Status (*upload)(Context* context, void* to, const void* host, uint64_t bytes);
  Status (*download)(Context* context, void* host, const void* from, uint64_t bytes);  ///< waits
  Status (*copy)(Context* context, void* to, const void* from, uint64_t bytes);
  Status (*zero)(Context* context, void* to, uint64_t bytes);
  /// Uploads during computation. upload_ahead copies pinned memory on a second stream, after the work
  /// that was queued before the last release_upload. await_upload makes the main stream wait for the
  /// copies so far.
  Status (*upload_ahead)(Context* context, void* to, const void* pinned, uint64_t bytes);
  Status (*await_upload)(Context* context);
  Status (*release_upload)(Context* context);
  Status (*finish_upload)(Context* context);  ///< waits until the copies so far are done
};

/// Capture: work between begin and end is recorded and not run. Run the step once before, because plans
/// cannot be made in a capture: a function that would have to wait or to make a plan fails and says so.
struct GraphFns {
  Status (*begin)(Context* context);
  Status (*end)(Context* context, Graph** graph);
  Status (*abandon)(Context* context);  ///< ends a capture that failed
  Status (*launch)(Context* context, Graph* graph);
  Status (*destroy)(Context* context, Graph* graph);
  Status (*nodes)(Graph* graph, uint64_t* count);
};

/// A function that runs a kernel. `call` points to the call (tensor/core/kernel.h) that has
/// the kernel's name.
using Kernel = Status (*)(Context* context, const void* call);

struct Module {
  int32_t abi_version;
  uint32_t size;  ///< size of this struct, compared to refuse a module of another build
  const char* version;
  const char* (*last_error)();
  /// Returns null if the backend has no kernel for a call of this name and size.
  Kernel (*kernel)(const char* op, uint32_t call_bytes);
  DeviceFns device;
  MemoryFns memory;
  GraphFns graph;
};

/// The name of the one exported function.
constexpr char kModuleSymbol[] = "voxgrad_cuda_module";
using ModuleFunction = const Module* (*)();

}  // namespace voxgrad::cuda
