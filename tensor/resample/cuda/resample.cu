// Resampling to another grid. The taps of an axis (tensor/resample/interpolation.h) are tabulated first by a
// small kernel; the backward pass gathers, so that no two threads add to one place.
#include "tensor/core/cuda/grid.cuh"
#include "tensor/resample/interpolation.h"

namespace voxgrad::cuda {
namespace {

struct AxisTaps {
  int32_t index[4];
  float weight[4];
};
/// Outputs [first, last] that read one input; empty where first > last.
struct Readers {
  int32_t first, last;
};

struct Tabulate {
  int64_t n_in, n_out;
  Interpolation mode;
  AxisTaps* taps;
  __device__ void operator()(int64_t i) const {
    const Taps t = taps_at(n_in, n_out, i, mode);
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      taps[i].index[k] = static_cast<int32_t>(t.index[static_cast<size_t>(k)]);
      taps[i].weight[k] = static_cast<float>(t.weight[static_cast<size_t>(k)]);
    }
  }
};

// Axes are short: a thread looks at all outputs.
struct FindReaders {
  int64_t n_out;
  int count;
  const AxisTaps* taps;
  Readers* readers;
  __device__ void operator()(int64_t k) const {
    Readers r{static_cast<int32_t>(n_out), -1};
    for (int32_t i = 0; i < n_out; ++i)
      for (int j = 0; j < count; ++j)
        if (taps[i].index[j] == k) {
          if (i < r.first) r.first = i;
          r.last = i;
        }
    readers[k] = r;
  }
};

struct Tables {
  const AxisTaps *z, *y, *x;
  const Readers *rz, *ry, *rx;
  int nz, ny, nx;  // taps along each axis
};

template <int N, class T>
struct Forward {
  VolumeShape in, out;
  Tables t;
  const T* x;
  T* y;
  __device__ void operator()(int64_t n, int z, int i, int j, int c) const {
    const AxisTaps &a = t.z[z], &b = t.y[i], &d = t.x[j];
    float sum[N] = {};
    for (int p = 0; p < t.nz; ++p)
      for (int q = 0; q < t.ny; ++q)
        for (int r = 0; r < t.nx; ++r) {
          float v[N];
          load<N>(x + flat(in, n, a.index[p], b.index[q], d.index[r]) + c, v);
          const float w = a.weight[p] * b.weight[q] * d.weight[r];
#pragma unroll
          for (int k = 0; k < N; ++k) sum[k] += w * v[k];
        }
    store<N>(y + flat(out, n, z, i, j) + c, sum);
  }
};

// Weight of input k in output i: taps that were clamped to the border may name it twice.
__device__ inline float weight_of(const AxisTaps& taps, int count, int k) {
  float w = 0;
  for (int j = 0; j < count; ++j) w += taps.index[j] == k ? taps.weight[j] : 0.0f;
  return w;
}

template <int N, class T>
struct Backward {
  VolumeShape in, out;
  Tables t;
  const T* dy;
  T* dx;
  __device__ void operator()(int64_t n, int z, int i, int j, int c) const {
    const Readers a = t.rz[z], b = t.ry[i], d = t.rx[j];
    float sum[N] = {};
    for (int p = a.first; p <= a.last; ++p) {
      const float wp = weight_of(t.z[p], t.nz, z);
      for (int q = b.first; q <= b.last; ++q) {
        const float wq = wp * weight_of(t.y[q], t.ny, i);
        for (int r = d.first; r <= d.last; ++r) {
          const float w = wq * weight_of(t.x[r], t.nx, j);
          float v[N];
          load<N>(dy + flat(out, n, p, q, r) + c, v);
#pragma unroll
          for (int k = 0; k < N; ++k) sum[k] += w * v[k];
        }
      }
    }
    store<N>(dx + flat(in, n, z, i, j) + c, sum);
  }
};

// Tables of the three axes in one piece of scratch memory.
class AxisTables {
 public:
  AxisTables(Context& c, const VolumeShape& in, const VolumeShape& out, const int32_t* along, bool backward)
      : memory_(c, static_cast<uint64_t>(out.d + out.h + out.w) * sizeof(AxisTaps) +
                       static_cast<uint64_t>(in.d + in.h + in.w) * sizeof(Readers)) {
    AxisTaps* taps = memory_.as<AxisTaps>();
    Readers* readers = reinterpret_cast<Readers*>(taps + out.d + out.h + out.w);
    const auto axis = [&](int a, int64_t n_in, int64_t n_out, const AxisTaps*& t, const Readers*& r) {
      const Interpolation mode = static_cast<Interpolation>(along[a]);
      const int count = static_cast<int>(tap_count(mode));
      for_each(c, n_out, Tabulate{n_in, n_out, mode, taps});
      if (backward) for_each(c, n_in, FindReaders{n_out, count, taps, readers});
      t = taps;
      r = readers;
      taps += n_out;
      readers += n_in;
      return count;
    };
    tables_.nz = axis(0, in.d, out.d, tables_.z, tables_.rz);
    tables_.ny = axis(1, in.h, out.h, tables_.y, tables_.ry);
    tables_.nx = axis(2, in.w, out.w, tables_.x, tables_.rx);
  }
  const Tables& operator*() const { return tables_; }

 private:
  Scratch memory_;
  Tables tables_{};
};

void check_volumes(const VolumeShape& in, const VolumeShape& out) {
  require(in.n == out.n && in.c == out.c, "expected volumes of equal samples and channels");
}

}  // namespace

Status resample(Context* context, DType type, const int32_t* along, const VolumeShape* in,
                const VolumeShape* out, const void* x, void* y) {
  return enter(context, "resample", [&](Context& c) {
    check_volumes(*in, *out);
    const AxisTables tables(c, *in, *out, along, false);
    visit_type(type, [&]<class T>(T) {
      visit_width<T>(in->c, aligned(x) && aligned(y), [&]<int N>() {
        for_each_voxel<N>(c, *out,
                          Forward<N, T>{*in, *out, *tables, static_cast<const T*>(x), static_cast<T*>(y)});
      });
    });
  });
}

Status resample_backward(Context* context, DType type, const int32_t* along, const VolumeShape* in,
                         const VolumeShape* out, const void* dy, void* dx) {
  return enter(context, "resample_backward", [&](Context& c) {
    check_volumes(*in, *out);
    const AxisTables tables(c, *in, *out, along, true);
    visit_type(type, [&]<class T>(T) {
      visit_width<T>(in->c, aligned(dy) && aligned(dx), [&]<int N>() {
        for_each_voxel<N>(c, *in,
                          Backward<N, T>{*in, *out, *tables, static_cast<const T*>(dy), static_cast<T*>(dx)});
      });
    });
  });
}

}  // namespace voxgrad::cuda
