// Losses of segmentations: a thread a row of logits, sums in double in a fixed order. Definition:
// tensor/loss/ref/losses.h. Nobody reads labels here to check them: one outside of the classes makes the
// result NaN.
#include "tensor/core/cuda/map.cuh"
#include "tensor/loss/ref/softmax.h"

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
struct CrossEntropy {
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

Status cross_entropy(Context* context, DType type, int64_t rows, int64_t classes, const void* logits,
                     const int32_t* label, double* sum) {
  return enter(context, "cross_entropy", [&](Context& c) {
    visit_type(type, [&]<class T>(T) {
      sum_each(c, rows, sum, CrossEntropy<T>{classes, static_cast<const T*>(logits), label});
    });
  });
}

template <class T>
struct CrossEntropyBackward {
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

Status cross_entropy_backward(Context* context, DType type, int64_t rows, int64_t classes, const void* logits,
                              const int32_t* label, double divisor, const float* upstream, void* dlogits) {
  return enter(context, "cross_entropy_backward", [&](Context& c) {
    visit_type(type, [&]<class T>(T) {
      for_each(c, rows,
               CrossEntropyBackward<T>{classes, static_cast<const T*>(logits), label, divisor, upstream,
                                       static_cast<T*>(dlogits)});
    });
  });
}

// p = softmax(z), row by row.
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

// Class blockIdx.y: sums of p y, p and y of the block's rows. parts [blocks, 3, classes].
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

Status soft_dice_sums(Context* context, DType type, int64_t rows, int64_t classes, const void* logits,
                      const int32_t* label, void* p, double* sums) {
  return enter(context, "soft_dice", [&](Context& c) {
    require(classes >= 1 && classes <= 65535, "expected 1 to 65535 classes, got ", classes);
    visit_type(type, [&]<class T>(T) {
      T* const q = static_cast<T*>(p);
      for_each(c, rows, Probabilities<T>{classes, static_cast<const T*>(logits), label, q});
      const int64_t blocks = sum_blocks(rows);
      const Scratch parts(c, static_cast<uint64_t>(blocks * 3 * classes) * sizeof(double));
      const dim3 grid(static_cast<unsigned>(blocks), static_cast<unsigned>(classes));
      dice_kernel<<<grid, kThreads, 0, c.stream>>>(rows, classes, q, label, parts.as<double>());
      check_launch(c.op);
      sum_parts(c, blocks, 3 * classes, parts.as<double>(), sums);
    });
  });
}

// sums [3, classes]: I = sum p y, P = sum p, Y = sum y; the same expressions as in tensor/loss/losses.cc.
struct DiceValue {
  int64_t classes, first;
  double smooth;
  const double* sums;
  float* value;
  __device__ void operator()(int64_t) const {
    double dice = 0;
    for (int64_t k = first; k < classes; ++k)
      dice += (2 * sums[k] + smooth) / (sums[classes + k] + sums[2 * classes + k] + smooth);
    *value = static_cast<float>(1 - dice / static_cast<double>(classes - first));
  }
};

Status soft_dice_value(Context* context, int64_t classes, int64_t first, double smooth, const double* sums,
                       float* value) {
  return enter(context, "soft_dice", [&](Context& c) {
    for_each(c, 1, DiceValue{classes, first, smooth, sums, value});
  });
}

struct DiceSlopes {
  int64_t classes, first;
  double smooth;
  const double* sums;
  const float* upstream;
  double *hit, *all;
  __device__ void operator()(int64_t k) const {
    const double g = -static_cast<double>(*upstream) / static_cast<double>(classes - first);
    const double below = sums[classes + k] + sums[2 * classes + k] + smooth;
    hit[k] = k < first ? 0 : g * 2 / below;
    all[k] = k < first ? 0 : -g * (2 * sums[k] + smooth) / (below * below);
  }
};

Status soft_dice_slopes(Context* context, int64_t classes, int64_t first, double smooth, const double* sums,
                        const float* upstream, double* hit, double* all) {
  return enter(context, "soft_dice_backward", [&](Context& c) {
    for_each(c, classes, DiceSlopes{classes, first, smooth, sums, upstream, hit, all});
  });
}

// d loss / d p[r, k] = hit[k] y + all[k], through the softmax: dz_k = p_k (dp_k - sum_j p_j dp_j).
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

Status soft_dice_backward(Context* context, DType type, int64_t rows, int64_t classes, const void* p,
                          const int32_t* label, const double* hit, const double* all, void* dlogits) {
  return enter(context, "soft_dice_backward", [&](Context& c) {
    visit_type(type, [&]<class T>(T) {
      for_each(c, rows,
               DiceBackward<T>{classes, static_cast<const T*>(p), label, hit, all, static_cast<T*>(dlogits)});
    });
  });
}

struct ScaledDifference {
  double divisor;
  const float* upstream;
  __device__ float operator()(float x, float y) const {
    return static_cast<float>(static_cast<double>(*upstream) / divisor) * (x - y);
  }
};

Status scaled_difference(Context* context, DType type, int64_t n, const void* x, const void* y,
                         double divisor, const float* upstream, void* dx) {
  return enter(context, "scaled_difference", [&](Context& c) {
    visit_type(type, [&]<class T>(T) {
      map2(c, n, static_cast<const T*>(x), static_cast<const T*>(y), static_cast<T*>(dx),
           ScaledDifference{divisor, upstream});
    });
  });
}

// KL(q || p) of diagonal Gaussians given by mean and log of the standard deviation.
struct Kl {
  const float *mq, *sq, *mp, *sp;
  __device__ double operator()(int64_t i) const {
    const double d = static_cast<double>(mq[i]) - static_cast<double>(mp[i]);
    const double q = static_cast<double>(sq[i]), p = static_cast<double>(sp[i]);
    return p - q + 0.5 * (math::exp(2 * (q - p)) + d * d * math::exp(-2 * p)) - 0.5;
  }
};

Status kl_gaussian(Context* context, int64_t n, const float* mq, const float* sq, const float* mp,
                   const float* sp, double* sum) {
  return enter(context, "kl_gaussian", [&](Context& c) { sum_each(c, n, sum, Kl{mq, sq, mp, sp}); });
}

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

Status kl_gaussian_backward(Context* context, int64_t n, const float* mq, const float* sq, const float* mp,
                            const float* sp, double divisor, const float* upstream, float* dmq, float* dsq,
                            float* dmp, float* dsp) {
  return enter(context, "kl_gaussian_backward", [&](Context& c) {
    for_each(c, n, KlBackward{{mq, sq, mp, sp}, divisor, upstream, dmq, dsq, dmp, dsp});
  });
}

}  // namespace

extern const LossFns loss_functions{
    cross_entropy,      cross_entropy_backward, soft_dice_sums, soft_dice_value,     soft_dice_slopes,
    soft_dice_backward, scaled_difference,      kl_gaussian,    kl_gaussian_backward};

}  // namespace voxgrad::cuda
