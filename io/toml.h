// Converts TOML to JSON, for files that are not configurations. io/config.h reads configurations.
#pragma once
#include <string>

namespace voxgrad {

/// Converts TOML text to JSON text. Numbers that are not finite become null. ErrorCode::data, naming `where`
/// and the line, for text that is not TOML, and for dates and times, which JSON does not have.
std::string json_of_toml(const std::string& text, const std::string& where);

}  // namespace voxgrad
