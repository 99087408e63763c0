// Resampling on a CUDA device. A small kernel writes what the outputs of each axis read
// (tensor/resample/interpolation.h) into tables. Then one kernel over the voxels adds. The backward pass
// gathers: a thread has a voxel of dx and adds all outputs that read it, so no two threads add to one place.
#include "tensor/core/cuda/entry.h"
#include "tensor/core/cuda/grid.cuh"
#include "tensor/resample/calls.h"

namespace voxgrad::cuda {
namespace {

struct AxisTaps {
  int32_t index[4];
  float weight[4];
};
// The outputs first to last read one input. first > last: no output does.
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

// An axis is short, so a thread looks at all its outputs.
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
  int nz, ny, nx;  // inputs that an output reads along each axis
};

template <int N, class T>
struct Forward {
  Volume in, out;
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
          load<N>(x + in.at(n, a.index[p], b.index[q], d.index[r]) + c, v);
          const float w = a.weight[p] * b.weight[q] * d.weight[r];
#pragma unroll
          for (int k = 0; k < N; ++k) sum[k] += w * v[k];
        }
    store<N>(y + out.at(n, z, i, j) + c, sum);
  }
};

// The weight of input k in an output. An output near the border may read the border voxel more than once.
__device__ inline float weight_of(const AxisTaps& taps, int count, int k) {
  float w = 0;
  for (int j = 0; j < count; ++j) w += taps.index[j] == k ? taps.weight[j] : 0.0f;
  return w;
}

template <int N, class T>
struct Backward {
  Volume in, out;
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
          load<N>(dy + out.at(n, p, q, r) + c, v);
#pragma unroll
          for (int k = 0; k < N; ++k) sum[k] += w * v[k];
        }
      }
    }
    store<N>(dx + in.at(n, z, i, j) + c, sum);
  }
};

// The tables of the three axes, in one piece of scratch memory.
class AxisTables {
 public:
  AxisTables(Context& c, const Volume& in, const Volume& out, const Interpolations& along, bool backward)
      : memory_(c, static_cast<uint64_t>(out.d + out.h + out.w) * sizeof(AxisTaps) +
                       static_cast<uint64_t>(in.d + in.h + in.w) * sizeof(Readers)) {
    AxisTaps* taps = memory_.as<AxisTaps>();
    Readers* readers = reinterpret_cast<Readers*>(taps + out.d + out.h + out.w);
    const auto axis = [&](size_t a, int64_t n_in, int64_t n_out, const AxisTaps*& t, const Readers*& r) {
      const Interpolation mode = along[a];
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

void check_volumes(const Volume& in, const Volume& out) {
  require(in.n == out.n && in.c == out.c, "expected volumes of equal samples and channels");
}

void resample(Context& c, const ResampleForward& call) {
  check_volumes(call.in, call.out);
  const AxisTables tables(c, call.in, call.out, call.along, false);
  visit_type(call.type, [&]<class T>(T) {
    const T* const x = as<T>(call.x);
    T* const y = as<T>(call.y);
    visit_width<T>(call.in.c, aligned(x) && aligned(y), [&]<int N>() {
      for_each_voxel<N>(c, call.out, Forward<N, T>{call.in, call.out, *tables, x, y});
    });
  });
}

void resample_backward(Context& c, const ResampleBackward& call) {
  check_volumes(call.in, call.out);
  const AxisTables tables(c, call.in, call.out, call.along, true);
  visit_type(call.type, [&]<class T>(T) {
    const T* const dy = as<T>(call.dy);
    T* const dx = as<T>(call.dx);
    visit_width<T>(call.in.c, aligned(dy) && aligned(dx), [&]<int N>() {
      for_each_voxel<N>(c, call.in, Backward<N, T>{call.in, call.out, *tables, dy, dx});
    });
  });
}

constexpr KernelEntry kEntries[] = {kEntry<resample>, kEntry<resample_backward>};

}  // namespace

extern const std::span<const KernelEntry> resample_kernels{kEntries};

}  // namespace voxgrad::cuda
