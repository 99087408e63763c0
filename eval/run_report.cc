#include "eval/run_report.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "data/grid.h"
#include "data/labels.h"
#include "eval/evaluate.h"
#include "eval/figures.h"
#include "eval/svg.h"
#include "io/file.h"
#include "io/sha256.h"
#include "run/folder.h"
#include "run/log.h"
#include "run/manifest.h"

namespace voxgrad {

namespace {

std::string duration(double seconds) {
  const auto s = static_cast<int64_t>(std::llround(seconds));
  if (s < 120) return std::to_string(s) + " s";
  if (s < 2 * 3600) return std::to_string(s / 60) + " min " + std::to_string(s % 60) + " s";
  return std::to_string(s / 3600) + " h " + std::to_string(s / 60 % 60) + " min";
}

/// Enough of a digest to tell it from others.
std::string shortened(const std::string& digest) { return digest.substr(0, 12); }

/// "500 steps, started from weights 0123456789ab, now 89abcdef0123".
std::string stage_text(const StageRecord& s) {
  if (s.frozen) return "taken as it was, weights " + shortened(s.from.empty() ? s.digest : s.from);
  std::string out = std::to_string(s.steps) + (s.steps == 1 ? " step" : " steps");
  out += s.from.empty() ? ", from scratch" : ", started from weights " + shortened(s.from);
  return out + (s.digest.empty() ? ", not ended" : ", weights " + shortened(s.digest));
}

/// A page shows the facts of a manifest beside scores: they must be of one run. `sha256`: empty for a file
/// that the manifest does not record.
void expect_recorded(const std::string& file, const std::string& sha256, const std::string& manifest) {
  if (sha256.empty() || !file_exists(file)) return;
  if (const std::string got = sha256_of_file(file); got != sha256)
    fail(ErrorCode::data, "[report] ", file, ": expected the file that ", manifest, " records, of SHA-256 ",
         sha256, ", got ", got);
}

/// The facts that a reader looks for first.
void read_facts(const Manifest& m, Report& report) {
  const auto add = [&](const std::string& name, const std::string& value) {
    if (!value.empty()) report.facts.emplace_back(name, value);
  };
  add("Status", m.status);
  add("Method", m.method);
  add("Data set", m.dataset);
  add("Modality", m.modality);
  add("Training data, SHA-256", m.data_sha256);
  for (const StageRecord& s : m.stages) add("Stage " + s.name, stage_text(s));
  add("Model, digest", m.model_digest);
  add("Model file, SHA-256", m.model_sha256);
  add("Seed", std::to_string(m.seed));
  if (m.parameters > 0) add("Parameters", std::to_string(m.parameters));
  std::string constants;
  for (const auto& [name, value] : m.constants)
    constants += (constants.empty() ? "" : ", ") + name + ' ' + label_of(value, 6);
  add("Fitted constants", constants);
  if (m.seconds > 0) add("Duration", duration(m.seconds));
  add("Device", m.runtime.device);
  add("Device, as it says itself", m.device_text);
  add("Instruction set", m.runtime.instruction_set);
  if (!m.runtime.instruction_set.empty())
    add("Winograd\u2019s convolutions", m.runtime.winograd ? "where they pay" : "off");
  add("Precision", m.runtime.precision);
  add("Convolutions on the device", m.convolutions);
  if (!m.device_text.empty()) add("Recorded steps (graphs)", m.graphs ? "where they can be" : "off");
  if (m.device_memory_peak > 0)
    add("Device memory, peak", std::to_string(m.device_memory_peak >> 20) + " MiB");
  if (m.threads > 0) add("Threads", std::to_string(m.threads));
  for (const auto& [name, value] : machine_facts(m.machine)) add(name, value);
  report.title = m.method;
  if (!m.dataset.empty()) report.title += " on " + m.dataset;
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

/// What the log says of the training of a stage.
struct StageSeries {
  std::string name;
  Series loss;
  std::map<std::string, Series> terms;
  double last_step = 0;
};

/// The loss of a stage, and the terms beside it where there are several.
ReportFigure training_figure(const StageSeries& stage) {
  const bool with_terms = stage.terms.size() > 1;
  std::vector<Curve> curves = {curve_of(with_terms ? "loss" : stage.name, stage.loss)};
  if (with_terms)
    for (const auto& [name, series] : stage.terms) curves.push_back(curve_of(name, series));
  const bool logarithmic = std::all_of(curves.begin(), curves.end(), [](const Curve& c) {
    return std::all_of(c.y.begin(), c.y.end(), [](double y) { return y > 0 || !std::isfinite(y); });
  });
  PlotOptions options;
  options.title = (with_terms ? "Loss and its terms, " : "Loss, ") + stage.name;
  options.x_label = "Step";
  options.y_label = logarithmic ? "Training loss (log scale)" : "Training loss";
  options.log_y = logarithmic;
  options.width = 520;
  return {
      std::string("Faint: loss of single steps (means of neighbours where there are many). Bold: exponential "
                  "moving average, decay 0.98.") +
          (with_terms ? " Terms are as the method logs them, which may be before their weights." : ""),
      training_plot(curves, options)};
}

void read_curves(const std::string& path, Report& report) {
  std::vector<StageSeries> stages;                                  // in the order of training
  std::map<std::string, std::map<std::string, Series>> validation;  // by score, by stage
  const auto find = [&](const std::string& name) {
    return std::find_if(stages.begin(), stages.end(), [&](const StageSeries& s) { return s.name == name; });
  };
  for (const LogLine& line : read_log(path)) {
    if (const auto* step = std::get_if<StepLine>(&line)) {
      auto stage = find(step->stage);
      if (stage == stages.end()) stage = stages.insert(stages.end(), StageSeries{step->stage, {}, {}});
      stage->last_step = static_cast<double>(step->step);
      stage->loss[stage->last_step] = step->loss;
      for (const auto& [name, value] : step->terms) stage->terms[name][stage->last_step] = value;
    } else if (const auto* v = std::get_if<ValidationLine>(&line)) {
      // Lines without a step stand for the end of the steps so far.
      const auto stage = find(v->stage);
      const double at = v->step                 ? static_cast<double>(*v->step)
                        : stage == stages.end() ? 0
                                                : stage->last_step;
      for (const auto& [score, value] : v->values)
        if (std::isfinite(value)) validation[score][v->stage][at] = value;
    }
  }
  for (const StageSeries& stage : stages) report.training.push_back(training_figure(stage));
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

Tensor one_volume(const Tensor& volume) {
  return volume.view(0, {volume.dim(1), volume.dim(2), volume.dim(3)});
}

/// The maps of a case; false without an image.
bool read_case(const RunFolder& run, ReportCase& c) {
  const std::string image = run.validation_map(c.name, "image");
  if (!file_exists(image)) return false;
  c.image = one_volume(read_volume(image, &c.header));
  // Calls read(path, header) where the map is there, and checks that it lies on the image's grid.
  const auto map = [&](const char* name, auto&& read) {
    const std::string path = run.validation_map(c.name, name);
    if (!file_exists(path)) return;
    NiftiHeader header;
    read(path, &header);
    check_same_grid(header, path, c.header, image);
  };
  const auto labels = [](Tensor& to) {
    return [&to](const std::string& path, NiftiHeader* header) { to = read_labels(path, 0, header); };
  };
  const auto values = [](Tensor& to) {
    return
        [&to](const std::string& path, NiftiHeader* header) { to = one_volume(read_volume(path, header)); };
  };
  map("truth", labels(c.truth));
  map("mask", labels(c.mask));
  map("entropy", values(c.entropy));
  map("mutual_information", values(c.mutual_information));
  return true;
}

void read_cases(const RunFolder& run, const std::string& image_unit, Report& report) {
  for (const std::string& name : list_folder(run.validation())) {
    if (!is_folder(run.validation() + '/' + name)) continue;
    ++report.cases_available;
    if (report.cases.size() == kReportCases) continue;
    ReportCase c;
    c.name = name;
    c.image_unit = image_unit;
    if (!read_case(run, c)) {
      --report.cases_available;
      report.missing.push_back("pictures of " + name + ": " + run.validation_map(name, "image") +
                               " is not there");
      continue;
    }
    report.cases.push_back(std::move(c));
  }
  if (!report.scores.rows.empty())
    report.cases_available =
        std::max(report.cases_available, detail::main_row(report.scores).table.cases.size());
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
  const RunFolder run{folder};
  Report report;
  report.subtitle = "Run folder: " + folder;
  const auto present = [&](const std::string& path, const char* what) {
    if (file_exists(path) || is_folder(path)) return true;
    report.missing.push_back(std::string(what) + ": " + path + " is not there");
    return false;
  };
  if (present(run.metrics(), "scores and calibration"))
    report.scores = run_scores_from_json(read_text(run.metrics()), run.metrics());
  std::string image_unit;
  if (present(run.manifest(), "facts of the run")) {
    const Manifest manifest = read_manifest(run.manifest());
    expect_recorded(run.model(), manifest.model_sha256, run.manifest());
    expect_recorded(run.metrics(), manifest.scores_sha256, run.manifest());
    read_facts(manifest, report);
    if (manifest.modality == "ct") image_unit = "HU";
    if (report.scores.split.empty()) report.scores.split = manifest.split;
  }
  if (present(run.log(), "training curves")) read_curves(run.log(), report);
  if (present(run.validation(), "pictures of cases")) read_cases(run, image_unit, report);
  if (report.missing.size() == 4)
    fail(ErrorCode::data, "[report] ", folder,
         ": expected a run folder with scores, a manifest, a log or maps of cases, found none of them");
  if (report.title.empty()) report.title = "Segmentation run";
  for (const ScoreRow& row : report.scores.rows)
    if (!row.table.class_names.empty()) report.class_names = row.table.class_names;
  const int labels = largest_label(report);
  if (report.class_names.empty()) report.class_names = {"background"};
  while (static_cast<int>(report.class_names.size()) <= labels)
    report.class_names.push_back("label " + std::to_string(report.class_names.size()));
  return report;
}

}  // namespace voxgrad
