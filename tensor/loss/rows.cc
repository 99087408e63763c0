#include "tensor/loss/rows.h"

#include <atomic>

namespace voxgrad {

void expect_label_shape(std::string_view op, const Tensor& logits, const Tensor& label) {
  const Shape& s = logits.shape();
  bool fits = s.rank() == label.rank() + 1 && s[-1] >= 1;
  for (int i = 0; fits && i < label.rank(); ++i) fits = s[i] == label.dim(i);
  require(fits, "[", op, "] expected logits [..., K] and labels [...], got ", s, " and ", label.shape());
}

void expect_labels(std::string_view op, const Tensor& logits, const Tensor& label) {
  expect_label_shape(op, logits, label);
  if (gpu::runs_on(logits, label)) return;
  const auto classes = static_cast<uint32_t>(logits.dim(-1));
  const int32_t* const y = label.data<int32_t>();
  std::atomic<bool> bad = false;
  parallel_ranges(label.numel(), 8 * cpu::kGrain, [&](int64_t begin, int64_t end) {
    uint32_t largest = 0;
    for (int64_t i = begin; i < end; ++i) largest = std::max(largest, static_cast<uint32_t>(y[i]));
    if (largest >= classes) bad = true;
  });
  if (!bad) return;
  for (int64_t i = 0; i < label.numel(); ++i)
    if (static_cast<uint32_t>(y[i]) >= classes)
      fail(ErrorCode::data, "[", op, "] expected labels in [0, ", classes, "), got ", y[i], " at element ",
           i);
}

void expect_shape(std::string_view op, const Tensor& t, const Shape& shape, const char* what) {
  require(t.defined() && t.shape() == shape, "[", op, "] expected ", what, " ", shape, ", got ",
          t.defined() ? t.shape().str() : "an undefined tensor");
}

void* one_element(const Tensor& t, DType type) {
  require(t.defined() && t.numel() == 1, "[", current_op(), "] expected one element, got ",
          t.defined() ? t.shape().str() : "an undefined tensor");
  return elements(t, type);
}

}  // namespace voxgrad
