// Copies weights between the runtime's order [taps, cin, cout] and cuDNN's [cout, taps, cin], and converts
// them. Also adds a bias, and sums its gradient.
#include "tensor/conv/cuda/plans.h"
#include "tensor/core/cuda/columns.cuh"

namespace voxgrad::cuda {
namespace {

// For one tap, both orders are matrices of input and output channels. Where the runtime's weights are [taps,
// cin, cout], one matrix is the other transposed. The weights of transposed convolutions are [taps, cout,
// cin], so they have cuDNN's rows already.
struct Order {
  int taps, cin, cout, first, channels;
  bool rows;
  Order(const ConvPlanProblem& p, int64_t f, int64_t n)
      : taps(static_cast<int>(p.taps())),
        cin(static_cast<int>(p.shape.cin)),
        cout(static_cast<int>(p.shape.cout)),
        first(static_cast<int>(f)),
        channels(static_cast<int>(n)),
        rows(p.swapped) {}
  __device__ int64_t packed(int tap, int c, int o) const {
    return (static_cast<int64_t>(o) * taps + tap) * channels + c;
  }
  __device__ int64_t place(int tap, int c, int o) const {
    const int64_t matrix = static_cast<int64_t>(tap) * cin * cout;
    return matrix + (rows ? static_cast<int64_t>(o) * cin + first + c : int64_t{first + c} * cout + o);
  }
};

constexpr int kTile = 32, kTileRows = 8;

// Copies a tile of 32 x 32 channels of one tap through shared memory, so that both sides are read and written
// in rows. kUnpack: copies from the packed array.
template <bool kUnpack, class From, class To>
__global__ void __launch_bounds__(kTile* kTileRows) pack_kernel(Order k, const From* from, To* to) {
  __shared__ float tile[kTile][kTile + 1];  // [input channel][output channel]
  const int tap = static_cast<int>(blockIdx.z), c0 = static_cast<int>(blockIdx.x) * kTile,
            o0 = static_cast<int>(blockIdx.y) * kTile;
  const int x = static_cast<int>(threadIdx.x), y = static_cast<int>(threadIdx.y);
  const bool by_input = kUnpack || k.rows;  // neighbours in `from` are input channels
  for (int r = y; r < kTile; r += kTileRows) {
    const int c = by_input ? x : r, o = by_input ? r : x;
    if (c0 + c < k.channels && o0 + o < k.cout)
      tile[c][o] = to_float(from[kUnpack ? k.packed(tap, c0 + c, o0 + o) : k.place(tap, c0 + c, o0 + o)]);
  }
  __syncthreads();
  const bool to_input = !kUnpack || k.rows;
  for (int r = y; r < kTile; r += kTileRows) {
    const int c = to_input ? x : r, o = to_input ? r : x;
    if (c0 + c < k.channels && o0 + o < k.cout)
      to[kUnpack ? k.place(tap, c0 + c, o0 + o) : k.packed(tap, c0 + c, o0 + o)] = from_float<To>(tile[c][o]);
  }
}

template <bool kUnpack, class From, class To>
void run_pack(Context& c, const Order& k, const void* from, void* to) {
  const dim3 grid(static_cast<unsigned>(ceil_div(k.channels, kTile)),
                  static_cast<unsigned>(ceil_div(k.cout, kTile)), static_cast<unsigned>(k.taps));
  pack_kernel<kUnpack><<<grid, dim3(kTile, kTileRows), 0, c.stream>>>(k, static_cast<const From*>(from),
                                                                      static_cast<To*>(to));
  check_launch(c.op);
}

template <class T, class B>
struct AddBias {
  int64_t channels;
  const B* bias;
  T* y;
  __device__ void operator()(int64_t i) const {
    y[i] = from_float<T>(to_float(y[i]) + to_float(bias[i % channels]));
  }
};

template <class T>
struct Values {
  const T* x;
  template <int N>
  __device__ auto prepare(int64_t, int) const {
    return [*this](int64_t at, float(&a)[N], float(&b)[N]) {
      load<N>(x + at, a);
#pragma unroll
      for (int k = 0; k < N; ++k) b[k] = 0;
    };
  }
};

template <class B>
struct Narrow {
  const double* sums;
  B* out;
  __device__ void operator()(int64_t k) const { out[k] = from_float<B>(static_cast<float>(sums[k])); }
};

}  // namespace

void pack_weights(Context& c, const ConvPlanProblem& p, int64_t first, int64_t channels, const void* w,
                  void* out) {
  const Order order(p, first, channels);
  visit_type(p.weight_type, [&]<class From>(From) {
    visit_type(p.type, [&]<class To>(To) { run_pack<false, From, To>(c, order, w, out); });
  });
}

void unpack_weights(Context& c, const ConvPlanProblem& p, int64_t first, int64_t channels, DType from,
                    const void* packed, void* dw) {
  const Order order(p, first, channels);
  visit_type(from, [&]<class From>(From) {
    visit_type(p.weight_type, [&]<class To>(To) { run_pack<true, From, To>(c, order, packed, dw); });
  });
}

void add_bias(Context& c, DType type, DType bias_type, int64_t places, int64_t channels, const void* bias,
              void* y) {
  visit_type(type, [&]<class T>(T) {
    visit_type(bias_type, [&]<class B>(B) {
      for_each(c, places * channels,
               AddBias<T, B>{channels, static_cast<const B*>(bias), static_cast<T*>(y)});
    });
  });
}

void sum_bias(Context& c, DType type, DType bias_type, int64_t places, int64_t channels, const void* dy,
              void* dbias) {
  visit_type(type, [&]<class T>(T) {
    const Columns k = make_columns<T>(1, places, channels, aligned(dy));
    const Scratch sums(c, static_cast<uint64_t>(2 * channels) * sizeof(double));
    column_sums<T>(c, k, Values<T>{static_cast<const T*>(dy)}, sums.as<double>());
    visit_type(bias_type, [&]<class B>(B) {
      for_each(c, channels, Narrow<B>{sums.as<double>(), static_cast<B*>(dbias)});
    });
  });
}

}  // namespace voxgrad::cuda
