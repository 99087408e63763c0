#include "run/fields.h"

#include <charconv>
#include <cmath>
#include <set>

#include "io/json_reason.h"
#include "tensor/core/finite.h"

namespace voxgrad::detail {

using nlohmann::json;

namespace {

std::string shortened(const std::string& text) {
  constexpr size_t kMost = 60;
  return text.size() <= kMost ? text : text.substr(0, kMost) + "...";
}

}  // namespace

bool is_digest(const std::string& text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

std::string shown(const json& value) {
  if (value.is_object()) return "an object";
  if (value.is_array()) return "a list";
  return shortened(value.dump(-1, ' ', true, json::error_handler_t::replace));
}

json parse_json(const std::string& text, const std::string& where) {
  try {
    return json::parse(text);
  } catch (const json::exception& e) {
    fail(ErrorCode::data, where, ": expected JSON, got: ", json_reason(e));
  }
}

std::string dump_json(const json& value, int indent) {
  return value.dump(indent, ' ', false, json::error_handler_t::replace);
}

Fields::Fields(const json& object, std::string where, std::string prefix)
    : object_(object), where_(std::move(where)), prefix_(std::move(prefix)) {
  if (object_.is_object()) return;
  const std::string name = prefix_.empty() ? "" : prefix_.substr(0, prefix_.size() - 1) + ": ";
  fail(ErrorCode::data, where_, ": ", name, "expected a JSON object, got ", shown(object_));
}

const json& Fields::at(const std::string& key, const char* expected,
                       const std::function<bool(const json&)>& is) const {
  const auto it = object_.find(key);
  if (it == object_.end()) refuse(key, expected, "nothing");
  if (!is(*it)) refuse(key, expected, shown(*it));
  return *it;
}

std::string Fields::text(const std::string& key) const {
  return at(key, "text", [](const json& v) { return v.is_string(); }).get<std::string>();
}

bool Fields::boolean(const std::string& key) const {
  return at(key, "true or false", [](const json& v) { return v.is_boolean(); }).get<bool>();
}

int64_t Fields::whole(const std::string& key, int64_t least, int64_t most) const {
  const std::string expected =
      cat("a whole number of at least ", least, most < INT64_MAX ? cat(" and at most ", most) : "");
  const auto fits = [&](const json& v) {
    if (v.is_number_unsigned() && v.get<uint64_t>() > static_cast<uint64_t>(INT64_MAX)) return false;
    return v.is_number_integer() && v.get<int64_t>() >= least && v.get<int64_t>() <= most;
  };
  return at(key, expected.c_str(), fits).get<int64_t>();
}

uint64_t Fields::unsigned_whole(const std::string& key) const {
  return at(key, "a whole number of at least 0", [](const json& v) { return v.is_number_unsigned(); })
      .get<uint64_t>();
}

double Fields::number(const std::string& key) const {
  const json& value = at(key, "a number", [](const json& v) { return v.is_number() || v.is_null(); });
  return value.is_null() ? std::nan("") : value.get<double>();
}

double Fields::finite(const std::string& key) const {
  return at(key, "a finite number", [](const json& v) { return v.is_number(); }).get<double>();
}

Fields Fields::object(const std::string& key) const {
  return Fields(at(key, "an object", [](const json& v) { return v.is_object(); }), where_,
                prefix_ + key + '.');
}

const json& Fields::list(const std::string& key) const {
  return at(key, "a list", [](const json& v) { return v.is_array(); });
}

Fields Fields::element(const json& value, const std::string& key, size_t index) const {
  return Fields(value, where_, prefix_ + key + '.' + std::to_string(index) + '.');
}

std::map<std::string, double> Fields::numbers() const {
  std::map<std::string, double> out;
  for (const std::string& key : keys()) out[key] = number(key);
  return out;
}

std::map<std::string, double> Fields::finite_numbers() const {
  std::map<std::string, double> out;
  for (const std::string& key : keys()) out[key] = finite(key);
  return out;
}

std::vector<std::string> Fields::keys() const {
  std::vector<std::string> out;
  for (const auto& [key, value] : object_.items()) out.push_back(key);
  return out;
}

const std::string& Metadata::text(const std::string& key) const {
  const auto it = values_.find(key);
  if (it == values_.end()) refuse(key, "a field of the metadata", "nothing");
  return it->second;
}

uint64_t Metadata::unsigned_whole(const std::string& key) const {
  const std::string& value = text(key);
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (error != std::errc{} || end != value.data() + value.size())
    refuse(key, "a whole number of at least 0", shortened(value));
  return number;
}

int64_t Metadata::whole(const std::string& key) const {
  const uint64_t number = unsigned_whole(key);
  if (number > static_cast<uint64_t>(INT64_MAX)) refuse(key, "a whole number below 2^63", number);
  return static_cast<int64_t>(number);
}

bool Metadata::boolean(const std::string& key) const {
  const std::string& value = text(key);
  if (value != "0" && value != "1") refuse(key, "0 or 1", shortened(value));
  return value == "1";
}

json Metadata::json(const std::string& key) const { return parse_json(text(key), where_ + ": " + key); }

Constants Metadata::constants(const std::string& key) const {
  const nlohmann::json value = json(key);
  return Fields(value, where_, key + '.').finite_numbers();
}

RuntimeRecord runtime_from(const Fields& fields) {
  RuntimeRecord r;
  if (fields.has("instruction_set")) r.instruction_set = fields.text("instruction_set");
  if (fields.has("winograd")) r.winograd = fields.boolean("winograd");
  if (fields.has("gemm")) r.gemm = fields.text("gemm");
  if (fields.has("precision")) r.precision = fields.text("precision");
  if (fields.has("device")) r.device = fields.text("device");
  if (fields.has("nondeterministic")) r.nondeterministic = fields.boolean("nondeterministic");
  return r;
}

json stages_json(const std::vector<StageRecord>& stages) {
  json list = json::array();
  for (const StageRecord& s : stages)
    list.push_back({{"name", s.name},
                    {"digest", s.digest},
                    {"from", s.from},
                    {"frozen", s.frozen},
                    {"steps", s.steps},
                    {"constants", s.constants}});
  return list;
}

std::vector<StageRecord> stages_from(const json& list, const std::string& where, const std::string& key) {
  if (!list.is_array()) fail(ErrorCode::data, where, ": ", key, ": expected a list, got ", shown(list));
  std::vector<StageRecord> stages;
  for (const json& value : list) {
    const Fields f(value, where, cat(key, '.', stages.size(), '.'));
    StageRecord r{f.text("name"),      f.text("digest"), f.text("from"),
                  f.boolean("frozen"), f.whole("steps"), {}};
    for (const json& name : f.list("constants")) {
      if (!name.is_string()) f.refuse("constants", "a list of names", shown(name));
      r.constants.push_back(name.get<std::string>());
    }
    stages.push_back(std::move(r));
  }
  check_stages(stages, where, key, ErrorCode::data);
  return stages;
}

void check_stages(const std::vector<StageRecord>& stages, const std::string& where, const std::string& key,
                  ErrorCode code) {
  std::set<std::string> names;
  for (size_t i = 0; i < stages.size(); ++i) {
    const StageRecord& s = stages[i];
    const auto refuse = [&](const char* field, const char* expected, const auto& got) {
      fail(code, where, ": ", key, '.', i, '.', field, ": expected ", expected, ", got ", got);
    };
    if (s.name.empty()) refuse("name", "the name of a stage", "none");
    if (!names.insert(s.name).second) refuse("name", "a name that no other stage has", s.name);
    if (s.steps < 0) refuse("steps", "a whole number of at least 0", s.steps);
    if (!s.digest.empty() && !is_digest(s.digest))
      refuse("digest", "64 hexadecimal digits or none", shortened(s.digest));
    if (!s.from.empty() && !is_digest(s.from))
      refuse("from", "64 hexadecimal digits or none", shortened(s.from));
    if (s.frozen && s.steps > 0) refuse("steps", "0 of a stage that was taken as it was", s.steps);
    if (s.frozen && s.from.empty()) refuse("from", "the digest that a frozen stage was taken from", "none");
  }
}

void check_constants_of(const std::vector<StageRecord>& stages, const Constants& constants,
                        const std::string& where, const std::string& key, ErrorCode code) {
  for (size_t i = 0; i < stages.size(); ++i)
    for (const std::string& name : stages[i].constants)
      if (!constants.contains(name))
        fail(code, where, ": constants: expected ", name, ", which ", key, '.', i, " has found, got none");
}

void check_finite(const std::map<std::string, double>& values, const std::string& where,
                  const std::string& key, ErrorCode code) {
  for (const auto& [name, value] : values)
    if (!std::isfinite(value))
      fail(code, where, ": ", key, '.', name, ": expected a finite number, got ", value);
}

void check_finite(const NamedTensors& tensors, const std::string& where, ErrorCode code) {
  for (const auto& [name, tensor] : tensors)
    if (const std::string bad = describe_not_finite(tensor); !bad.empty())
      fail(code, where, ": ", name, ": expected finite numbers, got ", bad);
}

}  // namespace voxgrad::detail
