// The fault hook's side of io/file.cc, io/folder.cc and io/mapped_file.cc: every system call that tests can
// make fail passes here.
#pragma once
#include <string>
#include <string_view>

#include "tensor/error.h"

namespace voxgrad::detail {

/// 0, or the errno that the fault hook (set_file_fault) wants this call to fail with.
int injected_fault(std::string_view call, const std::string& path);

/// Sets errno and returns true when the hook wants this call to fail.
bool faulted(std::string_view call, const std::string& path);

/// "[file] PATH: cannot WHAT: the system's text for errno `number`".
[[noreturn]] void fail_system(const std::string& path, std::string_view what, int number,
                              ErrorCode code = ErrorCode::system);

}  // namespace voxgrad::detail
