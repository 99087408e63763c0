// The pool of the CUDA backend on host memory: what it hands out, joins, caps, and keeps for
// a captured graph.
#include "tensor/core/cuda/pool.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <random>
#include <vector>

#include "tensor/core/error.h"

namespace voxgrad::cuda {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;

// A device whose memory is host memory, with a limit.
struct FakeDevice {
  uint64_t limit = 1024 * kMiB, taken = 0;
  std::map<void*, uint64_t> segments;
  Pool::Driver driver() {
    return {[this](uint64_t bytes) -> void* {
              if (taken + bytes > limit) return nullptr;
              void* const p = std::aligned_alloc(Pool::kAlignment, bytes);
              segments[p] = bytes;
              taken += bytes;
              return p;
            },
            [this](void* p) {
              taken -= segments.at(p);
              segments.erase(p);
              std::free(p);
            },
            [] { return std::string("fake device"); }};
  }
};

TEST(CudaPool, ReusesWhatIsGivenBack) {
  FakeDevice device;
  Pool pool(device.driver());
  void* const a = pool.allocate("a", 1000);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(a) % Pool::kAlignment, 0u);
  EXPECT_EQ(pool.stats().live, 1024u);
  pool.deallocate(a);
  EXPECT_EQ(pool.allocate("b", 900), a);
  EXPECT_EQ(pool.stats().device_allocations, 1u);
  EXPECT_EQ(pool.stats().peak, 1024u);
  EXPECT_THROW(pool.deallocate(static_cast<char*>(a) + 512), Error);
}

TEST(CudaPool, JoinsNeighbours) {
  FakeDevice device;
  Pool pool(device.driver());
  std::vector<void*> blocks;
  for (int i = 0; i < 64; ++i) blocks.push_back(pool.allocate("x", kMiB / 2));
  EXPECT_EQ(pool.stats().device_allocations, 1u);  // 64 halves fill one segment of 32 MiB
  for (const size_t first : {1u, 0u})
    for (size_t i = first; i < 64; i += 2) pool.deallocate(blocks[i]);
  EXPECT_EQ(pool.stats().live, 0u);
  EXPECT_NE(pool.allocate("whole", 16 * kMiB), nullptr);
  EXPECT_EQ(pool.stats().device_allocations, 1u);
}

TEST(CudaPool, BlocksNeverOverlap) {
  FakeDevice device;
  Pool pool(device.driver());
  std::mt19937 random(1);
  std::map<char*, uint64_t> live;
  for (int step = 0; step < 4000; ++step) {
    if (live.empty() || random() % 5 < 3) {
      const uint64_t bytes = 1 + random() % (random() % 10 == 0 ? 20 * kMiB : 64 * 1024);
      if (pool.stats().live > 600 * kMiB) continue;
      char* const p = static_cast<char*>(pool.allocate("x", bytes));
      const auto next = live.lower_bound(p);
      if (next != live.end()) {
        ASSERT_LE(p + bytes, next->first);
      }
      if (next != live.begin()) {
        ASSERT_LE(std::prev(next)->first + std::prev(next)->second, p);
      }
      live[p] = bytes;
    } else {
      const auto victim = std::next(live.begin(), static_cast<long>(random() % live.size()));
      pool.deallocate(victim->first);
      live.erase(victim);
    }
  }
  for (const auto& [p, bytes] : live) pool.deallocate(p);
  EXPECT_EQ(pool.stats().live, 0u);
  pool.trim();
  EXPECT_EQ(device.taken, 0u);
  EXPECT_EQ(pool.stats().reserved, 0u);
}

TEST(CudaPool, OutOfMemoryNamesOpAndPeakAndRecovers) {
  FakeDevice device;
  device.limit = 100 * kMiB;
  Pool pool(device.driver());
  void* const a = pool.allocate("a", 60 * kMiB);
  try {
    pool.allocate("conv3d_forward", 64 * kMiB);
    FAIL() << "expected an error";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::memory);
    const std::string text = e.what();
    EXPECT_NE(text.find("conv3d_forward needs 64 MiB"), std::string::npos) << text;
    EXPECT_NE(text.find("peak 60 MiB"), std::string::npos) << text;
  }
  pool.deallocate(a);
  EXPECT_NE(pool.allocate("after", 90 * kMiB), nullptr);  // the unused segment went back before
}

TEST(CudaPool, CapCountsReservedMemory) {
  FakeDevice device;
  Pool pool(device.driver());
  pool.set_cap(40 * kMiB);
  EXPECT_THROW(pool.allocate("x", 41 * kMiB), Error);
  EXPECT_NE(pool.allocate("x", 39 * kMiB), nullptr);
  EXPECT_THROW(pool.allocate("x", 8 * kMiB), Error);
  pool.set_cap(0);
  EXPECT_NE(pool.allocate("x", 8 * kMiB), nullptr);
}

// What a graph allocated stays its own until the graph is destroyed, because a replay writes there.
TEST(CudaPool, ArenaKeepsTheMemoryOfAGraph) {
  FakeDevice device;
  Pool pool(device.driver());
  void* const before = pool.allocate("before", 4096);
  const int arena = pool.open_arena();
  void* const scratch = pool.allocate("scratch", 8192);
  pool.deallocate(scratch);
  EXPECT_EQ(pool.allocate("again", 8192), scratch);  // inside the graph memory is reused
  pool.deallocate(scratch);
  void* const result = pool.allocate("result", 1024);
  pool.close_arena();
  std::set<void*> later;
  for (int i = 0; i < 32; ++i) later.insert(pool.allocate("later", 8192));
  EXPECT_EQ(later.count(scratch), 0u);
  for (void* const p : later) {
    const char *const c = static_cast<char*>(p), *const s = static_cast<char*>(scratch);
    EXPECT_TRUE(c + 8192 <= s || c >= s + 8192);
  }
  pool.drop_arena(arena);
  pool.deallocate(result);
  pool.deallocate(before);
  for (void* const p : later) pool.deallocate(p);
  pool.trim();
  EXPECT_EQ(device.taken, 0u);
}

}  // namespace
}  // namespace voxgrad::cuda
