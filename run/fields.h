// Reads typed fields of the files of a run: JSON objects, and the metadata of .safetensors files, whose
// values are texts. Internal to run/. Every error is ErrorCode::data and names the file and the field, as in
// "[log] FILE:3: terms.dice: expected a number, got \"x\"".
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

/// A value as a short text for a message: 3.5, "text", null, an object, a list.
std::string shown(const nlohmann::json& value);
/// Whether a text is a SHA-256 in hexadecimal.
bool is_digest(const std::string& text);
/// Parses JSON. `where` begins the message of an error, for example "[manifest] FILE".
nlohmann::json parse_json(const std::string& text, const std::string& where);
/// JSON text on one line, or on indented lines. Bytes that are not UTF-8 are replaced.
std::string dump_json(const nlohmann::json& value, int indent = -1);

/// The fields of a JSON object.
class Fields {
 public:
  /// `where` begins the messages of errors. `prefix` begins the names of fields ("runtime."). Keeps a
  /// reference to `object`.
  Fields(const nlohmann::json& object, std::string where, std::string prefix = "");
  bool has(const std::string& key) const { return object_.contains(key); }
  std::string text(const std::string& key) const;
  bool boolean(const std::string& key) const;
  int64_t whole(const std::string& key, int64_t least = 0, int64_t most = INT64_MAX) const;
  uint64_t unsigned_whole(const std::string& key) const;
  /// A number. null stands for a number that is not finite and gives NaN.
  double number(const std::string& key) const;
  double finite(const std::string& key) const;
  Fields object(const std::string& key) const;
  const nlohmann::json& list(const std::string& key) const;
  /// The fields of an object in a list.
  Fields element(const nlohmann::json& value, const std::string& key, size_t index) const;
  /// All fields of this object as numbers. null gives NaN.
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
  /// Reads "0" or "1".
  bool boolean(const std::string& key) const;
  /// A value that is JSON text, parsed.
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
/// Refuses impossible stages: a stage without a name or with the name of another stage, a negative number of
/// steps, a digest that is not a SHA-256, a frozen stage that was trained or has no source. `code`: the code
/// of the error; writers use ErrorCode::internal.
void check_stages(const std::vector<StageRecord>& stages, const std::string& where, const std::string& key,
                  ErrorCode code);
/// Refuses stages whose constants are missing in `constants`.
void check_constants_of(const std::vector<StageRecord>& stages, const Constants& constants,
                        const std::string& where, const std::string& key, ErrorCode code);
void check_finite(const std::map<std::string, double>& values, const std::string& where,
                  const std::string& key, ErrorCode code);
void check_finite(const NamedTensors& tensors, const std::string& where, ErrorCode code);

}  // namespace voxgrad::detail
