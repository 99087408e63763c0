#include "io/toml.h"

#include <nlohmann/json.hpp>

#include "io/toml_library.h"
#include "tensor/core/error.h"

namespace voxgrad {
namespace {

using nlohmann::json;

json json_of(const toml::node& node, const std::string& where) {
  if (const auto* v = node.as_boolean()) return v->get();
  if (const auto* v = node.as_integer()) return v->get();
  if (const auto* v = node.as_floating_point()) return v->get();
  if (const auto* v = node.as_string()) return v->get();
  if (const auto* list = node.as_array()) {
    json all = json::array();
    for (const toml::node& element : *list) all.push_back(json_of(element, where));
    return all;
  }
  if (const auto* table = node.as_table()) {
    json all = json::object();
    for (const auto& [name, value] : *table) all[std::string(name.str())] = json_of(value, where);
    return all;
  }
  fail(ErrorCode::data, where, ":", node.source().begin.line,
       ": expected a boolean, number, string, list or table, got a date or a time");
}

}  // namespace

std::string json_of_toml(const std::string& text, const std::string& where) {
  try {
    return json_of(toml::parse(text), where).dump();
  } catch (const toml::parse_error& e) {
    fail(ErrorCode::data, where, ":", e.source().begin.line, ": ", e.description());
  }
}

}  // namespace voxgrad
