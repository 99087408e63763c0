// The memory pool of a device. It takes segments from the driver, cuts them into blocks and hands out the
// blocks. A block that was given back may be handed out again at once, because all work on it runs in one
// stream, in order. This file needs no CUDA, so tests run it on the host.
//
// Arenas: every replay of a captured graph writes to the memory that the graph allocated. So that memory
// stays reserved for the graph. Blocks that are allocated while an arena is open belong to the arena, and
// when freed only the arena may reuse them. drop_arena() returns them to everybody.
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>

#include "tensor/core/cuda/module.h"

namespace voxgrad::cuda {

class Pool {
 public:
  struct Driver {
    std::function<void*(uint64_t bytes)> take;      ///< null if the device has no memory left
    std::function<void(void* segment)> give_back;   ///< waits until all work on it is done
    std::function<std::string()> free_memory_text;  ///< for the error message
  };
  explicit Pool(Driver driver) : driver_(std::move(driver)) {}
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  /// Memory for `bytes`, aligned to 512 bytes. Throws ErrorCode::memory; the error names `op`, the bytes
  /// needed and the peak.
  void* allocate(const char* op, uint64_t bytes);
  void deallocate(void* memory);
  PoolStats stats() const { return stats_; }
  void reset_peak();
  void set_cap(uint64_t bytes) { stats_.cap = bytes; }
  /// Gives back the segments that have no block in use and none that belongs to an arena.
  /// Returns their bytes.
  uint64_t trim();

  /// Opens an arena for the allocations that follow. Returns its number (1 or more).
  int open_arena();
  void close_arena() { arena_ = 0; }
  void drop_arena(int arena);

  static constexpr uint64_t kAlignment = 512;
  static constexpr uint64_t kSmallSegment = uint64_t{32} << 20;  ///< for requests of at most half its size
  static constexpr uint64_t kLargeUnit = uint64_t{2} << 20;      ///< other segments are multiples of this

 private:
  struct Block {
    uint64_t bytes;
    int arena;
    bool free;
    bool first;  ///< the first block of its segment
  };
  using Blocks = std::map<char*, Block>;
  Blocks::iterator find_free(int arena, uint64_t bytes);
  Blocks::iterator take_segment(const char* op, uint64_t bytes);
  void make_free(Blocks::iterator b);
  void unlist(Blocks::iterator b);
  Blocks::iterator merge(Blocks::iterator b);

  Driver driver_;
  Blocks blocks_;  // by address, so neighbours in a segment are neighbours here
  std::map<int, std::set<std::pair<uint64_t, char*>>> free_;  // by arena: size and address
  PoolStats stats_{};
  int arena_ = 0, arenas_ = 0;
};

}  // namespace voxgrad::cuda
