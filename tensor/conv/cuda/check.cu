// The one check of a plan. Some elements of its result are computed again by the plainest kernel there is:
// one block for each element, products in f32, sums in double.
#include <cmath>
#include <vector>

#include "tensor/conv/cuda/plans.h"
#include "tensor/core/cuda/device.cuh"
#include "tensor/core/random.h"

namespace voxgrad::cuda {
namespace {

constexpr int64_t kSamples = 512, kWeightSamples = 128;  // of 27 taps and at most four parts

template <class T>
struct Random {
  uint32_t which;
  float scale;
  T* y;
  __device__ void operator()(int64_t i) const {
    const Philox g{20260101, Stream::test, which};
    y[i] = from_float<T>(scale * g.normal(static_cast<uint64_t>(i)));
  }
};

struct Arrays {
  const void* x[kMaxParts];
  int64_t channels[kMaxParts];
  int parts;
};

// Element (place, channel) of parts that lie side by side.
template <class T>
__device__ float part_value(const Arrays& a, int64_t place, int64_t channel) {
  for (int k = 0; k < a.parts; ++k) {
    if (channel < a.channels[k])
      return to_float(static_cast<const T*>(a.x[k])[place * a.channels[k] + channel]);
    channel -= a.channels[k];
  }
  return 0;
}

__device__ inline int64_t place_in(const int64_t (&extent)[3], int64_t n, int64_t z, int64_t y, int64_t x) {
  return ((n * extent[0] + z) * extent[1] + y) * extent[2] + x;
}

__device__ inline void coordinates(const int64_t (&extent)[3], int64_t place, int64_t (&v)[4]) {
  v[3] = place % extent[2];
  v[2] = place / extent[2] % extent[1];
  v[1] = place / extent[2] / extent[1] % extent[0];
  v[0] = place / extent[2] / extent[1] / extent[0];
}

// The input place that tap t of output place v reads, or -1 where it is outside.
__device__ inline int64_t read_place(const ConvShape& s, const int64_t (&v)[4], int64_t t) {
  const int64_t tap[3] = {t / (s.kernel[1] * s.kernel[2]), t / s.kernel[2] % s.kernel[1], t % s.kernel[2]};
  int64_t at[3];
  for (int k = 0; k < 3; ++k) {
    at[k] = v[k + 1] * s.stride[k] - s.pad[k] + tap[k];
    if (at[k] < 0 || at[k] >= s.in[k]) return -1;
  }
  return place_in(s.in, v[0], at[0], at[1], at[2]);
}

// The output place that reads input place v with tap t, or -1 where there is none.
__device__ inline int64_t writer_place(const ConvShape& s, const int64_t (&v)[4], int64_t t) {
  const int64_t tap[3] = {t / (s.kernel[1] * s.kernel[2]), t / s.kernel[2] % s.kernel[1], t % s.kernel[2]};
  int64_t at[3];
  for (int k = 0; k < 3; ++k) {
    const int64_t shifted = v[k + 1] + s.pad[k] - tap[k];
    if (shifted < 0 || shifted % s.stride[k] != 0) return -1;
    at[k] = shifted / s.stride[k];
    if (at[k] >= s.out[k]) return -1;
  }
  return place_in(s.out, v[0], at[0], at[1], at[2]);
}

// pairs[sample] = (result, reference)
template <class T, class W>
__global__ void __launch_bounds__(kThreads)
    sample_kernel(ConvPlanProblem p, Arrays a, const T* y, const W* w, double2* pairs, int64_t elements) {
  const ConvShape& s = p.shape;
  const int64_t samples = gridDim.x, sample = blockIdx.x;
  // Samples are the first and the last element, and elements between them that a multiplicative hash spreads.
  const uint64_t hash = (static_cast<uint64_t>(sample) * 0x9E3779B97F4A7C15ull) >> 11;
  const int64_t i = sample == 0             ? 0
                    : sample == samples - 1 ? elements - 1
                                            : static_cast<int64_t>(hash % static_cast<uint64_t>(elements));
  double sum = 0;
  float got = 0;
  int64_t v[4];
  const int64_t taps = s.kernel[0] * s.kernel[1] * s.kernel[2];
  const int64_t in_step = p.swapped ? 1 : s.cout, out_step = p.swapped ? s.cin : 1;
  if (p.pass == Pass::forward) {
    const int64_t o = i % s.cout;
    coordinates(s.out, i / s.cout, v);
    for (int64_t k = threadIdx.x; k < taps * s.cin; k += kThreads) {
      const int64_t from = read_place(s, v, k / s.cin), c = k % s.cin;
      if (from >= 0)
        sum += static_cast<double>(part_value<T>(a, from, c) *
                                   to_float(w[k / s.cin * s.cin * s.cout + c * in_step + o * out_step]));
    }
    got = to_float(y[i]);
  } else if (p.pass == Pass::backward_data) {
    const int64_t c = i % s.cin, place = i / s.cin;
    coordinates(s.in, place, v);
    for (int64_t k = threadIdx.x; k < taps * s.cout; k += kThreads) {
      const int64_t from = writer_place(s, v, k / s.cout), o = k % s.cout;
      if (from >= 0)
        sum += static_cast<double>(to_float(y[from * s.cout + o]) *
                                   to_float(w[k / s.cout * s.cin * s.cout + c * in_step + o * out_step]));
    }
    got = part_value<T>(a, place, c);
  } else {
    // Every tap of every part has its turn, because each part may have an engine of its own.
    const int64_t t = sample % taps, part = sample / taps % p.parts;
    int64_t before = 0;
    for (int64_t k = 0; k < part; ++k) before += p.channels[k];
    const int64_t c = before + static_cast<int64_t>(hash % static_cast<uint64_t>(p.channels[part])),
                  o = static_cast<int64_t>((hash >> 20) % static_cast<uint64_t>(s.cout));
    const int64_t places = s.n * s.out[0] * s.out[1] * s.out[2];
    for (int64_t k = threadIdx.x; k < places; k += kThreads) {
      coordinates(s.out, k, v);
      const int64_t from = read_place(s, v, t);
      if (from >= 0) sum += static_cast<double>(part_value<T>(a, from, c) * to_float(y[k * s.cout + o]));
    }
    got = to_float(w[t * s.cin * s.cout + c * in_step + o * out_step]);
  }
  sum = block_sum(sum);
  if (threadIdx.x == 0) pairs[sample] = make_double2(static_cast<double>(got), sum);
}

}  // namespace

void fill_random(Context& c, DType type, int64_t n, uint32_t which, float scale, void* y) {
  visit_type(type, [&]<class T>(T) { for_each(c, n, Random<T>{which, scale, static_cast<T*>(y)}); });
}

double conv_error(Context& c, const ConvPlanProblem& p, const ConvArrays& arrays) {
  const int64_t elements = p.pass == Pass::forward         ? p.out_places() * p.shape.cout
                           : p.pass == Pass::backward_data ? p.in_places() * p.shape.cin
                                                           : p.weights();
  const int64_t samples = std::min(elements, p.pass == Pass::backward_weights ? kWeightSamples : kSamples);
  Arrays a{};
  a.parts = p.parts;
  for (int k = 0; k < p.parts; ++k) {
    a.x[k] = arrays.x[k].data;
    a.channels[k] = p.channels[k];
  }
  const Scratch pairs(c, static_cast<uint64_t>(samples) * sizeof(double2));
  const void* const w = p.pass == Pass::backward_weights ? arrays.dw : arrays.w;
  visit_type(p.type, [&]<class T>(T) {
    visit_type(p.weight_type, [&]<class W>(W) {
      sample_kernel<<<static_cast<unsigned>(samples), kThreads, 0, c.stream>>>(
          p, a, static_cast<const T*>(arrays.y), static_cast<const W*>(w), pairs.as<double2>(), elements);
      check_launch("conv_check");
    });
  });
  std::vector<double2> got(static_cast<size_t>(samples));
  check(cudaMemcpyAsync(got.data(), pairs.as<void>(), got.size() * sizeof(double2), cudaMemcpyDeviceToHost,
                        c.stream),
        "cudaMemcpyAsync");
  check(cudaStreamSynchronize(c.stream), "conv_check");
  double errors = 0, values = 0, largest = 0;
  for (const double2& v : got) {
    const double d = v.x - v.y;
    if (!std::isfinite(d)) return NAN;
    errors += d * d;
    values += v.y * v.y;
    largest = std::max(largest, std::abs(d));
  }
  const double scale = std::sqrt(values / static_cast<double>(samples));
  // A single element that is far off (at a border, say) must not hide in the mean.
  return scale > 0 ? std::max(std::sqrt(errors / static_cast<double>(samples)), largest / 8) / scale
                   : largest;
}

}  // namespace voxgrad::cuda
