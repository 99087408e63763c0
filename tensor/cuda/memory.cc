// Memory and copies at the boundary.
#include "tensor/cuda/context.h"

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
    // From pageable memory the driver has staged the copy when this returns; from pinned memory it may not
    // have.
    check(cudaMemcpyAsync(to, host, bytes, cudaMemcpyHostToDevice, c.stream), "cudaMemcpyAsync");
    cudaPointerAttributes a{};
    if (cudaPointerGetAttributes(&a, host) == cudaSuccess && a.type == cudaMemoryTypeHost)
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

void check_slot(int32_t slot) { require(slot >= 0 && slot < kSlots, "expected a slot of 0 to ", kSlots - 1); }

Status upload_ahead(Context* context, int32_t slot, void* to, const void* pinned, uint64_t bytes) {
  return enter(context, "upload_ahead", [&](Context& c) {
    check_slot(slot);
    require(!c.capturing(), "expected no capture");
    check(cudaStreamWaitEvent(c.copy_stream, c.released[slot]), "cudaStreamWaitEvent");
    check(cudaMemcpyAsync(to, pinned, bytes, cudaMemcpyHostToDevice, c.copy_stream), "cudaMemcpyAsync");
    check(cudaEventRecord(c.copied[slot], c.copy_stream), "cudaEventRecord");
  });
}

Status await_upload(Context* context, int32_t slot) {
  return enter(context, "await_upload", [&](Context& c) {
    check_slot(slot);
    check(cudaStreamWaitEvent(c.stream, c.copied[slot]), "cudaStreamWaitEvent");
  });
}

Status release_slot(Context* context, int32_t slot) {
  return enter(context, "release_slot", [&](Context& c) {
    check_slot(slot);
    check(cudaEventRecord(c.released[slot], c.stream), "cudaEventRecord");
  });
}

Status finish_upload(Context* context, int32_t slot) {
  return enter(context, "finish_upload", [&](Context& c) {
    check_slot(slot);
    check(cudaEventSynchronize(c.copied[slot]), "cudaEventSynchronize");
  });
}

}  // namespace

extern const MemoryFns memory_functions{
    allocate, deallocate, stats, reset_peak, set_cap,      trim,         allocate_pinned, deallocate_pinned,
    upload,   download,   copy,  zero,       upload_ahead, await_upload, release_slot,    finish_upload};

}  // namespace voxgrad::cuda
