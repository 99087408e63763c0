// The kernels of bf16 tensors against the plain loops in double precision, on the same rounded numbers and on
// every instruction set. avx512bf16 has kernels of its own, and amx has some more. The others widen bf16 to
// f32.
#include "tensor/conv/conv.h"
#include "tensor/core/convert.h"
#include "tensor/norm/norm.h"
#include "tests/tensor/kernel_check.h"

namespace voxgrad {
namespace {

using test::Setting;

std::vector<CpuIsa> instruction_sets() {
  std::vector<CpuIsa> sets = test::instruction_sets();
  for (CpuIsa i : {CpuIsa::avx512bf16, CpuIsa::amx})
    if (cpu_has(i)) sets.push_back(i);
  return sets;
}

Tensor half(const Tensor& t) { return t.to(DType::bf16); }
Tensor wide(const Tensor& t) { return t.to(DType::f64); }

// A product of two bf16 numbers is exact in f32 (two times 8 bits). So a result has the error of a sum in
// f32, relative to the sum of magnitudes. Where it is stored in bf16, the rounding adds half a unit in the
// last of 8 bits, which is at most 2^-8 of the result.
void expect_result(const Tensor& got, const Tensor& want, const Tensor& bound, int64_t terms) {
  ASSERT_EQ(got.shape(), want.shape());
  const double storage = got.dtype() == DType::bf16 ? 0x1p-8 : 0;
  Tensor allowed = Tensor::empty(want.shape(), DType::f64);
  for (int64_t i = 0; i < want.numel(); ++i)
    allowed.mutable_data<double>()[i] = bound.data<double>()[i] * test::sum_tolerance(terms) +
                                        storage * 1.01 * std::abs(want.data<double>()[i]);
  test::expect_close(got, want, allowed, 1);
}

struct Case {
  Triple in;
  std::vector<int64_t> channels;
  int64_t cout;
  Triple kernel{3, 3, 3}, stride{1, 1, 1}, pad{1, 1, 1};
};

// The cases: even and odd channels and widths, several inputs, rows longer than a tile, strides, depth one,
// wide padding, and a kernel that only the reference takes.
const std::vector<Case>& cases() {
  static const std::vector<Case> all{
      {{3, 4, 5}, {16}, 16},
      {{2, 3, 26}, {32}, 32},
      {{2, 3, 41}, {16}, 48},
      {{3, 3, 13}, {5}, 33},
      {{2, 3, 6}, {3, 20, 1}, 37},
      {{4, 3, 9}, {1}, 16},
      {{3, 4, 5}, {2}, 5},
      {{1, 1, 1}, {7}, 6},
      {{2, 5, 4}, {70}, 18},
      {{1, 7, 9}, {16}, 32, {1, 3, 3}, {1, 2, 2}, {0, 1, 1}},
      {{3, 4, 25}, {16}, 3, {1, 1, 1}, {1, 1, 1}, {0, 0, 0}},
      {{3, 4, 11}, {19}, 40, {1, 1, 1}, {2, 2, 2}, {0, 0, 0}},
      {{6, 8, 10}, {16}, 32, {3, 3, 3}, {2, 2, 2}, {1, 1, 1}},
      {{5, 7, 9}, {32}, 64, {3, 3, 3}, {2, 2, 2}, {1, 1, 1}},
      {{5, 6, 53}, {3, 4}, 7, {3, 3, 3}, {1, 2, 2}, {1, 1, 1}},
      {{4, 5, 6}, {8}, 9, {3, 3, 3}, {2, 2, 1}, {1, 1, 1}},
      {{5, 5, 6}, {8}, 9, {3, 3, 3}, {1, 1, 1}, {0, 0, 0}},
      {{5, 5, 7}, {8}, 9, {3, 3, 3}, {2, 2, 2}, {0, 0, 0}},
      {{3, 3, 4}, {4}, 17, {3, 3, 3}, {1, 1, 1}, {2, 2, 2}},
      {{4, 4, 6}, {9}, 17, {2, 2, 2}, {2, 2, 2}, {0, 0, 0}},
      {{9, 9, 9}, {2}, 3, {5, 5, 5}, {3, 3, 3}, {2, 2, 2}},
  };
  return all;
}

struct Data {
  ConvProblem p;
  std::vector<Tensor> x;
  Tensor w, bias, dy;
  std::vector<int64_t> channels;
};

Data make(const Case& c) {
  Data d;
  uint64_t seed = 1;
  int64_t cin = 0;
  for (const int64_t k : c.channels) {
    d.x.push_back(half(test::random({2, c.in[0], c.in[1], c.in[2], k}, seed++)));
    cin += k;
  }
  d.w = test::random({c.kernel[0], c.kernel[1], c.kernel[2], cin, c.cout}, seed++);
  d.bias = test::random({c.cout}, seed++);
  d.p = make_conv_problem(d.x, d.w.shape(), c.stride, c.pad);
  d.dy = half(test::random({2, d.p.out[0], d.p.out[1], d.p.out[2], c.cout}, seed++));
  d.channels = c.channels;
  return d;
}

struct Results {
  Tensor y, dw, dbias;
  std::vector<Tensor> dx;
};

// All passes, on f(tensor, rounds) in place of each tensor. `rounds` is true for the weights, which the
// kernels round to bf16. f chooses the type in which the passes run.
template <class F>
Results run(const Data& d, F&& f) {
  const Tensor w = f(d.w, true), dy = f(d.dy, false);
  const DType t = dy.dtype(), tw = w.dtype();
  std::vector<Tensor> x;
  Results r{test::unwritten(d.dy.shape(), t),
            test::unwritten(d.w.shape(), tw),
            test::unwritten(d.bias.shape(), tw),
            {}};
  for (const Tensor& i : d.x) {
    x.push_back(f(i, false));
    r.dx.push_back(test::unwritten(i.shape(), t));
  }
  conv3d_forward(d.p, x, w, f(d.bias, false), r.y);
  conv3d_backward_data(d.p, dy, w, r.dx);
  conv3d_backward_weights(d.p, x, dy, r.dw, &r.dbias);
  return r;
}
Results run(const Data& d) {
  return run(d, [](const Tensor& t, bool) { return t; });
}

Tensor reference(const Tensor& t, bool rounds) { return wide(rounds ? rounded_to_bf16(t) : t); }
Tensor magnitude(const Tensor& t, bool rounds) {
  Tensor a = reference(t, rounds).clone();
  for (int64_t i = 0; i < a.numel(); ++i) a.mutable_data<double>()[i] = std::abs(a.data<double>()[i]);
  return a;
}

// All tests of this name use direct sums only. winograd_test.cc has the others, in bf16 too.
class Bf16Conv3d : public testing::Test {
  const test::AllowWinograd allow_{false};
};

TEST_F(Bf16Conv3d, AllPassesMatchF64OnRoundedNumbers) {
  for (const Case& c : cases()) {
    const Data d = make(c);
    const Results want = run(d, reference), bound = run(d, magnitude);
    const int64_t places = 2 * d.p.out[0] * d.p.out[1] * d.p.out[2];
    for (const CpuIsa isa : instruction_sets()) {
      SCOPED_TRACE(cat(name_of(isa), " ", d.p.str()));
      const Setting setting(isa);
      const Results got = run(d);
      expect_result(got.y, want.y, bound.y, 27 * d.p.cin);
      for (size_t i = 0; i < got.dx.size(); ++i)
        expect_result(got.dx[i], want.dx[i], bound.dx[i], 27 * d.p.cout);
      expect_result(got.dw, want.dw, bound.dw, places);
      expect_result(got.dbias, want.dbias, bound.dbias, places);
    }
  }
}

TEST_F(Bf16Conv3d, SameBitsWithAnyNumberOfThreads) {
  for (const Case& c : {Case{{12, 13, 21}, {16}, 16}, Case{{5, 5, 5}, {64}, 64},
                        Case{{9, 10, 12}, {8, 9}, 35, {3, 3, 3}, {2, 2, 2}}})
    for (const CpuIsa isa : instruction_sets()) {
      SCOPED_TRACE(name_of(isa));
      const Data d = make(c);
      test::expect_same_bits_with_any_threads(isa, [&] {
        const Results r = run(d);
        std::vector<Tensor> all = r.dx;
        for (const Tensor& t : {r.y, r.dw, r.dbias}) all.push_back(t);
        return all;
      });
    }
}

TEST(Bf16ConvTranspose3d, AllPassesMatchF64OnRoundedNumbers) {
  struct Transposed {
    Triple in, kernel;
    int64_t cin, cout;
  };
  for (const Transposed& c : {Transposed{{3, 4, 5}, {2, 2, 2}, 32, 16},
                              {{2, 3, 27}, {2, 2, 2}, 5, 37},
                              {{1, 4, 6}, {1, 2, 2}, 17, 3},
                              {{2, 3, 4}, {2, 1, 2}, 16, 32},
                              {{2, 3, 4}, {1, 1, 1}, 7, 8},
                              {{5, 5, 5}, {2, 2, 2}, 64, 64}}) {
    const Tensor x = half(test::random({2, c.in[0], c.in[1], c.in[2], c.cin}, 1));
    const Tensor w = test::random({c.kernel[0], c.kernel[1], c.kernel[2], c.cin, c.cout}, 2);
    const Tensor bias = test::random({c.cout}, 3);
    const ConvProblem p = make_conv_transpose_problem(x.shape(), w.shape());
    const Tensor dy = half(test::random({2, p.out[0], p.out[1], p.out[2], c.cout}, 4));
    const auto all = [&](const auto& f) {
      const Tensor a = f(x, false), b = f(w, true), g = f(dy, false);
      std::vector<Tensor> r{test::unwritten(dy.shape(), g.dtype()), test::unwritten(x.shape(), g.dtype()),
                            test::unwritten(w.shape(), b.dtype()), test::unwritten(bias.shape(), b.dtype())};
      conv_transpose3d_forward(p, a, b, f(bias, false), r[0]);
      conv_transpose3d_backward_data(p, g, b, r[1]);
      conv_transpose3d_backward_weights(p, a, g, r[2], &r[3]);
      return r;
    };
    const auto want = all(reference), bound = all(magnitude);
    const int64_t places = 2 * p.out[0] * p.out[1] * p.out[2], terms[] = {c.cin, 8 * c.cout, places, places};
    for (const CpuIsa isa : instruction_sets()) {
      SCOPED_TRACE(cat(name_of(isa), " ", p.str()));
      std::vector<Tensor> one;
      for (const int threads : {1, 2, 3, 8}) {
        const Setting setting(isa, threads);
        const auto got = all([](const Tensor& t, bool) { return t; });
        if (one.empty()) one = got;
        for (size_t i = 0; i < got.size(); ++i) {
          if (threads == 1)
            expect_result(got[i], want[i], bound[i], terms[i]);
          else
            test::expect_same_bits(got[i], one[i]);
        }
      }
    }
  }
}

TEST(Bf16Norm, AllPassesMatchF64WithTheSameBitsOnAnyNumberOfThreads) {
  for (const auto& [shape, groups] : {std::pair<Shape, int64_t>{{2, 3, 4, 5, 16}, 16},
                                      {{2, 9, 11, 13, 16}, 16},
                                      {{1, 2, 3, 7, 5}, 5},
                                      {{2, 13, 17, 19, 3}, 3},
                                      {{3, 7, 24}, 6},
                                      {{2, 5, 5, 5, 128}, 128},
                                      {{2, 1, 37}, 1},
                                      {{2, 40, 20}, 10}}) {
    const int64_t n = shape[0], channels = shape[-1];
    Tensor raw = test::random(shape, 1);
    for (int64_t i = 0; i < raw.numel(); ++i)
      raw.mutable_data<float>()[i] += static_cast<float>(i % channels % 3);
    const Tensor x = half(raw), dy = half(test::random(shape, 2));
    const Tensor scale = test::random({n, channels}, 3), shift = test::random({n, channels}, 4);
    const auto all = [&](Act act, const auto& f) {
      const Tensor a = f(x), s = f(scale);
      const DType t = a.dtype(), ts = s.dtype();
      std::vector<Tensor> r{test::unwritten({n, groups}, ts),   test::unwritten({n, groups}, ts),
                            test::unwritten(shape, t),          test::unwritten(shape, t),
                            test::unwritten({n, channels}, ts), test::unwritten({n, channels}, ts)};
      norm_stats(a, groups, 1e-5, r[0], r[1]);
      norm_act_forward(a, r[0], r[1], s, f(shift), act, 0.01, r[2]);
      norm_act_backward(a, r[0], r[1], s, f(shift), act, 0.01, f(dy), r[3], r[4], r[5]);
      return r;
    };
    for (const Act act : {Act::none, Act::leaky_relu, Act::silu, Act::gelu}) {
      const auto want = all(act, wide);
      for (const CpuIsa isa : instruction_sets()) {
        SCOPED_TRACE(cat(name_of(isa), " ", shape, " act ", static_cast<int>(act)));
        std::vector<Tensor> one;
        for (const int threads : {1, 2, 3, 8}) {
          const Setting setting(isa, threads);
          const auto got = all(act, [](const Tensor& t) { return t; });
          if (one.empty()) one = got;
          for (size_t i = 0; i < got.size(); ++i) {
            if (threads > 1) {
              test::expect_same_bits(got[i], one[i]);
              continue;
            }
            // As in norm_test.cc, plus half a unit in the last place of what is stored in bf16.
            double largest = 1;
            for (const double v : want[i].to_vector<double>()) largest = std::max(largest, std::abs(v));
            Tensor allowed = want[i].clone();
            for (int64_t k = 0; k < allowed.numel(); ++k) {
              double& v = allowed.mutable_data<double>()[k];
              v = 3e-5 * largest + (got[i].dtype() == DType::bf16 ? 0x1p-8 * 1.01 * std::abs(v) : 0);
            }
            SCOPED_TRACE(cat("result ", i));
            test::expect_close(got[i], want[i], allowed, 1);
          }
        }
      }
    }
  }
}

TEST(Bf16, ConversionRoundsToNearestEvenOnEveryInstructionSet) {
  std::vector<float> v{0.0f,      -0.0f, 1.0f,     1.00390625f, 1.01171875f,
                       -3.14159f, 3e38f, INFINITY, -INFINITY,   1e-30f};
  for (int i = 0; i < 4000; ++i) v.push_back(1.0f + static_cast<float>(i) * 0x1p-12f);
  const Tensor x = Tensor::from({static_cast<int64_t>(v.size())}, v);
  const Tensor want = x.to(DType::bf16);
  for (const CpuIsa isa : instruction_sets()) {
    SCOPED_TRACE(name_of(isa));
    const Setting setting(isa);
    const Tensor got = converted(x, DType::bf16);
    test::expect_same_bits(got, want);
    test::expect_same_bits(converted(got, DType::f32), want.to(DType::f32));
    Tensor sum = got.clone();
    add_bf16(sum, got);
    for (int64_t i = 0; i < sum.numel(); ++i) {
      const float f = static_cast<float>(got.data<bf16>()[i]);
      ASSERT_EQ(static_cast<float>(sum.data<bf16>()[i]), static_cast<float>(bf16(f + f))) << f;
    }
    ASSERT_TRUE(std::isnan(converted(Tensor::from<float>({1}, {NAN}), DType::bf16).item()));
  }
}

TEST(Bf16, OtherTypesAreRefused) {
  Tensor y = Tensor::empty({2}, DType::f64);
  EXPECT_THROW(convert(Tensor::zeros({2}), y), Error);
  const Data d = make({{3, 4, 5}, {16}, 16});
  Tensor out = Tensor::empty(d.dy.shape(), DType::bf16);
  EXPECT_THROW(conv3d_forward(d.p, d.x, half(d.w), d.bias, out), Error);  // weights must be f32
}

}  // namespace
}  // namespace voxgrad
