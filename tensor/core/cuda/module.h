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

/// A volume that holds some of a convolution's channels: element (place, c) is data[place * channels + c].
struct Part {
  void* data;  ///< null: not wanted
  int64_t channels;
};

/// Extents along D, H, W. For a transposed convolution kernel == stride, pad == 0, out == in * stride.
struct ConvShape {
  int64_t n, in[3], out[3], kernel[3], stride[3], pad[3], cin, cout;
};
struct ConvCall {
  ConvShape shape;
  DType type;          ///< of x, y, dx, dy
  DType weight_type;   ///< of w, bias, dw, dbias: f32 or bf16
  bool tf32;           ///< f32 products may be rounded to TF32
  bool deterministic;  ///< leave out engines that may differ from run to run
};
/// w [taps, cin, cout]; the definition is tensor/conv/ref/conv.h. Inputs are read side by side along the
/// channels.
struct ConvFns {
  Status (*forward)(Context* context, const ConvCall* call, const Part* x, int32_t parts, const void* w,
                    const void* bias, void* y);
  Status (*backward_data)(Context* context, const ConvCall* call, const void* dy, const void* w,
                          const Part* dx, int32_t parts);
  Status (*backward_weights)(Context* context, const ConvCall* call, const Part* x, int32_t parts,
                             const void* dy, void* dw, void* dbias);
  Status (*transpose_forward)(Context* context, const ConvCall* call, const void* x, const void* w,
                              const void* bias, void* y);
  Status (*transpose_backward_data)(Context* context, const ConvCall* call, const void* dy, const void* w,
                                    void* dx);
  Status (*transpose_backward_weights)(Context* context, const ConvCall* call, const void* x, const void* dy,
                                       void* dw, void* dbias);
  /// Writes one line a plan (problem, implementation, engine, workspace, error against f32, what declined and
  /// why) as a C string of at most `size` bytes; `needed` gets its length.
  Status (*report)(Context* context, char* text, uint64_t size, uint64_t* needed);
};

enum class Unary : int32_t {
  relu,
  leaky_relu,
  silu,
  gelu,
  sigmoid,
  exp
};  // as in tensor/elementwise/elementwise.h
enum class Binary : int32_t { add, sub, mul };

struct ElementFns {
  Status (*unary)(Context* context, Unary f, DType type, int64_t n, const void* x, float parameter, void* y);
  Status (*unary_backward)(Context* context, Unary f, DType type, int64_t n, const void* value,
                           float parameter, const void* dy, void* dx);
  Status (*binary)(Context* context, Binary f, DType type, int64_t n, const void* a, const void* b, void* y);
  Status (*scale)(Context* context, DType type, int64_t n, const void* x, float factor, float offset,
                  void* y);
  /// y = p[i] a[i] + q[i] b[i] with p, q [rows] f32 and a, b [rows, width]; b may be null.
  Status (*axpby)(Context* context, DType type, int64_t rows, int64_t width, const float* p, const void* a,
                  const float* q, const void* b, void* y);
  Status (*convert)(Context* context, DType from, DType to, int64_t n, const void* x, void* y);
  Status (*fill)(Context* context, DType type, int64_t n, double value, void* y);
  /// y = x factor[n, c] + shift[n, c], f32 tables of `rows` rows (n or 1); null: 1 and 0.
  Status (*channel_affine)(Context* context, DType type, int64_t n, int64_t places, int64_t channels,
                           const void* x, const float* factor, int64_t factor_rows, const float* shift,
                           int64_t shift_rows, void* y);
  /// y[r, :] = [sin(t w_i), cos(t w_i)], f32.
  Status (*time_embedding)(Context* context, int64_t n, int64_t size, double max_period, const float* t,
                           float* y);
};

/// Results are f64 in device memory.
struct ReduceFns {
  Status (*sum)(Context* context, DType type, int64_t n, const void* x, double* out);
  Status (*squares)(Context* context, DType type, int64_t n, const void* x, double* out);
  Status (*squared_distance)(Context* context, DType type, int64_t n, const void* x, const void* y,
                             double* out);
  /// sum[n, c] (f32) = weight times the sum over places of x y; a null y is 1.
  Status (*channel_sum)(Context* context, DType type, int64_t n, int64_t places, int64_t channels,
                        const void* x, const void* y, double weight, float* sum);
  /// y = x / divisor, one number: a loss from its sum.
  Status (*quotient)(Context* context, const double* x, double divisor, float* y);
};

/// q [n, queries, heads, width], k [n, keys, heads, width], v [n, keys, heads, values].
struct AttentionShape {
  int64_t n, queries, keys, heads, width, values;
};
/// y and dy [n, queries, heads, values]; log_sum [n, heads, queries] f32. Definition:
/// tensor/attention/ref/attention.h.
struct AttentionFns {
  Status (*forward)(Context* context, const AttentionShape* shape, DType type, float scale, const void* q,
                    const void* k, const void* v, void* y, float* log_sum);
  Status (*backward)(Context* context, const AttentionShape* shape, DType type, float scale, const void* q,
                     const void* k, const void* v, const void* y, const float* log_sum, const void* dy,
                     void* dq, void* dk, void* dv);
};

/// Philox of tensor/core/random.h, bit for bit. `offset` (two numbers in device memory, may be null) is added
/// to seed and draw.
struct RandomKey {
  uint64_t seed;
  uint32_t stream, draw;
  const int64_t* offset;
};
struct RandomFns {
  Status (*normal)(Context* context, const RandomKey* key, uint64_t first, int64_t n, float* y);
  Status (*uniform)(Context* context, const RandomKey* key, uint64_t first, int64_t n, float* y);
  /// y[i] = x[i] keep, where the word of element first + i is at least `threshold`, else 0; first is a
  /// multiple of 4.
  Status (*dropout)(Context* context, const RandomKey* key, DType type, uint64_t first, int64_t n,
                    const void* x, uint32_t threshold, float keep, void* y);
  /// y [rows, count]: column i is column Philox::below(i, columns) of table [rows, columns], columns < 2^32.
  Status (*columns)(Context* context, const RandomKey* key, int64_t rows, int64_t columns, int64_t count,
                    const float* table, float* y);
};

/// c = alpha op(a) op(b) + beta c a batch, row major: op(a) [m, k], op(b) [k, n], c [m, n]. Strides in
/// elements between matrices of a batch; 0: the same for all.
struct GemmCall {
  DType type;
  bool tf32, transpose_a, transpose_b;
  int64_t batch, m, n, k, stride_a, stride_b, stride_c;
  float alpha, beta;
};
struct GemmFns {
  Status (*multiply)(Context* context, const GemmCall* call, const void* a, const void* b, void* c);
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
  ConvFns conv;
  ElementFns element;
  ReduceFns reduce;
  AttentionFns attention;
  RandomFns random;
  GemmFns gemm;
};

/// The one exported function, by this name.
constexpr char kModuleSymbol[] = "voxgrad_cuda_module";
using ModuleFunction = const Module* (*)();

}  // namespace voxgrad::cuda
