// Winograd's F(2, 3) convolutions. They have at most the stated error, on every instruction set and in bf16.
// They give the same bits with any number of threads and in any batch. They run only where the rule says so.
#include "tensor/conv/conv.h"
#include "tensor/core/convert.h"
#include "tensor/core/runtime.h"
#include "tensor/core/trace.h"
#include "tests/tensor/kernel_check.h"

namespace voxgrad {
namespace {

using test::AllowWinograd;
using test::Setting;

struct Case {
  int64_t n;
  Triple in;
  std::vector<int64_t> channels;  // of each input
  int64_t cout;
  Triple kernel{3, 3, 3}, pad{1, 1, 1};
};

// The cases: even and odd extents, rows of more and of fewer tiles than a task takes, channels that are no
// multiple of a vector or of a block, several inputs, padding other than 1, volumes of depth one. Each case
// has at least 64 tiles in a sample.
const std::vector<Case>& cases() {
  static const std::vector<Case> all{
      {1, {8, 8, 8}, {16}, 16},
      {2, {5, 7, 11}, {16}, 32},
      {2, {3, 5, 125}, {8}, 17},
      {1, {7, 8, 9}, {16, 3, 20}, 37},
      {1, {8, 7, 10}, {33}, 8},
      {3, {7, 7, 7}, {64}, 48},
      {1, {9, 9, 9}, {70}, 65},
      {1, {10, 11, 12}, {18}, 16, {3, 3, 3}, {0, 0, 0}},
      {1, {7, 8, 7}, {16}, 16, {3, 3, 3}, {2, 2, 2}},
      {1, {8, 9, 10}, {16}, 19, {3, 3, 3}, {0, 1, 2}},
      {2, {1, 17, 21}, {16, 16}, 24, {1, 3, 3}, {0, 1, 1}},
      {1, {2, 16, 15}, {9}, 40, {1, 3, 3}, {0, 1, 1}},
      {2, {1, 16, 17}, {16}, 16},
      {1, {18, 1, 16}, {16}, 16},
      {1, {17, 16, 1}, {16}, 24},
      {1, {2, 12, 13}, {16}, 16, {1, 3, 3}, {1, 1, 1}},
  };
  return all;
}

struct Data {
  ConvProblem p;
  std::vector<Tensor> x;
  Tensor w, bias, dy;
};

Data make(const Case& c) {
  Data d;
  uint64_t seed = 1;
  int64_t cin = 0;
  for (const int64_t k : c.channels) {
    d.x.push_back(test::random({c.n, c.in[0], c.in[1], c.in[2], k}, seed++));
    cin += k;
  }
  d.w = test::random({c.kernel[0], c.kernel[1], c.kernel[2], cin, c.cout}, seed++);
  d.bias = test::random({c.cout}, seed++);
  d.p = make_conv_problem(d.x, d.w.shape(), {1, 1, 1}, c.pad);
  d.dy = test::random({c.n, d.p.out[0], d.p.out[1], d.p.out[2], c.cout}, seed++);
  return d;
}

// y, dw, dbias, then dx of each input. t is the type of all except the parameters and their gradients.
std::vector<Tensor> everything(const Data& d, DType t = DType::f32) {
  const DType parameter = parameter_dtype(t);
  std::vector<Tensor> x, dx;
  for (const Tensor& i : d.x) x.push_back(i.to(t)), dx.push_back(test::unwritten(i.shape(), t));
  std::vector<Tensor> all{test::unwritten(d.dy.shape(), t), test::unwritten(d.w.shape(), parameter),
                          test::unwritten(d.bias.shape(), parameter)};
  conv3d_forward(d.p, x, d.w.to(parameter), d.bias.to(parameter), all[0]);
  conv3d_backward_weights(d.p, x, d.dy.to(t), all[1], &all[2]);
  conv3d_backward_data(d.p, d.dy.to(t), d.w.to(parameter), dx);
  all.insert(all.end(), dx.begin(), dx.end());
  return all;
}

Data magnitudes(Data d) {
  for (Tensor& t : d.x) t = test::magnitude(t);
  for (Tensor* t : {&d.w, &d.bias, &d.dy}) *t = test::magnitude(*t);
  return d;
}

std::string label(const Case& c, CpuIsa isa) {
  return cat(name_of(isa), " ", make(c).p.str(), " inputs ", c.channels.size());
}

// In how many of the three passes Winograd computes, as the trace says.
int winograd_passes(const Data& d, DType t = DType::f32) {
  int count = 0;
  const TraceSink before = set_trace_sink([&](const TraceEvent& e) {
    count += e.text.find("; Winograd ") != std::string::npos &&
             e.text.find("; Winograd declined") == std::string::npos;
  });
  everything(d, t);
  set_trace_sink(before);
  return count;
}

// The transforms mix all inputs of a tile. So the error of an output follows the largest sum of magnitudes in
// its tile of 2 x 2 x 2 (1 x 2 x 2 without taps along D). In a corner of the volume, the sum of the output
// itself may be much smaller.
Tensor largest_of_tile(const Tensor& t, int64_t depth) {
  Tensor out = t.clone();
  const double* const from = t.data<double>();
  double* const to = out.mutable_data<double>();
  const auto at = [&](int64_t n, int64_t z, int64_t y, int64_t x) {
    return (((n * t.dim(1) + z) * t.dim(2) + y) * t.dim(3) + x) * t.dim(4);
  };
  for (int64_t n = 0; n < t.dim(0); ++n)
    for (int64_t z = 0; z < t.dim(1); ++z)
      for (int64_t y = 0; y < t.dim(2); ++y)
        for (int64_t x = 0; x < t.dim(3); ++x)
          for (int64_t a = z / depth * depth; a < std::min(z / depth * depth + depth, t.dim(1)); ++a)
            for (int64_t b = y / 2 * 2; b < std::min(y / 2 * 2 + 2, t.dim(2)); ++b)
              for (int64_t c = x / 2 * 2; c < std::min(x / 2 * 2 + 2, t.dim(3)); ++c)
                for (int64_t o = 0; o < t.dim(4); ++o)
                  to[at(n, z, y, x) + o] = std::max(to[at(n, z, y, x) + o], from[at(n, a, b, c) + o]);
  return out;
}

// What the errors are relative to, for each result of everything().
std::vector<Tensor> bounds(const Case& c, const Data& d) {
  auto bound = everything(magnitudes(d), DType::f64);
  for (size_t i = 0; i < bound.size(); ++i)
    if (i != 1 && i != 2) bound[i] = largest_of_tile(bound[i], c.kernel[0] == 3 ? 2 : 1);
  return bound;
}

// Measured over all cases and instruction sets: at most 3.5 * 2^-24 of the sum of magnitudes. The bound is
// four times that, for luck. (The direct kernels reach 5.8, because their sums are 27 times as long.
// conv_test.cc allows 50.)
constexpr double kTolerance = 14 * 0x1p-24;

TEST(Winograd, AllPassesMatchF64) {
  const AllowWinograd allow(true);
  for (const Case& c : cases()) {
    const Data d = make(c);
    const auto want = everything(d, DType::f64);
    const auto bound = bounds(c, d);
    for (const CpuIsa isa : test::instruction_sets()) {
      SCOPED_TRACE(label(c, isa));
      const Setting setting(isa);
      EXPECT_EQ(winograd_passes(d), isa == CpuIsa::ref ? 0 : 3);
      const auto got = everything(d);
      for (size_t i = 0; i < got.size(); ++i) test::expect_close(got[i], want[i], bound[i], kTolerance);
      Tensor alone = test::unwritten(d.w.shape());
      conv3d_backward_weights(d.p, d.x, d.dy, alone, nullptr);
      test::expect_same_bits(alone, got[1]);
    }
  }
}

// The numbers that a bf16 kernel reads.
Data rounded(Data d) {
  for (Tensor& t : d.x) t = rounded_to_bf16(t);
  d.dy = rounded_to_bf16(d.dy);
  return d;
}

bool has_bf16() { return cpu_has(CpuIsa::avx512bf16); }
constexpr const char* kNoBf16 = "this CPU has no AVX512-BF16; elsewhere bf16 convolutions are those of f32";

// Measured over all cases: at most 1.8 * 2^-9 of the sum of magnitudes. The bound is twice that, for
// luck. (Each point of inputs and of weights is rounded to 8 bits: half a unit is 2^-9 of it. Each output
// is rounded again.)
constexpr double kBf16Tolerance = 3.6 * 0x1p-9;

TEST(Winograd, AllPassesInBf16MatchF64) {
  if (!has_bf16()) GTEST_SKIP() << kNoBf16;
  const AllowWinograd allow(true);
  const Setting setting(CpuIsa::avx512bf16);
  for (const Case& c : cases()) {
    SCOPED_TRACE(label(c, CpuIsa::avx512bf16));
    const Data d = rounded(make(c));
    EXPECT_EQ(winograd_passes(d, DType::bf16), 3);
    const auto want = everything(d, DType::f64), got = everything(d, DType::bf16);
    const auto bound = bounds(c, d);
    for (size_t i = 0; i < got.size(); ++i)
      test::expect_close(got[i], want[i], bound[i],
                         i == 2 ? kTolerance : kBf16Tolerance);  // dbias is a sum in f32
  }
}

// The largest and the root mean square error, in a unit of the sum of magnitudes of the products.
struct Errors {
  double most = 0, rms = 0;
};

Errors errors_of(const Tensor& got, const Tensor& want, const Tensor& bound, double unit) {
  Errors e;
  const Tensor g = got.to(DType::f64);
  for (int64_t i = 0; i < g.numel(); ++i) {
    const double error =
        std::abs(g.data<double>()[i] - want.data<double>()[i]) / bound.data<double>()[i] / unit;
    e.most = error <= e.most ? e.most : error;  // NaN stays
    e.rms += error * error;
  }
  e.rms = std::sqrt(e.rms / static_cast<double>(g.numel()));
  return e;
}

// Bounds a third above the figures of docs/results/winograd.md, for outputs, weights and inputs of 32 -> 32
// channels at 16^3. The first row is direct, the second is Winograd.
constexpr Errors kStated[2][3] = {{{6.6, .62}, {.7, .13}, {6.9, .62}}, {{2.7, .36}, {2.1, .39}, {2.7, .37}}};
constexpr Errors kStatedBf16[2][3] = {{{.77, .094}, {1.7e-5, 2.2e-6}, {.6, .094}},  // products are exact
                                      {{1.8, .22}, {.48, .095}, {1.3, .22}}};

void expect_stated_errors(const Data& d, DType type, double unit, const Errors (&stated)[2][3]) {
  const auto want = everything(d, DType::f64), bound = everything(magnitudes(d), DType::f64);
  for (const bool winograd : {false, true}) {
    const AllowWinograd allow(winograd);
    const auto got = everything(d, type);
    for (const size_t pass : {0, 1, 2}) {
      SCOPED_TRACE(cat("Winograd ", winograd, ", pass ", pass));
      const size_t i = pass == 2 ? 3 : pass;
      const Errors e = errors_of(got[i], want[i], bound[i], unit), most = stated[winograd][pass];
      EXPECT_LE(e.most, most.most);
      EXPECT_LE(e.rms, most.rms);
      EXPECT_GT(e.rms, most.rms / 2);
    }
  }
}

TEST(Winograd, TheErrorIsTheOneThatIsStated) {
  const Setting setting(cpu_has(CpuIsa::avx2) ? CpuIsa::avx2 : CpuIsa::portable);
  expect_stated_errors(make({1, {16, 16, 16}, {32}, 32}), DType::f32, 0x1p-24, kStated);
}

TEST(Winograd, TheErrorInBf16IsTheOneThatIsStated) {
  if (!has_bf16()) GTEST_SKIP() << kNoBf16;
  const Setting setting(CpuIsa::avx512bf16);
  expect_stated_errors(rounded(make({1, {16, 16, 16}, {32}, 32})), DType::bf16, 0x1p-9, kStatedBf16);
}

// Every instruction set and type that has kernels of its own.
struct Kind {
  CpuIsa isa;
  DType dtype = DType::f32;
};
std::vector<Kind> kinds() {
  std::vector<Kind> all;
  for (const CpuIsa isa : test::instruction_sets()) all.push_back({isa});
  if (has_bf16()) all.push_back({CpuIsa::avx512bf16, DType::bf16});
  return all;
}

TEST(Winograd, SameBitsWithAnyNumberOfThreads) {
  const AllowWinograd allow(true);
  for (const Case& c : {Case{2, {12, 13, 21}, {16}, 16}, Case{1, {9, 9, 9}, {70}, 80},
                        Case{2, {1, 17, 40}, {20, 13}, 24, {1, 3, 3}, {0, 1, 1}}})
    for (const Kind k : kinds()) {
      SCOPED_TRACE(label(c, k.isa));
      const Data d = make(c);
      test::expect_same_bits_with_any_threads(k.isa, [&] { return everything(d, k.dtype); });
    }
}

Tensor sample(const Tensor& t, int64_t n) {
  Tensor one = Tensor::empty({1, t.dim(1), t.dim(2), t.dim(3), t.dim(4)}, t.dtype());
  std::memcpy(one.raw(), static_cast<const char*>(t.raw()) + static_cast<size_t>(n) * one.nbytes(),
              one.nbytes());
  return one;
}

// Sampling draws the samples of a case in groups of any size, and promises the same bits.
TEST(Winograd, ASampleHasTheSameBitsAloneAndInABatch) {
  const AllowWinograd allow(true);
  for (const Kind k : kinds()) {
    SCOPED_TRACE(name_of(k.isa));
    const Setting setting(k.isa);
    const Data all = make({5, {7, 8, 9}, {16, 5}, 40});
    const auto batch = everything(all, k.dtype);
    for (int64_t n = 0; n < 5; ++n) {
      Data d = all;
      for (Tensor& x : d.x) x = sample(x, n);
      d.dy = sample(d.dy, n);
      d.p = make_conv_problem(d.x, d.w.shape(), {1, 1, 1}, {1, 1, 1});
      const auto alone = everything(d, k.dtype);
      for (const size_t i : {0, 3, 4}) test::expect_same_bits(alone[i], sample(batch[i], n));
    }
  }
}

TEST(Winograd, Avx2AndAvx512AgreeInEveryBit) {
  if (!cpu_has(CpuIsa::avx512)) GTEST_SKIP() << "this CPU has no AVX-512";
  const AllowWinograd allow(true);
  for (const Case& c : cases()) {
    SCOPED_TRACE(label(c, CpuIsa::avx512));
    const Data d = make(c);
    test::expect_same_bits_with(CpuIsa::avx2, CpuIsa::avx512, [&] { return everything(d); });
  }
}

TEST(Winograd, AGradientThatIsNotWantedIsLeftOut) {
  const AllowWinograd allow(true);
  const Data d = make({1, {8, 8, 8}, {3, 20, 40}, 16});
  for (const CpuIsa isa : test::instruction_sets()) {
    SCOPED_TRACE(name_of(isa));
    const Setting setting(isa);
    const auto all = everything(d);
    std::vector<Tensor> some{{}, test::unwritten(d.x[1].shape()), {}};
    const std::vector<int64_t> channels{3, 20, 40};
    conv3d_backward_data(d.p, d.dy, d.w, some, channels);
    test::expect_same_bits(some[1], all[4]);
  }
}

TEST(Winograd, RunsOnlyWhereItPaysAndIsAllowed) {
  const AllowWinograd allow(true);
  const auto passes = [](const Case& c) { return winograd_passes(make(c)); };
  if (cpu_isa() == CpuIsa::ref) GTEST_SKIP() << "limited to ref";
  EXPECT_EQ(passes({1, {8, 8, 8}, {16}, 16}), 3);
  EXPECT_EQ(passes({1, {8, 8, 8}, {4}, 32}), 0);   // few channels
  EXPECT_EQ(passes({1, {8, 8, 8}, {8}, 8}), 0);    // neither fills a vector
  EXPECT_EQ(passes({3, {6, 6, 6}, {16}, 16}), 0);  // few tiles, however many samples
  EXPECT_EQ(passes({1, {8, 8, 8}, {16}, 16, {1, 1, 1}, {0, 0, 0}}), 0);
  allow_winograd(false);
  EXPECT_EQ(passes({1, {8, 8, 8}, {16}, 16}), 0);
}

}  // namespace
}  // namespace voxgrad
