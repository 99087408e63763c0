// Copies between layouts and windows of volumes on a CUDA device. Definitions: tensor/layout/ref/. A copy
// moves elements as words of their size, whatever their type; only kernels that compute know the type.
#include "tensor/core/cuda/copy.h"
#include "tensor/core/cuda/entry.h"
#include "tensor/core/cuda/grid.cuh"
#include "tensor/layout/calls.h"

namespace voxgrad::cuda {
namespace {

// Calls f with an unsigned word of the size of an element.
template <class F>
void visit_word(DType t, F&& f) {
  switch (size_of(t)) {
    case 1:
      return f(uint8_t{});
    case 2:
      return f(uint16_t{});
    case 4:
      return f(uint32_t{});
    case 8:
      return f(uint64_t{});
  }
  fail(ErrorCode::internal, "expected a known type");
}

// A value in type t, as the word that holds it.
template <class W>
W word_of(DType t, double value) {
  const float f = static_cast<float>(value);
  const auto bits = [](auto v) { return std::bit_cast<W>(v); };
  if constexpr (sizeof(W) == 8)
    return t == DType::f64 ? bits(value) : bits(static_cast<int64_t>(value));
  else if constexpr (sizeof(W) == 4)
    return t == DType::f32 ? bits(f) : bits(static_cast<int32_t>(value));
  else if constexpr (sizeof(W) == 2)
    return bf16(f).bits;
  else
    return static_cast<W>(value);
}

void copy_columns(Context& c, const CopyColumns& call) {
  copy_columns(c, call.type, call.rows, call.x, call.x_width, call.from, call.y, call.y_width, call.to,
               call.count);
}

template <class W>
struct Shift {
  Volume from, to;
  const W* x;
  int oz, oy, ox;
  W value;
  W* y;
  __device__ void operator()(int64_t n, int z, int i, int j, int c) const {
    const int a = z - oz, b = i - oy, e = j - ox;
    const bool inside = a >= 0 && a < from.d && b >= 0 && b < from.h && e >= 0 && e < from.w;
    y[to.at(n, z, i, j) + c] = inside ? x[from.at(n, a, b, e) + c] : value;
  }
};

void shift_volume(Context& c, const ShiftVolume& call) {
  require(call.from.n == call.to.n && call.from.c == call.to.c,
          "expected volumes of equal samples and channels");
  visit_word(call.type, [&]<class W>(W) {
    for_each_voxel<1>(c, call.to,
                      Shift<W>{call.from, call.to, as<W>(call.x), static_cast<int>(call.offset[0]),
                               static_cast<int>(call.offset[1]), static_cast<int>(call.offset[2]),
                               word_of<W>(call.type, call.value), as<W>(call.y)});
  });
}

constexpr int kTile = 32;

// A block transposes one tile in shared memory. So it reads rows of x and writes rows of y.
template <class W>
__global__ void transpose_kernel(int64_t rows, int64_t columns, const W* x, W* y) {
  __shared__ W tile[kTile][kTile + 1];
  const int64_t base = blockIdx.z * rows * columns;
  const int64_t j = static_cast<int64_t>(blockIdx.x) * kTile + threadIdx.x;
  const int64_t i = static_cast<int64_t>(blockIdx.y) * kTile;
  for (int r = static_cast<int>(threadIdx.y); r < kTile; r += static_cast<int>(blockDim.y))
    if (i + r < rows && j < columns) tile[r][threadIdx.x] = x[base + (i + r) * columns + j];
  __syncthreads();
  const int64_t column = static_cast<int64_t>(blockIdx.x) * kTile, row = i + threadIdx.x;
  for (int r = static_cast<int>(threadIdx.y); r < kTile; r += static_cast<int>(blockDim.y))
    if (column + r < columns && row < rows) y[base + (column + r) * rows + row] = tile[threadIdx.x][r];
}

void transpose_last(Context& c, const TransposeLast& call) {
  const int64_t batch = call.batch, rows = call.rows, columns = call.columns;
  if (batch * rows * columns == 0) return;
  require(batch <= 65535 && ceil_div(rows, kTile) <= 65535, "expected at most 65535 matrices and row tiles");
  visit_word(call.type, [&]<class W>(W) {
    const dim3 grid(static_cast<unsigned>(ceil_div(columns, kTile)),
                    static_cast<unsigned>(ceil_div(rows, kTile)), static_cast<unsigned>(batch));
    transpose_kernel<<<grid, dim3(kTile, 8), 0, c.stream>>>(rows, columns, as<W>(call.x), as<W>(call.y));
    check_launch(c.op);
  });
}

template <class T>
struct BroadcastOne {
  int64_t places, channels;
  const T* x;
  float factor;
  T* y;
  __device__ void operator()(int64_t i) const {
    const int64_t sample = i / (places * channels);
    y[i] = from_float<T>(factor * to_float(x[sample * channels + i % channels]));
  }
};

void broadcast_places(Context& c, const BroadcastPlaces& call) {
  visit_type(call.type, [&]<class T>(T) {
    for_each(c, call.n * call.places * call.channels,
             BroadcastOne<T>{call.places, call.channels, as<T>(call.x), static_cast<float>(call.factor),
                             as<T>(call.y)});
  });
}

// A thread a voxel of the window. One window is added at a time, so the order of the additions is fixed.
struct AddVoxel {
  Volume window, volume;
  int z0, y0, x0;
  const float *x, *weight;
  float* sum;
  __device__ void operator()(int64_t n, int z, int i, int j, int c) const {
    const int a = z + z0, b = i + y0, e = j + x0;
    if (a < 0 || a >= volume.d || b < 0 || b >= volume.h || e < 0 || e >= volume.w) return;
    const float w = weight[(static_cast<int64_t>(z) * window.h + i) * window.w + j];
    sum[volume.at(n, a, b, e) + c] += w * x[window.at(n, z, i, j) + c];
  }
};

void add_window(Context& c, const AddWindow& call) {
  require(call.window.n == call.volume.n && call.window.c == call.volume.c,
          "expected equal samples and channels");
  for_each_voxel<1>(
      c, call.window,
      AddVoxel{call.window, call.volume, static_cast<int>(call.corner[0]), static_cast<int>(call.corner[1]),
               static_cast<int>(call.corner[2]), call.x, call.weight, call.sum});
}

struct DivideElement {
  int64_t places, channels;
  const float* weight;
  float* sum;
  __device__ void operator()(int64_t i) const { sum[i] /= weight[i / channels % places]; }
};

void divide_places(Context& c, const DividePlaces& call) {
  for_each(c, call.n * call.places * call.channels,
           DivideElement{call.places, call.channels, call.weight, call.sum});
}

struct PickVoxel {
  Volume from, to;
  int fd, fh, fw;
  const int32_t* x;
  int32_t* y;
  __device__ void operator()(int64_t n, int z, int i, int j, int c) const {
    y[to.at(n, z, i, j) + c] = x[from.at(n, z * fd + fd / 2, i * fh + fh / 2, j * fw + fw / 2) + c];
  }
};

void subsample(Context& c, const Subsample& call) {
  for_each_voxel<1>(
      c, call.to,
      PickVoxel{call.from, call.to, static_cast<int>(call.factor[0]), static_cast<int>(call.factor[1]),
                static_cast<int>(call.factor[2]), call.x, call.y});
}

constexpr KernelEntry kEntries[] = {kEntry<copy_columns>,     kEntry<shift_volume>, kEntry<transpose_last>,
                                    kEntry<broadcast_places>, kEntry<add_window>,   kEntry<divide_places>,
                                    kEntry<subsample>};

}  // namespace

extern const std::span<const KernelEntry> layout_kernels{kEntries};

}  // namespace voxgrad::cuda
