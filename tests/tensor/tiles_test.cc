// Tiles: the plain loops against the definition of TDPBF16PS, the instructions against the plain loops, and
// the permission to use the instructions.
#include "tensor/gemm/cpu/tiles.h"

#include <array>
#include <bit>
#include <cerrno>
#include <random>

#include "tensor/core/cpu/amx.h"
#include "tensor/core/error.h"
#include "tests/tensor/kernel_check.h"

namespace voxgrad {
namespace {

// A product of tiles: c[16][16] += a[16][16 pairs] . b[16][16 pairs].
struct Product {
  std::array<std::array<bf16, 32>, 16> a{}, b{};
  std::array<std::array<float, 16>, 16> c{};
};

Product computed(const cpu::TileKernels& k, Product p) {
  k.product(&p.a[0][0].bits, &p.b[0][0].bits, &p.c[0][0]);
  return p;
}

// The bits of x, except for NaN: which NaN comes out is not part of the contract.
uint32_t bits_of(float x) { return std::isnan(x) ? 0x7fc00000u : std::bit_cast<uint32_t>(x); }

float without_denormal(float x) { return std::abs(x) < 0x1p-126f ? std::copysign(0.0f, x) : x; }

// x y + c. It is rounded to nearest even as if the exponent had no bounds. Then a tiny result becomes zero
// and a too large one becomes infinity. The function uses neither fma() nor the rounding of float. p = x y is
// exact in double. s + error = p + c is exact (Knuth's TwoSum). Where there is an error, the last bit of s is
// set ("round to odd"). Then rounding s to 24 bits gives the same as rounding p + c once.
float exact_fma(float x, float y, float c) {
  if (!std::isfinite(x) || !std::isfinite(y) || !std::isfinite(c))
    return static_cast<float>(static_cast<double>(x) * y + c);
  const double p = static_cast<double>(x) * y, s = p + c;
  const double b = s - p, error = (p - (s - b)) + (c - b);
  double odd = s;
  if (error != 0 && (std::bit_cast<uint64_t>(s) & 1u) == 0)
    odd = std::nextafter(s, error > 0 ? INFINITY : -INFINITY);
  int exponent = 0;
  const double mantissa = std::frexp(odd, &exponent);  // in [1/2, 1)
  const double rounded = std::ldexp(std::nearbyint(std::ldexp(mantissa, 24)), exponent - 24);
  if (std::abs(rounded) < 0x1p-126) return std::copysign(0.0f, static_cast<float>(s));
  if (std::abs(rounded) >= 0x1p128) return rounded > 0 ? INFINITY : -INFINITY;
  return static_cast<float>(rounded);
}

// TDPBF16PS as in Intel's manual, line by line.
Product defined(Product p) {
  for (size_t m = 0; m < 16; ++m) {
    std::array<float, 32> temp{};
    for (size_t k = 0; k < 16; ++k)
      for (size_t n = 0; n < 16; ++n)
        for (size_t h = 0; h < 2; ++h)
          temp[2 * n + h] =
              exact_fma(without_denormal(static_cast<float>(p.a[m][2 * k + h])),
                        without_denormal(static_cast<float>(p.b[k][2 * n + h])), temp[2 * n + h]);
    for (size_t n = 0; n < 16; ++n) {
      const float sum = exact_fma(temp[2 * n], 1, temp[2 * n + 1]);
      p.c[m][n] = exact_fma(without_denormal(p.c[m][n]), 1, sum);
    }
  }
  return p;
}

void expect_same(const Product& got, const Product& want) {
  int bad = 0;
  for (size_t m = 0; m < 16; ++m)
    for (size_t n = 0; n < 16; ++n)
      if (bits_of(got.c[m][n]) != bits_of(want.c[m][n]) && bad++ < 3)
        ADD_FAILURE() << "row " << m << ", column " << n << ": got " << got.c[m][n] << ", expected "
                      << want.c[m][n];
  EXPECT_EQ(bad, 0);
}

// Random numbers of a kind: as in a network; of all exponents; around the smallest normal number; around the
// largest; with denormals, zeros of both signs, infinities and NaN.
constexpr int kKinds = 5;
float number(std::mt19937& random, int kind) {
  const auto uniform = [&](int from, int to) { return std::uniform_int_distribution<int>(from, to)(random); };
  const float mantissa = (uniform(0, 1) ? 1.0f : -1.0f) * (1.0f + static_cast<float>(uniform(0, 127)) / 128);
  constexpr std::array<float, 8> kSpecial{0.0f,     -0.0f,     0x1p-133f, -0x1.fcp-127f,
                                          INFINITY, -INFINITY, NAN,       0x1.fep127f};
  switch (kind) {
    case 0:
      return std::ldexp(mantissa, uniform(-6, 2));
    case 1:
      return std::ldexp(mantissa, uniform(-126, 127));
    case 2:
      return std::ldexp(mantissa, uniform(-67, -63));
    case 3:
      return std::ldexp(mantissa, uniform(58, 66));
    default:
      return uniform(0, 40) ? std::ldexp(mantissa, uniform(-60, 60))
                            : kSpecial[static_cast<size_t>(uniform(0, 7))];
  }
}

std::vector<Product> products() {
  std::mt19937 random(7);
  std::vector<Product> all;
  for (int kind = 0; kind < kKinds; ++kind)
    for (int repeat = 0; repeat < 8; ++repeat) {
      Product p;
      for (auto* tile : {&p.a, &p.b})
        for (auto& row : *tile)
          for (bf16& x : row) x = bf16(number(random, kind));
      for (auto& row : p.c)
        for (float& x : row) {
          const float wanted =
              number(random, kind) * number(random, kind);  // denormals among those of kind 2
          x = repeat % 2 ? wanted : 0.0f;
        }
      all.push_back(p);
    }
  return all;
}

TEST(Tiles, PlainLoopsFollowTheDefinition) {
  int tiny = 0, infinite = 0, nan = 0;
  for (const Product& p : products()) {
    const Product want = defined(p);
    expect_same(computed(cpu::plain_tile_kernels(), p), want);
    for (const auto& row : want.c)
      for (const float x : row) tiny += x == 0, infinite += std::isinf(x), nan += std::isnan(x);
  }
  EXPECT_GT(tiny, 10);  // the special results did occur
  EXPECT_GT(infinite, 10);
  EXPECT_GT(nan, 10);
}

TEST(Tiles, InstructionsGiveTheBitsOfThePlainLoops) {
  if (!cpu_has(CpuIsa::amx)) GTEST_SKIP() << "AMX: " << cpu::amx_state().text;
  for (const Product& p : products())
    expect_same(computed(*cpu::tile_kernels(CpuIsa::amx), p), computed(cpu::plain_tile_kernels(), p));
}

// One element: c + sum over k of a[k] b[k], where numbers 2 k and 2 k + 1 are a pair.
float one(const std::vector<std::pair<float, float>>& factors, float c = 0) {
  Product p;
  for (size_t i = 0; i < factors.size(); ++i) {
    p.a[3][i] = bf16(factors[i].first);
    p.b[i / 2][2 * 5 + i % 2] = bf16(factors[i].second);
  }
  p.c[3][5] = c;
  const Product want = defined(p), got = computed(cpu::plain_tile_kernels(), p);
  expect_same(got, want);
  return got.c[3][5];
}

constexpr std::pair<float, float> kNone{0.0f, 0.0f};

TEST(Tiles, EvenAndOddProductsAreSummedApartAndAddedLast) {
  constexpr std::pair<float, float> half_ulp{0x1p-12f, 0x1p-12f};
  EXPECT_EQ(one({half_ulp, half_ulp}, 1), 1 + 0x1p-23f);              // each alone would be lost beside 1
  EXPECT_EQ(one({{1, 1}, half_ulp, half_ulp}), 1.0f);                 // each 1 + 2^-24 is a tie and gives 1
  EXPECT_EQ(one({{1, 1}, half_ulp, kNone, half_ulp}), 1 + 0x1p-23f);  // odd: 2^-24 + 2^-24
  EXPECT_EQ(one({half_ulp, kNone, half_ulp, kNone, {1, 1}}),
            1 + 0x1p-23f);  // k ascends, so the small ones are added first
}

TEST(Tiles, TiesGoToEven) {
  constexpr std::pair<float, float> half_ulp{0x1p-12f, 0x1p-12f}, above{0x1p-12f, 0x1.02p-12f};
  EXPECT_EQ(one({{1, 1}, kNone, half_ulp}), 1.0f);
  EXPECT_EQ(one({{1, 1}, kNone, above}), 1 + 0x1p-23f);
  EXPECT_EQ(one({half_ulp}, 1 + 0x1p-23f), 1 + 0x1p-22f);
  EXPECT_EQ(one({{-0x1p-12f, 0x1p-12f}}, -1), -1.0f);
}

TEST(Tiles, ProductsAreNotRoundedOrFlushedBeforeTheyAreAdded) {
  constexpr std::pair<float, float> least{0x1p-63f, 0x1p-63f}, half{0x1p-63f, 0x1p-64f};
  EXPECT_EQ(one({least, kNone, half}), 0x1.8p-126f);
  EXPECT_EQ(one({half, kNone, least}), 0x1p-126f);  // but a sum that is tiny is flushed
  constexpr std::pair<float, float> beyond{0x1p100f, 0x1p100f};
  EXPECT_EQ(one({{-INFINITY, 1}, kNone, beyond}), -INFINITY);
  EXPECT_TRUE(std::isnan(one({beyond, kNone, {-INFINITY, 1}})));  // but a sum that is too large is infinite
}

TEST(Tiles, DenormalsAreZeroAndTinyResultsTooAfterRounding) {
  EXPECT_EQ(one({{0x1p-133f, 0x1p100f}}), 0.0f);
  EXPECT_EQ(one({{1, -0x1.fcp-127f}}, 0x1p-126f), 0x1p-126f);
  EXPECT_EQ(one({}, 0x1p-130f), 0.0f);
  EXPECT_EQ(bits_of(one({}, -0x1p-130f)), bits_of(0.0f));  // -0 + 0
  EXPECT_EQ(one({{0x1p-70f, 0x1p-70f}}), 0.0f);
  EXPECT_EQ(one({{0x1.8p-63f, 0x1p-63f}, {-0x1p-63f, 0x1p-63f}}), 0.0f);
  // Just below the smallest normal number, 2^-126. Without a bound on the exponent, neighbouring numbers
  // there are 2^-150 apart. So 2^-126 - 2^-151 is a tie, which rounds to 2^-126. 2^-126 - 2^-150 needs no
  // rounding and is tiny. In float, with denormals, both would round to 2^-126.
  constexpr std::pair<float, float> least{0x1p-63f, 0x1p-63f};
  EXPECT_EQ(one({least, kNone, {-0x1p-76f, 0x1p-75f}}), 0x1p-126f);
  EXPECT_EQ(one({least, kNone, {-0x1p-75f, 0x1p-75f}}), 0.0f);
  EXPECT_EQ(one({least, kNone, {-0x1.02p-76f, 0x1p-75f}}), 0.0f);
}

TEST(Tiles, InfinitiesAndNaN) {
  EXPECT_EQ(one({{INFINITY, 2}}), INFINITY);
  EXPECT_TRUE(std::isnan(one({{INFINITY, 0}})));
  EXPECT_TRUE(std::isnan(one({{INFINITY, 0x1p-133f}})));  // a denormal counts as zero
  EXPECT_TRUE(std::isnan(one({{INFINITY, 1}, {-INFINITY, 1}})));
  EXPECT_TRUE(std::isnan(one({{NAN, 1}})));
  EXPECT_TRUE(std::isnan(one({{1, 1}}, NAN)));
  EXPECT_EQ(one({{0x1p100f, 0x1p100f}}, 1), INFINITY);
}

std::vector<const cpu::TileKernels*> kernels() {
  std::vector<const cpu::TileKernels*> all{&cpu::plain_tile_kernels()};
  if (cpu_has(CpuIsa::amx)) all.push_back(cpu::tile_kernels(CpuIsa::amx));
  return all;
}

// The cases: lanes that are neighbours in memory, rows that are neighbours in memory, neither, both; and
// missing rows and lanes.
TEST(Tiles, WeightsArePackedInPairsOfRows) {
  std::vector<float> w(32 * 37);
  for (size_t i = 0; i < w.size(); ++i) w[i] = 1 + static_cast<float>(i) * 0x1p-10f;  // ties among them
  w[3] = NAN;
  for (const cpu::TileKernels* k : kernels())
    for (const auto& [row_step, lane_step] : {std::pair<int64_t, int64_t>{37, 1}, {1, 37}, {20, 37}, {1, 1}})
      for (const int64_t lanes : {16, 5})
        for (const int64_t missing : {32, 7, 0}) {
          std::array<bf16, 512> tile;
          tile.fill(bf16(-7));
          cpu::TileWeightsPack p{};
          for (int64_t i = 0; i < 32; ++i)
            p.rows[i] = i == missing || (missing == 0 && i > 16) ? nullptr : w.data() + i * row_step;
          p.lane_step = lane_step;
          p.lanes = lanes;
          p.out = &tile[0].bits;
          k->pack(p);
          for (int64_t i = 0; i < 32; ++i)
            for (int64_t n = 0; n < 16; ++n)
              ASSERT_EQ(tile[static_cast<size_t>(i / 2 * 32 + 2 * n + i % 2)].bits,
                        p.rows[i] && n < lanes ? bf16(p.rows[i][n * lane_step]).bits : 0)
                  << i << ' ' << n;
        }
}

TEST(Tiles, PlacesArePackedAsPairsAndTransposed) {
  constexpr size_t kPlaces = 64;
  std::vector<cpu::Bf16Bits> v(kPlaces * 16);
  for (size_t i = 0; i < v.size(); ++i) v[i] = static_cast<cpu::Bf16Bits>(i + 1);
  for (const cpu::TileKernels* k : kernels()) {
    std::vector<cpu::Bf16Bits> pairs(2 * v.size(), 7), columns(v.size(), 7);
    k->pairs(v.data(), kPlaces, pairs.data());
    k->columns(v.data(), kPlaces, columns.data());
    for (size_t p = 0; p < kPlaces; ++p)
      for (size_t c = 0; c < 16; ++c) {
        ASSERT_EQ(pairs[(p * 16 + c) * 2], v[p * 16 + c]);
        ASSERT_EQ(pairs[(p * 16 + c) * 2 + 1], p + 1 < kPlaces ? v[(p + 1) * 16 + c] : 0);
        ASSERT_EQ(columns[p / 32 * 512 + c * 32 + p % 32], v[p * 16 + c]);
      }
  }
}

int asked = 0;
template <int kAnswer>
int answer() {
  ++asked;
  return kAnswer;
}

TEST(Tiles, PermissionIsAskedOnlyWhereTheCpuHasThemAndARefusalIsSaid) {
  asked = 0;
  const cpu::AmxState none = cpu::ask_for_amx(false, answer<0>);
  EXPECT_EQ(asked, 0);
  EXPECT_FALSE(none.usable);
  EXPECT_EQ(none.text, "not on this CPU");
  const cpu::AmxState refused = cpu::ask_for_amx(true, answer<ENOSPC>);
  EXPECT_EQ(asked, 1);
  EXPECT_FALSE(refused.usable);
  EXPECT_EQ(refused.text, "refused by the system: No space left on device");
  const cpu::AmxState granted = cpu::ask_for_amx(true, answer<0>);
  EXPECT_TRUE(granted.usable);
  EXPECT_EQ(granted.text, "yes");
}

TEST(Tiles, KernelsAreHandedOutOnlyWithPermission) {
  for (const CpuIsa isa : {CpuIsa::portable, CpuIsa::avx2, CpuIsa::avx512, CpuIsa::avx512bf16})
    EXPECT_EQ(cpu::tile_kernels(isa), nullptr) << name_of(isa);
  const bool permitted = cpu::amx_state().usable && cpu_has(CpuIsa::avx512bf16);
  EXPECT_EQ(cpu::tile_kernels(CpuIsa::amx) != nullptr, permitted);
  EXPECT_EQ(cpu::row_kernels_bf16(CpuIsa::amx) != nullptr, permitted);
  if (permitted) return;
  try {
    set_cpu_isa("amx");
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::device);
    EXPECT_NE(std::string(e.what()).find(cpu::amx_state().text), std::string::npos) << e.what();
  }
}

}  // namespace
}  // namespace voxgrad
