#pragma once
#include <exception>
#include <string>

namespace voxgrad {

/// The message of an nlohmann::json exception without the library's prefix in brackets, for example "parse
/// error at line 2, column 1: ...".
inline std::string json_reason(const std::exception& e) {
  const std::string text = e.what();
  const size_t end = text.starts_with("[json.exception") ? text.find("] ") : std::string::npos;
  return end == std::string::npos ? text : text.substr(end + 2);
}

}  // namespace voxgrad
