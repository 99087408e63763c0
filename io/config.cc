#include "io/config.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "io/nearest.h"
#include "tensor/core/error.h"

namespace voxgrad {
namespace {

std::string last_part(const std::string& key) { return key.substr(key.rfind('.') + 1); }

std::optional<double> parse_number(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  if (!text.empty() && text.front() == '+') text.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<std::vector<double>> parse_list(std::string_view text) {
  if (text.size() >= 2 && text.front() == '[' && text.back() == ']') text = text.substr(1, text.size() - 2);
  std::vector<double> list;
  if (text.find_first_not_of(" \t") == std::string_view::npos) return list;
  for (;;) {
    const size_t comma = text.find(',');
    const auto number = parse_number(text.substr(0, comma));
    if (!number) return std::nullopt;
    list.push_back(*number);
    if (comma == std::string_view::npos) return list;
    text.remove_prefix(comma + 1);
  }
}

/// Parses a text of the command line as a value of the option's type.
std::optional<OptionValue> parse_value(const Option& option, const std::string& text) {
  if (std::holds_alternative<bool>(option.default_value)) {
    if (text == "true" || text == "false") return text == "true";
  } else if (std::holds_alternative<int64_t>(option.default_value)) {
    int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error == std::errc{} && end == text.data() + text.size()) return value;
  } else if (std::holds_alternative<double>(option.default_value)) {
    if (const auto value = parse_number(text)) return *value;
  } else if (std::holds_alternative<std::string>(option.default_value)) {
    return text;
  } else if (const auto list = parse_list(text)) {
    return *list;
  }
  return std::nullopt;
}

}  // namespace

Config::Config(OptionList options) : options_(std::move(options)) {}

void Config::accept_foreign(std::set<std::string> keys, std::function<void(const std::string&)> no_effect) {
  foreign_ = std::move(keys);
  no_effect_ = std::move(no_effect);
}

const Option* Config::find(const std::string& key) const {
  for (const Option& known : options_.all())
    if (known.key == key) return &known;
  return nullptr;
}

const Option& Config::option(const std::string& key) const {
  if (const Option* known = find(key)) return *known;
  fail(ErrorCode::usage, "[config] ", key, ": expected a known key", suggestion(key));
}

bool Config::has(const std::string& key) const { return find(key) != nullptr; }

bool Config::pass_over(const std::string& key) const {
  if (has(key) || !foreign_.contains(key)) return false;
  if (no_effect_) no_effect_(key);
  return true;
}

std::string Config::suggestion(const std::string& key) const {
  constexpr size_t kLongest = 200;  // a longer key is no typing error, and comparing it is slow
  if (key.size() > kLongest) return "";
  std::string best;
  size_t least = std::max<size_t>(2, key.size() / 3) + 1;
  const auto look = [&](const std::string& known) {
    size_t distance = edit_distance(key, known);
    // A key without its table also counts as near.
    if (last_part(known) == last_part(key)) distance = std::min<size_t>(distance, 2);
    if (distance < least) {
      least = distance;
      best = known;
    }
  };
  for (const Option& known : options_.all()) look(known.key);
  for (const std::string& known : foreign_) look(known);
  if (!best.empty()) return cat("; did you mean \"", best, "\"?");
  // No key is near: list the keys of the table.
  const std::string table = key.substr(0, key.rfind('.') + 1);
  std::string keys;
  for (const Option& known : options_.all())
    if (!table.empty() && known.key.starts_with(table))
      keys += (keys.empty() ? "" : ", ") + known.key.substr(table.size());
  return keys.empty() ? "" : cat("; [", table.substr(0, table.size() - 1), "] has ", keys);
}

std::string Config::problem(const Option& known, OptionValue& value) const {
  if (fixed_ && known.use == OptionUse::training) {
    std::string free;
    for (const Option& o : options_.all())
      if (o.use != OptionUse::training) free += (free.empty() ? "" : ", ") + o.key;
    return "is fixed by training; a prediction may change " + free;
  }
  return option_problem(known, value);
}

void Config::set(const std::string& assignment) {
  const size_t equals = assignment.find('=');
  if (equals == std::string::npos || equals == 0)
    fail(ErrorCode::usage, "[config] expected key=value, got \"", assignment, "\"");
  const std::string key = assignment.substr(0, equals);
  if (pass_over(key)) return;
  const Option& known = option(key);
  const std::string text = assignment.substr(equals + 1);
  const auto value = parse_value(known, text);
  if (!value)
    fail(ErrorCode::usage, "[config] ", key, ": expected ", type_name(known.default_value), ", got \"", text,
         "\"");
  set(key, *value);
}

void Config::set(const std::string& key, OptionValue value) {
  if (pass_over(key)) return;
  const Option& known = option(key);
  const std::string wrong = problem(known, value);
  if (!wrong.empty()) fail(ErrorCode::usage, "[config] ", key, ": ", wrong);
  known.set(value);
}

bool Config::is_default(const std::string& key) const {
  const Option& known = option(key);
  return known.value() == known.default_value;
}

std::string Config::to_toml(Print print) const {
  const auto wanted = [&](const Option& o) { return print != Print::model || o.use != OptionUse::runtime; };
  // Keys without a table come first, because after a [table] line they would belong to that table.
  std::vector<std::string> tables = {""};
  const auto table_of = [](const Option& o) {
    const size_t dot = o.key.rfind('.');
    return dot == std::string::npos ? std::string() : o.key.substr(0, dot);
  };
  for (const Option& o : options_.all())
    if (wanted(o) && std::find(tables.begin(), tables.end(), table_of(o)) == tables.end())
      tables.push_back(table_of(o));
  std::string toml;
  for (const std::string& table : tables) {
    if (!table.empty()) toml += (toml.empty() ? "[" : "\n[") + table + "]\n";
    for (const Option& o : options_.all()) {
      if (table_of(o) != table || !wanted(o)) continue;
      if (print == Print::whole) {
        std::string comment = o.text;
        const std::string range = range_text(o);
        if (!range.empty()) comment = cat(comment, comment.empty() ? "" : " ", "(", range, ")");
        for (size_t i = 0; (i = comment.find('\n', i)) != std::string::npos; i += 3)
          comment.replace(i, 1, "\n# ");
        if (!comment.empty()) toml += "# " + comment + "\n";
      }
      toml += last_part(o.key) + " = " + value_text(o.value()) + "\n";
    }
  }
  return toml;
}

}  // namespace voxgrad
