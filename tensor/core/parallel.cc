#include "tensor/core/parallel.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "tensor/core/cpu/amx.h"
#include "tensor/core/error.h"

namespace voxgrad {
namespace {

thread_local bool inside = false;  // true while this thread runs a tile

inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

class Pool {
 public:
  explicit Pool(int threads) {
    (void)cpu::amx_state();  // asks for AMX before there are threads (cpu/amx.h)
    for (int i = 1; i < threads; ++i) workers_.emplace_back([this] { work(); });
  }
  ~Pool() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
      generation_.fetch_add(1, std::memory_order_release);
    }
    wake_.notify_all();
    for (auto& w : workers_) w.join();
  }
  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  void run(int64_t tiles, detail::TileFn fn, void* context) {
    const std::lock_guard one_at_a_time(run_mutex_);
    {
      const std::lock_guard lock(mutex_);
      fn_ = fn;
      context_ = context;
      tiles_ = tiles;
      next_.store(0, std::memory_order_relaxed);
      error_ = nullptr;
      busy_.store(static_cast<int>(workers_.size()), std::memory_order_relaxed);
      generation_.fetch_add(1, std::memory_order_release);
    }
    wake_.notify_all();
    take_tiles();
    // The last tiles end soon, so spin first. Then yield: on a shared machine the threads that compute them
    // may need this CPU.
    for (int spin = 0; busy_.load(std::memory_order_acquire) != 0; ++spin) {
      if (spin < 2000)
        pause();
      else
        std::this_thread::yield();
    }
    if (error_) std::rethrow_exception(error_);
  }

 private:
  void take_tiles() {
    inside = true;
    for (int64_t t; (t = next_.fetch_add(1, std::memory_order_relaxed)) < tiles_;) {
      try {
        fn_(context_, t);
      } catch (...) {
        const std::lock_guard lock(mutex_);
        if (!error_) error_ = std::current_exception();
        next_.store(tiles_, std::memory_order_relaxed);
      }
    }
    inside = false;
  }

  void work() {
    uint64_t seen = 0;
    for (;;) {
      // Spin for a while, because kernels follow each other within microseconds. Then sleep.
      for (int spin = 0; spin < 20000 && generation_.load(std::memory_order_acquire) == seen; ++spin) pause();
      if (generation_.load(std::memory_order_acquire) == seen) {
        std::unique_lock lock(mutex_);
        wake_.wait(lock, [&] { return generation_.load(std::memory_order_relaxed) != seen; });
      }
      seen = generation_.load(std::memory_order_acquire);
      {
        const std::lock_guard lock(mutex_);
        if (stop_) return;
      }
      take_tiles();
      busy_.fetch_sub(1, std::memory_order_release);
    }
  }

  std::vector<std::thread> workers_;
  std::mutex run_mutex_, mutex_;
  std::condition_variable wake_;
  std::atomic<uint64_t> generation_{0};
  std::atomic<int64_t> next_{0};
  std::atomic<int> busy_{0};
  detail::TileFn fn_ = nullptr;
  void* context_ = nullptr;
  int64_t tiles_ = 0;
  std::exception_ptr error_;
  bool stop_ = false;
};

int wanted = 0;
Pool* current = nullptr;
std::mutex pool_mutex;

Pool& pool() {
  const std::lock_guard lock(pool_mutex);
  if (!current) {
    if (wanted == 0) wanted = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
    current = new Pool(wanted);
  }
  return *current;
}

}  // namespace

int thread_count() { return pool().threads(); }

void set_thread_count(int threads) {
  require(threads >= 1, "[threads] expected at least 1, got ", threads);
  const std::lock_guard lock(pool_mutex);
  if (current && current->threads() == threads) return;
  delete current;
  current = nullptr;
  wanted = threads;
}

namespace detail {
void run_tiles(int64_t tiles, TileFn fn, void* context) {
  if (tiles <= 0) return;
  if (tiles == 1 || inside) {
    for (int64_t t = 0; t < tiles; ++t) fn(context, t);
    return;
  }
  Pool& p = pool();
  if (p.threads() == 1) {
    for (int64_t t = 0; t < tiles; ++t) fn(context, t);
    return;
  }
  p.run(tiles, fn, context);
}
}  // namespace detail

}  // namespace voxgrad
