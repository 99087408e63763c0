#include "tensor/gemm/cpu/gemm.h"

#include <algorithm>

#include "tensor/core/kernel.h"
#include "tensor/core/parallel.h"
#include "tensor/core/tensor.h"

namespace voxgrad::cpu {
namespace {

constexpr int64_t kRows = 96;  // rows of a task; a multiple of the largest tiles

// out[k][lane] = alpha * op(B)[k, first + lane], and zero beyond the last column.
void pack_block(const Gemm& p, const float* b, int64_t first, int64_t width, float* out) {
  const int64_t lanes = std::min(width, p.columns - first);
  for (int64_t k = 0; k < p.depth; ++k, out += width) {
    const float* const from = p.transpose_b ? b + first * p.depth + k : b + k * p.columns + first;
    const int64_t step = p.transpose_b ? p.depth : 1;
    for (int64_t i = 0; i < lanes; ++i) out[i] = p.alpha * from[i * step];
    std::fill(out + lanes, out + width, 0.0f);
  }
}

}  // namespace

void gemm_rows(const RowKernels& k, const Gemm& p) {
  const float *const a = as<float>(p.a), *const b = as<float>(p.b);
  float* const c = as<float>(p.c);
  if (p.batch * p.rows * p.columns == 0) return;
  const int vectors = p.columns > kLanes ? k.vectors : 1;
  const int64_t width = vectors * kLanes, blocks = (p.columns + width - 1) / width,
                block_size = p.depth * width;
  const int64_t matrices = p.shared_b ? 1 : p.batch;
  const Tensor packed = Tensor::empty({matrices * blocks * block_size + width});
  float* const zeros = packed.mutable_data<float>();
  float* const weights = zeros + width;
  std::fill_n(zeros, width, 0.0f);
  parallel_for(matrices * blocks, [&](int64_t t) {
    pack_block(p, b + t / blocks * p.depth * p.columns, t % blocks * width, width, weights + t * block_size);
  });

  const int64_t chunks = (p.rows + kRows - 1) / kRows;
  parallel_for(p.batch * chunks, [&](int64_t task) {
    const int64_t i = task / chunks, first = task % chunks * kRows, rows = std::min(kRows, p.rows - first);
    const float* x = a + i * p.rows * p.depth + first * p.depth;
    Tensor rows_of_a, product;
    if (p.transpose_a) {
      rows_of_a = Tensor::empty({rows, p.depth});
      float* const to = rows_of_a.mutable_data<float>();
      const float* const from = a + i * p.rows * p.depth + first;
      for (int64_t r = 0; r < rows; ++r)
        for (int64_t d = 0; d < p.depth; ++d) to[r * p.depth + d] = from[d * p.rows + r];
      x = to;
    }
    if (p.beta != 0) product = Tensor::empty({rows, width});
    const int64_t limit = k.tile_places[vectors - 1];
    const int64_t tiles = (rows + limit - 1) / limit, tile = (rows + tiles - 1) / tiles;
    for (int64_t block = 0; block < blocks; ++block) {
      const int64_t column = block * width;
      const RowLine line{x, weights + ((p.shared_b ? 0 : i) * blocks + block) * block_size, p.depth};
      float* const out = c + (i * p.rows + first) * p.columns + column;
      RowSum row{};
      row.lines = &line;
      row.line_count = 1;
      row.bias = row.zeros = zeros;
      row.lanes = std::min(width, p.columns - column);
      row.width = row.input_width = rows;
      float* const result = p.beta == 0 ? out : product.mutable_data<float>();
      row.y = result;
      row.y_step = p.beta == 0 ? p.columns : width;
      k.row[vectors - 1][0][0][tile - 1](row);
      for (int64_t r = 0; p.beta != 0 && r < rows; ++r)
        for (int64_t j = 0; j < row.lanes; ++j)
          out[r * p.columns + j] = result[r * width + j] + p.beta * out[r * p.columns + j];
    }
  });
}

}  // namespace voxgrad::cpu
