// tensor/cuda/: the CUDA backend, built as voxgrad_cuda.so and opened only when a CUDA device is asked for.
//
// module.h (this file) is all that the rest of voxgrad sees: one exported C function returns a table of
// functions on plain pointers. context.h holds a device with its stream, pool.h the memory pool, library.h
// finds cuBLAS and cuDNN, cudnn_*.cc make convolution plans, conv.cc chooses an implementation, kernels.h
// declares the launchers of the .cu files, each a family. No CUDA header is needed to include this file.
//
// Rules of the boundary
// - Pointers are device memory unless a comment says host. Work is queued on the context's stream and runs in
//   order; only functions that say "waits" wait.
// - A function returns 0, or the value of an ErrorCode; last_error() then gives the text of this thread's
//   failure. No exception crosses the boundary.
// - Activations are f32 or bf16 (`type`); statistics, parameters of norms and scalars are f32 or f64 as said.
// - Sums run in an order that depends on shapes alone: the same bits in every run.
// - What a captured graph must be able to change between replays is read from device memory.
#pragma once
#include <cstdint>

#include "tensor/core/act.h"
#include "tensor/core/dtype.h"

namespace voxgrad::cuda {

/// Raised with every change of a struct or signature of this file; both sides compare it.
constexpr int32_t kAbiVersion = 4;

struct Context;  ///< a device, its stream, its pool, its libraries
struct Graph;    ///< a captured sequence of work
using Status = int32_t;

struct DeviceInfo {
  char name[128];
  int32_t major, minor, multiprocessors;
  int32_t driver_version, runtime_version;  ///< 1000 major + 10 minor
  uint64_t total_bytes, free_bytes, l2_bytes, shared_bytes_a_block;
  char libraries[768];  ///< one line each: name, version, path, or why it is not there
};

struct PoolStats {
  uint64_t live, peak;                    ///< bytes in tensors, and the most since reset_peak
  uint64_t reserved, peak_reserved, cap;  ///< bytes taken from the device; cap 0: none
  uint64_t device_allocations;            ///< calls of cudaMalloc: constant once a step is warm
};

struct DeviceFns {
  Status (*count)(int32_t* devices);
  /// Opens device `index`; its cuBLAS and cuDNN are opened when first needed.
  Status (*open)(int32_t index, Context** context);
  void (*close)(Context* context);
  Status (*info)(Context* context, DeviceInfo* info);
  Status (*wait)(Context* context);  ///< waits for all queued work and reports its errors
};

struct MemoryFns {
  /// `op` is named in the error when memory runs out.
  Status (*allocate)(Context* context, const char* op, uint64_t bytes, void** memory);
  Status (*deallocate)(Context* context, void* memory);
  Status (*stats)(Context* context, PoolStats* stats);
  Status (*reset_peak)(Context* context);
  Status (*set_cap)(Context* context, uint64_t bytes);
  Status (*trim)(Context* context);  ///< gives unused reserved memory back to the device; waits
  Status (*allocate_pinned)(Context* context, uint64_t bytes, void** host);
  Status (*deallocate_pinned)(Context* context, void* host);
  /// The host's bytes may be reused. Up to 4 KiB are queued, more wait for the device.
  Status (*upload)(Context* context, void* to, const void* host, uint64_t bytes);
  Status (*download)(Context* context, void* host, const void* from, uint64_t bytes);  ///< waits
  Status (*copy)(Context* context, void* to, const void* from, uint64_t bytes);
  Status (*zero)(Context* context, void* to, uint64_t bytes);
  /// Input beside computation: upload_ahead copies pinned memory on a second stream once the work before the
  /// last release_upload is done; await_upload lets the main stream wait for the copies so far.
  Status (*upload_ahead)(Context* context, void* to, const void* pinned, uint64_t bytes);
  Status (*await_upload)(Context* context);
  Status (*release_upload)(Context* context);
  Status (*finish_upload)(Context* context);  ///< waits until the copies so far are done
};

/// Capture: everything between begin and end is recorded, not run. Plans must exist before (run the step
/// once): a function that would have to wait or to make a plan fails and says so.
struct GraphFns {
  Status (*begin)(Context* context);
  Status (*end)(Context* context, Graph** graph);
  Status (*abandon)(Context* context);  ///< ends a capture that failed
  Status (*launch)(Context* context, Graph* graph);
  Status (*destroy)(Context* context, Graph* graph);
  Status (*nodes)(Graph* graph, uint64_t* count);
};

/// A kernel by the name of its call (tensor/core/kernel.h), which is passed as a pointer.
using Kernel = Status (*)(Context* context, const void* call);

struct Module {
  int32_t abi_version;
  uint32_t size;  ///< of this struct: catches a module of another build
  const char* version;
  const char* (*last_error)();
  /// Null where the backend has no kernel for a call of this name and size.
  Kernel (*kernel)(const char* op, uint32_t call_bytes);
  DeviceFns device;
  MemoryFns memory;
  GraphFns graph;
};

/// The one exported function, by this name.
constexpr char kModuleSymbol[] = "voxgrad_cuda_module";
using ModuleFunction = const Module* (*)();

}  // namespace voxgrad::cuda
