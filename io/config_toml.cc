// Reads TOML text into a Config.
#include "io/config.h"
#include "io/toml_library.h"
#include "tensor/core/error.h"

namespace voxgrad {
namespace {

OptionValue value_of(const toml::node& node, const std::string& where) {
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

struct Entry {
  std::string key, place;  // "[config] FILE:LINE: "
  const toml::node* node;
};

void walk(const toml::table& table, const std::string& prefix, const std::string& file, const Config& config,
          std::vector<Entry>& entries) {
  for (const auto& [name, node] : table) {
    const std::string key = prefix + std::string(name.str());
    if (const auto* inner = node.as_table(); inner && !config.has(key))
      walk(*inner, key + ".", file, config, entries);
    else
      entries.push_back({key, cat("[config] ", file, ":", node.source().begin.line, ": "), &node});
  }
}

}  // namespace

void Config::read_toml(const std::string& text, const std::string& file_name, Unknown unknown) {
  std::vector<std::pair<const Option*, OptionValue>> values;  // set after all of them have been checked
  try {
    const toml::table root = toml::parse(text, file_name);
    std::vector<Entry> entries;
    walk(root, "", file_name, *this, entries);
    for (const Entry& e : entries) {
      if (pass_over(e.key)) continue;
      const Option* const known = find(e.key);
      if (!known && unknown == Unknown::ignore) continue;
      if (!known) fail(ErrorCode::usage, e.place, e.key, ": expected a known key", suggestion(e.key));
      OptionValue value = value_of(*e.node, e.place + e.key + ": ");
      const std::string wrong = problem(*known, value);
      if (!wrong.empty()) fail(ErrorCode::usage, e.place, e.key, ": ", wrong);
      values.emplace_back(known, std::move(value));
    }
  } catch (const toml::parse_error& e) {
    fail(ErrorCode::usage, "[config] ", file_name, ":", e.source().begin.line, ": ", e.description());
  }
  for (const auto& [known, value] : values) known->set(value);
}

}  // namespace voxgrad
