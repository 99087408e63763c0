// Options of the configuration. An option is declared once, beside the struct that it fills: member, key,
// default, range and text together. The default is the value of the member when it is declared. io/config.h
// parses and prints the declared options.
//
//   struct Smoothing {
//     double sigma = 1.5;
//     void declare(OptionList& options) {
//       options.table("smoothing").number("sigma", sigma, 0, 10, "standard deviation of the filter, voxels");
//     }
//   };
#pragma once
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

namespace voxgrad {

using OptionValue = std::variant<bool, int64_t, double, std::string, std::vector<double>>;

/// When an option has an effect.
enum class OptionUse {
  training,    ///< in training; fixed once a run has begun
  prediction,  ///< in prediction; the model stores it, and a prediction may change it
  runtime      ///< always: how and how fast to compute; no model stores it, and a resumed run may change it
};

struct Option {
  std::string key;  ///< dotted: "prior.steps" is `steps` in the TOML table [prior]
  std::variant<bool*, int64_t*, double*, std::string*, std::vector<double>*> member;
  OptionValue default_value;              ///< its alternative is the type of the option
  double min = -1e300, max = 1e300;       ///< range of a number, or of each element of a list
  std::vector<std::string> choices = {};  ///< allowed values of a string; empty: all
  std::string text;                       ///< one sentence for the documentation, with units and source
  OptionUse use = OptionUse::training;

  OptionValue value() const;
  /// Sets the member. `value` must have the type of default_value.
  void set(const OptionValue& value) const;
};

class OptionList;

/// Declares the options of one table. The members must outlive the list.
class OptionTable {
 public:
  OptionTable(OptionList& list, std::string name, OptionUse use)
      : list_(&list), name_(std::move(name)), use_(use) {}
  OptionTable& flag(const std::string& key, bool& member, const std::string& text);
  OptionTable& integer(const std::string& key, int64_t& member, double min, double max,
                       const std::string& text);
  OptionTable& number(const std::string& key, double& member, double min, double max,
                      const std::string& text);
  OptionTable& word(const std::string& key, std::string& member, std::vector<std::string> choices,
                    const std::string& text);
  OptionTable& numbers(const std::string& key, std::vector<double>& member, double min, double max,
                       const std::string& text);

 private:
  template <class T>
  OptionTable& add(const std::string& key, T& member, double min, double max,
                   std::vector<std::string> choices, const std::string& text);
  OptionList* list_;
  std::string name_;
  OptionUse use_;
};

class OptionList {
 public:
  /// Makes a table for declarations. If `name` is empty, its keys are top-level keys.
  OptionTable table(const std::string& name, OptionUse use = OptionUse::training) {
    return {*this, name, use};
  }
  /// Throws ErrorCode::internal if the key was declared before, or if the default is out of its range.
  void add(Option option);
  const std::vector<Option>& all() const { return options_; }

 private:
  std::vector<Option> options_;
};

/// What is wrong with a value for an option, as "expected ..., got ..."; empty if nothing is. If the option
/// is a number and the value an integer, the value is converted to a number.
std::string option_problem(const Option& option, OptionValue& value);
/// The range as text: "from 1 to 1000", "at least 0", "one of ...", or nothing.
std::string range_text(const Option& option);
/// The type as text: "true or false", "an integer", ...
const char* type_name(const OptionValue& value);
/// The value as TOML. Numbers have the shortest form that reads back as the same number.
std::string value_text(const OptionValue& value);

}  // namespace voxgrad
