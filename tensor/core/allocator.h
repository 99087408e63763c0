// Host memory: 64-byte aligned blocks, kept in a cache between uses, counted, with an optional cap.
#pragma once
#include <cstddef>
#include <cstdint>

namespace voxgrad {

struct MemoryStats {
  size_t current = 0;  ///< bytes in live tensors
  size_t peak = 0;     ///< largest `current` since reset_memory_peak()
  size_t cached = 0;   ///< bytes kept for reuse, not in live tensors
};

/// Returns 64-byte aligned memory of at least `bytes` (uninitialised).
/// Throws ErrorCode::memory, naming the need, when the cap or the system says no.
void* allocate(size_t bytes);
/// Gives back what allocate(bytes) returned.
void deallocate(void* p, size_t bytes) noexcept;

MemoryStats memory_stats();
void reset_memory_peak();
/// Caps live bytes; 0 means no cap.
void set_memory_cap(size_t bytes);
/// Returns cached blocks to the system.
void release_memory_cache();

}  // namespace voxgrad
