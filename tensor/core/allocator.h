// The memory of tensors on the CPU. Blocks are aligned to 64 bytes. Freed blocks are kept in a cache for the
// next request. The bytes are counted, and a cap may limit them.
#pragma once
#include <cstddef>
#include <cstdint>

namespace voxgrad {

struct MemoryStats {
  size_t current = 0;  ///< bytes in live tensors
  size_t peak = 0;     ///< largest `current` since reset_memory_peak()
  size_t cached = 0;   ///< bytes kept for reuse, not in live tensors
};

/// Returns at least `bytes` of uninitialised memory, aligned to 64 bytes. Throws ErrorCode::memory where the
/// cap or the system refuses; the error names the bytes that were needed.
void* allocate(size_t bytes);
/// Gives back what allocate(bytes) returned.
void deallocate(void* p, size_t bytes) noexcept;

MemoryStats memory_stats();
void reset_memory_peak();
/// Limits the bytes in use; 0 means no limit.
void set_memory_cap(size_t bytes);
/// Returns cached blocks to the system.
void release_memory_cache();

}  // namespace voxgrad
