// Fault injection in io/file.cc, io/folder.cc and io/mapped_file.cc: every system call that tests can make
// fail is checked here. Internal to io/.
#pragma once
#include <string>
#include <string_view>

#include "tensor/core/error.h"

namespace voxgrad::detail {

/// The errno with which the fault hook (set_file_fault) makes this call fail, or 0.
int injected_fault(std::string_view call, const std::string& path);

/// Sets errno and returns true if the hook makes this call fail.
bool faulted(std::string_view call, const std::string& path);

/// Throws "[file] PATH: cannot WHAT: TEXT". TEXT is the system's message for errno `number`.
[[noreturn]] void fail_system(const std::string& path, std::string_view what, int number,
                              ErrorCode code = ErrorCode::system);

}  // namespace voxgrad::detail
