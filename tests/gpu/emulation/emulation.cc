#include "emulation.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <mutex>
#include <numeric>
#include <set>
#include <string>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(VOXGRAD_EMULATION_RACES)
#include <sanitizer/tsan_interface.h>
#endif

// The work that a stream captures. An executable graph and a graph are one here.
struct CUgraph_st {
  std::vector<std::function<void()>> work;
};
// Work is done as it is queued. Only the copy stream (the second of a device) does it as late as events
// allow: when another stream or the host waits for it. So what is read without waiting is not there yet.
struct CUstream_st {
  bool late = false;
  CUgraph_st* captured = nullptr;
  std::vector<std::function<void()>> waiting;  // late: the last of what was queued
  uint64_t queued = 0;                         // pieces of work; where it is not late, copies
  uint64_t awaited = 0;                        // late: copies of the other stream that it waits for
  void finish(uint64_t count) {                // so many of `queued`
    while (!waiting.empty() && queued - waiting.size() < count) {
      waiting.front()();
      waiting.erase(waiting.begin());
    }
  }
};
struct CUevent_st {
  CUstream_st* stream = nullptr;
  uint64_t queued = 0;  // of the stream when it was recorded
};

// Saves on the stack the registers that calls preserve, leaves the stack pointer in *save, goes
// on at `resume`.
extern "C" __attribute__((visibility("hidden"))) void emulation_switch(void** save, void* resume);
asm(R"(
  .text
  .hidden emulation_switch
  .globl emulation_switch
emulation_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
)");

namespace emulation {

uint3 thread_index, block_index;
dim3 block_extent, grid_extent;
static bool lost = false;
void lose_device() { lost = true; }

namespace {

constexpr size_t kStack = 256 << 10;

struct Stack {
  char* memory = static_cast<char*>(map(nullptr));
  static void* map(void* at) {
    void* const p =
        mmap(at, kStack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | (at ? MAP_FIXED : 0), -1, 0);
    if (p == MAP_FAILED) fail("no memory for stacks");
    return p;
  }
};

enum class State { fresh, ready, at_barrier, at_warp, done };

struct Thread {
  State state = State::fresh;
  uint3 index{};
  void* at = nullptr;  // stack pointer while it waits
  Stack* stack = nullptr;
  int exchanges = 0;
  std::vector<std::function<void()>> copies;
  void* fake = nullptr;   // AddressSanitizer's
  void* fiber = nullptr;  // ThreadSanitizer's
};

struct Warp {
  char data[2][32][64];
};

// The launch under way. Only one host thread launches at a time.
std::recursive_mutex one_at_a_time;
std::vector<std::unique_ptr<Stack>> stacks;
std::vector<Stack*> free_stacks;
std::vector<Thread> threads;
std::vector<Warp> warps;
std::set<void*> poisoned;
std::unique_ptr<char, decltype(&std::free)> shared_memory(nullptr, &std::free);
const std::function<void()>* body = nullptr;
size_t current = 0;
void* scheduler_at = nullptr;
uint64_t launches = 0;
cudaError_t last_error = cudaSuccess;
int dynamic_limit = 48 << 10;
std::map<const void*, uint64_t> read_from;  // places that copies read which are not late: number of the last
std::set<const void*> pinned_in_use;        // what late copies read, until the host waits for them
// Copies that are done at once here. A device may do them at any time until the host waits for it. So the
// pinned memory that they read must not have changed by then.
struct PinnedRead {
  const char* from;
  std::string bytes;
  uint64_t copy;  // of the stream
};
std::vector<PinnedRead> pinned_reads;
std::map<const char*, size_t> pinned;  // first byte, size

void expect_unchanged(uint64_t up_to_copy) {
  std::erase_if(pinned_reads, [&](const PinnedRead& r) {
    if (std::memcmp(r.from, r.bytes.data(), r.bytes.size()) != 0)
      fail("pinned memory was written while a copy may still read it");
    return r.copy <= up_to_copy;
  });
}

#if defined(__SANITIZE_ADDRESS__)
const void* scheduler_bottom = nullptr;
size_t scheduler_size = 0;
void* scheduler_fake = nullptr;
#endif
#if defined(VOXGRAD_EMULATION_RACES)
void* scheduler_fiber = nullptr;
char block_token, barrier_token;
#endif

void switch_to_scheduler(bool leaves) {
  Thread& t = threads[current];
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(leaves ? nullptr : &t.fake, scheduler_bottom, scheduler_size);
#endif
#if defined(VOXGRAD_EMULATION_RACES)
  if (leaves) __tsan_release(&block_token);
  __tsan_switch_to_fiber(scheduler_fiber, __tsan_switch_to_fiber_no_sync);
#endif
  (void)leaves;
  emulation_switch(&t.at, scheduler_at);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(t.fake, nullptr, nullptr);
#endif
}

void enter_thread() {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(nullptr, &scheduler_bottom, &scheduler_size);
#endif
  (*body)();
  Thread& t = threads[current];
  if (!t.copies.empty()) fail("a thread ended before its asynchronous copies");
  t.state = State::done;
  switch_to_scheduler(true);
}

void start(Thread& t) {
  if (free_stacks.empty()) {
    stacks.push_back(std::make_unique<Stack>());
    free_stacks.push_back(stacks.back().get());
  }
  t.stack = free_stacks.back();
  free_stacks.pop_back();
#if defined(__SANITIZE_ADDRESS__)
  ASAN_UNPOISON_MEMORY_REGION(t.stack->memory + kStack - 4096, 4096);  // enter_thread() never returned here
#endif
#if defined(VOXGRAD_EMULATION_RACES)
  Stack::map(t.stack->memory);  // forgets what an earlier thread did on this stack
  t.fiber = __tsan_create_fiber(0);
#endif
  void** const top = reinterpret_cast<void**>(t.stack->memory + kStack);
  top[-1] = nullptr;  // where enter_thread would return to: it does not
  top[-2] = reinterpret_cast<void*>(&enter_thread);
  for (int k = 3; k <= 8; ++k) top[-k] = nullptr;  // the six registers
  t.at = top - 8;
}

void resume(size_t which) {
  Thread& t = threads[which];
  if (t.state == State::fresh) start(t);
  t.state = State::ready;
  current = which;
  thread_index = t.index;
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(&scheduler_fake, t.stack->memory, kStack);
#endif
#if defined(VOXGRAD_EMULATION_RACES)
  __tsan_switch_to_fiber(t.fiber, __tsan_switch_to_fiber_no_sync);
#endif
  emulation_switch(&scheduler_at, t.at);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(scheduler_fake, nullptr, nullptr);
#endif
  if (t.state == State::done) {
#if defined(VOXGRAD_EMULATION_RACES)
    __tsan_destroy_fiber(t.fiber);
#endif
    free_stacks.push_back(t.stack);
  }
}

// The orders take turns: as numbered, backwards, and scattered.
std::vector<size_t> order_of(size_t n, uint64_t turn) {
  std::vector<size_t> order(n);
  std::iota(order.begin(), order.end(), size_t{0});
  if (turn % 3 == 1) std::reverse(order.begin(), order.end());
  if (turn % 3 == 2) {
    size_t step = 7919 % n + 1;
    while (std::gcd(step, n) != 1) ++step;
    for (size_t k = 0; k < n; ++k) order[k] = k * step % n;
  }
  return order;
}

// Lets warps go on where all lanes have arrived. A lane that ended never arrives.
bool release_warps() {
  bool any = false;
  for (size_t first = 0; first < threads.size(); first += 32) {
    size_t waiting = 0;
    const size_t end = std::min(first + 32, threads.size());
    for (size_t k = first; k < end; ++k) waiting += threads[k].state == State::at_warp;
    if (waiting != 32) continue;
    for (size_t k = first; k < end; ++k) threads[k].state = State::ready;
    any = true;
  }
  return any;
}

bool release_barrier() {
  for (const Thread& t : threads)
    if (t.state != State::at_barrier) return false;
  for (Thread& t : threads) t.state = State::ready;
  return true;
}

void run_block(const std::vector<size_t>& order) {
  for (Thread& t : threads) t.state = State::fresh, t.exchanges = 0;
  poisoned.clear();
  for (;;) {
    size_t done = 0;
    bool ran = false;
    for (const size_t k : order) {
      if (threads[k].state == State::fresh || threads[k].state == State::ready) resume(k), ran = true;
      done += threads[k].state == State::done;
    }
    if (done == threads.size()) return;
    if (!release_warps() && !release_barrier() && !ran)
      fail("threads of a block wait for others that do not come: a barrier or a warp operation in a branch");
  }
}

void run(const dim3& grid, const dim3& block, size_t shared, const std::function<void()>& f) {
  const size_t n = size_t{block.x} * block.y * block.z, blocks = size_t{grid.x} * grid.y * grid.z;
  const uint64_t turn = launches++;
  block_extent = block;
  grid_extent = grid;
  body = &f;
  threads.assign(n, {});
  warps.resize((n + 31) / 32);
  for (size_t k = 0; k < n; ++k)
    threads[k].index = {static_cast<unsigned>(k % block.x), static_cast<unsigned>(k / block.x % block.y),
                        static_cast<unsigned>(k / block.x / block.y)};
#if defined(VOXGRAD_EMULATION_RACES)
  scheduler_fiber = __tsan_get_current_fiber();
#endif
  const std::vector<size_t> order = order_of(n, turn);
  for (const size_t b : order_of(blocks, turn / 3)) {
    block_index = {static_cast<unsigned>(b % grid.x), static_cast<unsigned>(b / grid.x % grid.y),
                   static_cast<unsigned>(b / grid.x / grid.y)};
    if (shared > 0) {  // of exactly this size, so that AddressSanitizer sees its end
      shared_memory.reset(static_cast<char*>(std::aligned_alloc(16, (shared + 15) / 16 * 16)));
      poison_shared(shared_memory.get(), shared);
    }
    run_block(order);
#if defined(VOXGRAD_EMULATION_RACES)
    __tsan_acquire(&block_token);  // blocks share the static arrays, so only races inside of one are seen
#endif
  }
}

}  // namespace

void fail(const char* what) {
  std::fprintf(stderr, "emulation: %s (launch %llu, block %u %u %u, thread %u %u %u)\n", what,
               static_cast<unsigned long long>(launches), block_index.x, block_index.y, block_index.z,
               thread_index.x, thread_index.y, thread_index.z);
  std::abort();
}

void enqueue(cudaStream_t stream, std::function<void()> work) {
  if (stream && stream->captured)
    stream->captured->work.push_back(std::move(work));
  else if (stream && stream->late)
    ++stream->queued, stream->waiting.push_back(std::move(work));
  else
    work();
}

void enqueue(cudaStream_t stream, const dim3& grid, const dim3& block, size_t shared,
             std::function<void()> f) {
  const std::lock_guard lock(one_at_a_time);
  const uint64_t n = uint64_t{block.x} * block.y * block.z;
  if (n == 0 || n > 1024 || block.z > 64 || grid.x == 0 || grid.y == 0 || grid.z == 0 ||
      grid.x > 2147483647 || grid.y > 65535 || grid.z > 65535) {
    last_error = cudaErrorInvalidConfiguration;
    return;
  }
  if (shared > static_cast<size_t>(dynamic_limit)) {
    last_error = cudaErrorInvalidValue;
    return;
  }
  enqueue(stream, [grid, block, shared, f = std::move(f)] {
    const std::lock_guard again(one_at_a_time);
    run(grid, block, shared, f);
  });
}

void sync_threads() {
  Thread& t = threads[current];
  t.state = State::at_barrier;
#if defined(VOXGRAD_EMULATION_RACES)
  __tsan_release(&barrier_token);
#endif
  switch_to_scheduler(false);
#if defined(VOXGRAD_EMULATION_RACES)
  __tsan_acquire(&barrier_token);
#endif
}

void* dynamic_shared() { return shared_memory.get(); }

void poison_shared(void* array, size_t bytes) {
  if (!poisoned.insert(array).second) return;
#if !defined(VOXGRAD_EMULATION_RACES)  // there it would be an access of this thread
  std::memset(array, 0xff, bytes);
#endif
  (void)bytes;
}

int lane() { return static_cast<int>(current % 32); }

const char* exchange(const void* mine, size_t bytes) {
  Thread& t = threads[current];
  auto& data = warps[current / 32].data[t.exchanges++ % 2];
  // Byte by byte: memcpy would be an access that ThreadSanitizer sees, and lanes exchange without a barrier.
  volatile char* const to = data[current % 32];
  for (size_t k = 0; k < bytes; ++k) to[k] = static_cast<const char*>(mine)[k];
  t.state = State::at_warp;
  switch_to_scheduler(false);
  return data[0];
}

void copy_later(void* to, const void* from, size_t bytes, size_t zeros) {
  if (reinterpret_cast<uintptr_t>(to) % bytes != 0 || reinterpret_cast<uintptr_t>(from) % bytes != 0)
    fail("an asynchronous copy that is not aligned");
  threads[current].copies.push_back([=] {
    std::memcpy(to, from, bytes - zeros);
    std::memset(static_cast<char*>(to) + bytes - zeros, 0, zeros);
  });
}

void finish_copies() {
  for (const auto& copy : threads[current].copies) copy();
  threads[current].copies.clear();
}

}  // namespace emulation

// The functions of the CUDA runtime that tensor/*/cuda calls.
using emulation::last_error;

cudaError_t cudaGetDeviceCount(int* n) { return *n = 1, cudaSuccess; }
cudaError_t cudaSetDevice(int) { return cudaSuccess; }
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* p, int) {
  *p = {};
  std::snprintf(p->name, sizeof p->name, "emulation on the host");
  const char* const capability = std::getenv("VOXGRAD_EMULATION_CAPABILITY");
  p->major = capability ? std::atoi(capability) : 9;
  p->multiProcessorCount = 4;
  p->l2CacheSize = 50 << 20;
  p->sharedMemPerBlockOptin = 227 << 10;
  return cudaSuccess;
}
cudaError_t cudaMalloc(void** p, size_t bytes) {
  if (bytes > size_t{8} << 30 || posix_memalign(p, 512, bytes) != 0)
    return last_error = cudaErrorMemoryAllocation;
  std::memset(*p, 0xff, bytes);
  return cudaSuccess;
}
cudaError_t cudaFree(void* p) { return std::free(p), cudaSuccess; }
cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  return *free = *total = size_t{8} << 30, cudaSuccess;
}
cudaError_t cudaHostAlloc(void** p, size_t bytes, unsigned) {
  if (!(*p = std::malloc(bytes))) return cudaErrorMemoryAllocation;
  emulation::pinned[static_cast<char*>(*p)] = bytes;
  return cudaSuccess;
}
cudaError_t cudaFreeHost(void* p) {
  if (emulation::pinned_in_use.count(p))
    emulation::fail("pinned memory freed while a copy may still read it");
  emulation::expect_unchanged(UINT64_MAX);  // who frees it has waited
  emulation::pinned.erase(static_cast<char*>(p));
  return std::free(p), cudaSuccess;
}
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* s, unsigned) {
  static int streams = 0;
  *s = new CUstream_st;
  (*s)->late = streams++ % 2 == 1;
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t s) { return delete s, cudaSuccess; }
cudaError_t cudaStreamSynchronize(cudaStream_t s) {
  if (emulation::lost) return cudaErrorIllegalAddress;
  if (s && s->captured) return cudaErrorStreamCaptureUnsupported;
  if (s && s->late) s->finish(s->queued), emulation::pinned_in_use.clear();
  if (s && !s->late) emulation::expect_unchanged(s->queued);
  return cudaSuccess;
}
cudaError_t cudaDeviceSynchronize() { return cudaSuccess; }
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* e, unsigned) { return *e = new CUevent_st, cudaSuccess; }
cudaError_t cudaEventDestroy(cudaEvent_t e) { return delete e, cudaSuccess; }
cudaError_t cudaEventRecord(cudaEvent_t e, cudaStream_t s) { return *e = {s, s->queued}, cudaSuccess; }
cudaError_t cudaStreamWaitEvent(cudaStream_t s, cudaEvent_t e, unsigned) {
  if (e->stream) e->stream->finish(e->queued);
  s->awaited = std::max(s->awaited, e->queued);
  return cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t e) {
  if (e->stream && e->stream->late) e->stream->finish(e->queued), emulation::pinned_in_use.clear();
  if (e->stream && !e->stream->late) emulation::expect_unchanged(e->queued);
  return cudaSuccess;
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind, cudaStream_t s) {
  const std::lock_guard lock(emulation::one_at_a_time);
  if (!s->late) {
    emulation::read_from[from] = ++s->queued;
    const char* const first = static_cast<const char*>(from);
    const auto region = emulation::pinned.upper_bound(first);
    if (region != emulation::pinned.begin() && first < std::prev(region)->first + std::prev(region)->second)
      emulation::pinned_reads.push_back({first, {first, bytes}, s->queued});
  } else {
    const auto read = emulation::read_from.find(to);
    if (read != emulation::read_from.end() && read->second > s->awaited)
      emulation::fail("a copy beside the work overwrites what that may still read");
    if (!emulation::pinned_in_use.insert(from).second)
      emulation::fail("pinned memory was written while a copy may still read it");
  }
  emulation::enqueue(s, [=] { std::memmove(to, from, bytes); });
  return cudaSuccess;
}
cudaError_t cudaMemsetAsync(void* to, int value, size_t bytes, cudaStream_t s) {
  emulation::enqueue(s, [=] { std::memset(to, value, bytes); });
  return cudaSuccess;
}
cudaError_t cudaFuncSetAttribute(const void*, cudaFuncAttribute, int value) {
  if (value > 227 << 10) return last_error = cudaErrorInvalidValue;
  emulation::dynamic_limit = std::max(emulation::dynamic_limit, value);
  return cudaSuccess;
}
cudaError_t cudaGetLastError() {
  const cudaError_t e = last_error;
  return last_error = cudaSuccess, e;
}
cudaError_t cudaPeekAtLastError() { return last_error; }
const char* cudaGetErrorString(cudaError_t) { return "emulated error"; }
const char* cudaGetErrorName(cudaError_t e) {
  static thread_local std::string name;
  return (name = std::to_string(static_cast<int>(e))).c_str();
}
cudaError_t cudaDriverGetVersion(int* v) { return *v = CUDART_VERSION, cudaSuccess; }
cudaError_t cudaRuntimeGetVersion(int* v) { return *v = CUDART_VERSION, cudaSuccess; }
cudaError_t cudaStreamBeginCapture(cudaStream_t s, cudaStreamCaptureMode) {
  if (s->captured) return cudaErrorIllegalState;
  return s->captured = new CUgraph_st, cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t s, cudaGraph_t* g) {
  *g = s->captured;
  s->captured = nullptr;
  return *g ? cudaSuccess : cudaErrorIllegalState;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* e, cudaGraph_t g, unsigned long long) {
  return *e = reinterpret_cast<cudaGraphExec_t>(g), cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t g) { return delete g, cudaSuccess; }
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t) { return cudaSuccess; }
cudaError_t cudaGraphLaunch(cudaGraphExec_t e, cudaStream_t) {
  for (const auto& work : reinterpret_cast<cudaGraph_t>(e)->work) work();
  return cudaSuccess;
}
cudaError_t cudaGraphGetNodes(cudaGraph_t g, cudaGraphNode_t*, size_t* n) {
  return *n = g->work.size(), cudaSuccess;
}
