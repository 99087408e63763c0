// The memory functions of the boundary (MemoryFns in module.h): allocation and copies.
#include "tensor/core/cuda/upload_ring.h"

namespace voxgrad::cuda {
namespace {

Status allocate(Context* context, const char* op, uint64_t bytes, void** memory) {
  return enter(context, op, [&](Context& c) { *memory = c.pool->allocate(op, bytes); });
}

Status deallocate(Context* context, void* memory) {
  return enter(context, "deallocate", [&](Context& c) { c.pool->deallocate(memory); });
}

Status stats(Context* context, PoolStats* out) {
  return enter(context, "stats", [&](Context& c) { *out = c.pool->stats(); });
}

Status reset_peak(Context* context) {
  return enter(context, "reset_peak", [](Context& c) { c.pool->reset_peak(); });
}

Status set_cap(Context* context, uint64_t bytes) {
  return enter(context, "set_cap", [&](Context& c) { c.pool->set_cap(bytes); });
}

Status trim(Context* context) {
  return enter(context, "trim", [](Context& c) {
    require(!c.capturing(), "expected no capture");
    c.pool->trim();
  });
}

Status allocate_pinned(Context* context, uint64_t bytes, void** host) {
  return enter(context, "allocate_pinned", [&](Context&) {
    check(cudaHostAlloc(host, bytes ? bytes : 1, cudaHostAllocDefault), "cudaHostAlloc");
  });
}

Status deallocate_pinned(Context* context, void* host) {
  return enter(context, "deallocate_pinned", [&](Context&) { check(cudaFreeHost(host), "cudaFreeHost"); });
}

Status upload(Context* context, void* to, const void* host, uint64_t bytes) {
  return enter(context, "upload", [&](Context& c) {
    require(!c.capturing(),
            "expected no capture: a graph would read the host's memory again at every replay");
    if (bytes <= UploadRing::kMaxBytes) return c.uploads->copy(c.stream, to, host, bytes);
    check(cudaMemcpyAsync(to, host, bytes, cudaMemcpyHostToDevice, c.stream), "cudaMemcpyAsync");
    check(cudaStreamSynchronize(c.stream), "cudaStreamSynchronize");
  });
}

Status download(Context* context, void* host, const void* from, uint64_t bytes) {
  return enter(context, "download", [&](Context& c) {
    require(!c.capturing(), "expected no capture: a captured step must not read results");
    check(cudaMemcpyAsync(host, from, bytes, cudaMemcpyDeviceToHost, c.stream), "cudaMemcpyAsync");
    check(cudaStreamSynchronize(c.stream), "cudaStreamSynchronize");
  });
}

Status copy(Context* context, void* to, const void* from, uint64_t bytes) {
  return enter(context, "copy", [&](Context& c) {
    check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, c.stream), "cudaMemcpyAsync");
  });
}

Status zero(Context* context, void* to, uint64_t bytes) {
  return enter(context, "zero",
               [&](Context& c) { check(cudaMemsetAsync(to, 0, bytes, c.stream), "cudaMemsetAsync"); });
}

Status upload_ahead(Context* context, void* to, const void* pinned, uint64_t bytes) {
  return enter(context, "upload_ahead", [&](Context& c) {
    require(!c.capturing(), "expected no capture");
    check(cudaStreamWaitEvent(c.copy_stream, c.released), "cudaStreamWaitEvent");
    check(cudaMemcpyAsync(to, pinned, bytes, cudaMemcpyHostToDevice, c.copy_stream), "cudaMemcpyAsync");
    check(cudaEventRecord(c.copied, c.copy_stream), "cudaEventRecord");
  });
}

Status await_upload(Context* context) {
  return enter(context, "await_upload",
               [](Context& c) { check(cudaStreamWaitEvent(c.stream, c.copied), "cudaStreamWaitEvent"); });
}

Status release_upload(Context* context) {
  return enter(context, "release_upload",
               [](Context& c) { check(cudaEventRecord(c.released, c.stream), "cudaEventRecord"); });
}

Status finish_upload(Context* context) {
  return enter(context, "finish_upload",
               [](Context& c) { check(cudaEventSynchronize(c.copied), "cudaEventSynchronize"); });
}

}  // namespace

extern const MemoryFns memory_functions{
    allocate, deallocate, stats, reset_peak, set_cap,      trim,         allocate_pinned, deallocate_pinned,
    upload,   download,   copy,  zero,       upload_ahead, await_upload, release_upload,  finish_upload};

}  // namespace voxgrad::cuda
