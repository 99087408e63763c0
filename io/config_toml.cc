// TOML text into a Config, by toml++. Apart from config.cc because the library is large to compile.
#define TOML_HEADER_ONLY 1
#define TOML_EXCEPTIONS 1
#include <toml++/toml.h>

#include "io/config.h"
#include "tensor/error.h"

namespace voxgrad {
namespace {

ConfigValue value_of(const toml::node& node, const std::string& where) {
  if (const auto* v = node.as_boolean()) return v->get();
  if (const auto* v = node.as_integer()) return v->get();
  if (const auto* v = node.as_floating_point()) return v->get();
  if (const auto* v = node.as_string()) return v->get();
  if (const auto* list = node.as_array()) {
    std::vector<double> numbers;
    for (const toml::node& element : *list) {
      if (!element.is_number()) fail(ErrorCode::usage, where, "expected a list of numbers");
      numbers.push_back(element.value<double>().value());
    }
    return numbers;
  }
  fail(ErrorCode::usage, where, "expected a boolean, number, string or list, got a date, time or table");
}

void walk(const toml::table& table, const std::string& prefix, const std::string& file, Config& config) {
  for (const auto& [name, node] : table) {
    const std::string key = prefix + std::string(name.str());
    if (const auto* inner = node.as_table(); inner && !config.has(key)) {
      walk(*inner, key + ".", file, config);
      continue;
    }
    const std::string place = cat("[config] ", file, ":", node.source().begin.line, ": ");
    if (!config.has(key))
      fail(ErrorCode::usage, place, key, ": expected a known key", config.suggestion(key));
    const ConfigValue value = value_of(node, place + key + ": ");
    const std::string wrong = config.problem(key, value);
    if (!wrong.empty()) fail(ErrorCode::usage, place, key, ": ", wrong);
    config.set(key, value);
  }
}

}  // namespace

void Config::read_toml(const std::string& text, const std::string& file_name) {
  Config read = *this;  // on an error this configuration stays as it was
  try {
    walk(toml::parse(text, file_name), "", file_name, read);
  } catch (const toml::parse_error& e) {
    fail(ErrorCode::usage, "[config] ", file_name, ":", e.source().begin.line, ": ", e.description());
  }
  values_ = std::move(read.values_);
}

}  // namespace voxgrad
