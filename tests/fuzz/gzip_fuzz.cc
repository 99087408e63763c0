// The streaming reader and the fast path agree on every input: the same content, or both refuse it.
#include <optional>

#include "io/gzip.h"
#include "memory_file.h"
#include "tensor/core/error.h"

namespace {

using voxgrad::Error;
using voxgrad::ErrorCode;

template <class F>
auto or_refused(F&& f) -> std::optional<decltype(f())> {
  try {
    return f();
  } catch (const Error& e) {
    voxgrad::fuzz::check(e.code() == ErrorCode::data);
    return std::nullopt;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace voxgrad;
  const std::span bytes(reinterpret_cast<const std::byte*>(data), size);
  constexpr uint64_t limit = 1 << 20;
  const auto content = or_refused([&] { return inflate_gzip(bytes, limit, "fuzz"); });
  if (!content) return 0;
  fuzz::check(content->size() <= gzip_output_bound(size));
  std::vector<std::byte> exact(content->size());
  fuzz::check(inflate_gzip_into(bytes, exact, "fuzz") == exact.size() && exact == *content);
  std::vector<std::byte> longer(content->size() + 1);
  fuzz::check(inflate_gzip_into(bytes, longer, "fuzz") == content->size());
  if (!content->empty()) {
    std::vector<std::byte> shorter(content->size() - 1);
    fuzz::check(inflate_gzip_into(bytes, shorter, "fuzz") == content->size());
  }
  const fuzz::MemoryFile file(data, size);
  fuzz::check(read_gzip(file.path(), limit) == *content);
  return 0;
}
