// What the .cc files of the family share: checks of logits and labels, and rows of few classes in blocks.
#pragma once
#include <algorithm>

#include "tensor/core/cpu/ranges.h"
#include "tensor/core/cpu/rows.h"
#include "tensor/core/kernel.h"

namespace voxgrad {

/// Throws unless logits are [..., K], K >= 1, and labels are i32 [...]. On the CPU, throws ErrorCode::data
/// for the first label outside [0, K).
void expect_label_shape(std::string_view op, const Tensor& logits, const Tensor& label);
void expect_labels(std::string_view op, const Tensor& logits, const Tensor& label);

/// Throws unless t is defined and has this shape.
void expect_shape(std::string_view op, const Tensor& t, const Shape& shape, const char* what);

/// The one element of a tensor for a call. Throws unless it has one element of the type.
void* one_element(const Tensor& t, DType type);

namespace cpu {

/// Why an implementation with RowBlock (tensor/core/cpu/rows.h) does not take a call.
template <class Call>
const char* row_blocks_decline(const Call& c) {
  return c.classes > 8 ? "more than 8 classes" : f32_declines(c);
}

/// Rows that a task takes: about kGrain elements, in whole blocks.
inline int64_t loss_grain(int64_t classes) {
  const int64_t g = std::max<int64_t>(1, kGrain / classes);
  return (g + kRows - 1) / kRows * kRows;
}

/// Calls f(first row, rows) for the blocks, of at most kRows rows, of the rows [first, last).
template <class F>
void for_blocks(int64_t first, int64_t last, F&& f) {
  for (int64_t r = first; r < last; r += kRows) f(r, std::min<int64_t>(kRows, last - r));
}

/// The labels of a block. A row that is missing to kRows has -1.
struct BlockLabels {
  int32_t v[kRows];
  BlockLabels(const int32_t* label, int64_t rows) {
    for (int l = 0; l < kRows; ++l) v[l] = l < rows ? label[l] : -1;
  }
};

}  // namespace cpu
}  // namespace voxgrad
