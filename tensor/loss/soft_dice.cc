// Soft Dice of logits and labels.
#include <vector>

#include "tensor/loss/calls.h"
#include "tensor/loss/losses.h"
#include "tensor/loss/ref/losses.h"
#include "tensor/loss/rows.h"

namespace voxgrad {
namespace {

// Cuts the rows into tiles of `grain` rows. f(first, last, part) adds up a tile into part [3, classes]; the
// parts are added in tile order.
template <class F>
void sum_tiles(const SoftDiceSums& c, int64_t grain, F&& f) {
  const int64_t tiles = (c.rows + grain - 1) / grain, width = 3 * c.classes;
  std::vector<double> parts(static_cast<size_t>(tiles * width));
  double* const part = parts.data();
  parallel_for(tiles, [&](int64_t t) { f(t * grain, std::min((t + 1) * grain, c.rows), part + t * width); });
  for (int64_t k = 0; k < width; ++k) {
    c.sums[k] = 0;
    for (int64_t t = 0; t < tiles; ++t) c.sums[k] += part[t * width + k];
  }
}

void blocks_sums(const SoftDiceSums& c) {
  const float* const z = as<float>(c.logits);
  float* const p = as<float>(c.p);
  cpu::with_few_classes(c.classes, [&]<class K>(K) {
    sum_tiles(c, cpu::loss_grain(c.classes), [&](int64_t first, int64_t last, double* part) {
      double hit[K::value] = {}, all[K::value] = {}, count[K::value] = {};
      cpu::for_blocks(first, last, [&](int64_t r, int64_t n) {
        cpu::RowBlock<K::value> b;
        b.load(z + r * K::value, n);
        const cpu::BlockLabels y(c.label + r, n);
        b.softmax();
        b.store(p + r * K::value, n);
        for (int k = 0; k < K::value; ++k) {
          float h = 0, a = 0, o = 0;  // sums over the rows of the block
          for (int l = 0; l < n; ++l) {
            const float one = y.v[l] == k ? 1.0f : 0.0f;
            h += one * b.v[k][l];
            a += b.v[k][l];
            o += one;
          }
          hit[k] += static_cast<double>(h);
          all[k] += static_cast<double>(a);
          count[k] += static_cast<double>(o);
        }
      });
      for (int k = 0; k < K::value; ++k) {
        part[k] = hit[k];
        part[K::value + k] = all[k];
        part[2 * K::value + k] = count[k];
      }
    });
  });
}

void plain_sums(const SoftDiceSums& c) {
  visit_float(c.type, c.kOp, [&]<class T>(T) {
    const T* const z = as<T>(c.logits);
    T* const p = as<T>(c.p);
    const int64_t grain =
        std::is_same_v<T, double> ? std::max<int64_t>(c.rows, 1) : cpu::loss_grain(c.classes);
    sum_tiles(c, grain, [&](int64_t first, int64_t last, double* part) {
      ref::soft_dice_sums(last - first, c.classes, z + first * c.classes, c.label + first,
                          p + first * c.classes, part);
    });
  });
}

void plain_value(const SoftDiceValue& c) {
  visit_float(c.type, c.kOp, [&]<class T>(T) {
    *as<T>(c.value) = static_cast<T>(ref::soft_dice_value(c.classes, c.first, c.smooth, c.sums));
  });
}

void plain_slopes(const SoftDiceSlopes& c) {
  visit_float(c.type, c.kOp, [&]<class T>(T) {
    for (int64_t k = 0; k < c.classes; ++k)
      ref::soft_dice_slopes(c.classes, c.first, c.smooth, c.sums, static_cast<double>(*as<T>(c.upstream)), k,
                            c.hit, c.all);
  });
}

// The slopes in the type of the logits.
template <class T>
std::vector<T> slopes_as(const double* slopes, int64_t classes) {
  std::vector<T> v(static_cast<size_t>(classes));
  std::transform(slopes, slopes + classes, v.begin(), [](double s) { return static_cast<T>(s); });
  return v;
}

void blocks_backward(const SoftDiceBackward& c) {
  const std::vector<float> hits = slopes_as<float>(c.hit, c.classes),
                           alls = slopes_as<float>(c.all, c.classes);
  const float *const p = as<float>(c.p), *const hit = hits.data(), *const all = alls.data();
  float* const dz = as<float>(c.dlogits);
  cpu::with_few_classes(c.classes, [&]<class K>(K) {
    parallel_ranges(c.rows, cpu::loss_grain(c.classes), [&](int64_t first, int64_t last) {
      cpu::for_blocks(first, last, [&](int64_t r, int64_t n) {
        cpu::RowBlock<K::value> b, d;
        b.load(p + r * K::value, n);
        const cpu::BlockLabels y(c.label + r, n);
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
}

void plain_backward(const SoftDiceBackward& c) {
  visit_float(c.type, c.kOp, [&]<class T>(T) {
    const std::vector<T> hit = slopes_as<T>(c.hit, c.classes), all = slopes_as<T>(c.all, c.classes);
    const T* const p = as<T>(c.p);
    T* const dz = as<T>(c.dlogits);
    cpu::for_ranges<T>(
        c.rows,
        [&](int64_t first, int64_t last) {
          ref::soft_dice_backward(last - first, c.classes, p + first * c.classes, c.label + first, hit.data(),
                                  all.data(), dz + first * c.classes);
        },
        cpu::loss_grain(c.classes));
  });
}

constexpr Implementation<SoftDiceSums> kSums[] = {
    kCuda<SoftDiceSums>,
    {"blocks of rows", cpu::row_blocks_decline, blocks_sums},
    {"ref", nullptr, plain_sums},
};
constexpr Implementation<SoftDiceValue> kValue[] = {kCuda<SoftDiceValue>, {"ref", nullptr, plain_value}};
constexpr Implementation<SoftDiceSlopes> kSlopes[] = {kCuda<SoftDiceSlopes>, {"ref", nullptr, plain_slopes}};
constexpr Implementation<SoftDiceBackward> kBackward[] = {
    kCuda<SoftDiceBackward>,
    {"blocks of rows", cpu::row_blocks_decline, blocks_backward},
    {"ref", nullptr, plain_backward},
};

// The classes of sums [3, K].
int64_t classes_of(const Tensor& sums) {
  require(sums.rank() == 2 && sums.dim(0) == 3, "[soft_dice] expected sums [3, K], got ", sums.shape());
  return sums.dim(1);
}

}  // namespace

void soft_dice_sums(const Tensor& logits, const Tensor& label, Tensor& p, Tensor& sums) {
  const char* const op = SoftDiceSums::kOp;
  expect_labels(op, logits, label);
  expect_shape(op, p, logits.shape(), "probabilities");
  expect_shape(op, sums, {3, logits.dim(-1)}, "sums");
  run(kSums, {.device = device_of(logits, label, p, sums),
              .type = logits.dtype(),
              .rows = label.numel(),
              .classes = logits.dim(-1),
              .logits = logits.raw(),
              .label = elements<int32_t>(label),
              .p = elements(p, logits.dtype()),
              .sums = elements<double>(sums)});
}

void soft_dice_value(const Tensor& sums, int64_t first, double smooth, Tensor& value) {
  run(kValue, {.device = device_of(sums, value),
               .type = value.dtype(),
               .classes = classes_of(sums),
               .first = first,
               .smooth = smooth,
               .sums = elements<double>(sums),
               .value = one_element(value, value.dtype())});
}

void soft_dice_slopes(const Tensor& sums, int64_t first, double smooth, const Tensor& upstream, Tensor& hit,
                      Tensor& all) {
  const int64_t classes = classes_of(sums);
  expect_shape(SoftDiceSlopes::kOp, hit, {classes}, "slopes");
  expect_shape(SoftDiceSlopes::kOp, all, {classes}, "slopes");
  run(kSlopes, {.device = device_of(sums, upstream, hit, all),
                .type = upstream.dtype(),
                .classes = classes,
                .first = first,
                .smooth = smooth,
                .sums = elements<double>(sums),
                .upstream = one_element(upstream, upstream.dtype()),
                .hit = elements<double>(hit),
                .all = elements<double>(all)});
}

void soft_dice_backward(const Tensor& p, const Tensor& label, const Tensor& hit, const Tensor& all,
                        Tensor& dlogits) {
  const char* const op = SoftDiceSums::kOp;
  expect_label_shape(op, p, label);
  expect_shape(op, dlogits, p.shape(), "a gradient");
  expect_shape(op, hit, {p.dim(-1)}, "slopes");
  expect_shape(op, all, {p.dim(-1)}, "slopes");
  run(kBackward, {.device = device_of(p, label, hit, all, dlogits),
                  .type = p.dtype(),
                  .rows = label.numel(),
                  .classes = p.dim(-1),
                  .p = p.raw(),
                  .label = elements<int32_t>(label),
                  .hit = elements<double>(hit),
                  .all = elements<double>(all),
                  .dlogits = elements(dlogits, p.dtype())});
}

}  // namespace voxgrad
