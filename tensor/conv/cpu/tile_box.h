// Boxes of inputs for the kernels on tiles. A task copies the inputs that its outputs need, with zeros around
// the volume, into a box. There are four reasons:
//   - Every tap of every output is then in memory. Masked rows would need another configuration of tiles for
//     each end of a row.
//   - The channels of all parts of the input lie in blocks of 32. A tile is 16 places of a block: 1 KiB of
//     neighbouring bytes that begins on a cache line.
//   - With stride 2, the places of one parity along H and W follow each other (a "phase"). So a tap reads
//     neighbours for neighbouring outputs, as with stride 1.
//   - With few channels (an image), the taps along H of an output lie side by side in a place, like more
//     channels. With 4 channels, 3 taps fill 12 numbers of a row of 32, where one tap would fill 4.
// A padded copy of the whole input would go through memory once more.
#pragma once
#include <span>

#include "tensor/conv/cpu/direct.h"

namespace voxgrad::cpu {

/// The layout of a box. Each plane is [block][phase along H][phase along W][row][column][place]. The numbers
/// of an input place are [tap along H][channel]. A block has as many of these numbers as a place of the box
/// holds, and zeros where there are no more.
class TileBox {
 public:
  /// Channels [first, first + count) of all inputs together.
  struct Channels {
    int64_t first, count;
  };
  /// How many numbers a place of the box has. of_32 gives 32 numbers, except where there are at most 16 in
  /// all and more than one tap along W: then a place has 16, and two taps share a row of a tile.
  enum class Places { of_16, of_32 };
  /// For passes with the same inputs and strides. Their taps may differ. `height`: the rows of outputs
  /// of a box.
  TileBox(std::span<const DirectConv> passes, Channels channels, int64_t height, Places places);

  int64_t place() const { return place_; }  ///< numbers of a place in a block
  int64_t channels() const { return channels_; }
  /// Whether the taps along H lie together. Then number j of an input place is channel j % channels() of tap
  /// j / channels() along H.
  bool taps_together() const { return together_ > 1; }
  int64_t numbers() const { return together_ * channels_; }  ///< of an input place
  int64_t blocks() const { return (numbers() + place_ - 1) / place_; }
  int64_t row() const { return row_; }                                       ///< columns
  int64_t places() const { return phases_[0] * phases_[1] * rows_ * row_; }  ///< of a block
  int64_t block() const { return places() * place_; }   ///< numbers of a block of a plane
  int64_t plane() const { return blocks() * block(); }  ///< numbers of a plane
  int64_t planes(int64_t depth) const { return (depth - 1) * stride_[0] + span_[0]; }
  int64_t first_plane(int64_t z) const { return z * stride_[0] + first_[0]; }  ///< of output plane z
  int64_t plane_step() const { return stride_[0]; }  ///< planes between two planes of outputs

  /// Numbers from the place of an output, in the first plane that it reads, to the tap at these offsets.
  /// Where taps_together(), the offset along H is not used.
  int64_t tap(int64_t d, int64_t h, int64_t w) const;
  /// The phase along W of a tap.
  int64_t phase(int64_t w) const { return (w - first_[2]) % phases_[1]; }

  /// Copies plane z of sample n, for the rows of outputs from h on. What lies outside the volume is zero.
  void copy_plane(int64_t n, int64_t z, int64_t h, Bf16Bits* out) const;

 private:
  void copy_row(int64_t n, int64_t z, int64_t h, int64_t phase, Bf16Bits* out) const;

  struct Input {
    const Bf16Bits* data;    // the first channel of the first place
    int64_t step, channels;  // numbers between places; channels to copy
  };
  std::vector<Input> inputs_;
  Triple in_;
  int64_t channels_, together_ = 1, place_ = 0;
  Triple first_{}, span_{}, stride_{};  // first offset of the taps of all passes, and the number of offsets
  int64_t phases_[2], rows_, row_;
};

/// to[i * to_step + c] = from[i * from_step + c] for i < count and c < channels.
void copy_places(const Bf16Bits* from, int64_t from_step, int64_t channels, int64_t count, Bf16Bits* to,
                 int64_t to_step);

inline int64_t all_channels(const DirectConv& c) {
  int64_t sum = 0;
  for (const DirectInput& x : c.x) sum += x.channels;
  return sum;
}

}  // namespace voxgrad::cpu
