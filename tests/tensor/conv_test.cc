// Every direct convolution kernel of every instruction set against the plain loop in double precision. The
// bits must be the same with any number of threads. (tests/tensor/winograd_test.cc has the other algorithm.)
#include "tensor/conv/conv.h"

#include "tensor/core/trace.h"
#include "tests/tensor/kernel_check.h"

namespace voxgrad {
namespace {

using test::Setting;

// All tests of this name use direct sums only.
class Conv3d : public testing::Test {
  const test::AllowWinograd allow_{false};
};

struct Case {
  Triple in;
  std::vector<int64_t> channels;  // of each input
  int64_t cout;
  Triple kernel{3, 3, 3}, stride{1, 1, 1}, pad{1, 1, 1};
  int64_t n = 2;
};

// The cases: odd sizes, rows shorter and longer than a tile, few, odd and many channels, several inputs,
// volumes of depth one.
const std::vector<Case>& cases() {
  static const std::vector<Case> all{
      {{3, 4, 5}, {16}, 16},
      {{5, 3, 41}, {16}, 16},
      {{2, 3, 25}, {32}, 32},
      {{3, 3, 13}, {5}, 33},
      {{3, 5, 7}, {16, 16}, 16},
      {{2, 3, 6}, {3, 20, 1}, 37},
      {{4, 3, 9}, {1}, 16},
      {{4, 3, 26}, {4}, 32},
      {{3, 4, 5}, {2}, 5},
      {{1, 1, 1}, {7}, 6},
      {{2, 2, 2}, {17}, 48},
      {{1, 6, 19}, {6}, 24, {1, 3, 3}, {1, 1, 1}, {0, 1, 1}},
      {{1, 7, 9}, {16}, 32, {1, 3, 3}, {1, 2, 2}, {0, 1, 1}},
      {{3, 4, 25}, {16}, 3, {1, 1, 1}, {1, 1, 1}, {0, 0, 0}},
      {{3, 4, 37}, {20, 9}, 2},
      {{2, 3, 18}, {17}, 7},
      {{4, 5, 40}, {5}, 16, {3, 3, 3}, {2, 2, 2}, {1, 1, 1}},
      {{3, 4, 11}, {19}, 40, {1, 1, 1}, {2, 2, 2}, {0, 0, 0}},
      {{6, 8, 10}, {16}, 32, {3, 3, 3}, {2, 2, 2}, {1, 1, 1}},
      {{5, 7, 9}, {32}, 64, {3, 3, 3}, {2, 2, 2}, {1, 1, 1}},
      {{5, 6, 53}, {3, 4}, 7, {3, 3, 3}, {1, 2, 2}, {1, 1, 1}},
      {{4, 5, 6}, {8}, 9, {3, 3, 3}, {2, 2, 1}, {1, 1, 1}},
      {{5, 5, 6}, {8}, 9, {3, 3, 3}, {1, 1, 1}, {0, 0, 0}},
      {{5, 5, 7}, {8}, 9, {3, 3, 3}, {2, 2, 2}, {0, 0, 0}},
      {{3, 3, 4}, {4}, 17, {3, 3, 3}, {1, 1, 1}, {2, 2, 2}},
      {{4, 4, 4}, {4}, 17, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}},
      {{4, 4, 6}, {9}, 17, {2, 2, 2}, {2, 2, 2}, {0, 0, 0}},
      {{3, 4, 6}, {9}, 17, {3, 1, 3}, {1, 1, 1}, {1, 0, 1}},
      {{9, 9, 9}, {2}, 3, {5, 5, 5}, {3, 3, 3}, {2, 2, 2}},
  };
  return all;
}

struct Data {
  ConvProblem p;
  std::vector<Tensor> x, x_magnitude;
  Tensor w, bias, dy;
};

Data make(const Case& c) {
  Data d;
  uint64_t seed = 1;
  int64_t cin = 0;
  for (const int64_t k : c.channels) {
    d.x.push_back(test::random({c.n, c.in[0], c.in[1], c.in[2], k}, seed++));
    d.x_magnitude.push_back(test::magnitude(d.x.back()));
    cin += k;
  }
  d.w = test::random({c.kernel[0], c.kernel[1], c.kernel[2], cin, c.cout}, seed++);
  d.bias = test::random({c.cout}, seed++);
  d.p = make_conv_problem(d.x, d.w.shape(), c.stride, c.pad);
  d.dy = test::random({c.n, d.p.out[0], d.p.out[1], d.p.out[2], c.cout}, seed++);
  return d;
}

std::vector<Tensor> to_double(const std::vector<Tensor>& x) {
  std::vector<Tensor> out;
  for (const Tensor& t : x) out.push_back(t.to(DType::f64));
  return out;
}

std::vector<Tensor> gradients_like(const std::vector<Tensor>& x, DType dtype) {
  std::vector<Tensor> out;
  for (const Tensor& t : x) out.push_back(test::unwritten(t.shape(), dtype));
  return out;
}

std::string label(const Case& c, CpuIsa isa) {
  return cat(name_of(isa), " ", make(c).p.str(), " inputs ", c.channels.size());
}

TEST_F(Conv3d, ForwardMatchesF64) {
  for (const Case& c : cases()) {
    const Data d = make(c);
    Tensor want = test::unwritten(d.dy.shape(), DType::f64), bound = want.clone();
    conv3d_forward(d.p, to_double(d.x), d.w.to(DType::f64), d.bias.to(DType::f64), want);
    conv3d_forward(d.p, to_double(d.x_magnitude), test::magnitude(d.w).to(DType::f64),
                   test::magnitude(d.bias).to(DType::f64), bound);
    for (const CpuIsa isa : test::instruction_sets()) {
      SCOPED_TRACE(label(c, isa));
      const Setting setting(isa);
      Tensor y = test::unwritten(d.dy.shape());
      conv3d_forward(d.p, d.x, d.w, d.bias, y);
      test::expect_close(y, want, bound, test::sum_tolerance(27 * d.p.cin));
    }
  }
}

TEST_F(Conv3d, BackwardDataMatchesF64) {
  for (const Case& c : cases()) {
    const Data d = make(c);
    std::vector<Tensor> want = gradients_like(d.x, DType::f64), bound = gradients_like(d.x, DType::f64);
    conv3d_backward_data(d.p, d.dy.to(DType::f64), d.w.to(DType::f64), want);
    conv3d_backward_data(d.p, test::magnitude(d.dy).to(DType::f64), test::magnitude(d.w).to(DType::f64),
                         bound);
    for (const CpuIsa isa : test::instruction_sets()) {
      SCOPED_TRACE(label(c, isa));
      const Setting setting(isa);
      std::vector<Tensor> dx = gradients_like(d.x, DType::f32);
      conv3d_backward_data(d.p, d.dy, d.w, dx);
      for (size_t i = 0; i < dx.size(); ++i)
        test::expect_close(dx[i], want[i], bound[i], test::sum_tolerance(27 * d.p.cout));
    }
  }
}

TEST_F(Conv3d, BackwardWeightsMatchesF64) {
  for (const Case& c : cases()) {
    const Data d = make(c);
    Tensor want = test::unwritten(d.w.shape(), DType::f64), bound = want.clone();
    Tensor want_bias = test::unwritten(d.bias.shape(), DType::f64), bound_bias = want_bias.clone();
    conv3d_backward_weights(d.p, to_double(d.x), d.dy.to(DType::f64), want, &want_bias);
    conv3d_backward_weights(d.p, to_double(d.x_magnitude), test::magnitude(d.dy).to(DType::f64), bound,
                            &bound_bias);
    const int64_t places = d.p.n * d.p.out[0] * d.p.out[1] * d.p.out[2];
    for (const CpuIsa isa : test::instruction_sets()) {
      SCOPED_TRACE(label(c, isa));
      const Setting setting(isa);
      Tensor dw = test::unwritten(d.w.shape()), dbias = test::unwritten(d.bias.shape());
      conv3d_backward_weights(d.p, d.x, d.dy, dw, &dbias);
      test::expect_close(dw, want, bound, test::sum_tolerance(places));
      test::expect_close(dbias, want_bias, bound_bias, test::sum_tolerance(places));
      Tensor alone = test::unwritten(d.w.shape());
      conv3d_backward_weights(d.p, d.x, d.dy, alone, nullptr);
      test::expect_same_bits(alone, dw);
    }
  }
}

TEST_F(Conv3d, AGradientThatIsNotWantedIsLeftOut) {
  const Data d = make({{2, 3, 6}, {3, 20, 1}, 37});
  for (const CpuIsa isa : test::instruction_sets()) {
    SCOPED_TRACE(name_of(isa));
    const Setting setting(isa);
    std::vector<Tensor> all = gradients_like(d.x, DType::f32), some = gradients_like(d.x, DType::f32);
    conv3d_backward_data(d.p, d.dy, d.w, all);
    some[0] = {};
    conv3d_backward_data(d.p, d.dy, d.w, some);
    test::expect_same_bits(some[1], all[1]);
    some[2] = {};
    EXPECT_THROW(conv3d_backward_data(d.p, d.dy, d.w, some), Error);  // two widths are unknown
    const std::vector<int64_t> channels{3, 20, 1};
    some[1] = test::unwritten(d.x[1].shape());
    conv3d_backward_data(d.p, d.dy, d.w, some, channels);
    test::expect_same_bits(some[1], all[1]);
  }
}

// All results of one case, as one list.
std::vector<Tensor> everything(const Data& d) {
  Tensor y = test::unwritten(d.dy.shape()), dw = test::unwritten(d.w.shape()),
         dbias = test::unwritten(d.bias.shape());
  std::vector<Tensor> all = gradients_like(d.x, DType::f32);
  conv3d_forward(d.p, d.x, d.w, d.bias, y);
  conv3d_backward_data(d.p, d.dy, d.w, all);
  conv3d_backward_weights(d.p, d.x, d.dy, dw, &dbias);
  for (const Tensor& t : {y, dw, dbias}) all.push_back(t);
  return all;
}

TEST_F(Conv3d, SameBitsWithAnyNumberOfThreads) {
  for (const Case& c : {Case{{12, 13, 21}, {16}, 16}, Case{{5, 5, 5}, {64}, 64},
                        Case{{9, 10, 12}, {8, 9}, 35, {3, 3, 3}, {2, 2, 2}}})
    for (const CpuIsa isa : test::instruction_sets()) {
      SCOPED_TRACE(label(c, isa));
      const Data d = make(c);
      test::expect_same_bits_with_any_threads(isa, [&] { return everything(d); });
    }
}

TEST_F(Conv3d, Avx2AndAvx512AgreeInEveryBit) {
  if (!cpu_has(CpuIsa::avx512)) GTEST_SKIP() << "this CPU has no AVX-512";
  for (const Case& c : cases()) {
    SCOPED_TRACE(label(c, CpuIsa::avx512));
    const Data d = make(c);
    test::expect_same_bits_with(CpuIsa::avx2, CpuIsa::avx512, [&] { return everything(d); });
  }
}

struct TransposedCase {
  Triple in, kernel;
  int64_t cin, cout;
};

TEST(ConvTranspose3d, AllPassesMatchF64) {
  for (const TransposedCase& c : {TransposedCase{{3, 4, 5}, {2, 2, 2}, 32, 16},
                                  {{2, 3, 27}, {2, 2, 2}, 5, 37},
                                  {{1, 4, 6}, {1, 2, 2}, 17, 3},
                                  {{2, 3, 4}, {2, 1, 2}, 16, 32},
                                  {{2, 3, 4}, {1, 1, 1}, 7, 8},
                                  {{5, 5, 5}, {2, 2, 2}, 64, 64}}) {
    const Tensor x = test::random({2, c.in[0], c.in[1], c.in[2], c.cin}, 1);
    const Tensor w = test::random({c.kernel[0], c.kernel[1], c.kernel[2], c.cin, c.cout}, 2);
    const Tensor bias = test::random({c.cout}, 3);
    const ConvProblem p = make_conv_transpose_problem(x.shape(), w.shape());
    const Tensor dy = test::random({2, p.out[0], p.out[1], p.out[2], c.cout}, 4);
    const auto run = [&](const auto& f, DType t) {
      std::vector<Tensor> r{test::unwritten(dy.shape(), t), test::unwritten(x.shape(), t),
                            test::unwritten(w.shape(), t), test::unwritten(bias.shape(), t)};
      conv_transpose3d_forward(p, f(x), f(w), f(bias), r[0]);
      conv_transpose3d_backward_data(p, f(dy), f(w), r[1]);
      conv_transpose3d_backward_weights(p, f(x), f(dy), r[2], &r[3]);
      return r;
    };
    const auto want = run([](const Tensor& t) { return t.to(DType::f64); }, DType::f64);
    const auto bound = run([](const Tensor& t) { return test::magnitude(t).to(DType::f64); }, DType::f64);
    const int64_t places = 2 * p.out[0] * p.out[1] * p.out[2];
    const double tolerance[] = {test::sum_tolerance(c.cin), test::sum_tolerance(8 * c.cout),
                                test::sum_tolerance(places), test::sum_tolerance(places)};
    for (const CpuIsa isa : test::instruction_sets()) {
      SCOPED_TRACE(cat(name_of(isa), " ", p.str()));
      std::vector<Tensor> one;
      for (const int threads : {1, 2, 3, 8}) {
        const Setting setting(isa, threads);
        const auto got = run([](const Tensor& t) { return t; }, DType::f32);
        for (size_t i = 0; i < got.size(); ++i) {
          if (threads == 1)
            test::expect_close(got[i], want[i], bound[i], tolerance[i]);
          else
            test::expect_same_bits(got[i], one[i]);
        }
        if (one.empty()) one = got;
      }
    }
  }
}

TEST_F(Conv3d, WrongShapesAreRefusedWithTheOperationAndBothShapes) {
  const Data d = make({{3, 4, 5}, {16}, 16});
  Tensor wrong = Tensor::empty({2, 3, 4, 5, 15});
  try {
    conv3d_forward(d.p, d.x, d.w, d.bias, wrong);
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_EQ(std::string(e.what()),
              "[conv3d_forward] expected y f32 [2, 3, 4, 5, 16], got f32 [2, 3, 4, 5, 15]");
  }
  EXPECT_THROW(make_conv_problem(d.x, Shape{3, 3, 3, 17, 16}, {1, 1, 1}, {1, 1, 1}), Error);
  EXPECT_THROW(make_conv_problem(d.x, d.w.shape(), {0, 1, 1}, {1, 1, 1}), Error);
  EXPECT_THROW(make_conv_transpose_problem(d.x[0].shape(), d.w.shape()), Error);
}

TEST_F(Conv3d, TheTraceNamesTheKernelAndWarnsOnceAboutALargeOneOnRef) {
  std::vector<TraceEvent> events;
  const TraceSink before = set_trace_sink([&](const TraceEvent& e) { events.push_back(e); });
  for (int i = 0; i < 2; ++i) {
    const Data d = make({{9, 9, 9}, {16}, 16, {5, 5, 5}, {1, 1, 1}, {2, 2, 2}});
    Tensor y = Tensor::empty(d.dy.shape());
    conv3d_forward(d.p, d.x, d.w, d.bias, y);
  }
  set_trace_sink(before);
  ASSERT_EQ(events.size(), 3u);
  EXPECT_EQ(events[0].kind, "kernel");
  EXPECT_EQ(events[1].kind, "warning");
  EXPECT_NE(events[1].text.find("kernel above 3"), std::string::npos) << events[1].text;
  EXPECT_EQ(events[2].kind, "kernel");
}

}  // namespace
}  // namespace voxgrad
