// Errors inside the module. Functions throw the one exception type, Error; at the boundary it becomes a code
// and a text.
#pragma once
#include <new>
#include <string>

#include "tensor/core/error.h"

namespace voxgrad::cuda {

/// The text of the last failure of this thread. Module::last_error returns it.
std::string& failure_text();

/// Runs f and returns 0. If f throws, stores the text `[op] cuda: ...` and returns the error code.
template <class F>
int32_t guarded(const char* op, F&& f) noexcept {
  try {
    f();
    return 0;
  } catch (const Error& e) {
    failure_text() = std::string("[") + op + "] cuda: " + e.what();
    return static_cast<int32_t>(e.code());
  } catch (const std::bad_alloc&) {
    failure_text() = std::string("[") + op + "] cuda: out of host memory";
    return static_cast<int32_t>(ErrorCode::memory);
  } catch (const std::exception& e) {
    failure_text() = std::string("[") + op + "] cuda: " + e.what();
    return static_cast<int32_t>(ErrorCode::internal);
  }
}

}  // namespace voxgrad::cuda
