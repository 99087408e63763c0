// Pooling on a CUDA device. Definition: tensor/pool/ref/pool.h. A thread has one voxel and some adjacent
// channels: a voxel of y forward, a voxel of x backward. So no two threads write to one place.
#include "tensor/core/cuda/entry.h"
#include "tensor/core/cuda/grid.cuh"
#include "tensor/pool/calls.h"

namespace voxgrad::cuda {
namespace {

struct Window {
  int d, h, w;
  __host__ __device__ int taps() const { return d * h * w; }
};

Window window(const PoolShape& p) {
  const Window s{static_cast<int>(p.size[0]), static_cast<int>(p.size[1]), static_cast<int>(p.size[2])};
  require(s.d >= 1 && s.h >= 1 && s.w >= 1 && s.taps() <= 256, "expected windows of 1 to 256 voxels");
  return s;
}

template <int N, class T>
struct Largest {
  Volume in, out;
  Window s;
  const T* x;
  T* y;
  uint8_t* tap;
  __device__ void operator()(int64_t n, int z, int i, int j, int c) const {
    float best[N];
    uint8_t which[N] = {};
    load<N>(x + in.at(n, z * s.d, i * s.h, j * s.w) + c, best);
    for (int t = 1; t < s.taps(); ++t) {
      float v[N];
      load<N>(x + in.at(n, z * s.d + t / (s.h * s.w), i * s.h + t / s.w % s.h, j * s.w + t % s.w) + c, v);
#pragma unroll
      for (int k = 0; k < N; ++k)
        if (v[k] > best[k]) {
          best[k] = v[k];
          which[k] = static_cast<uint8_t>(t);
        }
    }
    const int64_t at = out.at(n, z, i, j) + c;
    store<N>(y + at, best);
    for (int k = 0; k < N; ++k) tap[at + k] = which[k];
  }
};

template <int N, class T>
struct Mean {
  Volume in, out;
  Window s;
  const T* x;
  T* y;
  __device__ void operator()(int64_t n, int z, int i, int j, int c) const {
    float sum[N] = {};
    for (int t = 0; t < s.taps(); ++t) {
      float v[N];
      load<N>(x + in.at(n, z * s.d + t / (s.h * s.w), i * s.h + t / s.w % s.h, j * s.w + t % s.w) + c, v);
#pragma unroll
      for (int k = 0; k < N; ++k) sum[k] += v[k];
    }
    const float weight = 1.0f / static_cast<float>(s.taps());
#pragma unroll
    for (int k = 0; k < N; ++k) sum[k] *= weight;
    store<N>(y + out.at(n, z, i, j) + c, sum);
  }
};

// The backward passes: that of max_pool with taps, that of avg_pool where `tap` is null. A voxel that no
// window covers gets 0.
template <int N, class T>
struct Spread {
  Volume in, out;
  Window s;
  const uint8_t* tap;
  const T* dy;
  T* dx;
  __device__ void operator()(int64_t n, int z, int i, int j, int c) const {
    float v[N] = {};
    const int a = z / s.d, b = i / s.h, d = j / s.w;
    if (a < out.d && b < out.h && d < out.w) {
      const int64_t at = out.at(n, a, b, d) + c;
      const int mine = (z % s.d * s.h + i % s.h) * s.w + j % s.w;
      load<N>(dy + at, v);
      const float weight = 1.0f / static_cast<float>(s.taps());
#pragma unroll
      for (int k = 0; k < N; ++k) v[k] = tap ? (tap[at + k] == mine ? v[k] : 0.0f) : weight * v[k];
    }
    store<N>(dx + in.at(n, z, i, j) + c, v);
  }
};

void max_pool(Context& c, const MaxPoolForward& call) {
  const PoolShape& p = call.shape;
  visit_type(call.type, [&]<class T>(T) {
    const T* const x = as<T>(call.x);
    T* const y = as<T>(call.y);
    visit_width<T>(p.x.c, aligned(x) && aligned(y), [&]<int N>() {
      for_each_voxel<N>(c, p.y, Largest<N, T>{p.x, p.y, window(p), x, y, call.tap});
    });
  });
}

void avg_pool(Context& c, const AvgPoolForward& call) {
  const PoolShape& p = call.shape;
  visit_type(call.type, [&]<class T>(T) {
    const T* const x = as<T>(call.x);
    T* const y = as<T>(call.y);
    visit_width<T>(p.x.c, aligned(x) && aligned(y), [&]<int N>() {
      for_each_voxel<N>(c, p.y, Mean<N, T>{p.x, p.y, window(p), x, y});
    });
  });
}

template <class Call>
void spread(Context& c, const Call& call, const uint8_t* tap) {
  const PoolShape& p = call.shape;
  visit_type(call.type, [&]<class T>(T) {
    const T* const dy = as<T>(call.dy);
    T* const dx = as<T>(call.dx);
    visit_width<T>(p.x.c, aligned(dy) && aligned(dx), [&]<int N>() {
      for_each_voxel<N>(c, p.x, Spread<N, T>{p.x, p.y, window(p), tap, dy, dx});
    });
  });
}

void max_pool_backward(Context& c, const MaxPoolBackward& call) {
  require(call.tap != nullptr, "expected the taps of the forward pass");
  spread(c, call, call.tap);
}

void avg_pool_backward(Context& c, const AvgPoolBackward& call) { spread(c, call, nullptr); }

constexpr KernelEntry kEntries[] = {kEntry<max_pool>, kEntry<max_pool_backward>, kEntry<avg_pool>,
                                    kEntry<avg_pool_backward>};

}  // namespace

extern const std::span<const KernelEntry> pool_kernels{kEntries};

}  // namespace voxgrad::cuda
