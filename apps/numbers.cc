#include "apps/numbers.h"

#include <charconv>

#include "tensor/core/error.h"

namespace voxgrad::apps {
namespace {

/// Reads `text` as a T within [low, high]. Returns false for any other text.
template <class T>
bool read(const std::string& text, T low, T high, T& value) {
  const char* const last = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data(), last, value);
  return error == std::errc{} && end == last && value >= low && value <= high;  // false for NaN
}

}  // namespace

CLI::Validator whole_number(uint64_t low, uint64_t high) {
  const std::string range = cat("from ", low, " to ", high);
  return {[=](std::string& text) {
            uint64_t value = 0;
            const bool octal = text.size() > 1 && text[0] == '0';  // CLI11 would read such a text as octal
            return !octal && read(text, low, high, value)
                       ? std::string()
                       : cat("expected a whole number ", range, ", got ", text);
          },
          range == cat("from 0 to ", UINT64_MAX) ? "" : range};
}

CLI::Validator number(double low, double high) {
  return {[=](std::string& text) {
            double value = 0;
            return read(text, low, high, value)
                       ? std::string()
                       : cat("expected a number from ", low, " to ", high, ", got ", text);
          },
          ""};
}

}  // namespace voxgrad::apps
