// Typed fields of what a run left: JSON objects, and the metadata of .safetensors files, whose values are
// texts. For the readers and writers of this folder. Every error is ErrorCode::data and names the file and
// the field: "[log] FILE:3: terms.dice: expected a number, got \"x\"".
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "run/model.h"
#include "run/runtime_record.h"

namespace voxgrad::detail {

/// A value for a message, short whatever the file holds: 3.5, "text", null, an object, a list.
std::string shown(const nlohmann::json& value);
/// Whether a text is a SHA-256 in hexadecimal.
bool is_digest(const std::string& text);
/// `where` begins the message of an error: "[manifest] FILE".
nlohmann::json parse_json(const std::string& text, const std::string& where);
/// One line, or indented lines. Bytes that are no UTF-8 are replaced.
std::string dump_json(const nlohmann::json& value, int indent = -1);

/// The fields of a JSON object.
class Fields {
 public:
  /// `where` begins the messages of errors, `prefix` the names of fields ("runtime."). Keeps a reference to
  /// `object`.
  Fields(const nlohmann::json& object, std::string where, std::string prefix = "");
  bool has(const std::string& key) const { return object_.contains(key); }
  std::string text(const std::string& key) const;
  bool boolean(const std::string& key) const;
  int64_t whole(const std::string& key, int64_t least = 0, int64_t most = INT64_MAX) const;
  uint64_t unsigned_whole(const std::string& key) const;
  /// null, which stands for a number that is not finite, is NaN.
  double number(const std::string& key) const;
  double finite(const std::string& key) const;
  Fields object(const std::string& key) const;
  const nlohmann::json& list(const std::string& key) const;
  /// The object of an element of a list.
  Fields element(const nlohmann::json& value, const std::string& key, size_t index) const;
  /// All fields of this object as numbers, null being NaN.
  std::map<std::string, double> numbers() const;
  /// All fields of this object as finite numbers.
  std::map<std::string, double> finite_numbers() const;
  std::vector<std::string> keys() const;

  template <class Got>
  [[noreturn]] void refuse(const std::string& key, std::string_view expected, const Got& got) const {
    fail(ErrorCode::data, where_, ": ", prefix_, key, ": expected ", expected, ", got ", got);
  }
  const std::string& where() const { return where_; }

 private:
  const nlohmann::json& at(const std::string& key, const char* expected,
                           const std::function<bool(const nlohmann::json&)>& is) const;
  const nlohmann::json& object_;
  std::string where_, prefix_;
};

/// The metadata of a .safetensors file.
class Metadata {
 public:
  Metadata(const std::map<std::string, std::string>& values, std::string where)
      : values_(values), where_(std::move(where)) {}
  const std::string& text(const std::string& key) const;
  uint64_t unsigned_whole(const std::string& key) const;
  int64_t whole(const std::string& key) const;
  /// "0" or "1".
  bool boolean(const std::string& key) const;
  /// The JSON that a value holds.
  nlohmann::json json(const std::string& key) const;
  Constants constants(const std::string& key) const;
  template <class Got>
  [[noreturn]] void refuse(const std::string& key, std::string_view expected, const Got& got) const {
    fail(ErrorCode::data, where_, ": ", key, ": expected ", expected, ", got ", got);
  }
  const std::string& where() const { return where_; }

 private:
  const std::map<std::string, std::string>& values_;
  std::string where_;
};

RuntimeRecord runtime_from(const Fields& fields);
nlohmann::json stages_json(const std::vector<StageRecord>& stages);
std::vector<StageRecord> stages_from(const nlohmann::json& list, const std::string& where,
                                     const std::string& key);
/// Refuses what no run can have: a stage without a name or with the name of another, a negative number of
/// steps, a digest that is no SHA-256, a frozen stage that was trained or is taken from nowhere. `code` is
/// ErrorCode::internal for what is to be written.
void check_stages(const std::vector<StageRecord>& stages, const std::string& where, const std::string& key,
                  ErrorCode code);
/// Refuses a stage that has found a constant which is not there.
void check_constants_of(const std::vector<StageRecord>& stages, const Constants& constants,
                        const std::string& where, const std::string& key, ErrorCode code);
void check_finite(const std::map<std::string, double>& values, const std::string& where,
                  const std::string& key, ErrorCode code);
void check_finite(const NamedTensors& tensors, const std::string& where, ErrorCode code);

}  // namespace voxgrad::detail
