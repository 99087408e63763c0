// The memory pool of a device: segments taken from the driver, cut in blocks, handed out in stream order (a
// block that is given back may be handed out again at once, because all work on it runs in one stream). Knows
// no CUDA, so tests run it on the host.
//
// Arenas: what a captured graph allocates stays reserved for that graph, because every replay writes there.
// While an arena is open, blocks come from it and go back to it; drop() returns them to everybody.
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
    std::function<void*(uint64_t bytes)> take;      ///< null when there is none left
    std::function<void(void* segment)> give_back;   ///< after all work on it is done
    std::function<std::string()> free_memory_text;  ///< for the error message
  };
  explicit Pool(Driver driver) : driver_(std::move(driver)) {}
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  /// Memory for `bytes`, aligned to 512. Throws ErrorCode::memory naming `op`, the need, and the peak.
  void* allocate(const char* op, uint64_t bytes);
  void deallocate(void* memory);
  PoolStats stats() const { return stats_; }
  void reset_peak();
  void set_cap(uint64_t bytes) { stats_.cap = bytes; }
  /// Gives segments without live or reserved blocks back. Returns the bytes.
  uint64_t trim();

  /// Opens an arena for what follows and returns its number (from 1 on).
  int open_arena();
  void close_arena() { arena_ = 0; }
  void drop_arena(int arena);

  static constexpr uint64_t kAlignment = 512;
  static constexpr uint64_t kSmallSegment = uint64_t{32} << 20;  ///< shared by requests of at most half of it
  static constexpr uint64_t kLargeUnit = uint64_t{2} << 20;      ///< other segments are multiples of this

 private:
  struct Block {
    uint64_t bytes;
    int arena;
    bool free;
    bool first;  ///< of its segment
  };
  using Blocks = std::map<char*, Block>;
  Blocks::iterator find_free(int arena, uint64_t bytes);
  Blocks::iterator take_segment(const char* op, uint64_t bytes);
  void make_free(Blocks::iterator b);
  void unlist(Blocks::iterator b);
  Blocks::iterator merge(Blocks::iterator b);

  Driver driver_;
  Blocks blocks_;  // by address; neighbours of one segment lie next to each other
  std::map<int, std::set<std::pair<uint64_t, char*>>> free_;
  PoolStats stats_{};
  int arena_ = 0, arenas_ = 0;
};

}  // namespace voxgrad::cuda
