// Cross-entropy of logits and labels.
#include "tensor/core/reduce.h"
#include "tensor/loss/calls.h"
#include "tensor/loss/losses.h"
#include "tensor/loss/ref/losses.h"
#include "tensor/loss/rows.h"

namespace voxgrad {
namespace {

void blocks_forward(const CrossEntropy& c) {
  cpu::with_few_classes(c.classes, [&]<class K>(K) {
    const float* const z = as<float>(c.logits);
    *c.sum = cpu::sum_ranges<float>(
        c.rows,
        [&](int64_t first, int64_t last) {
          double part = 0;
          cpu::for_blocks(first, last, [&](int64_t r, int64_t n) {
            cpu::RowBlock<K::value> b;
            b.load(z + r * K::value, n);
            const cpu::BlockLabels y(c.label + r, n);
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
        cpu::loss_grain(c.classes));
  });
}

void plain_forward(const CrossEntropy& c) {
  visit_float(c.type, c.kOp, [&]<class T>(T) {
    const T* const z = as<T>(c.logits);
    *c.sum = cpu::sum_ranges<T>(
        c.rows,
        [&](int64_t first, int64_t last) {
          return ref::cross_entropy_sum(last - first, c.classes, z + first * c.classes, c.label + first);
        },
        cpu::loss_grain(c.classes));
  });
}

// What the gradient of the sum is multiplied with.
template <class T>
T gain_of(const CrossEntropyBackward& c) {
  return static_cast<T>(static_cast<double>(*as<T>(c.upstream)) / c.divisor);
}

void blocks_backward(const CrossEntropyBackward& c) {
  const float *const z = as<float>(c.logits), gain = gain_of<float>(c);
  float* const dz = as<float>(c.dlogits);
  cpu::with_few_classes(c.classes, [&]<class K>(K) {
    parallel_ranges(c.rows, cpu::loss_grain(c.classes), [&](int64_t first, int64_t last) {
      cpu::for_blocks(first, last, [&](int64_t r, int64_t n) {
        cpu::RowBlock<K::value> b;
        b.load(z + r * K::value, n);
        const cpu::BlockLabels y(c.label + r, n);
        b.softmax();
        for (int k = 0; k < K::value; ++k)
          for (int l = 0; l < cpu::kRows; ++l) b.v[k][l] = gain * (b.v[k][l] - (y.v[l] == k ? 1.0f : 0.0f));
        b.store(dz + r * K::value, n);
      });
    });
  });
}

void plain_backward(const CrossEntropyBackward& c) {
  visit_float(c.type, c.kOp, [&]<class T>(T) {
    const T *const z = as<T>(c.logits), gain = gain_of<T>(c);
    T* const dz = as<T>(c.dlogits);
    cpu::for_ranges<T>(
        c.rows,
        [&](int64_t first, int64_t last) {
          ref::cross_entropy_backward(last - first, c.classes, z + first * c.classes, c.label + first, gain,
                                      dz + first * c.classes);
        },
        cpu::loss_grain(c.classes));
  });
}

constexpr Implementation<CrossEntropy> kForward[] = {
    kCuda<CrossEntropy>,
    {"blocks of rows", cpu::row_blocks_decline, blocks_forward},
    {"ref", nullptr, plain_forward},
};
constexpr Implementation<CrossEntropyBackward> kBackward[] = {
    kCuda<CrossEntropyBackward>,
    {"blocks of rows", cpu::row_blocks_decline, blocks_backward},
    {"ref", nullptr, plain_backward},
};

Result cross_entropy(const Tensor& logits, const Tensor& label) {
  expect_labels(CrossEntropy::kOp, logits, label);
  const Result sum(logits.device());
  run(kForward, {.device = device_of(logits, label),
                 .type = logits.dtype(),
                 .rows = label.numel(),
                 .classes = logits.dim(-1),
                 .logits = logits.raw(),
                 .label = elements<int32_t>(label),
                 .sum = sum.data()});
  return sum;
}

}  // namespace

double cross_entropy_sum(const Tensor& logits, const Tensor& label) {
  return cross_entropy(logits, label).read();
}

void cross_entropy_sum(const Tensor& logits, const Tensor& label, double divisor, Tensor& value) {
  cross_entropy(logits, label).divided(divisor, value);
}

void cross_entropy_backward(const Tensor& logits, const Tensor& label, double divisor, const Tensor& upstream,
                            Tensor& dlogits) {
  expect_label_shape(CrossEntropy::kOp, logits, label);
  expect_shape(CrossEntropy::kOp, dlogits, logits.shape(), "a gradient");
  run(kBackward, {.device = device_of(logits, label, upstream, dlogits),
                  .type = logits.dtype(),
                  .rows = label.numel(),
                  .classes = logits.dim(-1),
                  .logits = logits.raw(),
                  .label = elements<int32_t>(label),
                  .divisor = divisor,
                  .upstream = one_element(upstream, parameter_dtype(logits.dtype())),
                  .dlogits = elements(dlogits, logits.dtype())});
}

}  // namespace voxgrad
