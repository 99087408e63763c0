// CUDA kernels on the host. The sources of tensor/*/cuda are rewritten a little (rewrite.cmake), compiled by
// the host's compiler against this header, and run by emulation.cc. This checks that kernels are right, not
// that they are fast. The threads of a block are fibers that switch at barriers. Blocks run one after the
// other. Both run in another order at every launch.
//
// Built with -fsanitize=address it finds accesses outside of arrays. Built with -fsanitize=thread and
// VOXGRAD_EMULATION_RACES (emulation.cc itself without) it finds races between the threads of a block.
//
// It is stricter than a device. These end the program: a barrier that some threads of the block have left,
// a warp operation without all of its lanes, and addresses that are not aligned. Memory begins as NaN.
// Copies beside the work happen as late as events allow; where they overwrite or read something too early,
// the program ends.
#pragma once
#include <cuda_runtime.h>

#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>

namespace emulation {

extern uint3 thread_index, block_index;  // of the thread that runs
extern dim3 block_extent, grid_extent;

/// Queues a kernel on a stream: runs it at once, or records it where the stream is captured.
void enqueue(cudaStream_t stream, const dim3& grid, const dim3& block, size_t shared,
             std::function<void()> body);
/// Queues other work of the host.
void enqueue(cudaStream_t stream, std::function<void()> work);
void sync_threads();
/// The dynamic shared memory of the block.
void* dynamic_shared();
/// Called where a static shared array is declared. The first thread of the block fills it with NaN.
void poison_shared(void* array, size_t bytes);
/// Waits for all lanes of the warp. Returns their `bytes` of data, 64 bytes apart.
const char* exchange(const void* mine, size_t bytes);
int lane();
void fail(const char* what);
/// From here on the device answers every wait with an error, as it does after a fault of a kernel.
void lose_device();
void copy_later(void* to, const void* from, size_t bytes, size_t zeros);
void finish_copies();

template <class T>
std::array<T, 32> all_lanes(const T& mine) {
  static_assert(sizeof(T) <= 64);
  const char* const data = exchange(&mine, sizeof mine);
  std::array<T, 32> values;
  for (size_t k = 0; k < 32; ++k) std::memcpy(&values[k], data + 64 * k, sizeof(T));
  return values;
}

/// What `kernel<<<configuration>>>(arguments)` becomes: kernel(call)(configuration)(arguments).
template <class Call>
auto kernel(Call call) {
  return [call](const dim3& grid, const dim3& block, size_t shared, cudaStream_t stream) {
    return [=](auto... arguments) { enqueue(stream, grid, block, shared, [=] { call(arguments...); }); };
  };
}

}  // namespace emulation

#define __launch_bounds__(...)
#define threadIdx ::emulation::thread_index
#define blockIdx ::emulation::block_index
#define blockDim ::emulation::block_extent
#define gridDim ::emulation::grid_extent

template <class... Arguments>
cudaError_t cudaFuncSetAttribute(void (*kernel)(Arguments...), cudaFuncAttribute attribute, int value) {
  return cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel), attribute, value);
}
inline void __syncthreads() { ::emulation::sync_threads(); }
template <class T>
T __shfl_xor_sync(uint32_t mask, T value, int other) {
  if (mask != 0xffffffffu) ::emulation::fail("a shuffle of some lanes only");
  return ::emulation::all_lanes(value)[static_cast<size_t>(::emulation::lane() ^ other)];
}
inline float __uint_as_float(uint32_t bits) {
  float f;
  std::memcpy(&f, &bits, sizeof f);
  return f;
}
using std::isfinite;

// Asynchronous copies to shared memory arrive when they are waited for.
inline void __pipeline_memcpy_async(void* to, const void* from, size_t bytes, size_t zeros = 0) {
  ::emulation::copy_later(to, from, bytes, zeros);
}
inline void __pipeline_commit() {}
inline void __pipeline_wait_prior(size_t groups) {
  if (groups == 0) ::emulation::finish_copies();
}
