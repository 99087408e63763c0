// Random numbers from a counter: Philox4x32-10 (Salmon et al., SC 2011). The key is the seed. The
// counter is (element, draw, stream). So a number depends on its purpose only, and never on threads,
// grids or earlier draws.
//
// tensor/core/seed.h derives the seeds of the parts of an experiment. Everything that one training step draws
// comes from one StepRandom (below).
#pragma once
#include <array>
#include <cstdint>

#include "tensor/core/math.h"
#include "tensor/core/tensor.h"

namespace voxgrad {

/// What a random number is for. It is part of the Philox counter, so different uses never share numbers.
enum class Stream : uint32_t {
  init = 1,        ///< parameter initialisation; draw = index of the parameter
  order = 2,       ///< order of the samples of an epoch
  patch = 3,       ///< patch positions
  augment = 4,     ///< augmentation
  time_step = 5,   ///< t of a training example
  noise = 6,       ///< epsilon of a training example
  dropout = 7,     ///< dropout masks; draw = step, each layer has its own site
  start = 8,       ///< s_T of a sample
  ancestral = 9,   ///< noise of a reverse step
  phantom = 10,    ///< the phantom
  test = 11,       ///< tests and samples of ops
  latent = 12,     ///< latent variables
  bootstrap = 13,  ///< resampling in statistics
};

struct Philox {
  uint64_t seed;
  Stream stream;
  uint32_t draw;  ///< index within the stream: a step, a layer or a sample

  /// The four 32-bit words of block `index`.
  VOXGRAD_HD std::array<uint32_t, 4> block(uint64_t index) const {
    uint32_t k0 = static_cast<uint32_t>(seed), k1 = static_cast<uint32_t>(seed >> 32);
    uint32_t c0 = static_cast<uint32_t>(index), c1 = static_cast<uint32_t>(index >> 32), c2 = draw,
             c3 = static_cast<uint32_t>(stream);
    for (int round = 0; round < 10; ++round) {
      const uint64_t p0 = uint64_t{0xD2511F53u} * c0, p1 = uint64_t{0xCD9E8D57u} * c2;
      const uint32_t h0 = static_cast<uint32_t>(p0 >> 32), l0 = static_cast<uint32_t>(p0);
      const uint32_t h1 = static_cast<uint32_t>(p1 >> 32), l1 = static_cast<uint32_t>(p1);
      c0 = h1 ^ c1 ^ k0;
      c1 = l1;
      c2 = h0 ^ c3 ^ k1;
      c3 = l0;
      k0 += 0x9E3779B9u;
      k1 += 0xBB67AE85u;
    }
    return {c0, c1, c2, c3};
  }
  /// 32 random bits for one element.
  VOXGRAD_HD uint32_t bits(uint64_t element) const { return block(element / 4)[element % 4]; }
  /// Converts a word to a uniform number.
  VOXGRAD_HD static float to_uniform(uint32_t w) { return (static_cast<float>(w >> 9) + 0.5f) * 0x1p-23f; }
  /// Uniform in (0, 1): never 0 and never 1.
  VOXGRAD_HD float uniform(uint64_t element) const { return to_uniform(bits(element)); }
  /// Uniform in [low, high).
  double uniform(uint64_t element, double low, double high) const {
    return low + (high - low) * (bits(element) * 0x1p-32);
  }
  /// Uniform integer in [0, n).
  int64_t below(uint64_t element, int64_t n) const {
    return static_cast<int64_t>((static_cast<unsigned __int128>(bits(element)) * static_cast<uint64_t>(n)) >>
                                32);
  }
  /// Standard normal (Box-Muller on the pairs of a block).
  VOXGRAD_HD float normal(uint64_t element) const { return normals(element / 4)[element % 4]; }
  /// The four standard normals of block `index`, for elements 4 index .. 4 index + 3.
  VOXGRAD_HD std::array<float, 4> normals(uint64_t index) const {
    const auto w = block(index);
    std::array<float, 4> z;
    for (int pair = 0; pair < 2; ++pair) {
      const float radius = math::sqrt(-2.0f * math::log(to_uniform(w[static_cast<size_t>(2 * pair)])));
      float s, c;
      math::sincos_turn(static_cast<float>(w[static_cast<size_t>(2 * pair + 1)] >> 8) * 0x1p-24f, &s, &c);
      z[static_cast<size_t>(2 * pair)] = radius * c;
      z[static_cast<size_t>(2 * pair + 1)] = radius * s;
    }
    return z;
  }
};

/// Standard normals for elements first .. first + shape.numel() - 1, in f32, on the default device.
/// Computed in parallel.
Tensor random_normal(const Shape& shape, const Philox& generator, uint64_t first = 0);
/// Standard normals for elements 0 .. y.numel() - 1, written to y (f32). `offset` is i64 [2] on the device of
/// y and is added to seed and draw; undefined adds nothing. A captured call reads it again at every replay.
void fill_normal(Tensor& y, const Philox& generator, const Tensor& offset = {});

/// The random numbers of one training step: {seed, step} in the memory of the device that computes the step.
/// It is passed to every loss, module and op that draws. They keep the key and not the numbers. So work that
/// was recorded once (tensor/core/graph.h) draws new numbers at every replay after set().
///
/// The Philox key is the seed, and the draw is the step (its lower 32 bits). A step may draw from one stream
/// at several places; then each place has its own number, the site. The elements of site k are numbered from
/// k * 2^40 on. So the sites of a step share no numbers as long as a tensor has less than 2^40 elements and
/// there are less than 2^22 sites. Copies share the key.
class StepRandom {
 public:
  explicit StepRandom(const Device& device = Device::cpu());
  /// Work of the device that is queued from now on draws the numbers of `step`. Call it between steps only:
  /// a backward pass and a recomputation of values make the masks of the forward pass again, from the key as
  /// it is then.
  void set(uint64_t seed, int64_t step);
  /// i64 [2]: the seed (its bits) and the step. It always lies in the same memory.
  const Tensor& key() const { return key_; }
  Device device() const { return key_.device(); }

 private:
  Tensor key_;
};

/// The number of the first element of a site: site * 2^40. Throws ErrorCode::internal unless site < 2^22 and
/// 0 <= elements < 2^40.
uint64_t first_of_site(uint32_t site, int64_t elements);
/// The generator for a key (StepRandom::key, on the CPU).
Philox philox_of(const Tensor& key, Stream stream);
/// Writes standard normals to y, f32 on the device of `random`. `site` is the number of the place
/// in the step.
void fill_normal(Tensor& y, const StepRandom& random, Stream stream, uint32_t site = 0);
/// Draws columns from a table f32 [R, T], 0 < T < 2^32, on the device of `random`. Returns [R, count]. Its
/// column i is column Philox{seed, stream, step}.below(i, T) of the table. With this a diffusion step draws
/// its times, and all numbers that depend on them, on the device that computes.
Tensor random_columns(const Tensor& table, const StepRandom& random, Stream stream, int64_t count);
/// Uniform numbers in (0, 1) for elements first .. first + shape.numel() - 1, in f32, on the default device.
Tensor random_uniform(const Shape& shape, const Philox& generator, uint64_t first = 0);

}  // namespace voxgrad
