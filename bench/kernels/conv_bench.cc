// Convolutions: GFLOP/s and the fraction of the FMA peak that is measured in the same run. GFLOP/s counts the
// useful operations of the direct sum, whatever computes it, so the fraction of Winograd may exceed 1.
//
// Arguments: input channels, output channels, edge of the cubic volume, stride. The rows `direct` are
// convolutions that Winograd's algorithm takes, computed without it. On a CPU with AMX the rows
// `tiles` are convolutions on tiles, as a fraction of the peak of tiles. Beside each is the same
// without tiles (`without_tiles`).
#include <benchmark/benchmark.h>

#include <algorithm>
#include <string>

#include "tensor/conv/conv.h"
#include "tensor/core/cpu/isa.h"
#include "tensor/core/kernel.h"
#include "tensor/core/random.h"
#include "tensor/core/runtime.h"
#include "tensor/gemm/peak.h"

namespace voxgrad::bench {
namespace {

// Multiplications and additions, without those of taps outside the volume.
double useful_flops(const ConvProblem& p) {
  double pairs = 1;
  for (size_t i = 0; i < 3; ++i) {
    int64_t inside = 0;
    for (int64_t o = 0; o < p.out[i]; ++o)
      for (int64_t t = 0; t < p.kernel[i]; ++t) {
        const int64_t at = o * p.stride[i] - p.pad[i] + t;
        inside += at >= 0 && at < p.in[i];
      }
    pairs *= static_cast<double>(inside);
  }
  return 2 * pairs * static_cast<double>(p.n * p.cin * p.cout);
}

enum class Sum { any, direct };

struct Allow {
  explicit Allow(Sum sum) : before(winograd_allowed()) { allow_winograd(before && sum == Sum::any); }
  ~Allow() { allow_winograd(before); }
  bool before;
};

// bf16 as a fraction of the peak of bf16 products, where the CPU has them: of those on tiles, or of
// those in vectors.
template <class F>
void measure(benchmark::State& state, DType dtype, double flops, F&& f) {
  f();
  for (auto _ : state) f();
  const double rate = flops * static_cast<double>(state.iterations());
  const double half_peak = dtype == DType::bf16 ? std::max(bf16_peak(), tile_peak()) : 0;
  state.counters["GFLOPS"] = benchmark::Counter(rate / 1e9, benchmark::Counter::kIsRate);
  state.counters["of_peak"] =
      benchmark::Counter(rate / (half_peak > 0 ? half_peak : fma_peak()), benchmark::Counter::kIsRate);
}

struct Conv {
  explicit Conv(const benchmark::State& state, DType type = DType::f32, const Triple& kernel = {3, 3, 3})
      : dtype(type) {
    const int64_t cin = state.range(0), cout = state.range(1), edge = state.range(2), s = state.range(3);
    x = {random_normal({1, edge, edge, edge, cin}, {1, Stream::test, 0})};
    w = random_normal({kernel[0], kernel[1], kernel[2], cin, cout}, {1, Stream::test, 1});
    p = make_conv_problem(x, w.shape(), {s, s, s}, {kernel[0] / 2, kernel[1] / 2, kernel[2] / 2});
    y = random_normal({1, p.out[0], p.out[1], p.out[2], cout}, {1, Stream::test, 2});
    dx = {x[0].clone()};
    dw = w.clone();
    bias = Tensor::zeros({cout});
    for (Tensor* t : {&x[0], &dx[0], &y}) *t = t->to(dtype);
  }
  template <class F>
  void measure(benchmark::State& state, F&& f) {
    bench::measure(state, dtype, useful_flops(p), f);
  }
  DType dtype;
  ConvProblem p;
  std::vector<Tensor> x, dx;
  Tensor w, y, dw, bias;
};

template <DType kType, Sum kSum = Sum::any>
void forward(benchmark::State& state) {
  Conv c(state, kType);
  const Allow allow(kSum);
  c.measure(state, [&] { conv3d_forward(c.p, c.x, c.w, c.bias, c.y); });
}
template <DType kType, Sum kSum = Sum::any>
void backward_data(benchmark::State& state) {
  Conv c(state, kType);
  const Allow allow(kSum);
  c.measure(state, [&] { conv3d_backward_data(c.p, c.y, c.w, c.dx); });
}
template <DType kType, Sum kSum = Sum::any>
void backward_weights(benchmark::State& state) {
  Conv c(state, kType);
  const Allow allow(kSum);
  c.measure(state, [&] { conv3d_backward_weights(c.p, c.x, c.y, c.dw, &c.bias); });
}

void shapes(benchmark::internal::Benchmark* b) {
  for (const auto& [cin, cout, edge] : {std::array<int64_t, 3>{1, 16, 64},
                                        {4, 32, 64},
                                        {8, 16, 32},
                                        {16, 8, 32},
                                        {16, 16, 64},
                                        {16, 16, 40},
                                        {16, 16, 8},
                                        {16, 32, 64},
                                        {32, 16, 40},
                                        {32, 32, 64},
                                        {32, 32, 20},
                                        {64, 64, 32},
                                        {64, 64, 10},
                                        {64, 64, 8},
                                        {128, 128, 16},
                                        {128, 128, 5},
                                        {256, 256, 8}})
    b->Args({cin, cout, edge, 1});
  for (const auto& [cin, cout, edge] : {std::array<int64_t, 3>{16, 32, 40}, {32, 64, 20}, {64, 128, 10}})
    b->Args({cin, cout, edge, 2});
  b->ArgNames({"cin", "cout", "edge", "stride"})->UseRealTime()->Unit(benchmark::kMillisecond);
}

void winograd_shapes(benchmark::internal::Benchmark* b) {
  for (const auto& [cin, cout, edge] : {std::array<int64_t, 3>{8, 16, 32},
                                        {16, 8, 32},
                                        {16, 16, 8},
                                        {64, 64, 8},
                                        {16, 16, 64},
                                        {16, 32, 64},
                                        {32, 32, 64},
                                        {64, 64, 32},
                                        {128, 128, 16},
                                        {256, 256, 8}})
    b->Args({cin, cout, edge, 1});
  b->ArgNames({"cin", "cout", "edge", "stride"})->UseRealTime()->Unit(benchmark::kMillisecond);
}

BENCHMARK(forward<DType::f32>)->Apply(shapes);
BENCHMARK(backward_data<DType::f32>)->Apply(shapes);
BENCHMARK(backward_weights<DType::f32>)->Apply(shapes);
BENCHMARK(forward<DType::f32, Sum::direct>)->Apply(winograd_shapes);
BENCHMARK(backward_data<DType::f32, Sum::direct>)->Apply(winograd_shapes);
BENCHMARK(backward_weights<DType::f32, Sum::direct>)->Apply(winograd_shapes);
BENCHMARK(forward<DType::bf16>)->Apply(shapes);
BENCHMARK(backward_data<DType::bf16>)->Apply(shapes);
BENCHMARK(backward_weights<DType::bf16>)->Apply(shapes);
BENCHMARK(forward<DType::bf16, Sum::direct>)->Apply(winograd_shapes);
BENCHMARK(backward_data<DType::bf16, Sum::direct>)->Apply(winograd_shapes);
BENCHMARK(backward_weights<DType::bf16, Sum::direct>)->Apply(winograd_shapes);

// Transposed convolution, kernel 2 and stride 2. The edge is the one of the smaller volume.
struct Transposed {
  explicit Transposed(const benchmark::State& state, DType type = DType::f32) : dtype(type) {
    const int64_t cin = state.range(0), cout = state.range(1), edge = state.range(2);
    x = random_normal({1, edge, edge, edge, cin}, {1, Stream::test, 0});
    w = random_normal({2, 2, 2, cin, cout}, {1, Stream::test, 1});
    p = make_conv_transpose_problem(x.shape(), w.shape());
    y = random_normal({1, p.out[0], p.out[1], p.out[2], cout}, {1, Stream::test, 2});
    dw = w.clone();
    bias = Tensor::zeros({cout});
    for (Tensor* t : {&x, &y}) *t = t->to(dtype);
  }
  template <class F>
  void measure(benchmark::State& state, F&& f) {
    bench::measure(state, dtype, p.flops(), f);
  }
  DType dtype;
  ConvProblem p;
  Tensor x, w, y, dw, bias;
};

void transposed_forward(benchmark::State& state) {
  Transposed c(state);
  c.measure(state, [&] { conv_transpose3d_forward(c.p, c.x, c.w, c.bias, c.y); });
}
void transposed_backward_data(benchmark::State& state) {
  Transposed c(state);
  c.measure(state, [&] { conv_transpose3d_backward_data(c.p, c.y, c.w, c.x); });
}
void transposed_backward_weights(benchmark::State& state) {
  Transposed c(state);
  c.measure(state, [&] { conv_transpose3d_backward_weights(c.p, c.x, c.y, c.dw, &c.bias); });
}
void transposed_shapes(benchmark::internal::Benchmark* b) {
  for (const auto& [cin, cout, edge] : {std::array<int64_t, 3>{32, 16, 20}, {128, 64, 5}})
    b->Args({cin, cout, edge});
  b->ArgNames({"cin", "cout", "edge"})->UseRealTime()->Unit(benchmark::kMillisecond);
}
BENCHMARK(transposed_forward)->Apply(transposed_shapes);
BENCHMARK(transposed_backward_data)->Apply(transposed_shapes);
BENCHMARK(transposed_backward_weights)->Apply(transposed_shapes);

// Sets the instruction set `isa` while it lives.
struct Use {
  explicit Use(CpuIsa isa) : before(cpu_isa()) { set_cpu_isa(isa); }
  ~Use() { set_cpu_isa(before); }
  CpuIsa before;
};

using Shapes = void (*)(benchmark::internal::Benchmark*);

void tile_shapes(benchmark::internal::Benchmark* b) {
  for (const auto& [cin, cout, edge, stride] : {std::array<int64_t, 4>{4, 32, 64, 1},
                                                {16, 16, 64, 1},
                                                {16, 32, 64, 1},
                                                {32, 32, 64, 1},
                                                {32, 16, 40, 1},
                                                {64, 64, 32, 1},
                                                {64, 64, 8, 1},
                                                {128, 128, 16, 1},
                                                {256, 256, 8, 1},
                                                {32, 64, 40, 2},
                                                {128, 256, 16, 2}})
    b->Args({cin, cout, edge, stride});
  b->ArgNames({"cin", "cout", "edge", "stride"})->UseRealTime()->Unit(benchmark::kMillisecond);
}
void planar_tile_shapes(benchmark::internal::Benchmark* b) {
  for (const auto& [cin, cout, edge] : {std::array<int64_t, 3>{32, 32, 64}, {128, 128, 16}})
    b->Args({cin, cout, edge, 1});
  b->ArgNames({"cin", "cout", "edge", "stride"})->UseRealTime()->Unit(benchmark::kMillisecond);
}
void pointwise_tile_shapes(benchmark::internal::Benchmark* b) {
  for (const auto& [cin, cout, edge] : {std::array<int64_t, 3>{32, 4, 64}, {128, 128, 16}})
    b->Args({cin, cout, edge, 1});
  b->ArgNames({"cin", "cout", "edge", "stride"})->UseRealTime()->Unit(benchmark::kMillisecond);
}

// All passes in bf16 with one instruction set, named PASS<NAME>.
void register_passes(const std::string& name, CpuIsa isa, Shapes shapes_of, const Triple& kernel) {
  const auto add = [&](const char* pass, auto&& run) {
    shapes_of(benchmark::RegisterBenchmark((pass + ("<" + name + ">")).c_str(), [=](benchmark::State& state) {
      const Use use(isa);
      Conv c(state, DType::bf16, kernel);
      c.measure(state, [&] { run(c); });
    }));
  };
  add("forward", [](Conv& c) { conv3d_forward(c.p, c.x, c.w, c.bias, c.y); });
  add("backward_data", [](Conv& c) { conv3d_backward_data(c.p, c.y, c.w, c.dx); });
  add("backward_weights", [](Conv& c) { conv3d_backward_weights(c.p, c.x, c.y, c.dw, nullptr); });
}
void register_transposed(const std::string& name, CpuIsa isa) {
  const auto add = [&](const char* pass, auto&& run) {
    transposed_shapes(
        benchmark::RegisterBenchmark((pass + ("<" + name + ">")).c_str(), [=](benchmark::State& state) {
          const Use use(isa);
          Transposed c(state, DType::bf16);
          c.measure(state, [&] { run(c); });
        }));
  };
  add("transposed_forward", [](Transposed& c) { conv_transpose3d_forward(c.p, c.x, c.w, c.bias, c.y); });
  add("transposed_backward_data", [](Transposed& c) { conv_transpose3d_backward_data(c.p, c.y, c.w, c.x); });
  add("transposed_backward_weights",
      [](Transposed& c) { conv_transpose3d_backward_weights(c.p, c.x, c.y, c.dw, nullptr); });
}

// The rungs of docs/one-convolution.md, each asked for by name: 32 -> 32 channels, 32^3, 3x3x3, forward.
void register_ladder() {
  struct Rung {
    const char* implementation;
    CpuIsa isa;
    DType type;
  };
  for (const Rung& r : {Rung{"ref", CpuIsa::portable, DType::f32},
                        {"direct", CpuIsa::portable, DType::f32},
                        {"direct", CpuIsa::avx2, DType::f32},
                        {"direct", CpuIsa::avx512, DType::f32},
                        {"Winograd", CpuIsa::avx2, DType::f32},
                        {"Winograd", CpuIsa::avx512, DType::f32},
                        {"direct", CpuIsa::avx512bf16, DType::bf16},
                        {"Winograd", CpuIsa::avx512bf16, DType::bf16},
                        {"tiles", CpuIsa::amx, DType::bf16}}) {
    if (!cpu_has(r.isa)) continue;
    benchmark::RegisterBenchmark(
        cat("ladder<", r.implementation, ", ", name_of(r.isa), ", ", r.type, ">").c_str(),
        [r](benchmark::State& state) {
          const Use use(r.isa);
          Conv c(state, r.type);
          prefer_implementation("conv3d_forward", r.implementation);
          c.measure(state, [&] { conv3d_forward(c.p, c.x, c.w, c.bias, c.y); });
          prefer_implementation("conv3d_forward", "auto");
        })
        ->Args({32, 32, 32, 1})
        ->ArgNames({"cin", "cout", "edge", "stride"})
        ->UseRealTime()
        ->Unit(benchmark::kMillisecond);
  }
}

const bool registered = [] {
  register_ladder();
  if (!cpu_has(CpuIsa::amx)) return false;
  for (const auto& [name, isa] :
       {std::pair<std::string, CpuIsa>{"tiles", CpuIsa::amx}, {"without_tiles", CpuIsa::avx512bf16}}) {
    register_passes(name, isa, tile_shapes, {3, 3, 3});
    register_passes(name + ", 1x3x3", isa, planar_tile_shapes, {1, 3, 3});
    register_passes(name + ", 1x1x1", isa, pointwise_tile_shapes, {1, 1, 1});
    register_transposed(name, isa);
  }
  return true;
}();

}  // namespace
}  // namespace voxgrad::bench
