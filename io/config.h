// A configuration: options that were declared (tensor/options.h), set from TOML and from the command line,
// and printed.
#pragma once
#include <functional>
#include <set>
#include <string>

#include "tensor/options.h"

namespace voxgrad {

class Config {
 public:
  /// What is set goes to the members that the options were declared with; they must outlive the
  /// configuration.
  explicit Config(OptionList options);
  /// Keys that others know (of other methods): they are accepted, told to `no_effect` and not stored.
  void accept_foreign(std::set<std::string> keys, std::function<void(const std::string& key)> no_effect);
  /// From now on keys of OptionUse::training are refused with ErrorCode::usage: a trained model has them.
  void fix_training() { fixed_ = true; }

  enum class Unknown { refuse, ignore };
  /// Reads TOML text. Unknown keys, wrong types and values out of range: ErrorCode::usage naming file, line,
  /// key and expectation (with the nearest known key as a suggestion), and nothing of the file is taken.
  /// `unknown`: what happens with keys that nobody knows (retired ones, in files of older versions).
  void read_toml(const std::string& text, const std::string& file_name, Unknown unknown = Unknown::refuse);
  /// One `key=value` from the command line.
  void set(const std::string& assignment);
  void set(const std::string& key, OptionValue value);

  bool has(const std::string& key) const;         ///< whether an option of this key was declared
  bool is_default(const std::string& key) const;  ///< ErrorCode::usage for an unknown key
  const OptionList& options() const { return options_; }
  /// "; did you mean ...?" for a key near a known one, else what its table has, else empty.
  std::string suggestion(const std::string& key) const;

  enum class Print {
    whole,   ///< the text of each option as a comment before it
    values,  ///< without texts
    model    ///< without texts and without OptionUse::runtime
  };
  /// The whole configuration as TOML; read_toml(to_toml()) is identity.
  std::string to_toml(Print print = Print::whole) const;

 private:
  const Option* find(const std::string& key) const;
  const Option& option(const std::string& key) const;
  /// True for a foreign key, which is told.
  bool pass_over(const std::string& key) const;
  std::string problem(const Option& known, OptionValue& value) const;

  OptionList options_;
  std::set<std::string> foreign_;
  std::function<void(const std::string&)> no_effect_;
  bool fixed_ = false;
};

}  // namespace voxgrad
