// Configuration from one table of keys: the table makes the TOML parser, --print-config and the
// documentation.
#pragma once
#include <map>
#include <string>
#include <variant>
#include <vector>

namespace voxgrad {

using ConfigValue = std::variant<bool, int64_t, double, std::string, std::vector<double>>;

struct ConfigKey {
  std::string key;                        ///< dotted: "prior.steps" is `steps` in the TOML table [prior]
  ConfigValue default_value;              ///< its alternative is the type
  double min = -1e300, max = 1e300;       ///< range of a number (each element of a list)
  std::vector<std::string> choices = {};  ///< allowed values of a string; empty: any
  std::string text;                       ///< one sentence for the documentation; units and source
};

class Config {
 public:
  explicit Config(std::vector<ConfigKey> table);
  /// Reads TOML text. Unknown keys, wrong types and values out of range: ErrorCode::usage naming file, line,
  /// key and expectation (with the nearest known key as a suggestion).
  void read_toml(const std::string& text, const std::string& file_name);
  /// One `key=value` from the command line.
  void set(const std::string& assignment);
  void set(const std::string& key, ConfigValue value);

  bool boolean(const std::string& key) const;
  int64_t integer(const std::string& key) const;
  double number(const std::string& key) const;
  const std::string& text(const std::string& key) const;
  const std::vector<double>& list(const std::string& key) const;
  bool is_default(const std::string& key) const;
  bool has(const std::string& key) const;  ///< whether the table knows the key
  /// What is wrong with a value for a key of the table, "expected ..., got ..."; empty: nothing.
  std::string problem(const std::string& key, const ConfigValue& value) const;
  /// "; did you mean ...?" for a key near a known one, else empty.
  std::string suggestion(const std::string& key) const;

  /// The whole configuration as TOML with the text of each key as a comment; read_toml(to_toml()) is
  /// identity.
  std::string to_toml() const;
  /// The table as Markdown: key, type, default, range, text.
  std::string to_markdown() const;

 private:
  const ConfigKey& find(const std::string& key) const;
  std::vector<ConfigKey> table_;
  std::map<std::string, ConfigValue> values_;
};

}  // namespace voxgrad
