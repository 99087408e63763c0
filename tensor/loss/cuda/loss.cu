// Losses on a CUDA device. A thread has a row of logits; sums are kept in double, in a fixed order.
// Definition: tensor/loss/ref/losses.h. Nobody checks labels here: one outside of the classes makes the
// result NaN.
#include "tensor/core/cuda/entry.h"
#include "tensor/core/cuda/map.cuh"
#include "tensor/loss/cuda/loss.cuh"
#include "tensor/loss/ref/losses.h"

namespace voxgrad::cuda {
namespace {

template <class T>
struct Row {
  const T* z;
  int64_t classes;
  __device__ float operator[](int64_t k) const { return to_float(z[k]); }
  __device__ float max() const {
    float m = to_float(z[0]);
    for (int64_t k = 1; k < classes; ++k) m = (*this)[k] > m ? (*this)[k] : m;
    return m;
  }
  __device__ float exp_sum(float m) const {
    float s = 0;
    for (int64_t k = 0; k < classes; ++k) s += math::exp((*this)[k] - m);
    return s;
  }
};

__device__ bool inside(int32_t label, int64_t classes) { return label >= 0 && label < classes; }
__device__ float not_a_number() { return __uint_as_float(0x7fc00000u); }

template <class T>
struct CrossEntropyRow {
  int64_t classes;
  const T* z;
  const int32_t* label;
  __device__ double operator()(int64_t r) const {
    if (!inside(label[r], classes)) return static_cast<double>(not_a_number());
    const Row<T> row{z + r * classes, classes};
    const float m = row.max();
    return static_cast<double>(math::log(row.exp_sum(m)) - (row[label[r]] - m));
  }
};

void cross_entropy(Context& c, const CrossEntropy& call) {
  visit_type(call.type, [&]<class T>(T) {
    sum_each(c, call.rows, call.sum, CrossEntropyRow<T>{call.classes, as<T>(call.logits), call.label});
  });
}

template <class T>
struct CrossEntropySlope {
  int64_t classes;
  const T* z;
  const int32_t* label;
  double divisor;
  const float* upstream;
  T* dz;
  __device__ void operator()(int64_t r) const {
    const Row<T> row{z + r * classes, classes};
    const float m = row.max(), inverse = 1 / row.exp_sum(m);
    const float factor = inside(label[r], classes)
                             ? static_cast<float>(static_cast<double>(*upstream) / divisor)
                             : not_a_number();
    for (int64_t k = 0; k < classes; ++k)
      dz[r * classes + k] =
          from_float<T>(factor * (math::exp(row[k] - m) * inverse - (label[r] == k ? 1.0f : 0.0f)));
  }
};

void cross_entropy_backward(Context& c, const CrossEntropyBackward& call) {
  visit_type(call.type, [&]<class T>(T) {
    for_each(c, call.rows,
             CrossEntropySlope<T>{call.classes, as<T>(call.logits), call.label, call.divisor,
                                  as<float>(call.upstream), as<T>(call.dlogits)});
  });
}

// p = softmax(z), one row a thread.
template <class T>
struct Probabilities {
  int64_t classes;
  const T* z;
  const int32_t* label;
  T* p;
  __device__ void operator()(int64_t r) const {
    const Row<T> row{z + r * classes, classes};
    const float m = row.max(), inverse = inside(label[r], classes) ? 1 / row.exp_sum(m) : not_a_number();
    for (int64_t k = 0; k < classes; ++k) p[r * classes + k] = from_float<T>(math::exp(row[k] - m) * inverse);
  }
};

// The sums of p y, p and y for class blockIdx.y over the rows of the block. parts [blocks, 3, classes].
template <class T>
__global__ void __launch_bounds__(kThreads)
    dice_kernel(int64_t rows, int64_t classes, const T* p, const int32_t* label, double* parts) {
  const int64_t k = blockIdx.y, step = static_cast<int64_t>(gridDim.x) * kThreads;
  double hit = 0, all = 0, count = 0;
  for (int64_t r = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x; r < rows; r += step) {
    const double v = static_cast<double>(to_float(p[r * classes + k]));
    const bool own = label[r] == k;
    hit += own ? v : 0;
    all += v;
    count += own ? 1 : 0;
  }
  hit = block_sum(hit);
  all = block_sum(all);
  count = block_sum(count);
  if (threadIdx.x != 0) return;
  double* const out = parts + static_cast<int64_t>(blockIdx.x) * 3 * classes + k;
  out[0] = hit;
  out[classes] = all;
  out[2 * classes] = count;
}

void soft_dice_sums(Context& c, const SoftDiceSums& call) {
  const int64_t rows = call.rows, classes = call.classes;
  require(classes >= 1 && classes <= 65535, "expected 1 to 65535 classes, got ", classes);
  visit_type(call.type, [&]<class T>(T) {
    T* const p = as<T>(call.p);
    for_each(c, rows, Probabilities<T>{classes, as<T>(call.logits), call.label, p});
    const int64_t blocks = sum_blocks(rows);
    const Scratch parts(c, static_cast<uint64_t>(blocks * 3 * classes) * sizeof(double));
    const dim3 grid(static_cast<unsigned>(blocks), static_cast<unsigned>(classes));
    dice_kernel<<<grid, kThreads, 0, c.stream>>>(rows, classes, p, call.label, parts.as<double>());
    check_launch(c.op);
    sum_parts(c, blocks, 3 * classes, parts.as<double>(), call.sums);
  });
}

struct DiceValue {
  int64_t classes, first;
  double smooth;
  const double* sums;
  float* value;
  __device__ void operator()(int64_t) const {
    *value = static_cast<float>(ref::soft_dice_value(classes, first, smooth, sums));
  }
};

void soft_dice_value(Context& c, const SoftDiceValue& call) {
  expect_f32(call.type);
  for_each(c, 1, DiceValue{call.classes, call.first, call.smooth, call.sums, as<float>(call.value)});
}

struct DiceSlopes {
  int64_t classes, first;
  double smooth;
  const double* sums;
  const float* upstream;
  double *hit, *all;
  __device__ void operator()(int64_t k) const {
    ref::soft_dice_slopes(classes, first, smooth, sums, static_cast<double>(*upstream), k, hit, all);
  }
};

void soft_dice_slopes(Context& c, const SoftDiceSlopes& call) {
  expect_f32(call.type);
  for_each(c, call.classes,
           DiceSlopes{call.classes, call.first, call.smooth, call.sums, as<float>(call.upstream), call.hit,
                      call.all});
}

// dz from dp[r, k] = hit[k] y + all[k], through the softmax p: dz_k = p_k (dp_k - sum_j p_j dp_j).
template <class T>
struct DiceBackward {
  int64_t classes;
  const T* p;
  const int32_t* label;
  const double *hit, *all;
  T* dz;
  __device__ float slope(int64_t r, int64_t k) const {
    return static_cast<float>(all[k]) + (label[r] == k ? static_cast<float>(hit[k]) : 0.0f);
  }
  __device__ void operator()(int64_t r) const {
    const Row<T> row{p + r * classes, classes};
    float dot = 0;
    for (int64_t k = 0; k < classes; ++k) dot += row[k] * slope(r, k);
    for (int64_t k = 0; k < classes; ++k) dz[r * classes + k] = from_float<T>(row[k] * (slope(r, k) - dot));
  }
};

void soft_dice_backward(Context& c, const SoftDiceBackward& call) {
  visit_type(call.type, [&]<class T>(T) {
    for_each(
        c, call.rows,
        DiceBackward<T>{call.classes, as<T>(call.p), call.label, call.hit, call.all, as<T>(call.dlogits)});
  });
}

struct Difference {
  double divisor;
  const float* upstream;
  __device__ float operator()(float x, float y) const {
    return static_cast<float>(static_cast<double>(*upstream) / divisor) * (x - y);
  }
};

void scaled_difference(Context& c, const ScaledDifference& call) {
  visit_type(call.type, [&]<class T>(T) {
    map2(c, call.n, as<T>(call.x), as<T>(call.y), as<T>(call.dx),
         Difference{call.divisor, as<float>(call.upstream)});
  });
}

// One element of KL(q || p); tensor/loss/losses.h says what mq, sq, mp, sp are.
struct Kl {
  const float *mq, *sq, *mp, *sp;
  __device__ double operator()(int64_t i) const {
    const double d = static_cast<double>(mq[i]) - static_cast<double>(mp[i]);
    const double q = static_cast<double>(sq[i]), p = static_cast<double>(sp[i]);
    return p - q + 0.5 * (math::exp(2 * (q - p)) + d * d * math::exp(-2 * p)) - 0.5;
  }
};

template <class Call>
Kl kl_of(const Call& call) {
  expect_f32(call.type);
  return {as<float>(call.mq), as<float>(call.sq), as<float>(call.mp), as<float>(call.sp)};
}

void kl_gaussian(Context& c, const KlGaussian& call) { sum_each(c, call.n, call.sum, kl_of(call)); }

struct KlBackward {
  Kl v;
  double divisor;
  const float* upstream;
  float *dmq, *dsq, *dmp, *dsp;
  __device__ void operator()(int64_t i) const {
    const double f = static_cast<double>(*upstream) / divisor;
    const double d = static_cast<double>(v.mq[i]) - static_cast<double>(v.mp[i]);
    const double q = static_cast<double>(v.sq[i]), p = static_cast<double>(v.sp[i]);
    const double precision = math::exp(-2 * p), ratio = math::exp(2 * (q - p));
    if (dmq) dmq[i] = static_cast<float>(f * d * precision);
    if (dmp) dmp[i] = static_cast<float>(-f * d * precision);
    if (dsq) dsq[i] = static_cast<float>(f * (ratio - 1));
    if (dsp) dsp[i] = static_cast<float>(f * (1 - ratio - d * d * precision));
  }
};

void kl_gaussian_backward(Context& c, const KlGaussianBackward& call) {
  for_each(c, call.n,
           KlBackward{kl_of(call), call.divisor, as<float>(call.upstream), as<float>(call.dmq),
                      as<float>(call.dsq), as<float>(call.dmp), as<float>(call.dsp)});
}

constexpr KernelEntry kEntries[] = {
    kEntry<cross_entropy>,        kEntry<cross_entropy_backward>,
    kEntry<soft_dice_sums>,       kEntry<soft_dice_value>,
    kEntry<soft_dice_slopes>,     kEntry<soft_dice_backward>,
    kEntry<kl_gaussian>,          kEntry<kl_gaussian_backward>,
    kEntry<scaled_difference>,    kEntry<softmax>,
    kEntry<softmax_backward>,     kEntry<log_softmax>,
    kEntry<log_softmax_backward>,
};

}  // namespace

extern const std::span<const KernelEntry> loss_kernels{kEntries};

}  // namespace voxgrad::cuda
