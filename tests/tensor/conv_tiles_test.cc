// Convolutions on tiles. The same code runs on plain loops, on every CPU, and on the instructions, where the
// CPU has them. bf16_test.cc runs the public functions on every instruction set.
#include "tensor/conv/cpu/tiles.h"

#include "tensor/conv/cpu/passes.h"
#include "tensor/conv/cpu/weights.h"
#include "tensor/core/convert.h"
#include "tensor/core/cpu/amx.h"
#include "tensor/core/trace.h"
#include "tensor/gemm/cpu/tiles.h"
#include "tests/tensor/kernel_check.h"

namespace voxgrad {
namespace {

struct Case {
  Triple in;
  std::vector<int64_t> channels;  // of each input
  int64_t cout;
  int64_t n = 1;
  Triple kernel{3, 3, 3}, stride{1, 1, 1}, pad{1, 1, 1};
  bool transposed = false;
};

const std::vector<Case>& cases() {
  static const std::vector<Case> all{
      // 3x3x3. Odd extents. Rows shorter than a tile, as long as a tile, longer, and longer than a span of
      // sums. One voxel. Boxes and slabs that end inside the volume.
      {{3, 4, 5}, {16}, 16, 2},
      {{2, 3, 16}, {16}, 32},
      {{3, 2, 33}, {16}, 48},
      {{1, 1, 1}, {32}, 16},
      {{3, 5, 7}, {32}, 32},
      {{9, 10, 3}, {32}, 16, 2},
      {{1, 2, 131}, {32}, 16},
      {{2, 9, 17}, {64}, 48, 2},
      // Two partitions of the gradient of the weights, and two ranges of the gradient of the bias.
      {{5, 30, 31}, {4}, 16},
      // Several inputs.
      {{3, 4, 5}, {32, 32}, 32},
      {{2, 3, 19}, {64, 32}, 16},
      {{2, 2, 3}, {32, 64, 32}, 80, 2},
      {{2, 3, 4}, {16, 16}, 16},
      // Channels that fill no row of a tile, on both sides. The channels of an image, whose taps along H
      // share a row.
      {{3, 3, 6}, {1}, 16},
      {{3, 4, 5}, {4}, 32, 2},
      {{4, 3, 9}, {4, 3}, 16},
      {{2, 10, 5}, {1, 6, 1}, 24},
      {{3, 3, 13}, {12}, 33},
      {{2, 3, 6}, {3, 20, 1}, 37},
      {{2, 2, 5}, {48}, 3},
      {{2, 2, 3}, {70}, 1},
      {{1, 2, 3}, {16}, 130},
      // Other kernels: anisotropic, 2-D, one tap, no padding, large padding.
      {{3, 4, 5}, {32}, 16, 1, {1, 3, 3}, {1, 1, 1}, {0, 1, 1}},
      {{1, 7, 9}, {4}, 16, 2, {1, 3, 3}, {1, 1, 1}, {0, 1, 1}},
      {{3, 4, 25}, {32}, 3, 2, {1, 1, 1}, {1, 1, 1}, {0, 0, 0}},
      {{3, 2, 5}, {16, 4}, 40, 1, {1, 1, 1}, {1, 1, 1}, {0, 0, 0}},
      {{4, 2, 5}, {8}, 16, 1, {3, 1, 1}, {1, 1, 1}, {1, 0, 0}},
      {{5, 5, 6}, {8}, 9, 1, {3, 3, 3}, {1, 1, 1}, {0, 0, 0}},
      {{2, 3, 4}, {16}, 17, 1, {3, 3, 3}, {1, 1, 1}, {2, 2, 2}},
      // Strides.
      {{6, 8, 10}, {16}, 32, 1, {3, 3, 3}, {2, 2, 2}, {1, 1, 1}},
      {{5, 7, 9}, {32}, 48, 2, {3, 3, 3}, {2, 2, 2}, {1, 1, 1}},
      {{4, 5, 6}, {8}, 9, 1, {3, 3, 3}, {2, 2, 1}, {1, 1, 1}},
      {{3, 18, 33}, {4, 3}, 7, 1, {3, 3, 3}, {1, 2, 2}, {1, 1, 1}},
      {{1, 7, 9}, {16}, 32, 2, {1, 3, 3}, {1, 2, 2}, {0, 1, 1}},
      {{5, 5, 7}, {40}, 9, 1, {3, 3, 3}, {2, 2, 2}, {0, 0, 0}},
      {{1, 1, 1}, {32}, 16, 1, {3, 3, 3}, {2, 2, 2}, {1, 1, 1}},
      {{3, 4, 11}, {19}, 40, 1, {1, 1, 1}, {2, 2, 2}, {0, 0, 0}},
      {{4, 4, 6}, {9}, 17, 1, {2, 2, 2}, {2, 2, 2}, {0, 0, 0}},
      // Transposed.
      {{3, 4, 5}, {32}, 16, 2, {2, 2, 2}, {2, 2, 2}, {0, 0, 0}, true},
      {{2, 3, 27}, {5}, 37, 1, {2, 2, 2}, {2, 2, 2}, {0, 0, 0}, true},
      {{1, 4, 6}, {17}, 3, 2, {1, 2, 2}, {1, 2, 2}, {0, 0, 0}, true},
      {{2, 3, 4}, {16}, 32, 1, {2, 1, 2}, {2, 1, 2}, {0, 0, 0}, true},
      {{2, 9, 4}, {70}, 66, 1, {1, 1, 1}, {1, 1, 1}, {0, 0, 0}, true},
  };
  return all;
}

struct Data {
  ConvProblem p;
  bool transposed;
  std::vector<Tensor> x;
  Tensor w, bias, dy;
};

Data make(const Case& c) {
  Data d{{}, c.transposed, {}, {}, {}, {}};
  uint64_t seed = 1;
  int64_t cin = 0;
  for (const int64_t k : c.channels) {
    d.x.push_back(test::random({c.n, c.in[0], c.in[1], c.in[2], k}, seed++).to(DType::bf16));
    cin += k;
  }
  d.w = test::random({c.kernel[0], c.kernel[1], c.kernel[2], cin, c.cout}, seed++);
  d.bias = test::random({c.cout}, seed++);
  d.p = c.transposed ? make_conv_transpose_problem(d.x[0].shape(), d.w.shape())
                     : make_conv_problem(d.x, d.w.shape(), c.stride, c.pad);
  d.dy = test::random({c.n, d.p.out[0], d.p.out[1], d.p.out[2], c.cout}, seed++).to(DType::bf16);
  return d;
}

struct Results {
  Tensor y, dw, dbias;
  std::vector<Tensor> dx;

  std::vector<Tensor> all() const {
    std::vector<Tensor> list = dx;
    list.insert(list.end(), {y, dw, dbias});
    return list;
  }
};

Results unwritten(const Data& d, DType t, DType tw) {
  Results r{test::unwritten(d.dy.shape(), t),
            test::unwritten(d.w.shape(), tw),
            test::unwritten(d.bias.shape(), tw),
            {}};
  for (const Tensor& x : d.x) r.dx.push_back(test::unwritten(x.shape(), t));
  return r;
}

template <class T>
std::vector<ref::Part<const T>> parts_of(const std::vector<Tensor>& x) {
  std::vector<ref::Part<const T>> parts;
  for (const Tensor& t : x) parts.push_back({t.data<T>(), t.dim(4)});
  return parts;
}

constexpr auto kTiles = cpu::ConvAlgorithm::tiles;

// All passes, on these tiles.
Results on_tiles(const cpu::TileKernels& tiles, const Data& d) {
  cpu::ConvTables k = cpu::conv_tables(CpuIsa::portable);
  k.tiles = &tiles;
  Results r = unwritten(d, DType::bf16, DType::f32);
  const auto x = parts_of<bf16>(d.x);
  const bf16* const dy = d.dy.data<bf16>();
  const float *const w = d.w.data<float>(), *const bias = d.bias.data<float>();
  bf16* const y = r.y.mutable_data<bf16>();
  float *const dw = r.dw.mutable_data<float>(), *const dbias = r.dbias.mutable_data<float>();
  EXPECT_EQ(cpu::direct_conv_declines(d.p), nullptr);
  if (d.transposed) {
    cpu::conv_transpose3d_forward(kTiles, k, d.p, x[0].data, w, bias, y);
    cpu::conv_transpose3d_backward_data(kTiles, k, d.p, dy, w, r.dx[0].mutable_data<bf16>());
    cpu::conv_transpose3d_backward_weights(kTiles, k, d.p, x[0].data, dy, dw, dbias);
    return r;
  }
  std::vector<ref::Part<bf16>> dx;
  for (Tensor& t : r.dx) dx.push_back({t.mutable_data<bf16>(), t.dim(4)});
  cpu::conv3d_forward(kTiles, k, d.p, x, w, bias, y);
  cpu::conv3d_backward_data(kTiles, k, d.p, dy, w, dx);
  cpu::conv3d_backward_weights(kTiles, k, d.p, x, dy, dw, dbias);
  return r;
}

Results on_plain_tiles(const Data& d) { return on_tiles(cpu::plain_tile_kernels(), d); }

// The results in f64, of the numbers or of their magnitudes.
Results reference(const Data& d, bool magnitudes) {
  const auto wide = [&](const Tensor& t) {
    const Tensor a = t.to(DType::f64).clone();
    for (int64_t i = 0; magnitudes && i < a.numel(); ++i)
      a.mutable_data<double>()[i] = std::abs(a.data<double>()[i]);
    return a;
  };
  std::vector<Tensor> x;
  for (const Tensor& t : d.x) x.push_back(wide(t));
  const Tensor w = wide(rounded_to_bf16(d.w)), bias = wide(d.bias), dy = wide(d.dy);
  Results r = unwritten(d, DType::f64, DType::f64);
  if (d.transposed) {
    conv_transpose3d_forward(d.p, x[0], w, bias, r.y);
    conv_transpose3d_backward_data(d.p, dy, w, r.dx[0]);
    conv_transpose3d_backward_weights(d.p, x[0], dy, r.dw, &r.dbias);
  } else {
    conv3d_forward(d.p, x, w, bias, r.y);
    conv3d_backward_data(d.p, dy, w, r.dx);
    conv3d_backward_weights(d.p, x, dy, r.dw, &r.dbias);
  }
  return r;
}

// Products of bf16 numbers are exact in f32. A result is a sum of them in f32. So its error is that of a sum
// of as many terms in some order, relative to the sum of their magnitudes. Where the result is stored in
// bf16, half a unit in the last of 8 bits is added, which is 2^-8 of it.
TEST(TileConv, AllPassesMatchF64OnRoundedNumbers) {
  for (const Case& c : cases()) {
    const Data d = make(c);
    SCOPED_TRACE(cat(d.p.str(), ", ", c.channels.size(), " inputs", c.transposed ? ", transposed" : ""));
    const Results got = on_plain_tiles(d), want = reference(d, false), bound = reference(d, true);
    const int64_t taps = c.kernel[0] * c.kernel[1] * c.kernel[2],
                  places = c.n * d.p.out[0] * d.p.out[1] * d.p.out[2];
    const auto check = [](const Tensor& g, const Tensor& w, const Tensor& b, int64_t terms) {
      Tensor allowed = Tensor::empty(w.shape(), DType::f64);
      for (int64_t i = 0; i < w.numel(); ++i)
        allowed.mutable_data<double>()[i] =
            b.data<double>()[i] * test::sum_tolerance(terms) +
            (g.dtype() == DType::bf16 ? 0x1p-8 * 1.01 * std::abs(w.data<double>()[i]) : 0);
      test::expect_close(g, w, allowed, 1);
    };
    check(got.y, want.y, bound.y, taps * d.p.cin);
    for (size_t i = 0; i < got.dx.size(); ++i) check(got.dx[i], want.dx[i], bound.dx[i], taps * d.p.cout);
    check(got.dw, want.dw, bound.dw, places);
    check(got.dbias, want.dbias, bound.dbias, places);
  }
}

TEST(TileConv, GradientsThatAreNotWantedAreLeftOut) {
  const Data d = make({{3, 4, 5}, {32, 5, 16}, 16});
  const Results all = on_plain_tiles(d);
  cpu::ConvTables k = cpu::conv_tables(CpuIsa::portable);
  k.tiles = &cpu::plain_tile_kernels();
  for (const size_t wanted : {size_t{0}, size_t{1}, size_t{2}}) {
    Tensor dx = test::unwritten(d.x[wanted].shape(), DType::bf16);
    std::vector<ref::Part<bf16>> parts;
    for (const Tensor& x : d.x) parts.push_back({nullptr, x.dim(4)});
    parts[wanted].data = dx.mutable_data<bf16>();
    cpu::conv3d_backward_data(kTiles, k, d.p, d.dy.data<bf16>(), d.w.data<float>(), parts);
    test::expect_same_bits(dx, all.dx[wanted]);
  }
}

// The numbers k of a row of a tile, given by f(k), times the weights of a step. The products are added in the
// order that docs/precision.md states.
struct OneOutput {
  float sums[16][16] = {};
  template <class X, class W>
  void add(X&& x, W&& w) {
    bf16 a[16][32], b[16][32];
    for (int64_t k = 0; k < 32; ++k) {
      a[0][k] = x(k);
      for (int64_t n = 0; n < 16; ++n) b[k / 2][2 * n + k % 2] = bf16(w(k, n));
    }
    cpu::plain_tile_kernels().product(&a[0][0].bits, &b[0][0].bits, &sums[0][0]);
  }
};

// The sum in its stated order: the bias, then for each plane of taps and each 32 channels of all inputs the
// taps in their order. With few channels, three taps along H are together. With at most 16 numbers, two taps
// along W are one step.
using StepsAlongW = std::vector<std::array<int64_t, 2>>;  // the taps of each step; 3: none

// `taps_h`: the taps along H that are together.
//
// An output of bf16 shows few bits of its sum. So where both lie inside the volume, the first and the last
// plane of taps cancel each other, up to rounding errors as large as the rest.
void expect_stated_order(const Case& c, int64_t taps_h, const StepsAlongW& taps_w) {
  Data d = make(c);
  for (Tensor& x : d.x)
    for (int64_t i = x.dim(4); i < x.numel(); ++i) x.mutable_data<bf16>()[i] = x.data<bf16>()[i - x.dim(4)];
  const int64_t plane = d.w.numel() / 3;
  float* const w = d.w.mutable_data<float>();
  for (int64_t i = 0; i < plane; ++i) w[i] *= 0x1p20f, w[2 * plane + i] = -w[i];
  const Results got = on_plain_tiles(d);
  const int64_t cin = d.p.cin, numbers = cin * taps_h, place = taps_w.size() == 3 ? 32 : 16;
  const auto number = [&](const Triple& at, int64_t channel) {
    size_t part = 0;
    while (channel >= c.channels[part]) channel -= c.channels[part++];
    for (size_t i = 0; i < 3; ++i)
      if (at[i] < 0 || at[i] >= c.in[i]) return bf16();
    return d.x[part].data<bf16>()[ref::place(c.in, 0, at[0], at[1], at[2]) * c.channels[part] + channel];
  };
  const Triple last{d.p.out[0] - 1, d.p.out[1] - 1, d.p.out[2] - 1};
  for (const Triple& at : {Triple{0, 0, 0}, Triple{1, 1, 1}, last}) {
    OneOutput o;
    for (auto& row : o.sums) std::copy_n(d.bias.data<float>(), 16, row);
    for (int64_t kd = 0; kd < 3; ++kd)
      for (int64_t first = 0; first < numbers; first += place)
        for (int64_t kh = 0; kh < 3; kh += taps_h)
          for (const auto& pair : taps_w) {
            const auto tap_w = [&](int64_t k) { return pair[static_cast<size_t>(k / place)]; };
            const auto tap_h = [&](int64_t k) { return kh + (first + k % place) / cin % taps_h; };
            const auto channel = [&](int64_t k) { return (first + k % place) % cin; };
            const auto exists = [&](int64_t k) { return first + k % place < numbers && tap_w(k) < 3; };
            o.add(
                [&](int64_t k) {
                  if (!exists(k)) return bf16();
                  return number({at[0] * c.stride[0] + kd - 1, at[1] * c.stride[1] + tap_h(k) - 1,
                                 at[2] * c.stride[2] + tap_w(k) - 1},
                                channel(k));
                },
                [&](int64_t k, int64_t n) {
                  if (!exists(k)) return 0.0f;
                  return d.w
                      .data<float>()[(((kd * 3 + tap_h(k)) * 3 + tap_w(k)) * cin + channel(k)) * 16 + n];
                });
          }
    for (int64_t n = 0; n < 16; ++n)
      EXPECT_EQ(got.y.data<bf16>()[ref::place(d.p.out, 0, at[0], at[1], at[2]) * 16 + n].bits,
                bf16(o.sums[0][n]).bits)
          << d.p.str();
  }
}

TEST(TileConv, OutputsAreSummedInTheStatedOrder) {
  const StepsAlongW single{{0, 3}, {1, 3}, {2, 3}}, neighbours{{0, 1}, {2, 3}}, of_stride_2{{0, 2}, {1, 3}};
  expect_stated_order({{3, 3, 5}, {16}, 16}, 1, neighbours);
  expect_stated_order({{3, 3, 4}, {64, 32}, 16}, 1, single);
  expect_stated_order({{3, 4, 5}, {3, 2}, 16}, 3, neighbours);
  expect_stated_order({{3, 4, 5}, {7}, 16}, 3, single);
  expect_stated_order({{5, 5, 6}, {4}, 16, 1, {3, 3, 3}, {2, 2, 2}}, 3, of_stride_2);
}

// The sum of one partition: samples, slabs of 8 rows, planes, and 32 places at a time of the rows. Each row
// has two columns of zeros.
TEST(TileConv, GradientsOfWeightsAreSummedInTheStatedOrder) {
  const Data d = make({{3, 11, 6}, {16}, 16, 2});
  const Results got = on_plain_tiles(d);
  const Triple& in = d.p.in;
  for (const Triple& tap : {Triple{0, 0, 0}, Triple{1, 1, 1}, Triple{2, 0, 1}, Triple{1, 2, 2}}) {
    OneOutput o;  // one output channel, all input channels
    for (int64_t n = 0; n < 2; ++n)
      for (int64_t h = 0; h < in[1]; h += 8)
        for (int64_t z = 0; z < in[0]; ++z) {
          const int64_t places = std::min<int64_t>(8, in[1] - h) * (in[2] + 2) - 2, x_z = z + tap[0] - 1;
          for (int64_t first = 0; first < places && x_z >= 0 && x_z < in[0]; first += 32) {
            const auto row = [&](int64_t k) { return h + (first + k) / (in[2] + 2); };
            const auto column = [&](int64_t k) { return (first + k) % (in[2] + 2); };
            o.add(
                [&](int64_t k) {
                  if (first + k >= places || column(k) >= in[2]) return bf16();
                  return d.dy.data<bf16>()[ref::place(in, n, z, row(k), column(k)) * 16 + 5];
                },
                [&](int64_t k, int64_t c) {
                  const int64_t y = row(k) + tap[1] - 1, x = column(k) + tap[2] - 1;
                  if (y < 0 || y >= in[1] || x < 0 || x >= in[2]) return 0.0f;
                  return static_cast<float>(d.x[0].data<bf16>()[ref::place(in, n, x_z, y, x) * 16 + c]);
                });
          }
        }
    const int64_t flat = (tap[0] * 3 + tap[1]) * 3 + tap[2];
    for (int64_t c = 0; c < 16; ++c)
      EXPECT_EQ(got.dw.data<float>()[(flat * 16 + c) * 16 + 5], o.sums[0][c]) << flat << ' ' << c;
  }
}

TEST(TileConv, SameBitsWithAnyNumberOfThreads) {
  // Many boxes, several groups of weights, several partitions of places and of the bias, and
  // classes of places.
  for (const Case& c : {Case{{17, 9, 5}, {16}, 16}, Case{{3, 9, 5}, {32, 35}, 70}, Case{{5, 30, 31}, {4}, 16},
                        Case{{5, 9, 7}, {16}, 16, 1, {3, 3, 3}, {2, 2, 2}}}) {
    const Data d = make(c);
    std::vector<Tensor> one;
    for (const int threads : {1, 2, 3}) {
      const test::Setting setting(cpu_isa(), threads);
      const std::vector<Tensor> now = on_plain_tiles(d).all();
      if (one.empty()) one = now;
      for (size_t i = 0; i < now.size(); ++i) test::expect_same_bits(now[i], one[i]);
    }
  }
}

TEST(TileConv, ASampleHasTheSameBitsAloneAndInABatch) {
  const Data d = make({{9, 10, 6}, {32}, 16, 3});
  const Results all = on_plain_tiles(d);
  Data last = d;
  last.x = {d.x[0].rows(2, 1).clone()};
  last.dy = d.dy.rows(2, 1).clone();
  last.p = make_conv_problem(last.x, d.w.shape(), {1, 1, 1}, {1, 1, 1});
  const Results alone = on_plain_tiles(last);
  test::expect_same_bits(alone.y, all.y.rows(2, 1).clone());
  test::expect_same_bits(alone.dx[0], all.dx[0].rows(2, 1).clone());
}

TEST(TileConv, AnInfinityReachesItsNeighboursAlone) {
  for (const int64_t channels : {16, 32}) {
    Data d = make({{3, 3, 9}, {channels}, 16});
    d.x[0].mutable_data<bf16>()[ref::place(d.p.in, 0, 1, 1, 6) * channels + 3] = bf16(INFINITY);
    const Tensor y = on_plain_tiles(d).y;
    for (int64_t v = 0; v < 9; ++v) {
      // With 16 channels, the tap after the third has weights of zero. Zero times infinity is NaN.
      const bool reached = (v >= 5 && v <= 7) || (channels == 16 && v == 4);
      EXPECT_EQ(!std::isfinite(static_cast<float>(y.data<bf16>()[ref::place(d.p.in, 0, 1, 1, v) * 16])),
                reached)
          << v;
    }
  }
}

TEST(TileConv, InstructionsGiveTheBitsOfThePlainLoops) {
  if (!cpu_has(CpuIsa::amx)) GTEST_SKIP() << "AMX: " << cpu::amx_state().text;
  for (const Case& c : cases()) {
    const Data d = make(c);
    SCOPED_TRACE(d.p.str());
    const std::vector<Tensor> plain = on_plain_tiles(d).all();
    for (const int threads : {1, 2, 3}) {
      const test::Setting setting(CpuIsa::amx, threads);
      const std::vector<Tensor> now = on_tiles(*cpu::tile_kernels(CpuIsa::amx), d).all();
      for (size_t i = 0; i < now.size(); ++i) test::expect_same_bits(now[i], plain[i]);
    }
  }
}

// What the public functions took, as the trace says, one line each.
std::string kernels_of(CpuIsa isa, const Data& d, Results& r) {
  const test::Setting setting(isa);
  r = unwritten(d, DType::bf16, DType::f32);
  std::string text;
  const TraceSink before = set_trace_sink([&](const TraceEvent& e) {
    if (e.kind == "kernel") text += e.text + '\n';
  });
  if (d.transposed) {
    conv_transpose3d_forward(d.p, d.x[0], d.w, d.bias, r.y);
    conv_transpose3d_backward_data(d.p, d.dy, d.w, r.dx[0]);
    conv_transpose3d_backward_weights(d.p, d.x[0], d.dy, r.dw, &r.dbias);
  } else {
    conv3d_forward(d.p, d.x, d.w, d.bias, r.y);
    conv3d_backward_data(d.p, d.dy, d.w, r.dx);
    conv3d_backward_weights(d.p, d.x, d.dy, r.dw, &r.dbias);
  }
  set_trace_sink(before);
  return text;
}

TEST(TileConv, IsNotTakenWithLesserInstructionSets) {
  Results r;
  for (int i = 0; i < static_cast<int>(CpuIsa::amx); ++i)
    if (const auto isa = static_cast<CpuIsa>(i); cpu_has(isa)) {
      const std::string text = kernels_of(isa, make({{3, 4, 5}, {32}, 16}), r);
      EXPECT_NE(text.find("bf16"), std::string::npos) << text;
      EXPECT_EQ(text.find("; tiles "), text.find("; tiles declined: no AMX")) << text;
      EXPECT_EQ(text.find("amx"), std::string::npos) << text;
    }
}

TEST(TileConv, IsTakenWithTheInstructionSetAmxUnlessItDeclines) {
  if (!cpu_has(CpuIsa::amx)) GTEST_SKIP() << "AMX: " << cpu::amx_state().text;
  Results r;
  for (const Case& c :
       {Case{{3, 4, 5}, {32}, 16}, Case{{3, 4, 5}, {32}, 16, 1, {2, 2, 2}, {2, 2, 2}, {0, 0, 0}, true}}) {
    const Data taken = make(c);
    const std::string text = kernels_of(CpuIsa::amx, taken, r);
    size_t passes = 0;
    for (size_t at = 0; (at = text.find("bf16; tiles amx", at)) != std::string::npos; ++at) ++passes;
    EXPECT_EQ(passes, 3u) << text;
    const std::vector<Tensor> got = r.all(), want = on_plain_tiles(taken).all();
    for (size_t i = 0; i < got.size(); ++i) test::expect_same_bits(got[i], want[i]);
  }
  const std::string text =
      kernels_of(CpuIsa::amx, make({{9, 9, 9}, {2}, 3, 1, {5, 5, 5}, {3, 3, 3}, {2, 2, 2}}), r);
  EXPECT_NE(text.find("widened to f32 amx; tiles declined: kernel above 3"), std::string::npos) << text;
}

}  // namespace
}  // namespace voxgrad
