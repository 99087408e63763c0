#include "run/scores.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <set>
#include <utility>

#include "run/fields.h"
#include "run/folder.h"

namespace voxgrad {
namespace {

using detail::Fields;
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

/// The inverse of nest(). null (a score without a value) and texts are left out.
ScoreMap flat(const json& object, const Fields& fields) {
  ScoreMap out;
  const auto take = [&out](const std::string& key, const json& value) {
    if (value.is_number() && std::isfinite(value.get<double>())) out[key] = value.get<double>();
  };
  for (const auto& [key, value] : object.items()) {
    take(key, value);
    if (!value.is_object()) continue;
    for (const auto& [rest, inner] : value.items()) {
      if (inner.is_structured()) fields.refuse(key + '.' + rest, "a number", detail::shown(inner));
      take(key + '.' + rest, inner);
    }
  }
  return out;
}

json reliability_json(const Reliability& r) {
  json confidence = json::array(), accuracy = json::array();
  for (size_t b = 0; b < r.count.size(); ++b) {
    const double n = r.count[b] > 0 ? static_cast<double>(r.count[b]) : 1;  // an empty bin has the values 0
    confidence.push_back(r.confidence[b] / n);
    accuracy.push_back(r.correct[b] / n);
  }
  return {{"confidence", confidence}, {"accuracy", accuracy}, {"count", r.count}};
}

Reliability reliability_from(const Fields& f) {
  const json &confidence = f.list("confidence"), &accuracy = f.list("accuracy"), &count = f.list("count");
  if (confidence.size() != count.size() || accuracy.size() != count.size() || count.empty())
    f.refuse("count", "lists of one length, confidence, accuracy and count",
             cat(confidence.size(), ", ", accuracy.size(), " and ", count.size(), " bins"));
  Reliability r(static_cast<int>(count.size()));
  for (size_t b = 0; b < count.size(); ++b) {
    const auto bin = [b](const char* key) { return cat(key, '.', b); };
    if (!count[b].is_number_unsigned())
      f.refuse(bin("count"), "a whole number of at least 0", detail::shown(count[b]));
    for (const auto& [key, list] : {std::pair{"confidence", &confidence}, {"accuracy", &accuracy}})
      if (!(*list)[b].is_number()) f.refuse(bin(key), "a number", detail::shown((*list)[b]));
    r.count[b] = count[b].get<int64_t>();
    r.confidence[b] = confidence[b].get<double>() * static_cast<double>(r.count[b]);
    r.correct[b] = accuracy[b].get<double>() * static_cast<double>(r.count[b]);
  }
  return r;
}

/// The names of the curves in JSON, and where they are in a table.
constexpr std::pair<const char*, RiskCurve ScoreTable::*> kRiskCurves[] = {
    {"risk_coverage", &ScoreTable::risk_coverage},
    {"foreground_risk_coverage", &ScoreTable::foreground_risk_coverage},
    {"casewise_risk_coverage", &ScoreTable::casewise_risk_coverage}};
constexpr std::pair<const char*, std::vector<double> RiskCurve::*> kRiskLists[] = {
    {"coverage", &RiskCurve::coverage},
    {"selective_risk", &RiskCurve::selective_risk},
    {"generalised_risk", &RiskCurve::generalised_risk}};

RiskCurve risk_curve_from(const Fields& f) {
  RiskCurve curve;
  curve.cases = f.whole("cases", 1);
  for (const auto& [key, list] : kRiskLists) {
    const json& values = f.list(key);
    for (size_t i = 0; i < values.size(); ++i) {
      if (!values[i].is_number()) f.refuse(cat(key, '.', i), "a number", detail::shown(values[i]));
      (curve.*list).push_back(values[i].get<double>());
    }
    if (values.empty() || values.size() != curve.coverage.size())
      f.refuse(key, cat(std::max<size_t>(curve.coverage.size(), 1), " numbers, as many as in coverage"),
               cat(values.size(), " numbers"));
  }
  return curve;
}

void add_curves(const ScoreTable& table, json& to) {
  if (table.reliability.total() > 0) to["reliability"] = reliability_json(table.reliability);
  if (table.foreground_reliability.total() > 0)
    to["foreground_reliability"] = reliability_json(table.foreground_reliability);
  for (const auto& [key, curve] : kRiskCurves) {
    if ((table.*curve).cases == 0) continue;
    json lists = {{"cases", (table.*curve).cases}};
    for (const auto& [name, list] : kRiskLists) lists[name] = table.*curve.*list;
    to[key] = std::move(lists);
  }
}

void read_curves(const Fields& f, ScoreTable& table) {
  if (f.has("reliability")) table.reliability = reliability_from(f.object("reliability"));
  if (f.has("foreground_reliability"))
    table.foreground_reliability = reliability_from(f.object("foreground_reliability"));
  for (const auto& [key, curve] : kRiskCurves)
    if (f.has(key)) table.*curve = risk_curve_from(f.object(key));
}

json table_json(const ScoreTable& table) {
  json cases = json::object();
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
              {"pooled", nest(table.pooled)},
              {"options",
               {{"classes", table.options.classes},
                {"foreground_radius_mm", table.options.foreground_radius},
                {"nsd_tolerance_mm", table.options.nsd_tolerance}}}};
  json labels = json::object();
  for (size_t c = 1; c < table.class_names.size(); ++c) labels[std::to_string(c)] = table.class_names[c];
  if (!labels.empty()) out["labels"] = labels;
  return out;
}

ScoreTable table_from(const json& object, const Fields& f) {
  ScoreTable table;
  const Fields cases = f.object("cases");
  for (const auto& [name, scores] : object.at("cases").items())
    table.cases.push_back({name, flat(scores, cases.object(name))});
  if (f.has("pooled")) table.pooled = flat(object.at("pooled"), f.object("pooled"));
  if (f.has("labels")) {
    const Fields labels = f.object("labels");
    table.class_names = {"background"};
    for (size_t c = 1; labels.has(std::to_string(c)); ++c)
      table.class_names.push_back(labels.text(std::to_string(c)));
  }
  if (f.has("options")) {
    const Fields options = f.object("options");
    ScoreOptions& to = table.options;
    if (options.has("classes")) to.classes = static_cast<int>(options.whole("classes", 1, 1 << 16));
    if (options.has("foreground_radius_mm")) to.foreground_radius = options.finite("foreground_radius_mm");
    if (options.has("nsd_tolerance_mm")) to.nsd_tolerance = options.finite("nsd_tolerance_mm");
  }
  read_curves(f, table);
  return table;
}

bool is_key(const std::string& text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
  });
}

ScoreRow row_from(const json& object, const Fields& f, int format, bool last) {
  ScoreRow row;
  if (format == 1) {
    row.key = row.label = f.text("name");
    row.role = last ? RowRole::method : RowRole::baseline;
  } else {
    row.key = f.text("key");
    if (!is_key(row.key)) f.refuse("key", "letters, digits and '-'", row.key);
    row.label = f.text("label");
    const std::string role = f.text("role");
    bool known = false;
    for (const RowRole r : {RowRole::baseline, RowRole::variant, RowRole::method})
      if (name_of(r) == role) {
        row.role = r;
        known = true;
      }
    if (!known) f.refuse("role", "baseline, variant or method", role);
  }
  const Fields metrics = f.object("metrics");
  row.table = table_from(object.at("metrics"), metrics);
  read_curves(f, row.table);
  return row;
}

/// Refuses a key that occurs twice, and a second row of the method.
void check_rows(const std::vector<ScoreRow>& rows, const Fields& root) {
  std::set<std::string> keys;
  bool method = false;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (!keys.insert(rows[i].key).second)
      root.refuse(cat("rows.", i, ".key"), "a key that no other row has", rows[i].key);
    if (rows[i].role == RowRole::method && std::exchange(method, true))
      root.refuse(cat("rows.", i, ".role"), "one row of the method", "a second one");
  }
}

std::string quoted(const std::string& cell) {
  if (cell.find_first_of(",\"\r\n") == std::string::npos) return cell;
  std::string out = "\"";
  for (char c : cell) out += c == '"' ? std::string("\"\"") : std::string(1, c);
  return out + '"';
}

}  // namespace

int64_t Reliability::total() const {
  int64_t n = 0;
  for (int64_t c : count) n += c;
  return n;
}

void Reliability::add(double p, bool is_correct) {
  // p comes from f32 (24 bits), so p * n is exact in double, and values at the edges get the bin of the
  // definition.
  const double scaled = std::ceil(p * bins()) - 1;
  const auto b = static_cast<size_t>(std::clamp<double>(scaled, 0, bins() - 1));
  confidence[b] += p;
  correct[b] += is_correct ? 1 : 0;
  ++count[b];
}

Reliability& Reliability::operator+=(const Reliability& other) {
  require(bins() == other.bins(), "[reliability] expected ", bins(), " bins, got ", other.bins());
  for (size_t b = 0; b < count.size(); ++b) {
    confidence[b] += other.confidence[b];
    correct[b] += other.correct[b];
    count[b] += other.count[b];
  }
  return *this;
}

RiskCurve& RiskCurve::operator+=(const RiskCurve& other) {
  if (other.cases == 0) return *this;
  if (cases == 0) return *this = other;
  require(coverage == other.coverage, "[risk_coverage] expected equal coverages, got ", coverage.size(),
          " and ", other.coverage.size());
  const double share = static_cast<double>(other.cases) / static_cast<double>(cases + other.cases);
  for (size_t i = 0; i < coverage.size(); ++i) {
    selective_risk[i] += share * (other.selective_risk[i] - selective_risk[i]);
    generalised_risk[i] += share * (other.generalised_risk[i] - generalised_risk[i]);
  }
  cases += other.cases;
  return *this;
}

std::map<std::string, Summary> summarise(const ScoreTable& table) {
  std::map<std::string, std::vector<double>> columns;
  for (const CaseScores& c : table.cases)
    for (const auto& [key, value] : c.values) columns[key].push_back(value);
  std::map<std::string, Summary> summary;
  for (const auto& [key, values] : columns) {
    const auto n = static_cast<double>(values.size());
    double sum = 0, squares = 0;
    for (double v : values) sum += v;
    Summary& s = summary[key];
    s.count = static_cast<int64_t>(values.size());
    s.mean = sum / n;
    if (values.size() < 2) continue;
    for (double v : values) squares += (v - s.mean) * (v - s.mean);
    s.std = std::sqrt(squares / (n - 1));
  }
  return summary;
}

std::string_view name_of(RowRole role) {
  switch (role) {
    case RowRole::baseline:
      return "baseline";
    case RowRole::variant:
      return "variant";
    case RowRole::method:
      return "method";
  }
  return "?";
}

const ScoreRow* RunScores::method() const {
  for (const ScoreRow& row : rows)
    if (row.role == RowRole::method) return &row;
  return nullptr;
}

std::string to_json(const ScoreTable& table) {
  json out = table_json(table);
  add_curves(table, out);
  return detail::dump_json(out, 2) + '\n';
}

std::string to_json(const RunScores& scores) {
  json rows = json::array();
  for (const ScoreRow& r : scores.rows) {
    require(is_key(r.key), "[metrics] row \"", r.label,
            "\": expected a key of letters, digits and '-', got \"", r.key, "\"");
    json row = {{"key", r.key},
                {"label", r.label},
                {"role", std::string(name_of(r.role))},
                {"metrics", table_json(r.table)}};
    add_curves(r.table, row);
    rows.push_back(std::move(row));
  }
  const json out = {{"format", kRunFormat}, {"rows", rows}, {"notes", scores.notes}, {"split", scores.split}};
  return detail::dump_json(out, 2) + '\n';
}

RunScores run_scores_from_json(const std::string& text, const std::string& where) {
  const std::string begin = "[metrics] " + where;
  const json root = detail::parse_json(text, begin);
  const Fields f(root, begin);
  RunScores scores;
  if (f.has("format") && root["format"] != kRunFormat)
    f.refuse("format", std::to_string(kRunFormat), detail::shown(root["format"]));
  const int format = f.has("format") ? kRunFormat : 1;
  if (format == 1 && !f.has("rows")) {  // the form of one prediction
    scores.rows.push_back({"prediction", "prediction", RowRole::method, table_from(root, f)});
    return scores;
  }
  const json& rows = f.list("rows");
  for (size_t i = 0; i < rows.size(); ++i)
    scores.rows.push_back(row_from(rows[i], f.element(rows[i], "rows", i), format, i + 1 == rows.size()));
  check_rows(scores.rows, f);
  if (f.has("notes")) {
    const json& notes = f.list("notes");
    for (size_t i = 0; i < notes.size(); ++i) {
      if (!notes[i].is_string()) f.refuse(cat("notes.", i), "text", detail::shown(notes[i]));
      scores.notes.push_back(notes[i].get<std::string>());
    }
  }
  if (f.has("split")) scores.split = f.text("split");
  return scores;
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
      const auto it = c.values.find(key);
      if (it == c.values.end()) continue;
      char number[40];
      std::snprintf(number, sizeof number, "%.17g", it->second);
      out += number;
    }
    out += '\n';
  }
  return out;
}

}  // namespace voxgrad
