// Element-wise arithmetic. The functions are those of tensor/elementwise/ref/functions.h, which the CPU tests
// cover.
#include "tensor/core/cuda/map.cuh"
#include "tensor/elementwise/ref/embedding.h"
#include "tensor/elementwise/ref/functions.h"

namespace voxgrad::cuda {
namespace {

template <class T>
const T* in(const void* p) {
  return static_cast<const T*>(p);
}
template <class T>
T* out(void* p) {
  return static_cast<T*>(p);
}

template <class F>
struct Value {
  float p;
  __device__ float operator()(float x) const { return F::value(x, p); }
};
template <class F>
struct Slope {
  float p;
  __device__ float operator()(float v, float dy) const { return dy * F::slope(v, p); }
};

template <class Visit>
void visit_unary(Unary f, Visit&& visit) {
  switch (f) {
    case Unary::relu:
      return visit(ref::Relu{});
    case Unary::leaky_relu:
      return visit(ref::LeakyRelu{});
    case Unary::silu:
      return visit(ref::Silu{});
    case Unary::gelu:
      return visit(ref::Gelu{});
    case Unary::sigmoid:
      return visit(ref::Sigmoid{});
    case Unary::exp:
      return visit(ref::Exp{});
  }
  fail(ErrorCode::internal, "expected a known function");
}

Status unary(Context* context, Unary f, DType type, int64_t n, const void* x, float p, void* y) {
  return enter(context, "unary", [&](Context& c) {
    visit_type(type, [&]<class T>(T) {
      visit_unary(f, [&]<class F>(F) { map1(c, n, in<T>(x), out<T>(y), Value<F>{p}); });
    });
  });
}

Status unary_backward(Context* context, Unary f, DType type, int64_t n, const void* value, float p,
                      const void* dy, void* dx) {
  return enter(context, "unary_backward", [&](Context& c) {
    visit_type(type, [&]<class T>(T) {
      visit_unary(f, [&]<class F>(F) { map2(c, n, in<T>(value), in<T>(dy), out<T>(dx), Slope<F>{p}); });
    });
  });
}

struct Add {
  __device__ float operator()(float a, float b) const { return a + b; }
};
struct Sub {
  __device__ float operator()(float a, float b) const { return a - b; }
};
struct Mul {
  __device__ float operator()(float a, float b) const { return a * b; }
};

Status binary(Context* context, Binary f, DType type, int64_t n, const void* a, const void* b, void* y) {
  return enter(context, "binary", [&](Context& c) {
    visit_type(type, [&]<class T>(T) {
      const auto run = [&](auto g) { map2(c, n, in<T>(a), in<T>(b), out<T>(y), g); };
      if (f == Binary::add)
        run(Add{});
      else if (f == Binary::sub)
        run(Sub{});
      else
        run(Mul{});
    });
  });
}

struct Affine {
  float factor, offset;
  __device__ float operator()(float x) const { return factor * x + offset; }
};

Status scale(Context* context, DType type, int64_t n, const void* x, float factor, float offset, void* y) {
  return enter(context, "scale", [&](Context& c) {
    visit_type(type, [&]<class T>(T) { map1(c, n, in<T>(x), out<T>(y), Affine{factor, offset}); });
  });
}

// One row a grid column, so that no element needs a division.
template <class T>
__global__ void __launch_bounds__(kThreads)
    axpby_kernel(int64_t width, const float* p, const T* a, const float* q, const T* b, T* y) {
  const int64_t row = blockIdx.y;
  const float u = p[row], v = b ? q[row] : 0.0f;
  const int64_t base = row * width, step = static_cast<int64_t>(gridDim.x) * kThreads;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x; i < width; i += step) {
    const float s = u * to_float(a[base + i]);
    y[base + i] = from_float<T>(b ? s + v * to_float(b[base + i]) : s);
  }
}

Status axpby(Context* context, DType type, int64_t rows, int64_t width, const float* p, const void* a,
             const float* q, const void* b, void* y) {
  return enter(context, "axpby", [&](Context& c) {
    require(rows <= 65535, "expected at most 65535 rows, got ", rows);
    if (rows <= 0 || width <= 0) return;
    visit_type(type, [&]<class T>(T) {
      const dim3 grid(static_cast<unsigned>(grid_for(width)), static_cast<unsigned>(rows));
      axpby_kernel<<<grid, kThreads, 0, c.stream>>>(width, p, in<T>(a), q, in<T>(b), out<T>(y));
      check_launch(c.op);
    });
  });
}

template <class From, class To>
void convert_array(Context& c, int64_t n, const From* x, To* y) {
  for_each(c, n, [=] __device__(int64_t i) { y[i] = from_float<To>(to_float(x[i])); });
}

Status convert(Context* context, DType from, DType to, int64_t n, const void* x, void* y) {
  return enter(context, "convert", [&](Context& c) {
    visit_type(from, [&]<class From>(From) {
      visit_type(to, [&]<class To>(To) { convert_array(c, n, in<From>(x), out<To>(y)); });
    });
  });
}

template <class T>
void fill_array(Context& c, int64_t n, T value, T* y) {
  for_each(c, n, [=] __device__(int64_t i) { y[i] = value; });
}

Status fill(Context* context, DType type, int64_t n, double value, void* y) {
  return enter(context, "fill", [&](Context& c) {
    switch (type) {
      case DType::f32:
        return fill_array(c, n, static_cast<float>(value), out<float>(y));
      case DType::f64:
        return fill_array(c, n, value, out<double>(y));
      case DType::bf16:
        return fill_array(c, n, bf16(static_cast<float>(value)), out<bf16>(y));
      case DType::i64:
        return fill_array(c, n, static_cast<int64_t>(value), out<int64_t>(y));
      case DType::i32:
        return fill_array(c, n, static_cast<int32_t>(value), out<int32_t>(y));
      case DType::u8:
        return fill_array(c, n, static_cast<uint8_t>(value), out<uint8_t>(y));
    }
  });
}

// A thread keeps its channels: blockDim.x = packs a place, or a part of them with blockIdx.z.
template <int N, class T>
__global__ void affine_kernel(int64_t places, int channels, const T* x, const float* factor,
                              int64_t factor_step, const float* shift, int64_t shift_step, T* y) {
  const int pack = static_cast<int>(blockIdx.z * blockDim.x + threadIdx.x), channel = pack * N;
  if (channel >= channels) return;
  const int64_t n = blockIdx.y, base = n * places * channels + channel;
  float f[N], s[N];
#pragma unroll
  for (int k = 0; k < N; ++k) {
    f[k] = factor ? factor[n * factor_step + channel + k] : 1.0f;
    s[k] = shift ? shift[n * shift_step + channel + k] : 0.0f;
  }
  const int64_t step = static_cast<int64_t>(gridDim.x) * blockDim.y;
  for (int64_t p = static_cast<int64_t>(blockIdx.x) * blockDim.y + threadIdx.y; p < places; p += step) {
    float v[N];
    load<N>(x + base + p * channels, v);
#pragma unroll
    for (int k = 0; k < N; ++k) v[k] = v[k] * f[k] + s[k];
    store<N>(y + base + p * channels, v);
  }
}

template <int N, class T>
void affine(Context& c, int64_t n, int64_t places, int64_t channels, const T* x, const float* factor,
            int64_t factor_step, const float* shift, int64_t shift_step, T* y) {
  const int packs = static_cast<int>(channels / N), columns = std::min(packs, kThreads);
  const dim3 block(static_cast<unsigned>(columns), static_cast<unsigned>(std::max(1, kThreads / columns)));
  const dim3 grid(static_cast<unsigned>(std::clamp<int64_t>(ceil_div(places, 4 * block.y), 1, 4096)),
                  static_cast<unsigned>(n), static_cast<unsigned>(ceil_div(packs, columns)));
  affine_kernel<N><<<grid, block, 0, c.stream>>>(places, static_cast<int>(channels), x, factor, factor_step,
                                                 shift, shift_step, y);
  check_launch(c.op);
}

Status channel_affine(Context* context, DType type, int64_t n, int64_t places, int64_t channels,
                      const void* x, const float* factor, int64_t factor_rows, const float* shift,
                      int64_t shift_rows, void* y) {
  return enter(context, "channel_affine", [&](Context& c) {
    if (n * places * channels == 0) return;
    require(n <= 65535, "expected at most 65535 samples, got ", n);
    visit_type(type, [&]<class T>(T) {
      constexpr int N = kWidth<T>;
      const int64_t f = factor_rows == 1 ? 0 : channels, s = shift_rows == 1 ? 0 : channels;
      if (channels % N == 0 && aligned(x) && aligned(y))
        affine<N>(c, n, places, channels, in<T>(x), factor, f, shift, s, out<T>(y));
      else
        affine<1>(c, n, places, channels, in<T>(x), factor, f, shift, s, out<T>(y));
    });
  });
}

Status time_embedding(Context* context, int64_t n, int64_t size, double max_period, const float* t,
                      float* y) {
  return enter(context, "time_embedding", [&](Context& c) {
    require(size % 2 == 0, "expected an even size, got ", size);
    for_each(c, n * (size / 2), [=] __device__(int64_t k) {
      const int64_t half = size / 2, row = k / half, i = k % half;
      ref::time_embedding_pair(size, max_period, t[row], i, y + row * size);
    });
  });
}

}  // namespace

extern const ElementFns element_functions{unary,   unary_backward, binary,         scale,         axpby,
                                          convert, fill,           channel_affine, time_embedding};

}  // namespace voxgrad::cuda
