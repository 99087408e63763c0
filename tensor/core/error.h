// The errors of the whole project. There is one exception type. It has a code, which is the exit status
// of the command. A message has the form "[op] expected ..., got ...". Errors about files name the file
// and the field.
#pragma once
#include <sstream>
#include <stdexcept>
#include <string>

namespace voxgrad {

/// What went wrong. The value is the exit status of the `voxgrad` command.
enum class ErrorCode : int {
  internal = 1,      ///< a defect of voxgrad itself, or a wrong use of the library
  usage = 2,         ///< wrong command line or configuration
  data = 3,          ///< input data: damaged, foreign or inconsistent file, bad data set
  system = 4,        ///< error of the operating system, disk full
  memory = 5,        ///< not enough memory
  diverged = 6,      ///< training produced non-finite values
  device = 7,        ///< no such device, no driver
  verification = 8,  ///< a check that was asked for failed
};

class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ErrorCode code() const noexcept { return code_; }

 private:
  ErrorCode code_;
};

/// Concatenates its arguments as text, with operator<<.
template <class... Parts>
std::string cat(const Parts&... parts) {
  std::ostringstream out;
  out.precision(9);
  (out << ... << parts);
  return out.str();
}

/// Throws Error(code, cat(parts...)).
template <class... Parts>
[[noreturn]] void fail(ErrorCode code, const Parts&... parts) {
  throw Error(code, cat(parts...));
}

/// Checks what a library function demands: throws ErrorCode::internal with the message if `ok` is false.
template <class... Parts>
void require(bool ok, const Parts&... parts) {
  if (!ok) throw Error(ErrorCode::internal, cat(parts...));
}

}  // namespace voxgrad
