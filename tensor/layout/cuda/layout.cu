// Copies between layouts. Elements are moved as words of their size; only values that are written or summed
// know their type. Definition: tensor/layout/ref/layout.h.
#include "tensor/core/cuda/grid.cuh"

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

// The words of a value of type t.
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

// Rows of `count` words; a thread copies one.
template <class W>
struct CopyColumns {
  const W* x;
  W* y;
  int64_t count, x_width, y_width;
  __device__ void operator()(int64_t i) const {
    const int64_t r = i / count, k = i - r * count;
    y[r * y_width + k] = x[r * x_width + k];
  }
};

template <class W>
bool copy_as(Context& c, int64_t rows, const char* x, int64_t x_bytes, char* y, int64_t y_bytes,
             int64_t bytes) {
  const int64_t w = sizeof(W);
  const auto fits = [&](int64_t v) { return v % w == 0; };
  if (!fits(bytes) || !fits(x_bytes) || !fits(y_bytes) || !fits(reinterpret_cast<int64_t>(x)) ||
      !fits(reinterpret_cast<int64_t>(y)))
    return false;
  for_each(c, rows * bytes / w,
           CopyColumns<W>{reinterpret_cast<const W*>(x), reinterpret_cast<W*>(y), bytes / w, x_bytes / w,
                          y_bytes / w});
  return true;
}

Status copy_columns(Context* context, DType type, int64_t rows, const void* x, int64_t x_width, int64_t from,
                    void* y, int64_t y_width, int64_t to, int64_t count) {
  return enter(context, "copy_columns", [&](Context& c) {
    const auto e = static_cast<int64_t>(size_of(type));
    const char* const in = static_cast<const char*>(x) + from * e;
    char* const out = static_cast<char*>(y) + to * e;
    // The widest words that all row starts allow.
    (void)(copy_as<uint4>(c, rows, in, x_width * e, out, y_width * e, count * e) ||
           copy_as<uint64_t>(c, rows, in, x_width * e, out, y_width * e, count * e) ||
           copy_as<uint32_t>(c, rows, in, x_width * e, out, y_width * e, count * e) ||
           copy_as<uint16_t>(c, rows, in, x_width * e, out, y_width * e, count * e) ||
           copy_as<uint8_t>(c, rows, in, x_width * e, out, y_width * e, count * e));
  });
}

template <class W>
struct Shift {
  VolumeShape from, to;
  const W* x;
  int oz, oy, ox;
  W value;
  W* y;
  __device__ void operator()(int64_t n, int z, int i, int j, int c) const {
    const int a = z - oz, b = i - oy, e = j - ox;
    const bool inside = a >= 0 && a < from.d && b >= 0 && b < from.h && e >= 0 && e < from.w;
    y[flat(to, n, z, i, j) + c] = inside ? x[flat(from, n, a, b, e) + c] : value;
  }
};

void shift(Context& c, DType type, const VolumeShape& from, const void* x, const int64_t* offset,
           double value, const VolumeShape& to, void* y) {
  require(from.n == to.n && from.c == to.c, "expected volumes of equal samples and channels");
  visit_word(type, [&]<class W>(W) {
    for_each_voxel<1>(
        c, to,
        Shift<W>{from, to, static_cast<const W*>(x), static_cast<int>(offset[0]), static_cast<int>(offset[1]),
                 static_cast<int>(offset[2]), word_of<W>(type, value), static_cast<W*>(y)});
  });
}

Status shift_volume(Context* context, DType type, const VolumeShape* from, const void* x,
                    const int64_t* offset, double value, const VolumeShape* to, void* y) {
  return enter(context, "shift_volume", [&](Context& c) { shift(c, type, *from, x, offset, value, *to, y); });
}

constexpr int kTile = 32;

// A tile through shared memory, so that reads and writes are both along rows.
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

Status transpose(Context* context, DType type, int64_t batch, int64_t rows, int64_t columns, const void* x,
                 void* y) {
  return enter(context, "transpose", [&](Context& c) {
    if (batch * rows * columns == 0) return;
    require(batch <= 65535 && ceil_div(rows, kTile) <= 65535,
            "expected at most 65535 matrices and row tiles");
    visit_word(type, [&]<class W>(W) {
      const dim3 grid(static_cast<unsigned>(ceil_div(columns, kTile)),
                      static_cast<unsigned>(ceil_div(rows, kTile)), static_cast<unsigned>(batch));
      transpose_kernel<<<grid, dim3(kTile, 8), 0, c.stream>>>(rows, columns, static_cast<const W*>(x),
                                                              static_cast<W*>(y));
      check_launch(c.op);
    });
  });
}

template <class T>
struct Broadcast {
  int64_t places, channels;
  const T* x;
  float factor;
  T* y;
  __device__ void operator()(int64_t i) const {
    const int64_t sample = i / (places * channels);
    y[i] = from_float<T>(factor * to_float(x[sample * channels + i % channels]));
  }
};

Status broadcast_places(Context* context, DType type, int64_t n, int64_t places, int64_t channels,
                        const void* x, float factor, void* y) {
  return enter(context, "broadcast_places", [&](Context& c) {
    visit_type(type, [&]<class T>(T) {
      for_each(c, n * places * channels,
               Broadcast<T>{places, channels, static_cast<const T*>(x), factor, static_cast<T*>(y)});
    });
  });
}

struct AddWindow {
  VolumeShape patch, volume;
  int z0, y0, x0;
  const float *x, *weight;
  float* sum;
  __device__ void operator()(int64_t n, int z, int i, int j, int c) const {
    const int a = z + z0, b = i + y0, e = j + x0;
    if (a < 0 || a >= volume.d || b < 0 || b >= volume.h || e < 0 || e >= volume.w) return;
    const float w = weight[(static_cast<int64_t>(z) * patch.h + i) * patch.w + j];
    sum[flat(volume, n, a, b, e) + c] += w * x[flat(patch, n, z, i, j) + c];
  }
};

Status add_window(Context* context, const VolumeShape* patch, const float* x, const float* weight,
                  const int64_t* corner, const VolumeShape* volume, float* sum) {
  return enter(context, "add_window", [&](Context& c) {
    require(patch->n == volume->n && patch->c == volume->c, "expected equal samples and channels");
    for_each_voxel<1>(c, *patch,
                      AddWindow{*patch, *volume, static_cast<int>(corner[0]), static_cast<int>(corner[1]),
                                static_cast<int>(corner[2]), x, weight, sum});
  });
}

struct DividePlaces {
  int64_t places, channels;
  const float* weight;
  float* sum;
  __device__ void operator()(int64_t i) const { sum[i] /= weight[i / channels % places]; }
};

Status divide_places(Context* context, int64_t n, int64_t places, int64_t channels, const float* weight,
                     float* sum) {
  return enter(context, "divide_places", [&](Context& c) {
    for_each(c, n * places * channels, DividePlaces{places, channels, weight, sum});
  });
}

struct Subsample {
  VolumeShape from, to;
  int fd, fh, fw;
  const int32_t* x;
  int32_t* y;
  __device__ void operator()(int64_t n, int z, int i, int j, int c) const {
    y[flat(to, n, z, i, j) + c] = x[flat(from, n, z * fd + fd / 2, i * fh + fh / 2, j * fw + fw / 2) + c];
  }
};

Status subsample(Context* context, const VolumeShape* from, const int32_t* x, const int64_t* factor,
                 const VolumeShape* to, int32_t* y) {
  return enter(context, "subsample", [&](Context& c) {
    for_each_voxel<1>(c, *to,
                      Subsample{*from, *to, static_cast<int>(factor[0]), static_cast<int>(factor[1]),
                                static_cast<int>(factor[2]), x, y});
  });
}

}  // namespace

extern const LayoutFns layout_functions{copy_columns, shift_volume,  transpose, broadcast_places,
                                        add_window,   divide_places, subsample};

}  // namespace voxgrad::cuda
