// Helpers of the tests of io/: a fresh folder, and errors with their code and message.
#pragma once
#include <gtest/gtest.h>

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <string>
#include <vector>

#include "tensor/core/error.h"
#include "tests/temporary_folder.h"

namespace voxgrad::testing {

using Bytes = std::vector<std::byte>;

inline Bytes bytes_of(std::string_view text) {
  const auto* p = reinterpret_cast<const std::byte*>(text.data());
  return Bytes(p, p + text.size());
}

inline void put_file(const std::string& path, const Bytes& bytes) {
  std::filesystem::remove(path);  // some file systems write a truncated file to disk at once
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
}
inline void put_file(const std::string& path, std::string_view text) { put_file(path, bytes_of(text)); }

inline Bytes get_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  return bytes_of(text);
}

/// Runs f, which must throw Error with this code and a message that has all these parts.
template <class F>
void expect_error(F&& f, ErrorCode code, std::initializer_list<std::string> parts,
                  int line = __builtin_LINE()) {
  SCOPED_TRACE("called from line " + std::to_string(line));
  try {
    f();
  } catch (const Error& e) {
    EXPECT_EQ(static_cast<int>(e.code()), static_cast<int>(code)) << e.what();
    for (const std::string& part : parts)
      EXPECT_NE(std::string(e.what()).find(part), std::string::npos)
          << "no \"" << part << "\" in: " << e.what();
    return;
  }
  ADD_FAILURE() << "expected an error";
}

}  // namespace voxgrad::testing
