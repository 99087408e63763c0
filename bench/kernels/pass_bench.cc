// Passes that memory limits, as a fraction of what a copy of the same tensor moves. Also matrix products.
#include <benchmark/benchmark.h>

#include "tensor/attention/attention.h"
#include "tensor/core/kernel.h"
#include "tensor/core/random.h"
#include "tensor/gemm/gemm.h"
#include "tensor/gemm/peak.h"
#include "tensor/norm/norm.h"
#include "tensor/optimizer/optimizer.h"

namespace voxgrad::bench {
namespace {

// `passes`: how often, at least, the operation reads or writes a tensor of this size.
template <class F>
void measure(benchmark::State& state, double bytes, double passes, F&& f) {
  f();
  for (auto _ : state) f();
  const double rate = bytes * passes * static_cast<double>(state.iterations());
  state.counters["GB"] = benchmark::Counter(rate / 1e9, benchmark::Counter::kIsRate);
  state.counters["of_copy"] = benchmark::Counter(rate / copy_bandwidth(bytes), benchmark::Counter::kIsRate);
}

struct Norm {
  explicit Norm(const benchmark::State& state)
      : channels(state.range(0)), x(random_normal({2, 40, 56, 40, channels}, {1, Stream::test, 0})) {
    if (state.range(1) != 0) x = random_normal({2, 10, 14, 10, channels}, {1, Stream::test, 0});
    if (state.range(3) != 0) x = x.to(DType::bf16);
    y = x.clone();
    dy = x.clone();
    norm_stats(x, channels, 1e-5, mean, rstd);
  }
  double bytes() const { return static_cast<double>(x.nbytes()); }
  int64_t channels;
  Tensor x, y, dy;
  Tensor mean = Tensor::empty({2, channels}), rstd = Tensor::empty({2, channels});
  Tensor scale = Tensor::full({2, channels}, 1), shift = Tensor::full({2, channels}, 0.1);
  Tensor dscale = Tensor::empty({2, channels}), dshift = Tensor::empty({2, channels});
};

void norm_statistics(benchmark::State& state) {
  Norm n(state);
  measure(state, n.bytes(), 1, [&] { norm_stats(n.x, n.channels, 1e-5, n.mean, n.rstd); });
}
void norm_forward(benchmark::State& state) {
  Norm n(state);
  measure(state, n.bytes(), 2, [&] {
    norm_act_forward(n.x, n.mean, n.rstd, n.scale, n.shift, static_cast<Act>(state.range(2)), 0.01, n.y);
  });
}
void norm_backward(benchmark::State& state) {
  Norm n(state);
  measure(state, n.bytes(), 5, [&] {
    norm_act_backward(n.x, n.mean, n.rstd, n.scale, n.shift, static_cast<Act>(state.range(2)), 0.01, n.dy,
                      n.y, n.dscale, n.dshift);
  });
}
void norm_shapes(benchmark::internal::Benchmark* b) {
  for (const int64_t act : {2, 3, 4}) b->Args({16, 0, act, 0});
  b->Args({32, 0, 2, 0})->Args({5, 0, 2, 0})->Args({64, 1, 2, 0})->Args({128, 1, 2, 0});
  b->Args({16, 0, 2, 1})->Args({64, 1, 2, 1});
  b->ArgNames({"channels", "small", "act", "bf16"})->UseRealTime()->Unit(benchmark::kMillisecond);
}
BENCHMARK(norm_statistics)->Apply(norm_shapes);
BENCHMARK(norm_forward)->Apply(norm_shapes);
BENCHMARK(norm_backward)->Apply(norm_shapes);

void adam(benchmark::State& state) {
  const int64_t n = state.range(0);
  Tensor p = Tensor::full({n}, 1), g = Tensor::full({n}, 0.1), m = Tensor::zeros({n}), v = Tensor::zeros({n});
  Tensor ema = p.clone();
  measure(state, static_cast<double>(p.nbytes()), 9, [&] { adam_step(p, g, m, v, ema, {}); });
}
BENCHMARK(adam)->Arg(2000000)->UseRealTime()->Unit(benchmark::kMillisecond);

void gradient_norm(benchmark::State& state) {
  const Tensor g = Tensor::full({state.range(0)}, 0.1);
  measure(state, static_cast<double>(g.nbytes()), 1, [&] { benchmark::DoNotOptimize(sum_of_squares(g)); });
}
BENCHMARK(gradient_norm)->Arg(2000000)->UseRealTime()->Unit(benchmark::kMillisecond);

// Arguments: rows, columns, depth, transpose A, transpose B.
void matrix_product(benchmark::State& state, const char* implementation) {
  const int64_t m = state.range(0), n = state.range(1), k = state.range(2);
  const bool ta = state.range(3) != 0, tb = state.range(4) != 0;
  const Tensor a = random_normal(ta ? Shape{k, m} : Shape{m, k}, {1, Stream::test, 0});
  const Tensor b = random_normal(tb ? Shape{n, k} : Shape{k, n}, {1, Stream::test, 1});
  Tensor c = Tensor::empty({m, n});
  prefer_implementation("gemm", implementation);
  gemm(a, ta, b, tb, c);
  for (auto _ : state) gemm(a, ta, b, tb, c);
  prefer_implementation("gemm", "auto");
  const double rate = 2.0 * static_cast<double>(m * n * k) * static_cast<double>(state.iterations());
  state.counters["GFLOPS"] = benchmark::Counter(rate / 1e9, benchmark::Counter::kIsRate);
  state.counters["of_peak"] = benchmark::Counter(rate / fma_peak(), benchmark::Counter::kIsRate);
}
void product_shapes(benchmark::internal::Benchmark* b) {
  b->Args({1000, 64, 64, 0, 0})->Args({1000, 1000, 32, 0, 1})->Args({512, 512, 512, 0, 0});
  b->Args({512, 512, 512, 1, 0})->Args({512, 512, 512, 0, 1})->Args({1024, 1024, 4096, 0, 0});
  b->Args({1024, 1024, 8192, 0, 0});
  b->ArgNames({"m", "n", "k", "ta", "tb"})->UseRealTime()->Unit(benchmark::kMillisecond);
}
BENCHMARK_CAPTURE(matrix_product, auto, "auto") -> Apply(product_shapes);
BENCHMARK_CAPTURE(matrix_product, openblas, "openblas")->Apply(product_shapes);

// Arguments: positions, heads, width of a head.
template <DType kType>
void attention(benchmark::State& state) {
  const int64_t positions = state.range(0), heads = state.range(1), width = state.range(2);
  const auto random = [&](uint32_t which) {
    return random_normal({1, positions, heads, width}, {1, Stream::test, which}).to(kType);
  };
  const Tensor q = random(0), k = random(1), v = random(2), dy = random(3);
  Tensor y = q.clone(), dq = q.clone(), dk = q.clone(), dv = q.clone(),
         log_sum = Tensor::empty({1, heads, positions});
  const auto run = [&] {
    attention_forward(q, k, v, 0.2, y, log_sum);
    attention_backward(q, k, v, 0.2, y, log_sum, dy, dq, dk, dv);
  };
  run();
  for (auto _ : state) run();
  const double products = 2.0 * 9 * static_cast<double>(positions * positions * heads * width);
  state.counters["GFLOPS"] = benchmark::Counter(products * static_cast<double>(state.iterations()) / 1e9,
                                                benchmark::Counter::kIsRate);
}
void attention_shapes(benchmark::internal::Benchmark* b) {
  b->Args({512, 4, 32})->Args({2048, 4, 32})->ArgNames({"positions", "heads", "width"});
  b->UseRealTime()->Unit(benchmark::kMillisecond);
}
BENCHMARK(attention<DType::f32>)->Apply(attention_shapes);
BENCHMARK(attention<DType::bf16>)->Apply(attention_shapes);

}  // namespace
}  // namespace voxgrad::bench
