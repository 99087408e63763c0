#include "tensor/loss/losses.h"

#include <algorithm>
#include <atomic>

#include "tensor/core/cpu/ranges.h"
#include "tensor/core/cpu/rows.h"
#include "tensor/core/gpu.h"
#include "tensor/core/reduce.h"
#include "tensor/loss/ref/losses.h"

namespace voxgrad {
namespace {

struct Rows {
  int64_t rows, classes;
};

Rows check(std::string_view op, const Tensor& logits, const Tensor& label) {
  const Shape& s = logits.shape();
  bool fits = s.rank() == label.rank() + 1 && s[-1] >= 1;
  for (int i = 0; fits && i < label.rank(); ++i) fits = s[i] == label.dim(i);
  require(fits, "[", op, "] expected logits [..., K] and labels [...], got ", s, " and ", label.shape());
  return {label.numel(), s[-1]};
}

// Throws for the first label outside [0, classes).
void check_labels(std::string_view op, const Rows& s, const int32_t* label) {
  const auto classes = static_cast<uint32_t>(s.classes);
  std::atomic<bool> bad = false;
  parallel_ranges(s.rows, 8 * cpu::kGrain, [&](int64_t begin, int64_t end) {
    uint32_t largest = 0;
    for (int64_t i = begin; i < end; ++i) largest = std::max(largest, static_cast<uint32_t>(label[i]));
    if (largest >= classes) bad = true;
  });
  if (!bad) return;
  for (int64_t i = 0; i < s.rows; ++i)
    if (static_cast<uint32_t>(label[i]) >= classes)
      fail(ErrorCode::data, "[", op, "] expected labels in [0, ", classes, "), got ", label[i],
           " at element ", i);
}

int64_t grain_of(const Rows& s) {
  const int64_t g = std::max<int64_t>(1, cpu::kGrain / s.classes);
  return (g + cpu::kRows - 1) / cpu::kRows * cpu::kRows;
}

// Blocks of at most sixteen rows in [first, last).
template <class F>
void blocks(int64_t first, int64_t last, F&& f) {
  for (int64_t r = first; r < last; r += cpu::kRows) f(r, std::min<int64_t>(cpu::kRows, last - r));
}

// The label of sixteen rows; -1 for those that are missing.
struct Labels {
  int32_t v[cpu::kRows];
  Labels(const int32_t* label, int64_t rows) {
    for (int l = 0; l < cpu::kRows; ++l) v[l] = l < rows ? label[l] : -1;
  }
};

double cross_entropy_f32(const Rows& s, const float* z, const int32_t* label) {
  double sum = 0;
  const bool few = cpu::with_few_classes(s.classes, [&]<class K>(K) {
    sum = cpu::sum_ranges<float>(
        s.rows,
        [=](int64_t first, int64_t last) {
          double part = 0;
          blocks(first, last, [&](int64_t r, int64_t n) {
            cpu::RowBlock<K::value> b;
            b.load(z + r * K::value, n);
            const Labels y(label + r, n);
            float at[cpu::kRows] = {}, max[cpu::kRows], total[cpu::kRows];
            for (int k = 0; k < K::value; ++k)
              for (int l = 0; l < cpu::kRows; ++l) at[l] = y.v[l] == k ? b.v[k][l] : at[l];
            b.exponentials(1.0f, max, total);
            for (int l = 0; l < cpu::kRows; ++l)
              at[l] = math::log(total[l]) + 0 * total[l] - (at[l] - max[l]);  // NaN stays NaN
            for (int l = 0; l < n; ++l) part += static_cast<double>(at[l]);
          });
          return part;
        },
        grain_of(s));
  });
  if (few) return sum;
  return cpu::sum_ranges<float>(
      s.rows,
      [=](int64_t first, int64_t last) {
        return ref::cross_entropy_sum(last - first, s.classes, z + first * s.classes, label + first);
      },
      grain_of(s));
}

void cross_entropy_backward_f32(const Rows& s, const float* z, const int32_t* label, float g, float* dz) {
  const bool few = cpu::with_few_classes(s.classes, [&]<class K>(K) {
    parallel_ranges(s.rows, grain_of(s), [=](int64_t first, int64_t last) {
      blocks(first, last, [=](int64_t r, int64_t n) {
        cpu::RowBlock<K::value> b;
        b.load(z + r * K::value, n);
        const Labels y(label + r, n);
        b.softmax();
        for (int k = 0; k < K::value; ++k)
          for (int l = 0; l < cpu::kRows; ++l) b.v[k][l] = g * (b.v[k][l] - (y.v[l] == k ? 1.0f : 0.0f));
        b.store(dz + r * K::value, n);
      });
    });
  });
  if (few) return;
  parallel_ranges(s.rows, grain_of(s), [=](int64_t first, int64_t last) {
    ref::cross_entropy_backward(last - first, s.classes, z + first * s.classes, label + first, g,
                                dz + first * s.classes);
  });
}

void soft_dice_sums_f32(const Rows& s, const float* z, const int32_t* label, float* p, double* sums) {
  const int64_t grain = grain_of(s), tiles = (s.rows + grain - 1) / grain, width = 3 * s.classes;
  std::vector<double> parts(static_cast<size_t>(tiles * width));
  double* const part = parts.data();
  const bool few = cpu::with_few_classes(s.classes, [&]<class K>(K) {
    parallel_for(tiles, [=](int64_t t) {
      double hit[K::value] = {}, all[K::value] = {}, count[K::value] = {};
      blocks(t * grain, std::min((t + 1) * grain, s.rows), [&](int64_t r, int64_t n) {
        cpu::RowBlock<K::value> b;
        b.load(z + r * K::value, n);
        const Labels y(label + r, n);
        b.softmax();
        b.store(p + r * K::value, n);
        for (int k = 0; k < K::value; ++k) {
          float h = 0, a = 0, c = 0;  // of sixteen rows
          for (int l = 0; l < n; ++l) {
            const float one = y.v[l] == k ? 1.0f : 0.0f;
            h += one * b.v[k][l];
            a += b.v[k][l];
            c += one;
          }
          hit[k] += static_cast<double>(h);
          all[k] += static_cast<double>(a);
          count[k] += static_cast<double>(c);
        }
      });
      double* const out = part + t * width;
      for (int k = 0; k < K::value; ++k) {
        out[k] = hit[k];
        out[K::value + k] = all[k];
        out[2 * K::value + k] = count[k];
      }
    });
  });
  if (!few)
    parallel_for(tiles, [=](int64_t t) {
      const int64_t first = t * grain, last = std::min(first + grain, s.rows);
      ref::soft_dice_sums(last - first, s.classes, z + first * s.classes, label + first,
                          p + first * s.classes, part + t * width);
    });
  for (int64_t k = 0; k < width; ++k) {
    sums[k] = 0;
    for (int64_t t = 0; t < tiles; ++t) sums[k] += part[t * width + k];
  }
}

void soft_dice_backward_f32(const Rows& s, const float* p, const int32_t* label, const float* hit,
                            const float* all, float* dz) {
  const bool few = cpu::with_few_classes(s.classes, [&]<class K>(K) {
    parallel_ranges(s.rows, grain_of(s), [=](int64_t first, int64_t last) {
      blocks(first, last, [=](int64_t r, int64_t n) {
        cpu::RowBlock<K::value> b, d;
        b.load(p + r * K::value, n);
        const Labels y(label + r, n);
        float dot[cpu::kRows] = {};
        for (int k = 0; k < K::value; ++k)
          for (int l = 0; l < cpu::kRows; ++l) {
            d.v[k][l] = all[k] + (y.v[l] == k ? hit[k] : 0.0f);
            dot[l] += b.v[k][l] * d.v[k][l];
          }
        for (int k = 0; k < K::value; ++k)
          for (int l = 0; l < cpu::kRows; ++l) d.v[k][l] = b.v[k][l] * (d.v[k][l] - dot[l]);
        d.store(dz + r * K::value, n);
      });
    });
  });
  if (few) return;
  parallel_ranges(s.rows, grain_of(s), [=](int64_t first, int64_t last) {
    ref::soft_dice_backward(last - first, s.classes, p + first * s.classes, label + first, hit, all,
                            dz + first * s.classes);
  });
}

}  // namespace

double cross_entropy_sum(const Tensor& logits, const Tensor& label) {
  const Rows s = check("cross_entropy", logits, label);
  if (gpu::runs_on(logits, label)) return gpu::cross_entropy_sum(logits, label);
  const int32_t* const y = label.data<int32_t>();
  check_labels("cross_entropy", s, y);
  return visit_float(logits.dtype(), "cross_entropy", [&]<class T>(T) {
    if constexpr (std::is_same_v<T, float>)
      return cross_entropy_f32(s, logits.data<T>(), y);
    else
      return ref::cross_entropy_sum(s.rows, s.classes, logits.data<T>(), y);
  });
}

void cross_entropy_sum(const Tensor& logits, const Tensor& label, double divisor, Tensor& value) {
  check("cross_entropy", logits, label);
  if (gpu::runs_on(logits, label, value)) return gpu::cross_entropy_sum(logits, label, divisor, value);
  fill(value, cross_entropy_sum(logits, label) / divisor);
}

void cross_entropy_backward(const Tensor& logits, const Tensor& label, double divisor, const Tensor& upstream,
                            Tensor& dlogits) {
  const Rows s = check("cross_entropy", logits, label);
  if (gpu::runs_on(logits, label, upstream, dlogits))
    return gpu::cross_entropy_backward(logits, label, divisor, upstream, dlogits);
  const double g = upstream.item() / divisor;
  const int32_t* const y = label.data<int32_t>();
  visit_float(logits.dtype(), "cross_entropy", [&]<class T>(T) {
    const T *const z = logits.data<T>(), gain = static_cast<T>(g);
    T* const dz = dlogits.mutable_data<T>();
    if constexpr (std::is_same_v<T, float>)
      cross_entropy_backward_f32(s, z, y, gain, dz);
    else
      ref::cross_entropy_backward(s.rows, s.classes, z, y, gain, dz);
  });
}

void soft_dice_sums(const Tensor& logits, const Tensor& label, Tensor& p, Tensor& sums) {
  const Rows s = check("soft_dice", logits, label);
  if (gpu::runs_on(logits, label, p, sums)) return gpu::soft_dice_sums(logits, label, p, sums);
  const int32_t* const y = label.data<int32_t>();
  check_labels("soft_dice", s, y);
  visit_float(logits.dtype(), "soft_dice", [&]<class T>(T) {
    const T* const z = logits.data<T>();
    T* const q = p.mutable_data<T>();
    double* const out = sums.mutable_data<double>();
    if constexpr (std::is_same_v<T, float>)
      soft_dice_sums_f32(s, z, y, q, out);
    else
      ref::soft_dice_sums(s.rows, s.classes, z, y, q, out);
  });
}

void soft_dice_value(const Tensor& sums, int64_t first, double smooth, Tensor& value) {
  if (gpu::runs_on(sums, value)) return gpu::soft_dice_value(sums, first, smooth, value);
  const int64_t classes = sums.dim(1);
  const double* const s = sums.data<double>();
  double dice = 0;
  for (int64_t k = first; k < classes; ++k)
    dice += (2 * s[k] + smooth) / (s[classes + k] + s[2 * classes + k] + smooth);
  fill(value, 1 - dice / static_cast<double>(classes - first));
}

// d D_k / d p = (2 y (P + Y + smooth) - (2 I + smooth)) / (P + Y + smooth)^2
void soft_dice_slopes(const Tensor& sums, int64_t first, double smooth, const Tensor& upstream, Tensor& hit,
                      Tensor& all) {
  if (gpu::runs_on(sums, upstream, hit, all))
    return gpu::soft_dice_slopes(sums, first, smooth, upstream, hit, all);
  const int64_t classes = sums.dim(1);
  const double* const s = sums.data<double>();
  double *const h = hit.mutable_data<double>(), *const a = all.mutable_data<double>();
  const double g = -upstream.item() / static_cast<double>(classes - first);
  for (int64_t k = 0; k < classes; ++k) {
    const double below = s[classes + k] + s[2 * classes + k] + smooth;
    h[k] = k < first ? 0 : g * 2 / below;
    a[k] = k < first ? 0 : -g * (2 * s[k] + smooth) / (below * below);
  }
}

void soft_dice_backward(const Tensor& p, const Tensor& label, const Tensor& hit, const Tensor& all,
                        Tensor& dlogits) {
  const Rows s = check("soft_dice", p, label);
  if (gpu::runs_on(p, label, hit, all, dlogits)) return gpu::soft_dice_backward(p, label, hit, all, dlogits);
  const int32_t* const y = label.data<int32_t>();
  const Tensor h = hit.to(p.dtype()), a = all.to(p.dtype());
  visit_float(p.dtype(), "soft_dice", [&]<class T>(T) {
    T* const dz = dlogits.mutable_data<T>();
    if constexpr (std::is_same_v<T, float>)
      soft_dice_backward_f32(s, p.data<T>(), y, h.data<T>(), a.data<T>(), dz);
    else
      ref::soft_dice_backward(s.rows, s.classes, p.data<T>(), y, h.data<T>(), a.data<T>(), dz);
  });
}

// Latent vectors are short: the plain loops serve f32 too, in double inside.
double kl_gaussian_sum(const Tensor& mq, const Tensor& sq, const Tensor& mp, const Tensor& sp) {
  if (gpu::runs_on(mq, sq, mp, sp)) return gpu::kl_gaussian_sum(mq, sq, mp, sp);
  return visit_float(mq.dtype(), "kl_gaussian", [&]<class T>(T) {
    return ref::kl_gaussian_sum(mq.numel(), mq.data<T>(), sq.data<T>(), mp.data<T>(), sp.data<T>());
  });
}

void kl_gaussian_sum(const Tensor& mq, const Tensor& sq, const Tensor& mp, const Tensor& sp, double divisor,
                     Tensor& value) {
  if (gpu::runs_on(mq, sq, mp, sp, value)) return gpu::kl_gaussian_sum(mq, sq, mp, sp, divisor, value);
  fill(value, kl_gaussian_sum(mq, sq, mp, sp) / divisor);
}

void kl_gaussian_backward(const Tensor& mq, const Tensor& sq, const Tensor& mp, const Tensor& sp,
                          double divisor, const Tensor& upstream, Tensor& dmq, Tensor& dsq, Tensor& dmp,
                          Tensor& dsp) {
  if (gpu::runs_on(mq, sq, mp, sp, upstream))
    return gpu::kl_gaussian_backward(mq, sq, mp, sp, divisor, upstream, dmq, dsq, dmp, dsp);
  const double g = upstream.item() / divisor;
  visit_float(mq.dtype(), "kl_gaussian", [&]<class T>(T) {
    const auto data = [](Tensor& t) { return t.defined() ? t.mutable_data<T>() : nullptr; };
    ref::kl_gaussian_backward(mq.numel(), mq.data<T>(), sq.data<T>(), mp.data<T>(), sp.data<T>(), g,
                              data(dmq), data(dsq), data(dmp), data(dsp));
  });
}

void scaled_difference(const Tensor& x, const Tensor& y, double divisor, const Tensor& upstream, Tensor& dx) {
  if (gpu::runs_on(x, y, upstream, dx)) return gpu::scaled_difference(x, y, divisor, upstream, dx);
  const double g = upstream.item() / divisor;
  visit_float(x.dtype(), "scaled_difference", [&]<class T>(T) {
    const T *const px = x.data<T>(), *const py = y.data<T>(), gain = static_cast<T>(g);
    T* const out = dx.mutable_data<T>();
    cpu::for_ranges<T>(x.numel(), [=](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) out[i] = gain * (px[i] - py[i]);
    });
  });
}

}  // namespace voxgrad
