// Which blocks the allocator reuses. Idle blocks go back before the process grows past what it
// needed at once.
#include "tensor/core/allocator.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "tensor/core/error.h"
#include "tensor/core/random.h"

namespace voxgrad {
namespace {

constexpr size_t kMiB = size_t{1} << 20;

class Allocator : public testing::Test {
 protected:
  Allocator() { release_memory_cache(); }
  ~Allocator() override {
    set_memory_cap(0);
    release_memory_cache();
  }
};

struct Block {
  size_t bytes;
  char* p;
  explicit Block(size_t size) : bytes(size), p(static_cast<char*>(allocate(size))) {}
  void free() { deallocate(p, bytes); }
};

TEST_F(Allocator, ABlockServesItsSizeAndALittleLess) {
  const size_t before = memory_stats().current;
  Block(12 * kMiB).free();
  const size_t idle = memory_stats().cached;
  EXPECT_GE(idle, 12 * kMiB);
  Block less(11 * kMiB);
  EXPECT_EQ(memory_stats().cached, 0u);
  EXPECT_EQ(memory_stats().current, before + idle);  // what idle blocks really take
  less.free();
  EXPECT_EQ(memory_stats().cached, idle);
  EXPECT_EQ(memory_stats().current, before);
  Block much_less(5 * kMiB);
  EXPECT_LT(memory_stats().current, before + idle);
  much_less.free();
}

TEST_F(Allocator, ALargerBlockDoesNotPassTheBound) {
  Block(12 * kMiB).free();
  const size_t cap = memory_stats().current + 11 * kMiB + kMiB / 2;
  set_memory_cap(cap);
  Block b(11 * kMiB);
  EXPECT_LE(memory_stats().current, cap);
  EXPECT_THROW(allocate(2 * kMiB), Error);
  b.free();
}

TEST_F(Allocator, HoldsLittleMoreThanWasInUseAtOnce) {
  // Larger than any allocation before it in this process, so the bound is known. It is not touched, so it
  // takes no memory.
  const size_t most = memory_stats().current + 512 * kMiB;
  Block(512 * kMiB).free();
  std::vector<Block> live;
  const Philox draws{1, Stream::test, 0};
  for (uint64_t i = 0; i < 2000; ++i) {
    if (live.size() == 12 || (!live.empty() && draws.below(3 * i, 3) == 0)) {
      std::swap(live[draws.below(3 * i + 1, live.size())], live.back());
      live.back().free();
      live.pop_back();
    } else {
      live.emplace_back(1 + draws.below(3 * i + 2, 40 * kMiB));
      EXPECT_EQ(reinterpret_cast<uintptr_t>(live.back().p) % 64, 0u);
      live.back().p[0] = live.back().p[live.back().bytes - 1] = 1;  // all of it is there
    }
    const MemoryStats now = memory_stats();
    ASSERT_LE(now.current + now.cached, most + most / 16);
  }
  for (Block& b : live) b.free();
}

}  // namespace
}  // namespace voxgrad
