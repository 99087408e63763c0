// Errors inside the module: one exception type, turned into code and text at the boundary.
#pragma once
#include <new>
#include <string>

#include "tensor/core/error.h"

namespace voxgrad::cuda {

/// The text of this thread's last failure; what Module::last_error returns.
std::string& failure_text();

/// Runs f and returns 0, or stores the text `[op] cuda: ...` and returns the code.
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
