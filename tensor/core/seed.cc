#include "tensor/core/seed.h"

namespace voxgrad {
namespace {

uint64_t fnv1a(std::string_view text) {
  uint64_t h = 0xCBF29CE484222325u;
  for (const char c : text) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001B3u;
  return h;
}

// One step of SplitMix64. It is a bijection, and every input bit changes about half of the output bits.
uint64_t mix(uint64_t z) {
  z += 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

}  // namespace

Seed Seed::child(std::string_view name, uint64_t index) const {
  return {mix(mix(mix(value) ^ fnv1a(name)) ^ index)};
}

}  // namespace voxgrad
