// The seeds of the parts of an experiment. All of them are derived from one number, in one way.
//
// A run has one seed. Its members, stages, folds and cases each need a seed of their own, and no two of them
// may be equal by accident. For example, seed + index would give the second member of run 1 the numbers of
// the first member of run 2. So the seed of a child is a hash of the parent's seed, a name and an index.
#pragma once
#include <cstdint>
#include <string_view>

namespace voxgrad {

/// The key of a Philox generator (tensor/core/random.h) and the root of further seeds.
struct Seed {
  uint64_t value = 0;

  /// The seed of part number `index` of the kind `name`: a hash of (value, name, index). The 64-bit FNV-1a
  /// hash of the name is chained with value and index through the finaliser of SplitMix64 (Steele, Lea, Flood
  /// 2014), with g = 0x9E3779B97F4A7C15:
  ///   h = mix(value + g), h = mix((h ^ fnv1a(name)) + g), h = mix((h ^ index) + g)
  /// Two children are as likely to be equal as two random 64-bit numbers. The values never change: a test
  /// checks some of them.
  Seed child(std::string_view name, uint64_t index = 0) const;

  bool operator==(const Seed&) const = default;
};

}  // namespace voxgrad
