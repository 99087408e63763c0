#include "eval/run_report.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "data/grid.h"
#include "eval/evaluate.h"
#include "eval/figures.h"
#include "eval/svg.h"
#include "io/file.h"
#include "io/run_record.h"

namespace voxgrad {

namespace {

using nlohmann::json;

std::string plain(const json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number_float()) return label_of(value.get<double>(), 6);
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string duration(double seconds) {
  const auto s = static_cast<int64_t>(std::llround(seconds));
  if (s < 120) return std::to_string(s) + " s";
  if (s < 2 * 3600) return std::to_string(s / 60) + " min " + std::to_string(s % 60) + " s";
  return std::to_string(s / 3600) + " h " + std::to_string(s / 60 % 60) + " min";
}

/// The facts that a reader looks for first, in this order, under their names here.
constexpr std::array<std::pair<const char*, const char*>, 18> kFacts = {{
    {"status", "Status"},
    {"method", "Method"},
    {"dataset", "Data set"},
    {"modality", "Modality"},
    {"data_sha256", "Training data, SHA-256"},
    {"model_sha256", "Model file, SHA-256"},
    {"seed", "Seed"},
    {"parameters", "Parameters"},
    {"constants", "Fitted constants"},
    {"seconds", "Duration"},
    {"voxgrad", "voxgrad"},
    {"compiler", "Compiler"},
    {"build", "Build"},
    {"kernels", "Kernels"},
    {"device", "Device"},
    {"libraries", "Libraries"},
    {"threads", "Threads"},
    {"system", "Machine"},
}};

std::string fact(const std::string& key, const json& value) {
  if (key == "seconds" && value.is_number()) return duration(value.get<double>());
  if (key == "system" && value.is_object()) {
    std::string out;
    for (const char* part : {"cpu", "operating_system"})
      if (value.contains(part)) out += (out.empty() ? "" : ", ") + plain(value[part]);
    if (value.contains("logical_cpus")) out += ", " + plain(value["logical_cpus"]) + " CPUs";
    return out;
  }
  if (!value.is_object()) return plain(value);
  std::string out;
  for (const auto& [name, item] : value.items()) out += (out.empty() ? "" : ", ") + name + ' ' + plain(item);
  return out;
}

void read_facts(const json& manifest, Report& report) {
  for (const auto& [key, name] : kFacts)
    if (manifest.contains(key) && !manifest[key].is_null())
      report.facts.emplace_back(name, fact(key, manifest[key]));
  if (manifest.contains("split") && manifest["split"].is_string()) report.scores.split = manifest["split"];
  if (manifest.contains("method")) report.title = plain(manifest["method"]);
  if (manifest.contains("dataset")) report.title += " on " + plain(manifest["dataset"]);
}

/// Numbers of a log line by step; a later line of the same step (after a resume) replaces the earlier.
using Series = std::map<double, double>;

Curve curve_of(const std::string& name, const Series& series) {
  Curve c{name, {}, {}};
  for (const auto& [x, y] : series) {
    c.x.push_back(x);
    c.y.push_back(y);
  }
  return c;
}

void read_log(const std::string& path, Report& report) {
  std::vector<std::string> stages;  // in the order of training
  std::map<std::string, Series> loss;
  std::map<std::string, double> last_step;
  std::map<std::string, std::map<std::string, Series>> validation;  // by score, by stage
  const auto text = [&](const json& line, const char* field, const char* otherwise) {
    if (!line.is_object() || !line.contains(field)) return std::string(otherwise);
    if (!line[field].is_string())
      fail(ErrorCode::data, "[report] ", path, ": expected ", field, " to be text, got ", line.dump());
    return line[field].get<std::string>();
  };
  for (const json& line : read_json_log(path)) {
    const std::string kind = text(line, "kind", "");
    if (kind != "step" && kind != "validation") continue;
    const std::string stage = text(line, "stage", "training");
    if (kind == "step" && line.contains("step") && line["step"].is_number()) {
      if (!loss.contains(stage)) stages.push_back(stage);
      const double step = line["step"];
      last_step[stage] = step;
      if (line.contains("loss") && line["loss"].is_number()) loss[stage][step] = line["loss"];
    } else if (kind == "validation") {
      // Lines without a step stand for the end of the steps so far.
      const double step =
          line.contains("step") && line["step"].is_number() ? line["step"].get<double>() : last_step[stage];
      for (const auto& [key, value] : line.items())
        if (value.is_number() && key != "step" && key != "seconds") validation[key][stage][step] = value;
    }
  }
  for (const std::string& stage : stages) {
    const Series& series = loss[stage];
    if (series.empty()) continue;
    const bool logarithmic =
        std::all_of(series.begin(), series.end(), [](const auto& p) { return p.second > 0; });
    PlotOptions options;
    options.title = "Loss, " + stage;
    options.x_label = "Step";
    options.y_label = logarithmic ? "Training loss (log scale)" : "Training loss";
    options.log_y = logarithmic;
    options.width = 520;
    report.training.push_back(
        {"Faint: loss of single steps (means of neighbours where there are many). Bold: "
         "exponential moving average, decay 0.98.",
         training_plot({curve_of(stage, series)}, options)});
  }
  for (const auto& [score, by_stage] : validation) {
    std::vector<Curve> curves;
    size_t points = 0;
    for (const auto& [stage, series] : by_stage) {
      curves.push_back(curve_of(stage, series));
      points = std::max(points, series.size());
    }
    if (points < 2) {  // a single number is a fact, not a curve
      for (const auto& [stage, series] : by_stage)
        report.facts.emplace_back("Validation, " + stage + ", " + score, label_of(series.begin()->second, 4));
      continue;
    }
    PlotOptions options;
    options.title = "Validation: " + score;
    options.x_label = "Step";
    options.y_label = score;
    options.width = 520;
    report.training.push_back({"", line_plot(curves, options)});
  }
  if (stages.empty()) report.missing.push_back("training curves: " + path + " has no steps");
}

std::string map_path(const std::string& folder, const char* name) {
  const std::string path = folder + '/' + name + ".nii.gz";
  return file_exists(path) ? path : "";
}

Tensor read_map(const std::string& path, const NiftiHeader& grid, const std::string& grid_path) {
  NiftiHeader header;
  const Tensor volume = read_volume(path, &header);
  check_same_grid(header, path, grid, grid_path);
  return volume.view(0, {volume.dim(1), volume.dim(2), volume.dim(3)});
}

/// The maps of a case; false without an image.
bool read_case(const std::string& folder, ReportCase& c) {
  const std::string image = map_path(folder, "image");
  if (image.empty()) return false;
  const Tensor volume = read_volume(image, &c.header);
  c.image = volume.view(0, {volume.dim(1), volume.dim(2), volume.dim(3)});
  const auto labels = [&](const char* name, Tensor& to) {
    const std::string path = map_path(folder, name);
    if (path.empty()) return;
    NiftiHeader header;
    to = read_labels(path, 0, &header);
    check_same_grid(header, path, c.header, image);
  };
  labels("truth", c.truth);
  labels("mask", c.mask);
  if (const std::string path = map_path(folder, "entropy"); !path.empty())
    c.entropy = read_map(path, c.header, image);
  if (const std::string path = map_path(folder, "mutual_information"); !path.empty())
    c.mutual_information = read_map(path, c.header, image);
  return true;
}

void read_cases(const std::string& folder, const std::string& image_unit, Report& report) {
  const ScoreTable* main = report.scores.rows.empty() ? nullptr : &report.scores.rows.back().table;
  for (const std::string& name : list_folder(folder)) {
    if (!is_folder(folder + '/' + name)) continue;
    ++report.cases_available;
    if (report.cases.size() == kReportCases) continue;
    ReportCase c;
    c.name = name;
    if (!read_case(folder + '/' + name, c)) {
      --report.cases_available;
      report.missing.push_back("pictures of " + name + ": " + folder + '/' + name +
                               "/image.nii.gz is not there");
      continue;
    }
    c.image_unit = image_unit;
    report.cases.push_back(std::move(c));
  }
  if (main) report.cases_available = std::max(report.cases_available, main->cases.size());
}

int largest_label(const Report& report) {
  int32_t largest = 1;
  for (const ReportCase& c : report.cases)
    for (const Tensor* t : {&c.truth, &c.mask})
      if (t->defined())
        largest = std::max(largest, *std::max_element(t->data<int32_t>(), t->data<int32_t>() + t->numel()));
  return largest;
}

}  // namespace

Report read_run(const std::string& folder) {
  if (!is_folder(folder)) fail(ErrorCode::data, "[report] ", folder, ": expected a run folder");
  Report report;
  report.subtitle = "Run folder: " + folder;
  const std::string manifest = folder + "/manifest.json", metrics = folder + "/metrics.json",
                    log = folder + "/log.jsonl", validation = folder + "/validation";
  const auto present = [&](const std::string& path, const char* what, bool there) {
    if (!there) report.missing.push_back(std::string(what) + ": " + path + " is not there");
    return there;
  };
  if (present(metrics, "scores and calibration", file_exists(metrics)))
    report.scores = run_scores_from_json(read_text(metrics), metrics);
  const std::string split = report.scores.split;
  std::string image_unit;
  if (present(manifest, "facts of the run", file_exists(manifest))) {
    const json record = read_manifest(manifest);
    read_facts(record, report);
    if (record.contains("modality") && record["modality"] == "ct") image_unit = "HU";
  }
  if (!split.empty()) report.scores.split = split;
  if (present(log, "training curves", file_exists(log))) read_log(log, report);
  if (present(validation, "pictures of cases", is_folder(validation)))
    read_cases(validation, image_unit, report);
  if (report.missing.size() == 4)
    fail(ErrorCode::data, "[report] ", folder,
         ": expected a run folder with metrics.json, manifest.json, log.jsonl or "
         "validation/, found none of them");
  if (report.title.empty()) report.title = "Segmentation run";
  for (const MethodScores& m : report.scores.rows)
    if (!m.table.class_names.empty()) report.class_names = m.table.class_names;
  const int labels = largest_label(report);
  if (report.class_names.empty()) report.class_names = {"background"};
  while (static_cast<int>(report.class_names.size()) <= labels)
    report.class_names.push_back("label " + std::to_string(report.class_names.size()));
  return report;
}

}  // namespace voxgrad
