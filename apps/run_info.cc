#include "apps/run_info.h"

#include <filesystem>
#include <iomanip>
#include <iostream>

#include "data/plan.h"
#include "io/file.h"
#include "run/log.h"
#include "run/manifest.h"
#include "run/model.h"
#include "run/scores.h"

namespace voxgrad::apps {
namespace {

using nlohmann::json;

json ranges(const std::vector<SeenRange>& all) {
  json list = json::array();
  for (const SeenRange& r : all) list.push_back({r.low, r.high});
  return list;
}

json stages_of(const std::vector<StageRecord>& stages) {
  json list = json::array();
  for (const StageRecord& s : stages)
    list.push_back({{"name", s.name},
                    {"steps", s.steps},
                    {"ended", !s.digest.empty()},
                    {"digest", s.digest},
                    {"from", s.from}});
  return list;
}

json model_facts(const ModelFile& m, const std::string& path) {
  json j = {{"method", m.method},
            {"format", m.format},
            {"complete", m.complete},
            {"digest", m.digest},
            {"constants", m.constants},
            {"thresholds", m.thresholds},
            {"plan", json::parse(plan_to_json(plan_from_json(m.plan, path)))},
            {"axis_codes", m.axis_codes},
            {"seen_spacing", ranges(m.spacing)},
            {"seen_intensity", ranges(m.intensity)},
            {"seen_intensity_low", ranges(m.intensity_low)},
            {"seen_intensity_high", ranges(m.intensity_high)},
            {"dataset", m.provenance.dataset},
            {"data_sha256", m.provenance.data_sha256},
            {"seed", m.provenance.seed},
            {"voxgrad", m.provenance.version},
            {"stages", stages_of(m.provenance.stages)}};
  j["parameters"] = 0;
  for (const auto& [name, tensor] : m.weights)
    j["parameters"] = j["parameters"].get<int64_t>() + tensor.numel();
  return j;
}

json run_facts(const Manifest& m) {
  return {{"method", m.method},
          {"status", m.status},
          {"seed", m.seed},
          {"dataset", m.dataset},
          {"dataset_folder", m.dataset_folder},
          {"split", m.split},
          {"from", m.from},
          {"stages", stages_of(m.stages)},
          {"hours", m.seconds / 3600},
          {"given_plan", !m.plan_sha256.empty()}};
}

json scores_of(const RunFolder& run) {
  json rows = json::array();
  if (!file_exists(run.metrics())) return rows;
  for (const ScoreRow& row : run_scores_from_json(read_text(run.metrics()), run.metrics()).rows) {
    json one = {{"key", row.key},
                {"label", row.label},
                {"role", name_of(row.role)},
                {"cases", row.table.cases.size()}};
    const auto summary = summarise(row.table);
    for (const auto& [name, key] :
         {std::pair{"dsc", "dsc.mean_foreground"}, {"nll", "nll"}, {"ece", "ece_top15"}})
      if (const auto it = summary.find(key); it != summary.end()) one[name] = it->second.mean;
    rows.push_back(std::move(one));
  }
  return rows;
}

json facts_of(const std::string& path) {
  json j = {{"path", path}};
  if (!is_folder(path)) {
    j["model"] = model_facts(read_model(path), path);
    return j;
  }
  const RunFolder run{path};
  if (!file_exists(run.manifest()) && !file_exists(run.model()))
    fail(ErrorCode::data, "[info] ", path,
         ": expected a run folder or a model, found neither manifest nor model");
  if (file_exists(run.manifest())) j["run"] = run_facts(read_manifest(run.manifest()));
  if (file_exists(run.model())) j["model"] = model_facts(read_model(run.model()), run.model());
  j["scores"] = scores_of(run);
  return j;
}

std::string fraction(const json& row, const char* name) {
  if (!row.contains(name)) return "-";
  std::ostringstream out;
  out << std::fixed << std::setprecision(4) << row[name].get<double>();
  return out.str();
}

void line(const std::string& name, const std::string& value) {
  if (!value.empty()) std::cout << std::left << std::setw(16) << name << value << '\n';
}

std::string joined(const json& list, const char* between = ", ") {
  std::string text;
  for (const json& value : list)
    text += (text.empty() ? "" : between) + (value.is_string() ? value.get<std::string>() : value.dump());
  return text;
}

std::string text_of(const json& object) {
  std::string text;
  for (const auto& [name, value] : object.items())
    text += (text.empty() ? "" : ", ") + name + " " + value.dump();
  return text;
}

std::string text_of_stages(const json& stages) {
  std::string text;
  for (const json& s : stages) {
    text += (text.empty() ? "" : ", ") + s["name"].get<std::string>();
    text += s["steps"] == 0 && s["from"] != "" ? " (taken)" : cat(" ", s["steps"].dump(), " steps");
  }
  return text;
}

void print_model(const json& m) {
  const json& plan = m["plan"];
  line("method", m["method"]);
  line("training", m["complete"] ? "complete" : "not complete: it was stopped");
  line("digest", m["digest"]);
  line("data set", m["dataset"]);
  line("channels", joined(plan["channel_names"]));
  line("labels", joined(plan["label_names"]));
  line("normalisation", joined(plan["normalisation"]));
  line("spacing", joined(plan["spacing"], " x ") + " mm (z, y, x)");
  line("patch",
       cat(joined(plan["patch"], " x "), " voxels (z, y, x), ", plan["batch_size"].dump(), " a step"));
  line("features", cat(joined(plan["features"]), "; ", m["parameters"].dump(), " parameters"));
  line("constants", text_of(m["constants"]));
  line("thresholds", text_of(m["thresholds"]));
  line("made by", cat("voxgrad ", m["voxgrad"].get<std::string>(), ", seed ", m["seed"].dump(),
                      ", model format ", m["format"].dump()));
}

void print_text(const json& j) {
  line("path", j["path"]);
  if (j.contains("run")) {
    const json& r = j["run"];
    line("status", r["status"]);
    line("stages", text_of_stages(r["stages"]));
    line("data", r["dataset_folder"]);
    line("split", r["split"]);
    line("stages of", r["from"]);
    if (!j.contains("model")) line("method", r["method"]);
  }
  if (j.contains("model")) print_model(j["model"]);
  if (!j.contains("scores") || j["scores"].empty()) return;
  line("scores", "on held-out cases, as fractions; NLL in nats a voxel");
  for (const json& row : j["scores"])
    line("", cat("Dice ", fraction(row, "dsc"), "  NLL ", fraction(row, "nll"), "  ECE ",
                 fraction(row, "ece"), "  ", row["label"].get<std::string>()));
}

/// Adds the last step of each stage in the log. For a running training the log is the only file that has it.
void add_logged_steps(const RunFolder& run, json& stages) {
  if (!file_exists(run.log())) return;
  std::map<std::string, int64_t> last;
  for (const LogLine& l : read_log(run.log()))
    if (const auto* step = std::get_if<StepLine>(&l))
      last[step->stage] = std::max(last[step->stage], step->step);
  for (json& s : stages)
    if (const auto it = last.find(s["name"]); it != last.end()) s["steps"] = it->second;
}

}  // namespace

void show_run(const std::string& path, bool as_json) {
  const json j = facts_of(path);
  if (as_json)
    std::cout << j.dump(1, ' ', false, json::error_handler_t::replace) << '\n';
  else
    print_text(j);
}

json summary_of_run(const RunFolder& run) {
  const Manifest m = read_manifest(run.manifest());
  json stages = json::array();
  for (const StageRecord& s : m.stages) stages.push_back({{"name", s.name}, {"steps", s.steps}});
  add_logged_steps(run, stages);
  json j = {{"name", std::filesystem::path(run.path).lexically_normal().filename().string()},
            {"path", run.path},
            {"method", m.method},
            {"dataset", m.dataset},
            {"status", m.status},
            {"stages", stages},
            {"scores", json::object()}};
  for (const json& row : scores_of(run))
    if (row["role"] == name_of(RowRole::method))
      for (const char* name : {"dsc", "nll", "ece"})
        if (row.contains(name)) j["scores"][name] = row[name];
  return j;
}

}  // namespace voxgrad::apps
