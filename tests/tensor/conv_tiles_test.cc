// The convolution on tiles: the same code on plain loops, on every CPU, and on the instructions where the CPU
// has them.
#include "tensor/cpu/conv_tiles.h"

#include "tensor/convert.h"
#include "tensor/cpu/amx.h"
#include "tensor/cpu/tiles.h"
#include "tensor/trace.h"
#include "tests/tensor/kernel_check.h"

namespace voxgrad {
namespace {

struct Case {
  Triple in;
  std::vector<int64_t> channels;  // of each input
  int64_t cout;
  bool bias = true;
  int64_t n = 1;
};

// Odd extents; rows shorter than a tile, of a tile, longer, and longer than a span of sums; one voxel; boxes
// that end inside the volume; 16, 32, 64 and 96 input channels; parts; whole and half blocks of outputs.
const std::vector<Case>& cases() {
  static const std::vector<Case> all{
      {{3, 4, 5}, {16}, 16, true, 2},  {{2, 3, 16}, {16}, 32},     {{3, 2, 33}, {16}, 48, false},
      {{1, 1, 1}, {32}, 16},           {{3, 5, 7}, {32}, 32},      {{9, 10, 3}, {32}, 16, true, 2},
      {{2, 2, 17}, {64}, 48, true, 2}, {{2, 3, 4}, {96}, 32},      {{1, 2, 131}, {32}, 16, false},
      {{3, 4, 5}, {32, 32}, 32},       {{2, 3, 19}, {64, 32}, 16}, {{2, 2, 3}, {32, 64, 32}, 80, true, 2},
  };
  return all;
}

struct Data {
  ConvProblem p;
  std::vector<Tensor> x;
  Tensor w, bias;
};

Data make(const Case& c) {
  Data d;
  uint64_t seed = 1;
  int64_t cin = 0;
  for (const int64_t k : c.channels) {
    d.x.push_back(test::random({c.n, c.in[0], c.in[1], c.in[2], k}, seed++).to(DType::bf16));
    cin += k;
  }
  d.w = test::random({3, 3, 3, cin, c.cout}, seed++);
  if (c.bias) d.bias = test::random({c.cout}, seed++);
  d.p = make_conv_problem(d.x, d.w.shape(), {1, 1, 1}, {1, 1, 1});
  return d;
}

template <class T>
std::vector<ref::Part<const T>> parts_of(const std::vector<Tensor>& x) {
  std::vector<ref::Part<const T>> parts;
  for (const Tensor& t : x) parts.push_back({t.data<T>(), t.dim(4)});
  return parts;
}

Tensor on_tiles(const cpu::TileKernels& k, const Data& d) {
  Tensor y = test::unwritten({d.p.n, d.p.out[0], d.p.out[1], d.p.out[2], d.p.cout}, DType::bf16);
  EXPECT_EQ(cpu::tile_conv_declines(d.p, parts_of<bf16>(d.x)), nullptr);
  cpu::tile_conv_forward(k, d.p, parts_of<bf16>(d.x), d.w.data<float>(),
                         d.bias.defined() ? d.bias.data<float>() : nullptr, y.mutable_data<bf16>());
  return y;
}

// In f64, of the numbers or of their magnitudes.
Tensor reference(const Data& d, bool magnitudes) {
  const auto wide = [&](const Tensor& t) {
    const Tensor a = t.to(DType::f64).clone();
    for (int64_t i = 0; magnitudes && i < a.numel(); ++i)
      a.mutable_data<double>()[i] = std::abs(a.data<double>()[i]);
    return a;
  };
  std::vector<Tensor> x;
  for (const Tensor& t : d.x) x.push_back(wide(t));
  const Tensor w = wide(rounded_to_bf16(d.w)), bias = d.bias.defined() ? wide(d.bias) : Tensor();
  Tensor y = Tensor::empty({d.p.n, d.p.out[0], d.p.out[1], d.p.out[2], d.p.cout}, DType::f64);
  ref::conv3d_forward(d.p, parts_of<double>(x), w.data<double>(),
                      bias.defined() ? bias.data<double>() : nullptr, y.mutable_data<double>());
  return y;
}

// Products of bf16 numbers are exact in f32. An output is a sum of them in f32, so its error is that of a sum
// of 27 cin terms in some order, relative to the sum of their magnitudes, and half a unit in the last of 8
// bits, 2^-8 of itself, for the rounding at the end.
TEST(TileConv, MatchesF64OnRoundedNumbers) {
  for (const Case& c : cases()) {
    const Data d = make(c);
    SCOPED_TRACE(cat(d.p.str(), ", ", c.channels.size(), " inputs"));
    const Tensor want = reference(d, false), bound = reference(d, true);
    Tensor allowed = Tensor::empty(want.shape(), DType::f64);
    for (int64_t i = 0; i < want.numel(); ++i)
      allowed.mutable_data<double>()[i] = bound.data<double>()[i] * test::sum_tolerance(27 * d.p.cin) +
                                          0x1p-8 * 1.01 * std::abs(want.data<double>()[i]);
    test::expect_close(on_tiles(cpu::plain_tile_kernels(), d), want, allowed, 1);
  }
}

// The order of sums that docs/precision.md states, from the products of tiles alone: bias, then for each
// plane of taps, part and 32 channels (with 16 channels: the channels of two taps along W) the taps in their
// order.
TEST(TileConv, SumsInTheStatedOrder) {
  for (const Case& c : {Case{{2, 3, 5}, {16}, 16}, Case{{2, 3, 4}, {64, 32}, 16}}) {
    const Data d = make(c);
    const Tensor got = on_tiles(cpu::plain_tile_kernels(), d);
    for (const Triple& at : {Triple{0, 0, 0}, Triple{1, 1, 2}, Triple{1, 2, c.in[2] - 1}}) {
      float sums[16][16] = {};
      for (auto& row : sums) std::copy_n(d.bias.data<float>(), 16, row);
      for (int64_t kd = 0; kd < 3; ++kd) {
        int64_t first = 0;
        for (const Tensor& x : d.x) {
          const int64_t channels = x.dim(4), taps = channels == 16 ? 2 : 1;
          for (int64_t c0 = 0; c0 < channels; c0 += 32)
            for (int64_t kh = 0; kh < 3; ++kh)
              for (int64_t kw = 0; kw < 3; kw += taps) {
                bf16 a[16][32], b[16][32];  // one row of a
                for (int64_t i = 0; i < 32; ++i) {
                  const int64_t tap = kw + (taps == 2 ? i / 16 : 0), channel = taps == 2 ? i % 16 : c0 + i;
                  const int64_t z = at[0] + kd - 1, h = at[1] + kh - 1, v = at[2] + tap - 1;
                  const bool inside = z >= 0 && z < c.in[0] && h >= 0 && h < c.in[1] && v >= 0 && v < c.in[2];
                  if (inside) a[0][i] = x.data<bf16>()[ref::place(c.in, 0, z, h, v) * channels + channel];
                  for (int64_t n = 0; n < 16 && tap < 3; ++n)
                    b[i / 2][2 * n + i % 2] = bf16(
                        d.w.data<float>()[(((kd * 3 + kh) * 3 + tap) * d.p.cin + first + channel) * 16 + n]);
                }
                cpu::plain_tile_kernels().product(&a[0][0].bits, &b[0][0].bits, &sums[0][0]);
              }
          first += channels;
        }
      }
      for (int64_t n = 0; n < 16; ++n)
        EXPECT_EQ(got.data<bf16>()[ref::place(c.in, 0, at[0], at[1], at[2]) * 16 + n].bits,
                  bf16(sums[0][n]).bits);
    }
  }
}

TEST(TileConv, SameBitsWithAnyNumberOfThreads) {
  for (const Case& c : {Case{{17, 9, 5}, {16}, 16}, Case{{5, 9, 11}, {32, 32}, 48, true, 2}}) {
    const Data d = make(c);
    std::vector<Tensor> one;
    for (const int threads : {1, 2, 3}) {
      const test::Setting setting(cpu_isa(), threads);
      one.push_back(on_tiles(cpu::plain_tile_kernels(), d));
      test::expect_same_bits(one.back(), one.front());
    }
  }
}

TEST(TileConv, ASampleHasTheSameBitsAloneAndInABatch) {
  const Data d = make({{9, 10, 6}, {32}, 16, true, 3});
  const Tensor all = on_tiles(cpu::plain_tile_kernels(), d);
  Data last = d;
  last.x = {d.x[0].rows(2, 1).clone()};
  last.p = make_conv_problem(last.x, d.w.shape(), {1, 1, 1}, {1, 1, 1});
  test::expect_same_bits(on_tiles(cpu::plain_tile_kernels(), last), all.rows(2, 1).clone());
}

TEST(TileConv, AnInfinityReachesItsNeighboursAlone) {
  for (const int64_t channels : {16, 32}) {
    Data d = make({{3, 3, 9}, {channels}, 16});
    d.x[0].mutable_data<bf16>()[ref::place(d.p.in, 0, 1, 1, 6) * channels + 3] = bf16(INFINITY);
    const Tensor y = on_tiles(cpu::plain_tile_kernels(), d);
    for (int64_t v = 0; v < 9; ++v) {
      // With 16 channels the tap beyond the third has weights of zero, and zero times infinity is NaN.
      const bool reached = (v >= 5 && v <= 7) || (channels == 16 && v == 4);
      EXPECT_EQ(!std::isfinite(static_cast<float>(y.data<bf16>()[ref::place(d.p.in, 0, 1, 1, v) * 16])),
                reached)
          << v;
    }
  }
}

TEST(TileConv, SaysWhatItDeclines) {
  const auto reason = [](const std::vector<int64_t>& channels, int64_t cout, const Triple& kernel = {3, 3, 3},
                         const Triple& stride = {1, 1, 1}, const Triple& pad = {1, 1, 1}) -> std::string {
    std::vector<Tensor> x;
    int64_t cin = 0;
    for (const int64_t c : channels) x.push_back(Tensor::zeros({1, 4, 4, 4, c}, DType::bf16)), cin += c;
    const ConvProblem p = make_conv_problem(x, {kernel[0], kernel[1], kernel[2], cin, cout}, stride, pad);
    const char* const why = cpu::tile_conv_declines(p, parts_of<bf16>(x));
    return why ? why : "";
  };
  EXPECT_EQ(reason({32}, 16), "");
  EXPECT_EQ(reason({4}, 32), "input channels neither 16 nor a multiple of 32");
  EXPECT_EQ(reason({48}, 32), "input channels neither 16 nor a multiple of 32");
  EXPECT_EQ(reason({16, 16}, 32), "an input of several whose channels are not a multiple of 32");
  EXPECT_EQ(reason({32}, 24), "output channels not a multiple of 16");
  EXPECT_EQ(reason({32}, 32, {1, 3, 3}, {1, 1, 1}, {0, 1, 1}), "kernel other than 3x3x3");
  EXPECT_EQ(reason({32}, 32, {3, 3, 3}, {2, 2, 2}), "stride above 1");
  EXPECT_EQ(reason({32}, 32, {3, 3, 3}, {1, 1, 1}, {0, 0, 0}), "padding other than 1");
}

TEST(TileConv, InstructionsGiveTheBitsOfThePlainLoops) {
  if (!cpu_has(CpuIsa::amx)) GTEST_SKIP() << "AMX: " << cpu::amx_state().text;
  for (const Case& c : cases()) {
    const Data d = make(c);
    SCOPED_TRACE(d.p.str());
    const Tensor plain = on_tiles(cpu::plain_tile_kernels(), d);
    for (const int threads : {1, 2, 3}) {
      const test::Setting setting(CpuIsa::amx, threads);
      test::expect_same_bits(on_tiles(*cpu::kernel_table(CpuIsa::amx)->tiles, d), plain);
    }
  }
}

// What conv3d_forward took, by the trace.
std::string kernel_of(CpuIsa isa, const Data& d, Tensor& y) {
  const test::Setting setting(isa);
  y = test::unwritten({d.p.n, d.p.out[0], d.p.out[1], d.p.out[2], d.p.cout}, DType::bf16);
  std::string text;
  const TraceSink before = set_trace_sink([&](const TraceEvent& e) {
    if (e.kind == "kernel" && e.name == "conv3d_forward") text += e.text + '\n';
  });
  conv3d_forward(d.p, d.x, d.w, d.bias, y);
  set_trace_sink(before);
  return text;
}

TEST(TileConv, IsNotTakenWithLesserInstructionSets) {
  Tensor y;
  for (int i = 0; i < static_cast<int>(CpuIsa::amx); ++i)
    if (const auto isa = static_cast<CpuIsa>(i); cpu_has(isa)) {
      const std::string text = kernel_of(isa, make({{3, 4, 5}, {32}, 16}), y);
      EXPECT_NE(text.find("bf16"), std::string::npos) << text;
      EXPECT_EQ(text.find("tiles"), std::string::npos) << text;
      EXPECT_EQ(text.find("amx"), std::string::npos) << text;
    }
}

TEST(TileConv, IsTakenWithTheInstructionSetAmxUnlessItDeclines) {
  if (!cpu_has(CpuIsa::amx)) GTEST_SKIP() << "AMX: " << cpu::amx_state().text;
  const Data taken = make({{3, 4, 5}, {32}, 16}), declined = make({{3, 4, 5}, {5}, 16});
  Tensor y;
  EXPECT_NE(kernel_of(CpuIsa::amx, taken, y).find("tiles bf16; amx"), std::string::npos);
  test::expect_same_bits(y, on_tiles(cpu::plain_tile_kernels(), taken));
  EXPECT_NE(
      kernel_of(CpuIsa::amx, declined, y).find("bf16; avx512bf16; amx declined: input channels neither"),
      std::string::npos);
}

}  // namespace
}  // namespace voxgrad
