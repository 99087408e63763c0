// Matrix products on tiles. A product is computed as a convolution with one tap, whose places are one row.
#include <algorithm>

#include "tensor/core/kernel.h"
#include "tensor/core/parallel.h"
#include "tensor/core/tensor.h"
#include "tensor/gemm/cpu/gemm.h"

namespace voxgrad::cpu {
namespace {

constexpr int64_t kRows = 96;                      // rows of a task
constexpr int64_t kBlock = 2 * kTilePairs;         // columns of a block
constexpr int64_t kTile = kTileRows * kTileDepth;  // numbers in a tile
constexpr int64_t kPlacesAtOnce = 2 * kTileRows;   // places are padded to this: TileConv reads whole tiles

Bf16Bits* bits(const Tensor& t) { return reinterpret_cast<Bf16Bits*>(t.mutable_data<bf16>()); }

int64_t rounded_up(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }

// Packs columns [first, first + columns) of op(B) into tiles. A tile has 32 rows of op(B).
void pack_block(const TileKernels& k, const Gemm& p, const float* b, int64_t first, int64_t columns,
                Bf16Bits* out) {
  const int64_t row = p.transpose_b ? 1 : p.columns, column = p.transpose_b ? p.depth : 1;
  for (int64_t d = 0; d < p.depth; d += kTileDepth)
    for (int64_t n = 0; n < columns; n += kTilePairs, out += kTile) {
      TileWeightsPack pack{};
      for (int64_t i = 0; i < std::min(kTileDepth, p.depth - d); ++i)
        pack.rows[i] = b + (d + i) * row + (first + n) * column;
      pack.lane_step = column;
      pack.lanes = std::min(kTilePairs, columns - n);
      pack.out = out;
      k.pack(pack);
    }
}

// Rounds rows of op(A) to bf16. `out` was zero; its rows are a multiple of 32 long, so they end with zeros.
void round_rows(const TileKernels& k, const Gemm& p, const float* a, int64_t rows, Bf16Bits* out) {
  const int64_t depth = rounded_up(p.depth, kTileDepth);
  std::vector<float> row(static_cast<size_t>(p.transpose_a ? p.depth : 0));
  for (int64_t r = 0; r < rows; ++r, out += depth) {
    const float* from = a + r * p.depth;
    if (p.transpose_a) {
      for (int64_t d = 0; d < p.depth; ++d) row[static_cast<size_t>(d)] = a[d * p.rows + r];
      from = row.data();
    }
    k.round(from, p.depth, out);
  }
}

}  // namespace

void gemm_tiles(const TileKernels& k, const Gemm& p) {
  const float *const a = as<float>(p.a), *const b = as<float>(p.b);
  float* const c = as<float>(p.c);
  if (p.batch * p.rows * p.columns == 0) return;
  const int64_t depth = rounded_up(p.depth, kTileDepth), blocks = rounded_up(p.columns, kBlock) / kBlock,
                block_size = depth * kBlock, matrices = p.shared_b ? 1 : p.batch;
  const Tensor packed = Tensor::empty({matrices * blocks * block_size}, DType::bf16);
  parallel_for(matrices * blocks, [&](int64_t t) {
    const int64_t first = t % blocks * kBlock;
    pack_block(k, p, b + t / blocks * p.depth * p.columns, first, std::min(kBlock, p.columns - first),
               bits(packed) + t * block_size);
  });
  std::vector<int64_t> steps;
  for (int64_t d = 0; d < p.depth; d += kTileDepth) steps.push_back(d);

  const int64_t chunks = (p.rows + kRows - 1) / kRows;
  parallel_for(p.batch * chunks, [&](int64_t task) {
    const int64_t i = task / chunks, first = task % chunks * kRows, rows = std::min(kRows, p.rows - first);
    const Tensor x = Tensor::zeros({rounded_up(rows, kPlacesAtOnce) * depth}, DType::bf16);
    const Tensor sums = Tensor::empty({kTileSpan * kBlock}), product = Tensor::empty({rows * kBlock});
    round_rows(k, p, a + i * p.rows * p.depth + (p.transpose_a ? first : first * p.depth), rows, bits(x));
    for (int64_t block = 0; block < blocks; ++block) {
      const int64_t column = block * kBlock;
      TileConv conv{};
      conv.x = bits(x);
      conv.x_place = depth;
      conv.x_row = conv.width = rows;
      conv.depth = conv.height = 1;
      conv.steps = steps.data();
      conv.step_count = static_cast<int64_t>(steps.size());
      conv.weights = bits(packed) + ((p.shared_b ? 0 : i) * blocks + block) * block_size;
      conv.lanes = std::min(kBlock, p.columns - column);
      conv.y32 = product.mutable_data<float>();
      conv.y_place = kBlock;
      conv.sums = sums.mutable_data<float>();
      k.conv(conv);
      for (int64_t r = 0; r < rows; ++r) {
        const float* const from = conv.y32 + r * kBlock;
        float* const to = c + (i * p.rows + first + r) * p.columns + column;
        for (int64_t j = 0; j < conv.lanes; ++j)
          to[j] = p.beta == 0 ? p.alpha * from[j] : p.alpha * from[j] + p.beta * to[j];
      }
    }
  });
}

}  // namespace voxgrad::cpu
