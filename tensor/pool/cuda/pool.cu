// Pooling over windows with stride = size. Definition: tensor/pool/ref/pool.h.
#include "tensor/core/cuda/grid.cuh"

namespace voxgrad::cuda {
namespace {

struct Window {
  int d, h, w;
  __host__ __device__ int taps() const { return d * h * w; }
};

VolumeShape pooled(const VolumeShape& in, const Window& s) {
  return {in.n, in.d / s.d, in.h / s.h, in.w / s.w, in.c};
}

Window window(const int64_t* size) {
  const Window s{static_cast<int>(size[0]), static_cast<int>(size[1]), static_cast<int>(size[2])};
  require(s.d >= 1 && s.h >= 1 && s.w >= 1 && s.taps() <= 256, "expected windows of 1 to 256 voxels");
  return s;
}

template <int N, class T>
struct Largest {
  VolumeShape in, out;
  Window s;
  const T* x;
  T* y;
  uint8_t* tap;
  __device__ void operator()(int64_t n, int z, int i, int j, int c) const {
    float best[N];
    uint8_t which[N] = {};
    load<N>(x + flat(in, n, z * s.d, i * s.h, j * s.w) + c, best);
    for (int t = 1; t < s.taps(); ++t) {
      float v[N];
      load<N>(x + flat(in, n, z * s.d + t / (s.h * s.w), i * s.h + t / s.w % s.h, j * s.w + t % s.w) + c, v);
#pragma unroll
      for (int k = 0; k < N; ++k)
        if (v[k] > best[k]) {
          best[k] = v[k];
          which[k] = static_cast<uint8_t>(t);
        }
    }
    const int64_t at = flat(out, n, z, i, j) + c;
    store<N>(y + at, best);
    for (int k = 0; k < N; ++k) tap[at + k] = which[k];
  }
};

template <int N, class T>
struct Mean {
  VolumeShape in, out;
  Window s;
  const T* x;
  T* y;
  __device__ void operator()(int64_t n, int z, int i, int j, int c) const {
    float sum[N] = {};
    for (int t = 0; t < s.taps(); ++t) {
      float v[N];
      load<N>(x + flat(in, n, z * s.d + t / (s.h * s.w), i * s.h + t / s.w % s.h, j * s.w + t % s.w) + c, v);
#pragma unroll
      for (int k = 0; k < N; ++k) sum[k] += v[k];
    }
    const float weight = 1.0f / static_cast<float>(s.taps());
#pragma unroll
    for (int k = 0; k < N; ++k) sum[k] *= weight;
    store<N>(y + flat(out, n, z, i, j) + c, sum);
  }
};

// A thread an input voxel: 0 where no window covers it. tap null: the mean.
template <int N, class T>
struct Spread {
  VolumeShape in, out;
  Window s;
  const uint8_t* tap;
  const T* dy;
  T* dx;
  __device__ void operator()(int64_t n, int z, int i, int j, int c) const {
    float v[N] = {};
    const int a = z / s.d, b = i / s.h, d = j / s.w;
    if (a < out.d && b < out.h && d < out.w) {
      const int64_t at = flat(out, n, a, b, d) + c;
      const int mine = (z % s.d * s.h + i % s.h) * s.w + j % s.w;
      load<N>(dy + at, v);
      const float weight = 1.0f / static_cast<float>(s.taps());
#pragma unroll
      for (int k = 0; k < N; ++k) v[k] = tap ? (tap[at + k] == mine ? v[k] : 0.0f) : weight * v[k];
    }
    store<N>(dx + flat(in, n, z, i, j) + c, v);
  }
};

Status max_pool(Context* context, DType type, const VolumeShape* in, const int64_t* size, const void* x,
                void* y, uint8_t* tap) {
  return enter(context, "max_pool", [&](Context& c) {
    const Window s = window(size);
    const VolumeShape out = pooled(*in, s);
    visit_type(type, [&]<class T>(T) {
      visit_width<T>(in->c, aligned(x) && aligned(y), [&]<int N>() {
        for_each_voxel<N>(c, out,
                          Largest<N, T>{*in, out, s, static_cast<const T*>(x), static_cast<T*>(y), tap});
      });
    });
  });
}

Status avg_pool(Context* context, DType type, const VolumeShape* in, const int64_t* size, const void* x,
                void* y) {
  return enter(context, "avg_pool", [&](Context& c) {
    const Window s = window(size);
    const VolumeShape out = pooled(*in, s);
    visit_type(type, [&]<class T>(T) {
      visit_width<T>(in->c, aligned(x) && aligned(y), [&]<int N>() {
        for_each_voxel<N>(c, out, Mean<N, T>{*in, out, s, static_cast<const T*>(x), static_cast<T*>(y)});
      });
    });
  });
}

void spread(Context& c, DType type, const VolumeShape& in, const int64_t* size, const uint8_t* tap,
            const void* dy, void* dx) {
  const Window s = window(size);
  const VolumeShape out = pooled(in, s);
  visit_type(type, [&]<class T>(T) {
    visit_width<T>(in.c, aligned(dy) && aligned(dx), [&]<int N>() {
      for_each_voxel<N>(c, in, Spread<N, T>{in, out, s, tap, static_cast<const T*>(dy), static_cast<T*>(dx)});
    });
  });
}

Status max_pool_backward(Context* context, DType type, const VolumeShape* in, const int64_t* size,
                         const uint8_t* tap, const void* dy, void* dx) {
  return enter(context, "max_pool_backward", [&](Context& c) {
    require(tap != nullptr, "expected the taps of the forward pass");
    spread(c, type, *in, size, tap, dy, dx);
  });
}

Status avg_pool_backward(Context* context, DType type, const VolumeShape* in, const int64_t* size,
                         const void* dy, void* dx) {
  return enter(context, "avg_pool_backward",
               [&](Context& c) { spread(c, type, *in, size, nullptr, dy, dx); });
}

}  // namespace

extern const GridFns grid_functions{resample,          resample_backward, max_pool,
                                    max_pool_backward, avg_pool,          avg_pool_backward};

}  // namespace voxgrad::cuda
