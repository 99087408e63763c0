#include "tensor/attention/cpu/attention.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "tensor/core/cpu/rows.h"
#include "tensor/core/kernel.h"
#include "tensor/core/parallel.h"
#include "tensor/gemm/cpu/gemm.h"
#include "tensor/gemm/ref/gemm.h"

namespace voxgrad::cpu {
namespace {

// Positions of a tile: those that a task keeps, and those that it goes over. A tile of scores has 96 KiB, so
// it stays in a second-level cache.
constexpr int64_t kKept = 96, kPassed = 256;

// c [rows, columns] = alpha a b + beta c, or with b^T for b. It runs within a task, on its thread.
struct Product {
  const Products& with;

  void operator()(int64_t rows, int64_t columns, int64_t depth, const float* a, const float* b,
                  bool transpose_b, float* c, float alpha, float beta) const {
    const Gemm call{.type = DType::f32,
                    .batch = 1,
                    .rows = rows,
                    .columns = columns,
                    .depth = depth,
                    .transpose_b = transpose_b,
                    .shared_b = true,
                    .alpha = alpha,
                    .beta = beta,
                    .a = a,
                    .b = b,
                    .c = c};
    if (with.tiles)
      gemm_tiles(*with.tiles, call);
    else if (with.rows)
      gemm_rows(*with.rows, call);
    else
      ref::gemm(rows, columns, depth, a, false, b, transpose_b, c, alpha, beta);
  }
};

// The rows of one head of one sample. `read` copies some of them side by side.
struct Head {
  const float* first;
  int64_t step, width;

  Head(const AttentionShape& s, int64_t which, const float* x, int64_t rows, int64_t columns)
      : first(x + s.at(which / s.heads, which % s.heads, 0, rows, columns)),
        step(s.heads * columns),
        width(columns) {}
  void read(int64_t begin, int64_t count, std::vector<float>& to) const {
    to.resize(static_cast<size_t>(count * width));
    for (int64_t i = 0; i < count; ++i) std::copy_n(first + (begin + i) * step, width, to.data() + i * width);
  }
};

// Writes the rows of a tile back to their places in x.
void write(const AttentionShape& s, int64_t which, float* x, int64_t rows, int64_t columns, int64_t begin,
           int64_t count, const std::vector<float>& tile) {
  float* const to = x + s.at(which / s.heads, which % s.heads, begin, rows, columns);
  for (int64_t i = 0; i < count; ++i)
    std::copy_n(tile.data() + i * columns, columns, to + i * s.heads * columns);
}

// Calls f(head of a sample, first position, positions) for tiles of `positions`, in parallel.
template <class F>
void tiles(const AttentionShape& s, int64_t positions, F&& f) {
  const int64_t each = (positions + kKept - 1) / kKept;
  parallel_for(s.n * s.heads * each, [&](int64_t task) {
    const int64_t first = task % each * kKept;
    f(task / each, first, std::min(kKept, positions - first));
  });
}
// Calls f(first position, positions) for the tiles that a task goes over, in order.
template <class F>
void passing(int64_t positions, F&& f) {
  for (int64_t i = 0; i < positions; i += kPassed) f(i, std::min(kPassed, positions - i));
}

// For the scores p of one key: p = exp(p - log_sum), then ds = p (ds - mean). A function of its own, because
// inside of the lambda the compiler made a slower loop of it.
__attribute__((noinline)) void scores_to_slopes(int64_t n, const float* __restrict log_sum,
                                                const float* __restrict mean, float* __restrict p,
                                                float* __restrict ds) {
  for (int64_t c = 0; c < n; ++c) {
    p[c] = math::exp(p[c] - log_sum[c]);
    ds[c] = p[c] * (ds[c] - mean[c]);
  }
}

std::vector<float> zeros(int64_t n) { return std::vector<float>(static_cast<size_t>(n)); }

}  // namespace

void attention_forward(const Products& products, const AttentionForward& call) {
  const AttentionShape s = call.shape;
  const float scale = static_cast<float>(call.scale);
  const float *const q = as<float>(call.q), *const k = as<float>(call.k), *const v = as<float>(call.v);
  float *const y = as<float>(call.y), *const log_sum = as<float>(call.log_sum);
  const Product product{products};
  tiles(s, s.queries, [&](int64_t which, int64_t first, int64_t rows) {
    std::vector<float> queries, keys, values, scores = zeros(rows * kPassed), out = zeros(rows * s.values);
    // Over the keys so far: the largest score, and the sum of exp(score - largest score).
    std::vector<float> most(static_cast<size_t>(rows), -INFINITY), sum = zeros(rows);
    Head(s, which, q, s.queries, s.width).read(first, rows, queries);
    passing(s.keys, [&](int64_t j, int64_t count) {
      Head(s, which, k, s.keys, s.width).read(j, count, keys);
      Head(s, which, v, s.keys, s.values).read(j, count, values);
      product(rows, count, s.width, queries.data(), keys.data(), true, scores.data(), scale, 0);
      for (int64_t r = 0; r < rows; ++r) {
        const auto at = static_cast<size_t>(r);
        float* const p = scores.data() + r * count;
        const float m = std::max(most[at], row_max(count, p)), shrink = math::exp(most[at] - m);
        for (int64_t c = 0; c < count; ++c) p[c] = math::exp(p[c] - m);
        sum[at] = sum[at] * shrink + row_sum(count, [=](int64_t c) { return p[c]; });
        most[at] = m;
        for (int64_t c = 0; c < s.values; ++c) out[static_cast<size_t>(r * s.values + c)] *= shrink;
      }
      product(rows, s.values, count, scores.data(), values.data(), false, out.data(), 1, 1);
    });
    for (int64_t r = 0; r < rows; ++r) {
      const auto at = static_cast<size_t>(r);
      for (int64_t c = 0; c < s.values; ++c) out[static_cast<size_t>(r * s.values + c)] /= sum[at];
      log_sum[which * s.queries + first + r] = most[at] + math::log(sum[at]);
    }
    write(s, which, y, s.queries, s.values, first, rows, out);
  });
}

// Goes over all pairs twice, so that no two tasks write the same rows of a gradient: by queries for dq, and
// by keys, with transposed tiles, for dk and dv.
void attention_backward(const Products& products, const AttentionBackward& call) {
  const AttentionShape s = call.shape;
  const float scale = static_cast<float>(call.scale);
  const float *const q = as<float>(call.q), *const k = as<float>(call.k), *const v = as<float>(call.v),
                     *const y = as<float>(call.y), *const log_sum = as<float>(call.log_sum),
                     *const dy = as<float>(call.dy);
  float *const dq = as<float>(call.dq), *const dk = as<float>(call.dk), *const dv = as<float>(call.dv);
  const Product product{products};
  std::vector<float> along = zeros(s.n * s.heads * s.queries);  // dy.y, in the order of log_sum
  parallel_for(s.n * s.heads, [&](int64_t which) {
    const Head grads(s, which, dy, s.queries, s.values), outs(s, which, y, s.queries, s.values);
    for (int64_t i = 0; i < s.queries; ++i) {
      const float *const a = grads.first + i * grads.step, *const b = outs.first + i * outs.step;
      along[static_cast<size_t>(which * s.queries + i)] =
          row_sum(s.values, [=](int64_t c) { return a[c] * b[c]; });
    }
  });
  tiles(s, s.queries, [&](int64_t which, int64_t first, int64_t rows) {
    std::vector<float> queries, grads, keys, values, p = zeros(rows * kPassed), ds = zeros(rows * kPassed),
                                                     sum = zeros(rows * s.width);
    Head(s, which, q, s.queries, s.width).read(first, rows, queries);
    Head(s, which, dy, s.queries, s.values).read(first, rows, grads);
    passing(s.keys, [&](int64_t j, int64_t count) {
      Head(s, which, k, s.keys, s.width).read(j, count, keys);
      Head(s, which, v, s.keys, s.values).read(j, count, values);
      product(rows, count, s.width, queries.data(), keys.data(), true, p.data(), scale, 0);
      product(rows, count, s.values, grads.data(), values.data(), true, ds.data(), 1, 0);
      for (int64_t r = 0; r < rows; ++r) {
        const int64_t i = which * s.queries + first + r;
        const float l = log_sum[i], mean = along[static_cast<size_t>(i)];
        const float* const pr = p.data() + r * count;
        float* __restrict const dr = ds.data() + r * count;
        for (int64_t c = 0; c < count; ++c) dr[c] = math::exp(pr[c] - l) * (dr[c] - mean);
      }
      product(rows, s.width, count, ds.data(), keys.data(), false, sum.data(), scale, 1);
    });
    write(s, which, dq, s.queries, s.width, first, rows, sum);
  });
  tiles(s, s.keys, [&](int64_t which, int64_t first, int64_t rows) {
    std::vector<float> queries, grads, keys, values, p = zeros(rows * kPassed), ds = zeros(rows * kPassed),
                                                     sum_k = zeros(rows * s.width),
                                                     sum_v = zeros(rows * s.values);
    Head(s, which, k, s.keys, s.width).read(first, rows, keys);
    Head(s, which, v, s.keys, s.values).read(first, rows, values);
    passing(s.queries, [&](int64_t i, int64_t count) {
      Head(s, which, q, s.queries, s.width).read(i, count, queries);
      Head(s, which, dy, s.queries, s.values).read(i, count, grads);
      product(rows, count, s.width, keys.data(), queries.data(), true, p.data(), scale, 0);
      product(rows, count, s.values, values.data(), grads.data(), true, ds.data(), 1, 0);
      const float* const l = log_sum + which * s.queries + i;
      const float* const mean = along.data() + which * s.queries + i;
      for (int64_t r = 0; r < rows; ++r) {
        scores_to_slopes(count, l, mean, p.data() + r * count, ds.data() + r * count);
      }
      product(rows, s.values, count, p.data(), grads.data(), false, sum_v.data(), 1, 1);
      product(rows, s.width, count, ds.data(), queries.data(), false, sum_k.data(), scale, 1);
    });
    write(s, which, dk, s.keys, s.width, first, rows, sum_k);
    write(s, which, dv, s.keys, s.values, first, rows, sum_v);
  });
}

}  // namespace voxgrad::cpu
