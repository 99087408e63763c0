#include "tensor/core/options.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "tensor/core/error.h"

namespace voxgrad {
namespace {

constexpr double kNoBound = 1e300;

/// The shortest text that reads back as the same number. TOML reads it as a float.
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

}  // namespace

const char* type_name(const OptionValue& value) {
  constexpr const char* names[] = {"true or false", "an integer", "a number", "a string",
                                   "a list of numbers"};
  return names[value.index()];
}

std::string value_text(const OptionValue& value) {
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

std::string range_text(const Option& option) {
  const bool integer = std::holds_alternative<int64_t>(option.default_value);
  const auto bound = [&](double b) {
    return integer ? std::to_string(static_cast<int64_t>(b)) : number_text(b);
  };
  if (!option.choices.empty()) {
    std::string text;
    for (const std::string& choice : option.choices) {
      if (!text.empty()) text += ", ";
      text += choice;
    }
    return "one of " + text;
  }
  const bool low = option.min > -kNoBound, high = option.max < kNoBound;
  if (low && high) return "from " + bound(option.min) + " to " + bound(option.max);
  if (low) return "at least " + bound(option.min);
  if (high) return "at most " + bound(option.max);
  return "";
}

std::string option_problem(const Option& option, OptionValue& value) {
  if (std::holds_alternative<double>(option.default_value))
    if (const int64_t* whole = std::get_if<int64_t>(&value)) value = static_cast<double>(*whole);
  if (value.index() != option.default_value.index())
    return cat("expected ", type_name(option.default_value), ", got ", value_text(value));
  const auto inside = [&](double x) { return x >= option.min && x <= option.max; };  // false for NaN
  const std::string range = range_text(option);
  bool ok = true;
  if (const int64_t* whole = std::get_if<int64_t>(&value)) ok = inside(static_cast<double>(*whole));
  if (const double* number = std::get_if<double>(&value)) ok = inside(*number);
  if (const auto* list = std::get_if<std::vector<double>>(&value))
    ok = std::all_of(list->begin(), list->end(), inside);
  if (const std::string* text = std::get_if<std::string>(&value))
    ok = option.choices.empty() ||
         std::find(option.choices.begin(), option.choices.end(), *text) != option.choices.end();
  if (ok) return "";
  return cat("expected ", range.empty() ? "finite numbers" : range, ", got ", value_text(value));
}

OptionValue Option::value() const {
  return std::visit([](const auto* m) { return OptionValue(*m); }, member);
}

void Option::set(const OptionValue& value) const {
  std::visit(
      [&]<class T>(T* m) {
        const T* const v = std::get_if<T>(&value);
        require(v != nullptr, "[options] ", key, ": expected ", type_name(default_value));
        *m = *v;
      },
      member);
}

template <class T>
OptionTable& OptionTable::add(const std::string& key, T& member, double min, double max,
                              std::vector<std::string> choices, const std::string& text) {
  list_->add({.key = name_.empty() ? key : name_ + "." + key,
              .member = &member,
              .default_value = member,
              .min = min,
              .max = max,
              .choices = std::move(choices),
              .text = text,
              .use = use_});
  return *this;
}

OptionTable& OptionTable::flag(const std::string& key, bool& member, const std::string& text) {
  return add(key, member, -kNoBound, kNoBound, {}, text);
}
OptionTable& OptionTable::integer(const std::string& key, int64_t& member, double min, double max,
                                  const std::string& text) {
  return add(key, member, min, max, {}, text);
}
OptionTable& OptionTable::number(const std::string& key, double& member, double min, double max,
                                 const std::string& text) {
  return add(key, member, min, max, {}, text);
}
OptionTable& OptionTable::word(const std::string& key, std::string& member, std::vector<std::string> choices,
                               const std::string& text) {
  return add(key, member, -kNoBound, kNoBound, std::move(choices), text);
}
OptionTable& OptionTable::numbers(const std::string& key, std::vector<double>& member, double min, double max,
                                  const std::string& text) {
  return add(key, member, min, max, {}, text);
}

void OptionList::add(Option option) {
  for (const Option& known : options_)
    require(known.key != option.key, "[options] expected the key \"", option.key,
            "\" to be declared once, got it twice");
  OptionValue value = option.default_value;
  const std::string wrong = option_problem(option, value);
  require(wrong.empty(), "[options] default of ", option.key, ": ", wrong);
  options_.push_back(std::move(option));
}

}  // namespace voxgrad
