// The seeds of the parts of an experiment. The values must never change, and no two parts may share one.
#include "tensor/core/seed.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <string>
#include <vector>

namespace voxgrad {
namespace {

constexpr uint64_t kLargest = ~uint64_t{0};

// The values were computed in Python from the definition in tensor/core/seed.h.
TEST(Seed, ChildrenHaveTheirValuesForEver) {
  EXPECT_EQ(Seed{0}.child("").value, 0xA6BBC8DCBE30928Cu);
  EXPECT_EQ(Seed{1}.child("member").value, 0x5775F6D8AD72EF84u);
  EXPECT_EQ(Seed{1}.child("member", 1).value, 0xE432D082659B29BBu);
  EXPECT_EQ(Seed{2}.child("member", 0).value, 0xD9AC04C9170F6753u);
  EXPECT_EQ(Seed{kLargest}.child("stage.denoiser", kLargest).value, 0x20F60962644B6DE8u);
  EXPECT_EQ(Seed{1}.child("fold", 2).child("member", 3).value, 0xB8F612455F507D8Bu);
}

// 64-bit hashes of some 100,000 triples collide by chance with a probability of 3e-10.
TEST(Seed, NoTwoPartsShareASeed) {
  std::vector<uint64_t> all;
  for (uint64_t seed = 0; seed < 32; ++seed)
    for (const std::string name :
         {"", "a", "b", "ab", "ba", "member", "stage", "fold", "case", "stage.prior"})
      for (uint64_t index = 0; index < 320; ++index) {
        all.push_back(Seed{seed}.child(name, index).value);
        EXPECT_NE(all.back(), seed);
      }
  for (int bit = 8; bit < 64; ++bit) {  // numbers that differ in one high bit
    all.push_back(Seed{uint64_t{1} << bit}.child("member").value);
    if (bit > 8) all.push_back(Seed{1}.child("member", uint64_t{1} << bit).value);
  }
  std::sort(all.begin(), all.end());
  EXPECT_EQ(std::adjacent_find(all.begin(), all.end()), all.end());
}

TEST(Seed, OrderMatters) {
  EXPECT_NE(Seed{1}.child("member", 1), Seed{2}.child("member", 0));
  EXPECT_NE(Seed{1}.child("member", 2), Seed{2}.child("member", 1));
  EXPECT_NE(Seed{1}.child("a").child("b"), Seed{1}.child("b").child("a"));
  EXPECT_NE(Seed{1}.child("a", 1).child("a", 2), Seed{1}.child("a", 2).child("a", 1));
  EXPECT_NE(Seed{1}.child("a").child("b"), Seed{1}.child("ab"));
  EXPECT_EQ(Seed{1}.child("a", 2), Seed{1}.child("a", 2));
}

// A changed bit of the seed or of the index changes about half of the bits of the child: 32 of 64, with a
// standard deviation of 4.
TEST(Seed, EveryBitChangesAboutHalfOfTheChild) {
  const Seed base = Seed{12345}.child("member", 678);
  for (int bit = 0; bit < 64; ++bit) {
    const uint64_t flip = uint64_t{1} << bit;
    for (const Seed& other :
         {Seed{12345 ^ flip}.child("member", 678), Seed{12345}.child("member", 678 ^ flip)}) {
      const int changed = std::popcount(base.value ^ other.value);
      EXPECT_GT(changed, 10) << bit;
      EXPECT_LT(changed, 54) << bit;
    }
  }
}

}  // namespace
}  // namespace voxgrad
