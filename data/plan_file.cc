#include "data/plan_file.h"

#include <nlohmann/json.hpp>

#include "io/nearest.h"
#include "io/toml.h"

namespace voxgrad {
namespace {

using nlohmann::json;

std::vector<std::string> keys_of(const json& object) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : object.items()) keys.push_back(key);
  return keys;
}

// Refuses unknown fields, so that a misspelt field is not ignored.
void expect_known(const json& given, const json& known, const std::string& name, const std::string& where) {
  if (given.is_array() && known.is_array())
    for (size_t i = 0; i < std::min(given.size(), known.size()); ++i)
      expect_known(given[i], known[i], name, where);
  if (!given.is_object() || !known.is_object()) return;
  for (const auto& [key, value] : given.items()) {
    if (!known.contains(key))
      fail(ErrorCode::data, "[plan] ", where, ": ", name, key, ": expected a field of a plan",
           did_you_mean(key, keys_of(known)));
    expect_known(value, known[key], name + key + ".", where);
  }
}

std::string list_of(const std::vector<std::string>& names) { return json(names).dump(); }

}  // namespace

Plan plan_from_toml(const std::string& text, const std::string& where) {
  json given = json::parse(json_of_toml(text, "[plan] " + where));
  if (!given.contains("intensity")) given["intensity"] = json::array();  // TOML has no empty list of tables
  // Other versions have other fields.
  if (const json version = given.value("version", json());
      version.is_number_integer() && version != kPlanVersion)
    fail(ErrorCode::data, "[plan] ", where, ": version: expected ", kPlanVersion, ", got ", version.dump(),
         "; `voxgrad plan` makes a new one");
  const Plan plan = plan_from_json(given.dump(), where);
  expect_known(given, json::parse(plan_to_json(plan)), "", where);
  return plan;
}

void expect_plan_of(const Dataset& dataset, const Plan& plan, const std::string& where) {
  const auto expect = [&](const char* field, const std::vector<std::string>& of_data,
                          const std::vector<std::string>& of_plan) {
    if (of_data != of_plan)
      fail(ErrorCode::data, "[plan] ", where, ": ", field, ": expected those of ", dataset.folder, ", ",
           list_of(of_data), ", got ", list_of(of_plan));
  };
  expect("channel_names", dataset.channel_names, plan.channel_names);
  expect("label_names", dataset.label_names, plan.label_names);
}

}  // namespace voxgrad
