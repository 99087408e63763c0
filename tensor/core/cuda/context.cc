#include "tensor/core/cuda/context.h"

#include <cstdio>
#include <cstring>

#include "tensor/core/cuda/kernels.h"
#include "tensor/core/cuda/upload_ring.h"

namespace voxgrad::cuda {

std::string& failure_text() {
  thread_local std::string text;
  return text;
}

void check(cudaError_t result, const char* what) {
  if (result == cudaSuccess) return;
  const ErrorCode code = result == cudaErrorMemoryAllocation ? ErrorCode::memory : ErrorCode::device;
  (void)cudaGetLastError();  // otherwise the next launch would report an error that is not permanent
  switch (result) {
    case cudaErrorInsufficientDriver:
      fail(code, "no NVIDIA driver, or one older than CUDA ", CUDART_VERSION / 1000, ".",
           CUDART_VERSION % 1000 / 10, " needs");
    case cudaErrorNoDevice:
      fail(code, "no CUDA device on this machine");
    case cudaErrorNoKernelImageForDevice:
    case cudaErrorUnsupportedPtxVersion:
      fail(code, "this build has no kernels for the device's architecture (", what, ")");
    default:
      fail(code, what, ": ", cudaGetErrorString(result), " (", cudaGetErrorName(result), ")");
  }
}

void check_launch(const char* kernel) { check(cudaPeekAtLastError(), kernel); }

namespace {

void* take(uint64_t bytes) {
  void* p = nullptr;
  const cudaError_t result = cudaMalloc(&p, bytes);
  if (result == cudaErrorMemoryAllocation) {
    (void)cudaGetLastError();
    return nullptr;
  }
  check(result, "cudaMalloc");
  return p;
}

std::string free_memory_text() {
  size_t free = 0, total = 0;
  if (cudaMemGetInfo(&free, &total) != cudaSuccess) return "free memory of the device unknown";
  return cat("device has ", free >> 20, " of ", total >> 20, " MiB free");
}

}  // namespace

Context::Context(int i) : index(i) {
  int count = 0;
  check(cudaGetDeviceCount(&count), "cudaGetDeviceCount");
  if (i < 0 || i >= count)
    fail(ErrorCode::device, "no device cuda:", i, "; this machine has ", count,
         count == 1 ? " device" : " devices", " (cuda:0", count > 1 ? cat(" to cuda:", count - 1) : "", ")");
  check(cudaGetDeviceProperties(&properties, i), "cudaGetDeviceProperties");
  if (properties.major < 8)
    fail(ErrorCode::device, "device cuda:", i, " (", properties.name, ") has compute capability ",
         properties.major, ".", properties.minor, "; this build needs 8.0 or newer");
  make_current();
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreate");
  check(cudaStreamCreateWithFlags(&copy_stream, cudaStreamNonBlocking), "cudaStreamCreate");
  check(cudaEventCreateWithFlags(&released, cudaEventDisableTiming), "cudaEventCreate");
  check(cudaEventCreateWithFlags(&copied, cudaEventDisableTiming), "cudaEventCreate");
  pool = std::make_unique<Pool>(Pool::Driver{take,
                                             [this](void* p) {
                                               (void)cudaStreamSynchronize(
                                                   stream);  // queued work may still use freed blocks
                                               (void)cudaFree(p);
                                             },
                                             free_memory_text});
  uploads = std::make_unique<UploadRing>();
}

Context::~Context() {
  (void)cudaSetDevice(index);
  (void)cudaDeviceSynchronize();
  parts_.clear();
  uploads.reset();
  pool.reset();
  if (released) (void)cudaEventDestroy(released);
  if (copied) (void)cudaEventDestroy(copied);
  if (copy_stream) (void)cudaStreamDestroy(copy_stream);
  if (stream) (void)cudaStreamDestroy(stream);
}

namespace {

Status count(int32_t* devices) {
  return guarded("device", [&] {
    int n = 0;
    check(cudaGetDeviceCount(&n), "cudaGetDeviceCount");
    *devices = n;
  });
}

Status open(int32_t index, Context** context) {
  return guarded("device", [&] { *context = new Context(index); });
}

void close(Context* context) { delete context; }

// What a library says about itself, or why it cannot be opened.
template <class Need>
std::string line(const char* name, Need&& need) {
  try {
    return cat(name, " ", need(), "\n");
  } catch (const Error& e) {
    return cat(name, ": ", e.what(), "\n");
  }
}

Status info(Context* context, DeviceInfo* out) {
  return enter(context, "device", [&](Context& c) {
    *out = {};
    const cudaDeviceProp& p = c.properties;
    std::snprintf(out->name, sizeof out->name, "%.*s", static_cast<int>(sizeof out->name) - 1, p.name);
    out->major = p.major;
    out->minor = p.minor;
    out->multiprocessors = p.multiProcessorCount;
    check(cudaDriverGetVersion(&out->driver_version), "cudaDriverGetVersion");
    check(cudaRuntimeGetVersion(&out->runtime_version), "cudaRuntimeGetVersion");
    size_t free = 0, total = 0;
    check(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
    out->free_bytes = free;
    out->total_bytes = total;
    out->l2_bytes = static_cast<uint64_t>(p.l2CacheSize);
    out->shared_bytes_a_block = p.sharedMemPerBlockOptin;
    const std::string text = line("cuDNN", [&] { return describe_cudnn(c); }) +
                             line("cuBLASLt", [&] { return describe_cublas(c); });
    std::snprintf(out->libraries, sizeof out->libraries, "%s", text.c_str());
  });
}

Status wait(Context* context) {
  return enter(context, "wait", [](Context& c) {
    require(!c.capturing(), "expected no capture: a captured step must not wait for the device");
    check(cudaStreamSynchronize(c.stream), "cudaStreamSynchronize");
  });
}

}  // namespace

extern const DeviceFns device_functions{count, open, close, info, wait};

}  // namespace voxgrad::cuda
