// Matrix products and attention on tiles, with the plain loops that stand for the instructions.
#include "tensor/attention/attention.h"
#include "tensor/attention/cpu/attention.h"
#include "tensor/core/convert.h"
#include "tensor/core/cpu/amx.h"
#include "tensor/core/trace.h"
#include "tensor/gemm/cpu/gemm.h"
#include "tensor/gemm/cpu/tiles.h"
#include "tensor/gemm/gemm.h"
#include "tests/tensor/gemm_case.h"

namespace voxgrad {
namespace {

// The factors are rounded, and their products are exact in f32. So the error is that of a sum in f32.
TEST(TileGemm, MatchesF64OnRoundedNumbers) {
  for (const test::GemmCase& c : {test::GemmCase{1, 1, 1, 1},
                                  {1, 5, 3, 7},
                                  {1, 97, 33, 20},
                                  {2, 13, 40, 65},
                                  {3, 24, 16, 8, true},
                                  {1, 200, 64, 100},
                                  {1, 7, 5, 600}})
    for (const bool ta : {false, true})
      for (const bool tb : {false, true})
        for (const float beta : {0.0f, 0.5f}) {
          const test::GemmInputs inputs(c, ta, tb, beta);
          const Tensor &a = inputs.a, &b = inputs.b, &start = inputs.start;
          const auto in_f64 = [&](const Tensor& left, const Tensor& right, const Tensor& init) {
            Tensor out = init.to(DType::f64).clone();
            gemm(left.to(DType::f64), ta, right.to(DType::f64), tb, out, 0.3f, beta);
            return out;
          };
          const Tensor ra = rounded_to_bf16(a), rb = rounded_to_bf16(b);
          const Tensor want = in_f64(ra, rb, start);
          const Tensor bound = in_f64(test::magnitude(ra), test::magnitude(rb), test::magnitude(start));
          SCOPED_TRACE(cat(c.batch, " x ", c.m, " ", c.n, " ", c.k, " ", ta, tb, " beta ", beta));
          Tensor one;
          for (const int threads : {1, 3}) {
            const test::Setting setting(cpu_isa(), threads);
            const Tensor got = start.clone();
            cpu::gemm_tiles(cpu::plain_tile_kernels(), {.type = DType::f32,
                                                        .batch = c.batch,
                                                        .rows = c.m,
                                                        .columns = c.n,
                                                        .depth = c.k,
                                                        .transpose_a = ta,
                                                        .transpose_b = tb,
                                                        .shared_b = c.shared_b,
                                                        .alpha = 0.3f,
                                                        .beta = beta,
                                                        .a = a.raw(),
                                                        .b = b.raw(),
                                                        .c = got.raw()});
            if (!one.defined()) one = got;
            test::expect_close(got, want, bound, test::sum_tolerance(c.k));
            test::expect_same_bits(got, one);
          }
        }
}

struct Attention {
  AttentionShape s;
  Tensor q, k, v, dy;  // f32 with bf16 values
};

Attention make(const AttentionShape& s) {
  const auto random = [](const Shape& shape, uint64_t seed) {
    return rounded_to_bf16(test::random(shape, seed));
  };
  return {s, random({s.n, s.queries, s.heads, s.width}, 1), random({s.n, s.keys, s.heads, s.width}, 2),
          random({s.n, s.keys, s.heads, s.values}, 3), random({s.n, s.queries, s.heads, s.values}, 4)};
}

struct Results {
  Tensor y, log_sum, dq, dk, dv;
  std::vector<Tensor> all() const { return {y, log_sum, dq, dk, dv}; }
};

Results unwritten(const Attention& a, DType t, DType sums) {
  return {test::unwritten(a.dy.shape(), t), test::unwritten({a.s.n, a.s.heads, a.s.queries}, sums),
          test::unwritten(a.q.shape(), t), test::unwritten(a.k.shape(), t), test::unwritten(a.v.shape(), t)};
}

constexpr float kScale = 0.3f;

Results on_tiles(const cpu::TileKernels& tiles, const Attention& a) {
  const cpu::Products products{cpu::row_kernels(CpuIsa::portable), &tiles};
  Results r = unwritten(a, DType::f32, DType::f32);
  cpu::attention_forward(products, {.type = DType::f32,
                                    .shape = a.s,
                                    .scale = kScale,
                                    .q = a.q.raw(),
                                    .k = a.k.raw(),
                                    .v = a.v.raw(),
                                    .y = r.y.raw(),
                                    .log_sum = r.log_sum.raw()});
  cpu::attention_backward(products, {.type = DType::f32,
                                     .shape = a.s,
                                     .scale = kScale,
                                     .q = a.q.raw(),
                                     .k = a.k.raw(),
                                     .v = a.v.raw(),
                                     .y = r.y.raw(),
                                     .log_sum = r.log_sum.raw(),
                                     .dy = a.dy.raw(),
                                     .dq = r.dq.raw(),
                                     .dk = r.dk.raw(),
                                     .dv = r.dv.raw()});
  return r;
}

// The definition in f64, and for each result a sum of magnitudes. It bounds what rounding may change.
void reference(const Attention& a, Results& want, Results& bound) {
  const AttentionShape& s = a.s;
  want = unwritten(a, DType::f64, DType::f64);
  attention_forward(a.q.to(DType::f64), a.k.to(DType::f64), a.v.to(DType::f64), kScale, want.y, want.log_sum);
  attention_backward(a.q.to(DType::f64), a.k.to(DType::f64), a.v.to(DType::f64), kScale, want.y, want.log_sum,
                     a.dy.to(DType::f64), want.dq, want.dk, want.dv);
  bound = {Tensor::zeros(want.y.shape(), DType::f64), Tensor::full(want.log_sum.shape(), 1, DType::f64),
           Tensor::zeros(want.dq.shape(), DType::f64), Tensor::zeros(want.dk.shape(), DType::f64),
           Tensor::zeros(want.dv.shape(), DType::f64)};
  for (int64_t n = 0; n < s.n; ++n)
    for (int64_t h = 0; h < s.heads; ++h)
      for (int64_t i = 0; i < s.queries; ++i)
        for (int64_t j = 0; j < s.keys; ++j) {
          const int64_t qi = s.at(n, h, i, s.queries, s.width), kj = s.at(n, h, j, s.keys, s.width),
                        yi = s.at(n, h, i, s.queries, s.values), vj = s.at(n, h, j, s.keys, s.values);
          double score = 0, products = 0;
          for (int64_t c = 0; c < s.width; ++c)
            score += double{kScale} * a.q.data<float>()[qi + c] * a.k.data<float>()[kj + c];
          const double p = std::exp(score - want.log_sum.data<double>()[(n * s.heads + h) * s.queries + i]);
          for (int64_t c = 0; c < s.values; ++c) {
            const double dy = std::abs(a.dy.data<float>()[yi + c]), v = std::abs(a.v.data<float>()[vj + c]);
            bound.y.mutable_data<double>()[yi + c] += p * v;
            bound.dv.mutable_data<double>()[vj + c] += p * dy;
            products += dy * (v + std::abs(want.y.data<double>()[yi + c]));  // of dp - mean
          }
          for (int64_t c = 0; c < s.width; ++c) {
            bound.dq.mutable_data<double>()[qi + c] +=
                p * products * double{kScale} * std::abs(a.k.data<float>()[kj + c]);
            bound.dk.mutable_data<double>()[kj + c] +=
                p * products * double{kScale} * std::abs(a.q.data<float>()[qi + c]);
          }
        }
}

// The cases: odd sizes, more queries and keys than a tile of positions, one key, several heads and samples.
const std::vector<AttentionShape>& sizes() {
  static const std::vector<AttentionShape> all{
      {2, 5, 7, 2, 16, 16}, {1, 97, 260, 1, 20, 7}, {1, 3, 1, 2, 33, 40}};
  return all;
}

// Probabilities and their gradients are rounded to bf16 before they are multiplied. That is half a unit in
// the last of 8 bits, 2^-8 of each, so at most 2^-8 of the sum of magnitudes. The extra tenth is for the
// sums in f32.
TEST(TileAttention, MatchesF64) {
  for (const AttentionShape& s : sizes()) {
    SCOPED_TRACE(cat(s.n, " ", s.queries, " ", s.keys, " ", s.heads, " ", s.width, " ", s.values));
    const Attention a = make(s);
    Results want, bound;
    reference(a, want, bound);
    const std::vector<Tensor> got = on_tiles(cpu::plain_tile_kernels(), a).all(), w = want.all(),
                              b = bound.all();
    for (size_t i = 0; i < got.size(); ++i) {
      SCOPED_TRACE(cat("result ", i));
      test::expect_close(got[i], w[i], b[i], i == 1 ? 1e-5 : 1.1 * 0x1p-8);  // no rounding in log_sum
    }
  }
}

TEST(TileAttention, SameBitsWithAnyNumberOfThreads) {
  const Attention a = make({2, 100, 30, 2, 8, 8});
  std::vector<Tensor> one;
  for (const int threads : {1, 2, 3}) {
    const test::Setting setting(cpu_isa(), threads);
    const std::vector<Tensor> now = on_tiles(cpu::plain_tile_kernels(), a).all();
    if (one.empty()) one = now;
    for (size_t i = 0; i < now.size(); ++i) test::expect_same_bits(now[i], one[i]);
  }
}

// The public function, on bf16 tensors or in f32, and its line of the trace.
std::string traced(CpuIsa isa, const Attention& a, DType t, Results& r) {
  const test::Setting setting(isa);
  r = unwritten(a, t, DType::f32);
  std::string text;
  const TraceSink before = set_trace_sink([&](const TraceEvent& e) {
    if (e.kind == "kernel") text += e.text + '\n';
  });
  attention_forward(a.q.to(t), a.k.to(t), a.v.to(t), kScale, r.y, r.log_sum);
  attention_backward(a.q.to(t), a.k.to(t), a.v.to(t), kScale, r.y, r.log_sum, a.dy.to(t), r.dq, r.dk, r.dv);
  set_trace_sink(before);
  return text;
}

TEST(TileAttention, IsNotTakenWithLesserInstructionSetsOrInF32) {
  const Attention a = make(sizes()[0]);
  Results r;
  for (int i = 0; i <= static_cast<int>(CpuIsa::amx); ++i) {
    const auto isa = static_cast<CpuIsa>(i);
    if (!cpu_has(isa)) continue;
    EXPECT_EQ(traced(isa, a, DType::f32, r).find("tiles"), std::string::npos);
    const std::string text = traced(isa, a, DType::bf16, r);
    EXPECT_EQ(text.find("bf16; tiles amx") != std::string::npos, isa == CpuIsa::amx) << text;
  }
}

TEST(TileAttention, InstructionsGiveTheBitsOfThePlainLoops) {
  if (!cpu_has(CpuIsa::amx)) GTEST_SKIP() << "AMX: " << cpu::amx_state().text;
  for (const AttentionShape& s : sizes()) {
    const Attention a = make(s);
    const std::vector<Tensor> plain = on_tiles(cpu::plain_tile_kernels(), a).all(),
                              now = on_tiles(*cpu::tile_kernels(CpuIsa::amx), a).all();
    for (size_t i = 0; i < now.size(); ++i) test::expect_same_bits(now[i], plain[i]);
  }
}

}  // namespace
}  // namespace voxgrad
