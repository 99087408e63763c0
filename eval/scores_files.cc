// metrics.json, metrics.csv and the table for a terminal.
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <set>

#include "eval/scores.h"

namespace voxgrad {

namespace {

using nlohmann::json;

/// "dsc.1": v becomes {"dsc": {"1": v}}.
json nest(const ScoreMap& values) {
  json out = json::object();
  for (const auto& [key, value] : values) {
    const size_t dot = key.find('.');
    if (dot == std::string::npos)
      out[key] = value;
    else
      out[key.substr(0, dot)][key.substr(dot + 1)] = value;
  }
  return out;
}

/// The numbers of a nested object under dotted keys; null (a score without a value) and text are passed over.
void flatten(const json& object, const std::string& prefix, ScoreMap& out) {
  for (const auto& [key, value] : object.items()) {
    if (value.is_object())
      flatten(value, prefix + key + '.', out);
    else if (value.is_number() && std::isfinite(value.get<double>()))
      out[prefix + key] = value.get<double>();
  }
}

json reliability_json(const Reliability& r) {
  json confidence = json::array(), accuracy = json::array();
  for (size_t b = 0; b < r.count.size(); ++b) {
    const double n =
        r.count[b] > 0 ? static_cast<double>(r.count[b]) : 1;  // an empty bin shows 0 and counts 0
    confidence.push_back(r.confidence[b] / n);
    accuracy.push_back(r.correct[b] / n);
  }
  return {{"confidence", confidence}, {"accuracy", accuracy}, {"count", r.count}};
}

Reliability reliability_from(const json& object, const std::string& where) {
  const auto confidence = object.at("confidence").get<std::vector<double>>();
  const auto accuracy = object.at("accuracy").get<std::vector<double>>();
  const auto count = object.at("count").get<std::vector<int64_t>>();
  if (confidence.size() != count.size() || accuracy.size() != count.size() || count.empty())
    fail(ErrorCode::data, "[metrics] ", where, ": reliability: expected lists of one length, got ",
         confidence.size(), ", ", accuracy.size(), " and ", count.size(), " bins");
  Reliability r(static_cast<int>(count.size()));
  r.count = count;
  for (size_t b = 0; b < count.size(); ++b) {
    r.confidence[b] = confidence[b] * static_cast<double>(count[b]);
    r.correct[b] = accuracy[b] * static_cast<double>(count[b]);
  }
  return r;
}

json table_json(const ScoreTable& table) {
  json cases = json::object(), count = json::object();
  for (const CaseScores& c : table.cases) cases[c.name] = nest(c.values);
  ScoreMap mean, deviation, counts;
  for (const auto& [key, summary] : summarise(table)) {
    mean[key] = summary.mean;
    if (summary.std) deviation[key] = *summary.std;
    counts[key] = static_cast<double>(summary.count);
  }
  json out = {{"cases", cases},
              {"mean", nest(mean)},
              {"std", nest(deviation)},
              {"count", nest(counts)},
              {"pooled", nest(pooled_scores(table))},
              {"options",
               {{"classes", table.options.classes},
                {"foreground_radius_mm", table.options.foreground_radius},
                {"nsd_tolerance_mm", table.options.nsd_tolerance}}}};
  json labels = json::object();
  for (size_t c = 1; c < table.class_names.size(); ++c) labels[std::to_string(c)] = table.class_names[c];
  if (!labels.empty()) out["labels"] = labels;
  return out;
}

ScoreTable table_from(const json& object, const std::string& where) {
  ScoreTable table;
  for (const auto& [name, scores] : object.at("cases").items()) {
    if (!scores.is_object())
      fail(ErrorCode::data, "[metrics] ", where, ": cases.", name, ": expected an object");
    CaseScores c{name, {}};
    flatten(scores, "", c.values);
    table.cases.push_back(std::move(c));
  }
  if (object.contains("labels")) {
    table.class_names = {"background"};
    for (size_t c = 1; object["labels"].contains(std::to_string(c)); ++c)
      table.class_names.push_back(object["labels"][std::to_string(c)].get<std::string>());
  }
  if (object.contains("options")) {
    const json& options = object["options"];
    table.options.classes = options.value("classes", table.options.classes);
    table.options.foreground_radius = options.value("foreground_radius_mm", table.options.foreground_radius);
    table.options.nsd_tolerance = options.value("nsd_tolerance_mm", table.options.nsd_tolerance);
  }
  if (object.contains("reliability")) table.reliability = reliability_from(object["reliability"], where);
  return table;
}

std::string quoted(const std::string& cell) {
  if (cell.find_first_of(",\"\r\n") == std::string::npos) return cell;
  std::string out = "\"";
  for (char c : cell) out += c == '"' ? std::string("\"\"") : std::string(1, c);
  return out + '"';
}

std::string number(double value, const char* format) {
  char text[64];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

}  // namespace

std::string to_json(const ScoreTable& table) {
  json out = table_json(table);
  if (table.reliability.total() > 0) out["reliability"] = reliability_json(table.reliability);
  return out.dump(2, ' ', false, json::error_handler_t::replace) + '\n';
}

std::string to_json(const RunScores& scores) {
  json rows = json::array();
  for (const MethodScores& m : scores.rows) {
    json row = {{"name", m.name}, {"metrics", table_json(m.table)}};
    if (m.table.reliability.total() > 0) row["reliability"] = reliability_json(m.table.reliability);
    rows.push_back(std::move(row));
  }
  const json out = {{"rows", rows}, {"notes", scores.notes}, {"split", scores.split}};
  return out.dump(2, ' ', false, json::error_handler_t::replace) + '\n';
}

RunScores run_scores_from_json(const std::string& text, const std::string& where) {
  try {
    const json root = json::parse(text);
    RunScores scores;
    if (!root.contains("rows")) {
      scores.rows.push_back({"prediction", table_from(root, where)});
      return scores;
    }
    for (const json& row : root.at("rows")) {
      MethodScores m{row.at("name").get<std::string>(), table_from(row.at("metrics"), where)};
      if (row.contains("reliability")) m.table.reliability = reliability_from(row["reliability"], where);
      scores.rows.push_back(std::move(m));
    }
    if (root.contains("notes")) scores.notes = root["notes"].get<std::vector<std::string>>();
    scores.split = root.value("split", "");
    return scores;
  } catch (const json::exception& e) {
    fail(ErrorCode::data, "[metrics] ", where, ": expected scores as voxgrad writes them, got: ", e.what());
  }
}

std::string to_csv(const ScoreTable& table) {
  std::set<std::string> keys;
  for (const CaseScores& c : table.cases)
    for (const auto& [key, value] : c.values) keys.insert(key);
  std::string out = "case";
  for (const std::string& key : keys) out += ',' + quoted(key);
  out += '\n';
  for (const CaseScores& c : table.cases) {
    out += quoted(c.name);
    for (const std::string& key : keys) {
      out += ',';
      if (const auto it = c.values.find(key); it != c.values.end()) out += number(it->second, "%.17g");
    }
    out += '\n';
  }
  return out;
}

std::string to_text(const ScoreTable& table) {
  std::string out = "score                                    mean         std   cases\n";
  const auto line = [&](const std::string& key, double mean, const Score& deviation, int64_t count) {
    std::string name = key;
    if (const size_t dot = key.find('.'); dot != std::string::npos) {
      const std::string rest = key.substr(dot + 1);
      for (size_t c = 1; c < table.class_names.size(); ++c)
        if (rest == std::to_string(c)) name += " (" + table.class_names[c] + ")";
    }
    name.resize(std::max<size_t>(name.size(), 34), ' ');
    char text[96];
    std::snprintf(text, sizeof text, " %10.5g  %10s  %6lld\n", mean,
                  deviation ? number(*deviation, "%.5g").c_str() : "-", static_cast<long long>(count));
    out += name + text;
  };
  for (const auto& [key, s] : summarise(table)) line(key, s.mean, s.std, s.count);
  for (const auto& [key, value] : pooled_scores(table))
    line("pooled " + key, value, std::nullopt, static_cast<int64_t>(table.cases.size()));
  return out;
}

}  // namespace voxgrad
