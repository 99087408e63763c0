// Names of parameterised tests. Every parameter of a test prints as such a name: in the test's name by a
// generator that calls test_name(), in the output of a failure by PrintTo. The test house.TestNames reads
// both.
#pragma once
#include <algorithm>
#include <cctype>
#include <string>

namespace voxgrad::test {

/// `text` as a part of a test's name: GoogleTest takes letters, digits and underscores.
inline std::string test_name(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](char c) { return !std::isalnum(static_cast<unsigned char>(c)); }, '_');
  return text;
}

}  // namespace voxgrad::test
