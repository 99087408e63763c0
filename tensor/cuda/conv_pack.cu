// Weights between the runtime's order [taps, cin, cout] and cuDNN's [cout, taps, cin], with conversion; bias.
#include "tensor/cuda/columns.cuh"
#include "tensor/cuda/conv_plans.h"

namespace voxgrad::cuda {
namespace {

struct Order {
  int64_t taps, cin, cout, in_step, out_step, first, channels;
  explicit Order(const ConvPlanProblem& p, int64_t f, int64_t n)
      : taps(p.taps()),
        cin(p.shape.cin),
        cout(p.shape.cout),
        in_step(p.in_step()),
        out_step(p.out_step()),
        first(f),
        channels(n) {}
  /// Where element i of the packed array [cout, taps, channels] lies in w.
  __device__ int64_t place(int64_t i) const {
    const int64_t c = i % channels, t = i / channels % taps, o = i / channels / taps;
    return t * cin * cout + (first + c) * in_step + o * out_step;
  }
  int64_t size() const { return cout * taps * channels; }
};

template <class From, class To>
struct PackWeights {
  Order order;
  const From* w;
  To* out;
  __device__ void operator()(int64_t i) const { out[i] = from_float<To>(to_float(w[order.place(i)])); }
};

template <class From, class To>
struct Unpack {
  Order order;
  const From* packed;
  To* dw;
  __device__ void operator()(int64_t i) const { dw[order.place(i)] = from_float<To>(to_float(packed[i])); }
};

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
    visit_type(p.type, [&]<class To>(To) {
      for_each(c, order.size(),
               PackWeights<From, To>{order, static_cast<const From*>(w), static_cast<To*>(out)});
    });
  });
}

void unpack_weights(Context& c, const ConvPlanProblem& p, int64_t first, int64_t channels, DType from,
                    const void* packed, void* dw) {
  const Order order(p, first, channels);
  visit_type(from, [&]<class From>(From) {
    visit_type(p.weight_type, [&]<class To>(To) {
      for_each(c, order.size(),
               Unpack<From, To>{order, static_cast<const From*>(packed), static_cast<To*>(dw)});
    });
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
