// Helpers for texts of messages.
#pragma once
#include <string>

#include "tensor/core/error.h"

namespace voxgrad {

/// A number and a noun: "1 case", "3 cases".
template <class Number>
std::string counted(Number n, const std::string& noun) {
  return cat(n, " ", noun, n == 1 ? "" : "s");
}

/// The texts of a list, with a separator between them.
template <class Texts>
std::string joined(const Texts& texts, const std::string& separator = ", ") {
  std::string all;
  bool first = true;
  for (const std::string& text : texts) {
    if (!first) all += separator;
    all += text;
    first = false;
  }
  return all;
}

}  // namespace voxgrad
