// The kernels on tiles, as templates over the tiles (tiles.h). Code that is compiled for wide instructions
// includes this file. So it holds only templates, and their argument is a type of an unnamed namespace: every
// file keeps its own copies (tensor/core/cpu/kernels.h).
#pragma once
#include <cstdint>

#include "tensor/gemm/cpu/tables.h"

namespace voxgrad::cpu {

/// A tile, named by a constant.
template <int N>
struct TileNumber {};

template <class Tiles>
struct TileCode {
  static constexpr int64_t kTile = kTileRows * kTilePairs;  // sums or pairs in a tile
  // Four tiles of sums: two times 16 rows and two times 16 columns. With the four tiles of factors there are
  // 4 loads for 4 products.
  static constexpr TileNumber<0> kSum00{};
  static constexpr TileNumber<1> kSum01{};
  static constexpr TileNumber<2> kSum10{};
  static constexpr TileNumber<3> kSum11{};
  static constexpr TileNumber<4> kLeft0{};
  static constexpr TileNumber<5> kLeft1{};
  static constexpr TileNumber<6> kRight0{};
  static constexpr TileNumber<7> kRight1{};

  static void product(const Bf16Bits* a, const Bf16Bits* b, float* c) {
    Tiles t;
    t.load(kSum00, c, kTileRowBytes);
    t.load(kLeft0, a, kTileRowBytes);
    t.load(kRight0, b, kTileRowBytes);
    t.dot(kSum00, kLeft0, kRight0);
    t.store(kSum00, c, kTileRowBytes);
  }

  static double chains(int64_t steps, float* result) {
    Tiles t;
    t.zero(kSum00), t.zero(kSum01), t.zero(kSum10), t.zero(kSum11);
    t.zero(kLeft0), t.zero(kLeft1), t.zero(kRight0), t.zero(kRight1);
    for (int64_t s = 0; s < steps; ++s) {
      t.dot(kSum00, kLeft0, kRight0);
      t.dot(kSum01, kLeft0, kRight1);
      t.dot(kSum10, kLeft1, kRight0);
      t.dot(kSum11, kLeft1, kRight1);
    }
    t.store(kSum00, result, kTileRowBytes);
    return 4.0 * 4 * kTile * kTilePairs * static_cast<double>(steps);
  }

  // Packing. 16 numbers are a vector type of the compiler, which fits it to the instruction set. (A loop of
  // 16 steps would be unrolled before the compiler can see a vector in it.) Vectors are passed by reference,
  // because calls with such vectors have no ABI.

  using Row = uint32_t __attribute__((vector_size(kTileRowBytes)));
  using Numbers = Bf16Bits __attribute__((vector_size(kTileRowBytes / 2)));

  /// Rounds 16 f32 numbers to the nearest bf16, ties to even. NaN stays NaN (struct
  /// bf16 in tensor/core/dtype.h).
  static void round(Row& u) {
    const Row nearest = (u + 0x7fffu + ((u >> 16) & 1u)) >> 16, nan = (u >> 16) | 0x40u;
    u = (u & 0x7fffffffu) > 0x7f800000u ? nan : nearest;
  }
  static void round(const float* from, Row& to) {
    __builtin_memcpy(&to, from, sizeof to);
    round(to);
  }
  static void narrow(const Row& from, Bf16Bits* to) {
    const Numbers numbers = __builtin_convertvector(from, Numbers);
    __builtin_memcpy(to, &numbers, sizeof numbers);
  }
  static void round_all(const float* x, int64_t n, Bf16Bits* y) {
    Row row;
    int64_t i = 0;
    for (; i + kTilePairs <= n; i += kTilePairs) {
      round(x + i, row);
      narrow(row, y + i);
    }
    for (; i < n; ++i) {
      row = Row{} + __builtin_bit_cast(uint32_t, x[i]);
      round(row);
      y[i] = static_cast<Bf16Bits>(row[0]);
    }
  }
  // to[c] = the pair a[c], b[c]. (It is a loop over memory, because GCC 12 widens vectors of 16 numbers
  // in two halves.)
  static void pair(const Bf16Bits* a, const Bf16Bits* b, Row& to) {
    uint32_t pairs[kTilePairs];
    for (int64_t c = 0; c < kTilePairs; ++c) pairs[c] = a[c] | static_cast<uint32_t>(b[c]) << 16;
    __builtin_memcpy(&to, pairs, sizeof to);
  }

  // In every square of 2 kSize x 2 kSize, exchanges the two blocks beside the diagonal.
  template <uint32_t kSize>
  static void exchange(Row (&m)[16]) {
    Row low, high;
    for (uint32_t i = 0; i < 16; ++i) {
      low[i] = i & kSize ? 16 + i - kSize : i;
      high[i] = i & kSize ? 16 + i : i + kSize;
    }
    for (uint32_t i = 0; i < 16; ++i) {
      if (i & kSize) continue;
      const Row a = m[i], b = m[i + kSize];
      m[i] = __builtin_shuffle(a, b, low);
      m[i + kSize] = __builtin_shuffle(a, b, high);
    }
  }
  // out[j][i] = m[i][j], where the elements are pairs.
  static void transpose(Row (&m)[16], Bf16Bits* out) {
    exchange<8>(m);
    exchange<4>(m);
    exchange<2>(m);
    exchange<1>(m);
    __builtin_memcpy(out, m, sizeof m);
  }

  static void pack(const TileWeightsPack& p) {
    bool neighbours = true;  // whether the numbers of a lane are neighbours
    for (int64_t i = 0; i < kTileDepth; ++i)
      neighbours = neighbours && p.rows[i] && p.rows[i] - p.rows[0] == i;
    if (neighbours && p.lane_step != 1) {
      Row m[16] = {};
      for (int64_t n = 0; n < p.lanes; ++n) {
        Row a, b;
        round(p.rows[0] + n * p.lane_step, a);
        round(p.rows[0] + n * p.lane_step + kTilePairs, b);
        Row even, odd;  // of the 32 numbers of a lane
        for (uint32_t i = 0; i < 16; ++i) even[i] = 2 * i, odd[i] = 2 * i + 1;
        m[n] = __builtin_shuffle(a, b, even) | __builtin_shuffle(a, b, odd) << 16;
      }
      return transpose(m, p.out);
    }
    for (int64_t i = 0; i < kTileDepth; i += 2) {
      Row row[2] = {};
      for (int64_t second = 0; second < 2; ++second) {
        const float* const from = p.rows[i + second];
        if (from && p.lane_step == 1 && p.lanes == kTilePairs) {
          round(from, row[second]);
          continue;
        }
        float numbers[kTilePairs] = {};
        for (int64_t n = 0; from && n < p.lanes; ++n) numbers[n] = from[n * p.lane_step];
        round(numbers, row[second]);
      }
      const Row pairs = row[0] | row[1] << 16;
      __builtin_memcpy(p.out + i * kTilePairs, &pairs, sizeof pairs);
    }
  }

  static void pairs(const Bf16Bits* v, int64_t places, Bf16Bits* out) {
    constexpr Bf16Bits kZeros[kTilePairs] = {};
    for (int64_t i = 0; i < places; ++i, v += kTilePairs, out += 2 * kTilePairs) {
      Row row;
      pair(v, i + 1 < places ? v + kTilePairs : kZeros, row);
      __builtin_memcpy(out, &row, sizeof row);
    }
  }

  static void columns(const Bf16Bits* v, int64_t places, Bf16Bits* out) {
    for (int64_t first = 0; first < places; first += kTileDepth, out += 2 * kTile) {
      Row m[16];
      for (int64_t i = 0; i < kTileRows; ++i, v += 2 * kTilePairs) pair(v, v + kTilePairs, m[i]);
      transpose(m, out);
    }
  }

  static void sum(const Bf16Bits* x, int64_t places, int64_t channels, float* sums) {
    for (int64_t i = 0; i < places; ++i, x += channels)
      for (int64_t c = 0; c < channels; ++c)
        sums[c] += __builtin_bit_cast(float, static_cast<uint32_t>(x[c]) << 16);
  }

  // Convolution.

  static void conv(const TileConv& c) {
    Tiles t;
    const int64_t places = (c.height - 1) * c.x_row + c.width;
    for (int64_t z = 0; z < c.depth; ++z)
      for (int64_t first = 0; first < places; first += kTileSpan) {
        const int64_t n = places - first < kTileSpan ? places - first : kTileSpan;
        c.lanes > kTilePairs ? span<2>(t, c, z, first, n) : span<1>(t, c, z, first, n);
      }
  }

  // Computes n <= kTileSpan places of plane z, from `first` on. Steps are computed in groups. All places go
  // through one group before the next group starts: its weights (kGroup x 2 KiB) stay in the first-level
  // cache, and c.sums keeps the sums between groups.
  static constexpr int64_t kGroup = 9;  // the 3 x 3 taps of a plane
  template <int kColumns>
  static void span(Tiles& t, const TileConv& c, int64_t z, int64_t first, int64_t n) {
    const Bf16Bits* const x = c.x + z * c.x_plane + first * c.x_place;
    int64_t step = 0;
    do {
      const int64_t end = c.step_count - step < kGroup ? c.step_count : step + kGroup;
      float* sums = c.sums;
      for (int64_t v = 0; v < n; v += 2 * kTileRows, sums += 2 * kColumns * kTile) {
        if (step == 0)
          begin<kColumns>(t, c.bias);
        else
          load<kColumns>(t, sums);
        for (int64_t s = step; s < end; ++s)
          add<kColumns>(t, x + v * c.x_place + c.steps[s], c.x_place, c.weights + s * kColumns * 2 * kTile);
        store<kColumns>(t, sums);
      }
      step = end;
    } while (step < c.step_count);
    write<kColumns>(c, z, first, n);
  }

  // Adds one step for two times 16 places.
  template <int kColumns>
  static void add(Tiles& t, const Bf16Bits* x, int64_t place, const Bf16Bits* w) {
    const int64_t stride = place * static_cast<int64_t>(sizeof(Bf16Bits));
    t.load(kRight0, w, kTileRowBytes);
    t.load(kLeft0, x, stride);
    t.dot(kSum00, kLeft0, kRight0);
    if constexpr (kColumns == 2) {
      t.load(kRight1, w + 2 * kTile, kTileRowBytes);
      t.dot(kSum01, kLeft0, kRight1);
    }
    t.load(kLeft1, x + kTileRows * place, stride);
    t.dot(kSum10, kLeft1, kRight0);
    if constexpr (kColumns == 2) t.dot(kSum11, kLeft1, kRight1);
  }

  template <int kColumns>
  static void begin(Tiles& t, const float* bias) {
    if (!bias) {
      t.zero(kSum00), t.zero(kSum10);
      if constexpr (kColumns == 2) t.zero(kSum01), t.zero(kSum11);
      return;
    }
    t.load(kSum00, bias, 0), t.load(kSum10, bias, 0);
    if constexpr (kColumns == 2) t.load(kSum01, bias + kTilePairs, 0), t.load(kSum11, bias + kTilePairs, 0);
  }

  // Calls f(tile, where its sums begin). The sums lie as tiles [16 places][16 channels],
  // [2][kColumns] of them.
  template <int kColumns, class F>
  static void each_sum(F&& f) {
    f(kSum00, 0);
    f(kSum10, kColumns * kTile);
    if constexpr (kColumns == 2) f(kSum01, kTile), f(kSum11, 3 * kTile);
  }
  template <int kColumns>
  static void load(Tiles& t, const float* sums) {
    each_sum<kColumns>([&](auto tile, int64_t at) { t.load(tile, sums + at, kTileRowBytes); });
  }
  template <int kColumns>
  static void store(Tiles& t, float* sums) {
    each_sum<kColumns>([&](auto tile, int64_t at) { t.store(tile, sums + at, kTileRowBytes); });
  }

  // Writes the sums of a span to y, except those of places between rows.
  template <int kColumns>
  static void write(const TileConv& c, int64_t z, int64_t first, int64_t n) {
    for (int64_t v = 0; v < n;) {
      const int64_t h = (first + v) / c.x_row, column = (first + v) % c.x_row;
      const int64_t rest = c.x_row - column, inside = c.width - column,
                    end = v + (rest < n - v ? rest : n - v);
      const int64_t stop = inside < end - v ? v + inside : end;  // end of the places in this row
      const int64_t at = z * c.y_plane + h * c.y_row + column * c.y_place;
      if (!c.y)
        write_f32<kColumns>(c, v, stop, c.y32 + at);
      else if (c.lanes == kColumns * kTilePairs)
        write_whole<kColumns>(c.sums, v, stop, c.y + at, c.y_place);
      else
        write_some<kColumns>(c, v, stop, c.y + at);
      v = end;
    }
  }
  // Where the sums of place v of a span begin in c.sums.
  template <int kColumns>
  static int64_t sums_of(int64_t v) {
    return v / kTileRows * kColumns * kTile + v % kTileRows * kTilePairs;
  }
  template <int kColumns>
  static void write_whole(const float* sums, int64_t v, int64_t stop, Bf16Bits* y, int64_t step) {
    for (; v < stop; ++v, y += step)
      for (int64_t k = 0; k < kColumns; ++k) {
        Row row;
        round(sums + sums_of<kColumns>(v) + k * kTile, row);
        narrow(row, y + k * kTilePairs);
      }
  }
  template <int kColumns>
  static void write_some(const TileConv& c, int64_t v, int64_t stop, Bf16Bits* y) {
    for (; v < stop; ++v, y += c.y_place) {
      Bf16Bits numbers[kColumns * kTilePairs];
      write_whole<kColumns>(c.sums, v, v + 1, numbers, 0);
      for (int64_t l = 0; l < c.lanes; ++l) y[l] = numbers[l];
    }
  }
  template <int kColumns>
  static void write_f32(const TileConv& c, int64_t v, int64_t stop, float* y) {
    for (; v < stop; ++v, y += c.y_place)
      for (int64_t l = 0; l < c.lanes; ++l)
        y[l] = c.sums[sums_of<kColumns>(v) + l / kTilePairs * kTile + l % kTilePairs];
  }

  // Gradient of weights. A chunk of places goes through all taps before the next chunk starts. So its packed
  // numbers stay in the first-level cache: 12 KiB of dy for all taps, and 24 KiB of x for the taps along W,
  // whose pairs begin at even or at odd places. The sums, 4 KiB for each tap, pass through the cache once
  // for each chunk.

  static constexpr int64_t kChunk = 6;  // steps of 32 places
  static void weights(const TileWeights& w) {
    Tiles t;
    for (int64_t first = 0; first < w.steps; first += kChunk) {
      const int64_t count = w.steps - first < kChunk ? w.steps - first : kChunk;
      for (int64_t i = 0; i < w.dy_blocks; i += 2)
        for (int64_t j = 0; j < w.x_blocks; j += 2) {
          const bool two_rows = i + 1 < w.dy_blocks, two_columns = j + 1 < w.x_blocks;
          if (two_rows)
            two_columns ? chunk<2, 2>(t, w, first, count, i, j) : chunk<2, 1>(t, w, first, count, i, j);
          else
            two_columns ? chunk<1, 2>(t, w, first, count, i, j) : chunk<1, 1>(t, w, first, count, i, j);
        }
    }
  }

  // Adds a chunk for all taps: kRows times 16 outputs from block i on, and kColumns times 16 inputs from
  // block j on.
  template <int kRows, int kColumns>
  static void chunk(Tiles& t, const TileWeights& w, int64_t first, int64_t count, int64_t i, int64_t j) {
    const Bf16Bits* const dy = w.dy + i * w.dy_distance + first * 2 * kTile;
    const Bf16Bits* const x = w.x + j * w.x_distance + first * kTileDepth * 2 * kTilePairs;
    for (int64_t tap = 0; tap < w.tap_count; ++tap) {
      float* const sums = w.sums + w.taps[tap].sums + (i * w.x_blocks + j) * kTile;
      const auto each = [&](auto&& f) {
        f(kSum00, sums);
        if constexpr (kColumns == 2) f(kSum01, sums + kTile);
        if constexpr (kRows == 2) f(kSum10, sums + w.x_blocks * kTile);
        if constexpr (kRows == 2 && kColumns == 2) f(kSum11, sums + (w.x_blocks + 1) * kTile);
      };
      each([&](auto tile, const float* at) { t.load(tile, at, kTileRowBytes); });
      for (int64_t s = 0; s < count; ++s) {
        const Bf16Bits* const a = dy + s * 2 * kTile;
        const Bf16Bits* const b = x + w.taps[tap].offset + s * kTileDepth * 2 * kTilePairs;
        t.load(kLeft0, a, kTileRowBytes);
        t.load(kRight0, b, 2 * kTileRowBytes);  // every second place, because a pair begins at every place
        t.dot(kSum00, kLeft0, kRight0);
        if constexpr (kColumns == 2) {
          t.load(kRight1, b + w.x_distance, 2 * kTileRowBytes);
          t.dot(kSum01, kLeft0, kRight1);
        }
        if constexpr (kRows == 2) {
          t.load(kLeft1, a + w.dy_distance, kTileRowBytes);
          t.dot(kSum10, kLeft1, kRight0);
        }
        if constexpr (kRows == 2 && kColumns == 2) t.dot(kSum11, kLeft1, kRight1);
      }
      each([&](auto tile, float* at) { t.store(tile, at, kTileRowBytes); });
    }
  }

  static TileKernels table() {
    return {product, pack, round_all, conv, pairs, columns, weights, sum, chains};
  }
};

}  // namespace voxgrad::cpu
