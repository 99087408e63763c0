// The kernels on tiles, templates over the tiles (tiles.h). Code that is compiled for wide instructions
// includes this file, so it has nothing but templates, and their argument is a type of an unnamed namespace:
// every file keeps its own copies (tensor/cpu/kernels.h).
#pragma once
#include <cstdint>

#include "tensor/cpu/kernels.h"

namespace voxgrad::cpu {

/// A tile, named by a constant.
template <int N>
struct TileNumber {};

template <class Tiles>
struct TileCode {
  static constexpr int64_t kTile = kTileRows * kTilePairs;  // sums, or pairs, of a tile
  // Sums of two times 16 places and two times 16 output channels; places; weights.
  static constexpr TileNumber<0> kSum00{};
  static constexpr TileNumber<1> kSum01{};
  static constexpr TileNumber<2> kSum10{};
  static constexpr TileNumber<3> kSum11{};
  static constexpr TileNumber<4> kPlaces0{};
  static constexpr TileNumber<5> kPlaces1{};
  static constexpr TileNumber<6> kWeights0{};
  static constexpr TileNumber<7> kWeights1{};

  static void product(const Bf16Bits* a, const Bf16Bits* b, float* c) {
    Tiles t;
    t.load(kSum00, c, kTileRowBytes);
    t.load(kPlaces0, a, kTileRowBytes);
    t.load(kWeights0, b, kTileRowBytes);
    t.dot(kSum00, kPlaces0, kWeights0);
    t.store(kSum00, c, kTileRowBytes);
  }

  /// f32 to nearest bf16, ties to even; NaN stays NaN (struct bf16 in tensor/dtype.h).
  static Bf16Bits rounded(float value) {
    const uint32_t u = __builtin_bit_cast(uint32_t, value);
    const uint32_t nearest = (u + 0x7fffu + ((u >> 16) & 1u)) >> 16, nan = (u >> 16) | 0x40u;
    return static_cast<Bf16Bits>((u & 0x7fffffffu) > 0x7f800000u ? nan : nearest);
  }

  static void pack(const float* w, int64_t rows, int64_t step, Bf16Bits* out) {
    for (int64_t i = 0; i < rows; i += 2, w += 2 * step, out += 2 * kTilePairs)
      for (int64_t n = 0; n < kTilePairs; ++n) {
        out[2 * n] = rounded(w[n]);
        out[2 * n + 1] = rounded(w[step + n]);
      }
    for (int64_t i = rows; i < 2 * kTileRows; ++i, out += kTilePairs)
      for (int64_t n = 0; n < kTilePairs; ++n) out[n] = 0;
  }

  static double chains(int64_t steps, float* result) {
    Tiles t;
    t.zero(kSum00), t.zero(kSum01), t.zero(kSum10), t.zero(kSum11);
    t.zero(kPlaces0), t.zero(kPlaces1), t.zero(kWeights0), t.zero(kWeights1);
    for (int64_t s = 0; s < steps; ++s) {
      t.dot(kSum00, kPlaces0, kWeights0);
      t.dot(kSum01, kPlaces0, kWeights1);
      t.dot(kSum10, kPlaces1, kWeights0);
      t.dot(kSum11, kPlaces1, kWeights1);
    }
    t.store(kSum00, result, kTileRowBytes);
    return 4.0 * 4 * kTile * kTilePairs * static_cast<double>(steps);
  }

  static void conv(const TileConv& c) {
    Tiles t;
    const int64_t places = c.height * (c.width + 2) - 2;
    const Bf16Bits* w = c.weights;
    for (int64_t o = 0; o < c.channels; o += 2 * kTilePairs) {
      const Bf16Bits* next = w;
      for (int64_t z = 0; z < c.depth; ++z)
        for (int64_t first = 0; first < places; first += kTileSpan) {
          const int64_t n = places - first < kTileSpan ? places - first : kTileSpan;
          next = c.channels - o > kTilePairs ? span<2>(t, c, o, z, first, n, w)
                                             : span<1>(t, c, o, z, first, n, w);
        }
      w = next;
    }
  }

  // n <= kTileSpan places from `first` on of plane z, for kColumns times 16 output channels from o on.
  // Returns the end of the weights. A group of weights, those of a plane of taps and 32 input channels, stays
  // in the first cache for all places; their sums go through c.sums between groups.
  template <int kColumns>
  static const Bf16Bits* span(Tiles& t, const TileConv& c, int64_t o, int64_t z, int64_t first, int64_t n,
                              const Bf16Bits* w) {
    const int64_t row = c.width + 2, plane = (c.height + 2) * row, chunk = 2 * kColumns * kTile;
    for (int64_t kd = 0; kd < 3; ++kd)
      for (int64_t i = 0; i < c.part_count; ++i) {
        const int64_t channels = c.parts[i].channels;
        const Bf16Bits* const x = c.parts[i].x + ((z + kd) * plane + first) * channels;
        for (int64_t channel = 0; channel < channels; channel += 2 * kTilePairs) {
          const Bf16Bits* next = w;
          float* sums = c.sums;
          for (int64_t v = 0; v < n; v += 2 * kTileRows, sums += chunk) {
            if (kd == 0 && i == 0 && channel == 0)
              begin<kColumns>(t, c.bias ? c.bias + o : nullptr);
            else
              load<kColumns>(t, sums);
            next = taps<kColumns>(t, x + v * channels + channel, channels, row, w);
            store<kColumns>(t, sums);
          }
          w = next;
        }
      }
    write<kColumns>(c, o, z, first, n);
    return w;
  }

  // Adds the 9 taps of a plane for two times 16 places. Returns the end of their weights. 16 channels fill
  // half a row of a tile: with those of the next place two taps along W are done at once, the third with
  // zeros.
  template <int kColumns>
  static const Bf16Bits* taps(Tiles& t, const Bf16Bits* x, int64_t channels, int64_t row, const Bf16Bits* w) {
    const int64_t at_once = channels == kTilePairs ? 2 : 1;
    const int64_t stride = channels * static_cast<int64_t>(sizeof(Bf16Bits));
    for (int64_t kh = 0; kh < 3; ++kh)
      for (int64_t kw = 0; kw < 3; kw += at_once) {
        const Bf16Bits* const a = x + (kh * row + kw) * channels;
        t.load(kWeights0, w, kTileRowBytes);
        t.load(kPlaces0, a, stride);
        t.dot(kSum00, kPlaces0, kWeights0);
        if constexpr (kColumns == 2) {
          t.load(kWeights1, w + 2 * kTile, kTileRowBytes);
          t.dot(kSum01, kPlaces0, kWeights1);
        }
        t.load(kPlaces1, a + kTileRows * channels, stride);
        t.dot(kSum10, kPlaces1, kWeights0);
        if constexpr (kColumns == 2) t.dot(kSum11, kPlaces1, kWeights1);
        w += 2 * kColumns * kTile;
      }
    return w;
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

  // f(tile, where its sums begin): they lie as [16 places][16 channels] tiles, [2][kColumns].
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

  // Rounds the sums of a span into y, without the two places between rows.
  template <int kColumns>
  static void write(const TileConv& c, int64_t o, int64_t z, int64_t first, int64_t n) {
    const int64_t row = c.width + 2;
    int64_t h = first / row, column = first % row;
    for (int64_t v = 0; v < n; ++v) {
      if (column < c.width) {
        const float* sums = c.sums + v / kTileRows * kColumns * kTile + v % kTileRows * kTilePairs;
        Bf16Bits* const y = c.y + z * c.y_plane + h * c.y_row + column * c.y_step + o;
        for (int k = 0; k < kColumns; ++k, sums += kTile)
          for (int64_t l = 0; l < kTilePairs; ++l) y[k * kTilePairs + l] = rounded(sums[l]);
      }
      if (++column == row) column = 0, ++h;
    }
  }

  static TileKernels table() { return {product, pack, conv, chains}; }
};

}  // namespace voxgrad::cpu
