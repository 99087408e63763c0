// Element-wise arithmetic on CUDA devices. The functions of one variable are those of
// tensor/elementwise/ref/functions.h. The CPU uses the same ones, so its tests cover them.
#include "tensor/core/cuda/columns.cuh"
#include "tensor/core/cuda/map.cuh"
#include "tensor/core/cuda/philox.cuh"
#include "tensor/elementwise/calls.h"
#include "tensor/elementwise/ref/embedding.h"
#include "tensor/elementwise/ref/functions.h"

namespace voxgrad::cuda {
namespace {

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

void unary_forward(Context& c, const UnaryForward& call) {
  visit_type(call.type, [&]<class T>(T) {
    visit_unary(call.function, [&]<class F>(F) {
      map1(c, call.n, as<T>(call.x), as<T>(call.y), Value<F>{static_cast<float>(call.parameter)});
    });
  });
}

void unary_backward(Context& c, const UnaryBackward& call) {
  visit_type(call.type, [&]<class T>(T) {
    visit_unary(call.function, [&]<class F>(F) {
      map2(c, call.n, as<T>(call.value), as<T>(call.dy), as<T>(call.dx),
           Slope<F>{static_cast<float>(call.parameter)});
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

void binary(Context& c, const BinaryForward& call) {
  visit_type(call.type, [&]<class T>(T) {
    const auto run = [&](auto g) { map2(c, call.n, as<T>(call.a), as<T>(call.b), as<T>(call.y), g); };
    if (call.function == Binary::add)
      run(Add{});
    else if (call.function == Binary::sub)
      run(Sub{});
    else
      run(Mul{});
  });
}

struct Affine {
  float factor, offset;
  __device__ float operator()(float x) const { return factor * x + offset; }
};

void scale(Context& c, const Scale& call) {
  const Affine f{static_cast<float>(call.factor), static_cast<float>(call.offset)};
  visit_type(call.type, [&]<class T>(T) { map1(c, call.n, as<T>(call.x), as<T>(call.y), f); });
}

// blockIdx.y is the row, so no element needs a division.
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

void axpby(Context& c, const Axpby& call) {
  require(call.rows <= 65535, "expected at most 65535 rows, got ", call.rows);
  if (call.rows <= 0 || call.width <= 0) return;
  const float *const p = as<float>(call.p), *const q = as<float>(call.q);
  visit_type(call.type, [&]<class T>(T) {
    const dim3 grid(static_cast<unsigned>(grid_for(call.width)), static_cast<unsigned>(call.rows));
    axpby_kernel<<<grid, kThreads, 0, c.stream>>>(call.width, p, as<T>(call.a), q, as<T>(call.b),
                                                  as<T>(call.y));
    check_launch(c.op);
  });
}

// y = x factor + shift for each channel. A thread serves N neighbouring channels (a pack) of many places. It
// keeps their factors and shifts in registers. A block has all packs of a place side by side. If these are
// too many, the packs are divided into parts, and blockIdx.z is the part. blockDim.x is the number of packs
// of a block.
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

void channel_affine(Context& c, const ChannelAffine& call) {
  const int64_t n = call.n, places = call.places, channels = call.channels;
  if (n * places * channels == 0) return;
  require(n <= 65535, "expected at most 65535 samples, got ", n);
  const float *const factor = as<float>(call.factor), *const shift = as<float>(call.shift);
  const int64_t factor_step = call.factor_rows == 1 ? 0 : channels,
                shift_step = call.shift_rows == 1 ? 0 : channels;
  visit_type(call.type, [&]<class T>(T) {
    const T* const x = as<T>(call.x);
    T* const y = as<T>(call.y);
    constexpr int N = kWidth<T>;
    if (channels % N == 0 && aligned(x) && aligned(y))
      affine<N>(c, n, places, channels, x, factor, factor_step, shift, shift_step, y);
    else
      affine<1>(c, n, places, channels, x, factor, factor_step, shift, shift_step, y);
  });
}

// What column_sums (tensor/core/cuda/columns.cuh) adds to its two sums: x y to the first, where a null y is
// 1, and 0 to the second, which is not used.
template <class T>
struct Product {
  const T *x, *y;
  template <int N>
  __device__ auto prepare(int64_t, int) const {
    return [*this](int64_t at, float(&a)[N], float(&b)[N]) {
      load<N>(x + at, a);
      float v[N];
      if (y) load<N>(y + at, v);
#pragma unroll
      for (int k = 0; k < N; ++k) {
        a[k] *= y ? v[k] : 1.0f;
        b[k] = 0;
      }
    };
  }
};

void channel_sum(Context& c, const ChannelSum& call) {
  const int64_t n = call.n, channels = call.channels;
  visit_type(call.type, [&]<class T>(T) {
    const T *const x = as<T>(call.x), *const y = as<T>(call.y);
    const Columns k = make_columns<T>(n, call.places, channels, aligned(x) && aligned(y));
    const Scratch sums(c, static_cast<uint64_t>(2 * n * channels) * sizeof(double));
    column_sums<T>(c, k, Product<T>{x, y}, sums.as<double>());
    for_each(c, n * channels, Weighted{sums.as<double>(), call.weight, as<float>(call.sum), channels});
  });
}

template <class T>
struct Drop {
  RandomKey key;
  uint64_t first;
  int64_t n;
  const T* x;
  uint32_t threshold;
  float keep;
  T* y;
  __device__ void operator()(uint64_t block) const {
    const auto word = generator(key).block(block);
    const int64_t base = static_cast<int64_t>(4 * block - first);
#pragma unroll
    for (int k = 0; k < 4; ++k)
      if (base + k < n)
        y[base + k] =
            from_float<T>(word[static_cast<size_t>(k)] >= threshold ? to_float(x[base + k]) * keep : 0.0f);
  }
};

void dropout(Context& c, const Dropout& call) {
  const RandomKey key{0, static_cast<uint32_t>(Stream::dropout), 0, call.key};
  visit_type(call.type, [&]<class T>(T) {
    for_blocks(c, call.first, call.n,
               Drop<T>{key, call.first, call.n, as<T>(call.x), call.threshold, static_cast<float>(call.keep),
                       as<T>(call.y)});
  });
}

struct Embed {
  int64_t size;
  double max_period;
  const float* t;
  float* y;
  __device__ void operator()(int64_t k) const {
    const int64_t half = size / 2, row = k / half, i = k % half;
    ref::time_embedding_pair(size, max_period, t[row], i, y + row * size);
  }
};

void time_embedding(Context& c, const TimeEmbedding& call) {
  expect_f32(call.type);
  require(call.size % 2 == 0, "expected an even size, got ", call.size);
  for_each(c, call.n * (call.size / 2),
           Embed{call.size, call.max_period, as<float>(call.t), as<float>(call.y)});
}

constexpr KernelEntry kEntries[] = {
    kEntry<unary_forward>,  kEntry<unary_backward>, kEntry<binary>,  kEntry<scale>,          kEntry<axpby>,
    kEntry<channel_affine>, kEntry<channel_sum>,    kEntry<dropout>, kEntry<time_embedding>,
};

}  // namespace

extern const std::span<const KernelEntry> elementwise_kernels{kEntries};

}  // namespace voxgrad::cuda
