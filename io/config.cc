#include "io/config.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>
#include <optional>
#include <set>

#include "tensor/error.h"

namespace voxgrad {
namespace {

constexpr double kNoBound = 1e300;

const char* type_name(const ConfigValue& value) {
  constexpr const char* names[] = {"true or false", "an integer", "a number", "a string",
                                   "a list of numbers"};
  return names[value.index()];
}

/// The shortest text that reads back as the same number, written so that TOML takes it for a float.
std::string number_text(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  char buffer[40];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value).ptr;
  std::string text(buffer, end);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

std::string quoted(const std::string& text) {
  std::string result = "\"";
  for (const char c : text) {
    switch (c) {
      case '"':
        result += "\\\"";
        break;
      case '\\':
        result += "\\\\";
        break;
      case '\n':
        result += "\\n";
        break;
      case '\t':
        result += "\\t";
        break;
      case '\r':
        result += "\\r";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
          constexpr char digits[] = "0123456789ABCDEF";
          result += "\\u00";
          result += digits[static_cast<unsigned char>(c) >> 4];
          result += digits[c & 15];
        } else {
          result += c;
        }
    }
  }
  return result + '"';
}

std::string value_text(const ConfigValue& value) {
  struct Visitor {
    std::string operator()(bool v) const { return v ? "true" : "false"; }
    std::string operator()(int64_t v) const { return std::to_string(v); }
    std::string operator()(double v) const { return number_text(v); }
    std::string operator()(const std::string& v) const { return quoted(v); }
    std::string operator()(const std::vector<double>& v) const {
      std::string text;
      for (const double x : v) {
        if (!text.empty()) text += ", ";
        text += number_text(x);
      }
      return "[" + text + "]";
    }
  };
  return std::visit(Visitor{}, value);
}

/// "from 1 to 1000", "at least 0", "one of ...", or nothing.
std::string range_text(const ConfigKey& key) {
  const bool integer = std::holds_alternative<int64_t>(key.default_value);
  const auto bound = [&](double b) {
    return integer ? std::to_string(static_cast<int64_t>(b)) : number_text(b);
  };
  if (!key.choices.empty()) {
    std::string text;
    for (const std::string& choice : key.choices) {
      if (!text.empty()) text += ", ";
      text += choice;
    }
    return "one of " + text;
  }
  const bool low = key.min > -kNoBound, high = key.max < kNoBound;
  if (low && high) return "from " + bound(key.min) + " to " + bound(key.max);
  if (low) return "at least " + bound(key.min);
  if (high) return "at most " + bound(key.max);
  return "";
}

/// What is wrong with a value for this key; empty: nothing. An integer is taken for a number.
std::string problem_of(const ConfigKey& key, ConfigValue& value) {
  if (std::holds_alternative<double>(key.default_value))
    if (const int64_t* whole = std::get_if<int64_t>(&value)) value = static_cast<double>(*whole);
  if (value.index() != key.default_value.index())
    return cat("expected ", type_name(key.default_value), ", got ", value_text(value));
  const auto inside = [&](double x) { return x >= key.min && x <= key.max; };  // false for NaN
  const std::string range = range_text(key);
  bool ok = true;
  if (const int64_t* whole = std::get_if<int64_t>(&value)) ok = inside(static_cast<double>(*whole));
  if (const double* number = std::get_if<double>(&value)) ok = inside(*number);
  if (const auto* list = std::get_if<std::vector<double>>(&value))
    ok = std::all_of(list->begin(), list->end(), inside);
  if (const std::string* text = std::get_if<std::string>(&value))
    ok = key.choices.empty() || std::find(key.choices.begin(), key.choices.end(), *text) != key.choices.end();
  if (ok) return "";
  return cat("expected ", range.empty() ? "finite numbers" : range, ", got ", value_text(value));
}

/// Edits (insert, delete, replace, swap neighbours) that turn one name into the other.
size_t edit_distance(const std::string& a, const std::string& b) {
  std::vector<std::vector<size_t>> d(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i) d[i][0] = i;
  for (size_t j = 0; j <= b.size(); ++j) d[0][j] = j;
  for (size_t i = 1; i <= a.size(); ++i)
    for (size_t j = 1; j <= b.size(); ++j) {
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
    }
  return d[a.size()][b.size()];
}

std::string last_part(const std::string& key) { return key.substr(key.rfind('.') + 1); }

/// ", did you mean ...?" for a name near a known one, or one that only lacks its table.
std::string nearest(const std::vector<ConfigKey>& table, const std::string& key) {
  constexpr size_t kLongest = 200;  // nobody mistypes a longer one
  if (key.size() > kLongest) return "";
  const ConfigKey* best = nullptr;
  size_t least = std::max<size_t>(2, key.size() / 3) + 1;
  for (const ConfigKey& known : table) {
    size_t distance = edit_distance(key, known.key);
    if (last_part(known.key) == last_part(key)) distance = std::min<size_t>(distance, 2);
    if (distance < least) {
      least = distance;
      best = &known;
    }
  }
  return best ? cat("; did you mean \"", best->key, "\"?") : "";
}

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

/// A value of the key's type from the text of a command line.
std::optional<ConfigValue> parse_value(const ConfigKey& key, const std::string& text) {
  if (std::holds_alternative<bool>(key.default_value)) {
    if (text == "true" || text == "false") return text == "true";
  } else if (std::holds_alternative<int64_t>(key.default_value)) {
    int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error == std::errc{} && end == text.data() + text.size()) return value;
  } else if (std::holds_alternative<double>(key.default_value)) {
    if (const auto value = parse_number(text)) return *value;
  } else if (std::holds_alternative<std::string>(key.default_value)) {
    return text;
  } else if (const auto list = parse_list(text)) {
    return *list;
  }
  return std::nullopt;
}

}  // namespace

Config::Config(std::vector<ConfigKey> table) : table_(std::move(table)) {
  std::set<std::string> names;
  for (const ConfigKey& key : table_) {
    require(names.insert(key.key).second, "[config] expected one key \"", key.key,
            "\" in the table, got two");
    ConfigValue value = key.default_value;
    const std::string wrong = problem_of(key, value);
    require(wrong.empty(), "[config] default of ", key.key, ": ", wrong);
  }
}

const ConfigKey& Config::find(const std::string& key) const {
  for (const ConfigKey& known : table_)
    if (known.key == key) return known;
  fail(ErrorCode::usage, "[config] ", key, ": expected a known key", suggestion(key));
}

bool Config::has(const std::string& key) const {
  return std::any_of(table_.begin(), table_.end(), [&](const ConfigKey& known) { return known.key == key; });
}

std::string Config::problem(const std::string& key, const ConfigValue& value) const {
  ConfigValue copy = value;
  return problem_of(find(key), copy);
}

std::string Config::suggestion(const std::string& key) const { return nearest(table_, key); }

void Config::set(const std::string& assignment) {
  const size_t equals = assignment.find('=');
  if (equals == std::string::npos || equals == 0)
    fail(ErrorCode::usage, "[config] expected key=value, got \"", assignment, "\"");
  const ConfigKey& key = find(assignment.substr(0, equals));
  const std::string text = assignment.substr(equals + 1);
  const auto value = parse_value(key, text);
  if (!value)
    fail(ErrorCode::usage, "[config] ", key.key, ": expected ", type_name(key.default_value), ", got \"",
         text, "\"");
  set(key.key, *value);
}

void Config::set(const std::string& key, ConfigValue value) {
  const std::string wrong = problem_of(find(key), value);
  if (!wrong.empty()) fail(ErrorCode::usage, "[config] ", key, ": ", wrong);
  values_[key] = std::move(value);
}

namespace {

template <class T>
const T& typed(const ConfigKey& key, const std::map<std::string, ConfigValue>& values) {
  const auto it = values.find(key.key);
  const T* value = std::get_if<T>(it == values.end() ? &key.default_value : &it->second);
  require(value != nullptr, "[config] ", key.key, ": expected a use of its type, which is ",
          type_name(key.default_value));
  return *value;
}

}  // namespace

bool Config::boolean(const std::string& key) const { return typed<bool>(find(key), values_); }
int64_t Config::integer(const std::string& key) const { return typed<int64_t>(find(key), values_); }
double Config::number(const std::string& key) const { return typed<double>(find(key), values_); }
const std::string& Config::text(const std::string& key) const {
  return typed<std::string>(find(key), values_);
}
const std::vector<double>& Config::list(const std::string& key) const {
  return typed<std::vector<double>>(find(key), values_);
}

bool Config::is_default(const std::string& key) const {
  const auto it = values_.find(key);
  return it == values_.end() || it->second == find(key).default_value;
}

std::string Config::to_toml() const {
  // Keys without a table stand first: behind a [table] they would belong to it.
  std::vector<std::string> tables = {""};
  const auto table_of = [](const ConfigKey& key) {
    const size_t dot = key.key.rfind('.');
    return dot == std::string::npos ? std::string() : key.key.substr(0, dot);
  };
  for (const ConfigKey& key : table_)
    if (std::find(tables.begin(), tables.end(), table_of(key)) == tables.end())
      tables.push_back(table_of(key));
  std::string toml;
  for (const std::string& table : tables) {
    if (!table.empty()) toml += (toml.empty() ? "[" : "\n[") + table + "]\n";
    for (const ConfigKey& key : table_) {
      if (table_of(key) != table) continue;
      std::string comment = key.text;
      const std::string range = range_text(key);
      if (!range.empty()) comment = cat(comment, comment.empty() ? "" : " ", "(", range, ")");
      for (size_t i = 0; (i = comment.find('\n', i)) != std::string::npos; i += 3)
        comment.replace(i, 1, "\n# ");
      if (!comment.empty()) toml += "# " + comment + "\n";
      const auto it = values_.find(key.key);
      toml += last_part(key.key) + " = " + value_text(it == values_.end() ? key.default_value : it->second) +
              "\n";
    }
  }
  return toml;
}

std::string Config::to_markdown() const {
  const auto cell = [](std::string text) {
    for (size_t i = 0; (i = text.find('|', i)) != std::string::npos; i += 2) text.replace(i, 1, "\\|");
    std::replace(text.begin(), text.end(), '\n', ' ');
    return text;
  };
  constexpr const char* types[] = {"boolean", "integer", "number", "string", "list of numbers"};
  std::string text = "| key | type | default | range | meaning |\n|---|---|---|---|---|\n";
  for (const ConfigKey& key : table_)
    text += "| `" + key.key + "` | " + types[key.default_value.index()] + " | `" +
            cell(value_text(key.default_value)) + "` | " + cell(range_text(key)) + " | " + cell(key.text) +
            " |\n";
  return text;
}

}  // namespace voxgrad
