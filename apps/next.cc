#include "apps/next.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <cctype>
#include <cstring>
#include <iostream>

namespace voxgrad::apps {

std::string shell_word(const std::string& text) {
  const auto plain = [](unsigned char c) { return std::isalnum(c) || (c && std::strchr("_./-+:=,@%", c)); };
  if (!text.empty() && std::all_of(text.begin(), text.end(), plain)) return text;
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

void say_next(const std::string& arguments, const std::string& what_for) {
  std::cout.flush();  // so that the results come before the hint
  spdlog::info("run next: voxgrad {}  # {}", arguments, what_for);
}

}  // namespace voxgrad::apps
