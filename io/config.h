// A configuration: sets declared options (tensor/core/options.h) from TOML and from the command line, and
// prints them.
#pragma once
#include <functional>
#include <set>
#include <string>

#include "tensor/core/options.h"

namespace voxgrad {

class Config {
 public:
  /// Values are written to the variables with which the options were declared. These must outlive the
  /// configuration.
  explicit Config(OptionList options);
  /// Declares keys of other methods. They are accepted, reported to `no_effect` and not stored.
  void accept_foreign(std::set<std::string> keys, std::function<void(const std::string& key)> no_effect);
  /// From now on keys of OptionUse::training are refused with ErrorCode::usage, because the trained model
  /// fixes them.
  void fix_training() { fixed_ = true; }

  enum class Unknown { refuse, ignore };
  /// Reads TOML text. ErrorCode::usage for unknown keys, wrong types and values out of range. The message
  /// names file, line, key and expectation, and suggests the nearest known key. After an error no value is
  /// changed. `unknown`: whether unknown keys are refused or ignored (retired keys in files of older
  /// versions).
  void read_toml(const std::string& text, const std::string& file_name, Unknown unknown = Unknown::refuse);
  /// Sets one `key=value` from the command line. Errors like read_toml.
  void set(const std::string& assignment);
  void set(const std::string& key, OptionValue value);

  bool has(const std::string& key) const;         ///< whether an option of this key was declared
  bool is_default(const std::string& key) const;  ///< ErrorCode::usage for an unknown key
  const OptionList& options() const { return options_; }
  /// For an unknown key: "; did you mean ...?" if a known key is near, else the keys of its table, else
  /// empty.
  std::string suggestion(const std::string& key) const;

  enum class Print {
    whole,   ///< with the text of each option as a comment before it
    values,  ///< without texts
    model    ///< without texts and without OptionUse::runtime
  };
  /// The whole configuration as TOML. read_toml(to_toml()) changes nothing.
  std::string to_toml(Print print = Print::whole) const;

 private:
  const Option* find(const std::string& key) const;
  const Option& option(const std::string& key) const;
  /// Returns true for a foreign key and reports it.
  bool pass_over(const std::string& key) const;
  std::string problem(const Option& known, OptionValue& value) const;

  OptionList options_;
  std::set<std::string> foreign_;
  std::function<void(const std::string&)> no_effect_;
  bool fixed_ = false;
};

}  // namespace voxgrad
