// Memory-mapped files. If the system cannot read a page, it sends SIGBUS. The handler maps a page of zeros
// there and marks the file as failed. Later check() throws in the code that reads the file.
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <mutex>

#include "io/file.h"
#include "io/system_call.h"

namespace voxgrad {
namespace {

// The data of a map for the handler. Nodes are never freed, because a handler may read the list at any time.
// They are reused: `begin` is 0 in a free node.
struct Node {
  std::atomic<uintptr_t> begin{0};
  std::atomic<size_t> size{0};
  std::atomic<bool> failed{false};
  Node* next = nullptr;
};

std::atomic<Node*> nodes{nullptr};
std::mutex nodes_mutex;  // held while the list is changed
struct sigaction previous_action;
uintptr_t page_size = 0;

void on_bus_error(int number, siginfo_t* info, void* context) {
  const uintptr_t address =
      info->si_code > 0 ? reinterpret_cast<uintptr_t>(info->si_addr) : 0;  // 0: a process sent the signal
  for (Node* n = nodes.load(std::memory_order_acquire); n; n = n->next) {
    const uintptr_t begin = n->begin.load(std::memory_order_acquire);
    if (begin == 0 || address < begin || address - begin >= n->size.load()) continue;
    void* const page = reinterpret_cast<void*>(address / page_size * page_size);
    if (::mmap(page, page_size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
      break;
    n->failed.store(true, std::memory_order_release);
    return;
  }
  // The address belongs to no map: do what the previous handler would do.
  if (previous_action.sa_flags & SA_SIGINFO) return previous_action.sa_sigaction(number, info, context);
  if (previous_action.sa_handler != SIG_DFL && previous_action.sa_handler != SIG_IGN)
    return previous_action.sa_handler(number);
  ::sigaction(SIGBUS, &previous_action, nullptr);
  if (address == 0) ::raise(number);  // otherwise the access is repeated and ends the process
}

Node* add_node(const void* begin, size_t size) {
  const std::lock_guard lock(nodes_mutex);
  if (page_size == 0) {
    page_size = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
    struct sigaction action {};
    action.sa_sigaction = on_bus_error;
    action.sa_flags = SA_SIGINFO | SA_RESTART;
    ::sigaction(SIGBUS, &action, &previous_action);
  }
  Node* n = nodes.load();
  while (n && n->begin.load() != 0) n = n->next;
  if (!n) {
    n = new Node;
    n->next = nodes.load();
    nodes.store(n, std::memory_order_release);
  }
  n->failed.store(false);
  n->size.store(size);
  n->begin.store(reinterpret_cast<uintptr_t>(begin), std::memory_order_release);
  return n;
}

}  // namespace

struct MappedFile::State {
  std::string path;
  void* data = nullptr;
  size_t size = 0;
  dev_t device = 0;
  ino_t inode = 0;
  Node* node = nullptr;

  ~State() {
    if (!node) return;
    node->begin.store(0);
    ::munmap(data, size);
  }
};

MappedFile::MappedFile(const std::string& path) : state_(std::make_unique<State>()) {
  State& s = *state_;
  s.path = path;
  const FileReader file(path);  // checks the file and throws the usual errors
  s.size = file.size();
  struct stat status {};
  if (::fstat(file.descriptor(), &status) != 0) detail::fail_system(path, "ask for the size", errno);
  s.device = status.st_dev;
  s.inode = status.st_ino;
  if (s.size == 0) return;
  if (detail::faulted("map", path)) detail::fail_system(path, "map", errno);
  void* const data = ::mmap(nullptr, s.size, PROT_READ, MAP_PRIVATE, file.descriptor(), 0);
  if (data == MAP_FAILED) detail::fail_system(path, "map", errno);
  s.data = data;
  s.node = add_node(data, s.size);
}

MappedFile::~MappedFile() = default;

std::span<const std::byte> MappedFile::bytes() const {
  return {static_cast<const std::byte*>(state_->data), state_->size};
}
const std::string& MappedFile::path() const { return state_->path; }

void MappedFile::check() const {
  const State& s = *state_;
  if (detail::faulted("read", s.path)) detail::fail_system(s.path, "read", errno);
  // A file that became shorter within its last page causes no SIGBUS, so the size is compared.
  struct stat status {};
  const bool shorter = ::stat(s.path.c_str(), &status) == 0 && status.st_dev == s.device &&
                       status.st_ino == s.inode && static_cast<size_t>(status.st_size) < s.size;
  if (shorter) fail(ErrorCode::system, "[file] ", s.path, ": became shorter while it was in use");
  if (s.node && s.node->failed.load(std::memory_order_acquire)) detail::fail_system(s.path, "read", EIO);
}

}  // namespace voxgrad
