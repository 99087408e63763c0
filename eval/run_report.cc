#include "eval/run_report.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "data/channels.h"
#include "data/grid.h"
#include "data/labels.h"
#include "eval/case_choice.h"
#include "eval/evaluate.h"
#include "eval/figures.h"
#include "eval/svg.h"
#include "io/file.h"
#include "io/sha256.h"
#include "io/text.h"
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

/// The first digits of a digest, enough to distinguish it from others.
std::string shortened(const std::string& digest) { return digest.substr(0, 12); }

/// For example "500 steps, started from weights 0123456789ab, weights 89abcdef0123".
std::string stage_text(const StageRecord& s) {
  if (s.frozen) return "taken unchanged, weights " + shortened(s.from.empty() ? s.digest : s.from);
  std::string out = counted(s.steps, "step");
  out += s.from.empty() ? ", from scratch" : ", started from weights " + shortened(s.from);
  return out + (s.digest.empty() ? ", not finished" : ", weights " + shortened(s.digest));
}

/// Checks a file against the hash in the manifest, because the page shows both together and they must belong
/// to one run. `sha256`: empty for a file that the manifest does not record.
void expect_recorded(const std::string& file, const std::string& sha256, const std::string& manifest) {
  if (sha256.empty() || !file_exists(file)) return;
  if (const std::string got = sha256_of_file(file); got != sha256)
    fail(ErrorCode::data, "[report] ", file, ": expected the file that ", manifest, " records, of SHA-256 ",
         sha256, ", got ", got);
}

/// A command as text with the quotes of a shell.
std::string shell_text(std::vector<std::string> command) {
  for (std::string& part : command) {
    const bool plain = !part.empty() && std::all_of(part.begin(), part.end(), [](unsigned char c) {
      return std::isalnum(c) ||
             std::string_view("_-./:=,+@%").find(static_cast<char>(c)) != std::string_view::npos;
    });
    if (plain) continue;
    for (size_t at = 0; (at = part.find('\'', at)) != std::string::npos; at += 4)
      part.replace(at, 1, "'\\''");
    part = "'" + part + "'";
  }
  return joined(command, " ");
}

/// Reads the facts of the run for the head of the page.
void read_facts(const Manifest& m, Report& report) {
  const auto add = [&](const std::string& name, const std::string& value) {
    if (!value.empty()) report.facts.emplace_back(name, value);
  };
  add("Status", m.status);
  for (size_t i = 0; i < m.starts.size(); ++i) {
    add(i == 0 ? "Started" : "Resumed", m.starts[i].date);
    add("Command", shell_text(m.starts[i].command));
  }
  add("Method", m.method);
  add("Data set", m.dataset);
  add("Folder of the data", m.dataset_folder);
  add("Channels", joined(m.channels, ", "));
  if (m.channels.empty()) add("Modality", m.modality);  // of an earlier version
  add("Split", m.split);
  add("Training data, SHA-256", m.data_sha256);
  add("Scored data, SHA-256", m.scored_sha256);
  add("Stages taken from", m.from);
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
  add("Device description", m.device_text);
  add("Instruction set", m.runtime.instruction_set);
  if (!m.runtime.instruction_set.empty())
    add("Winograd\u2019s algorithm", m.runtime.winograd ? "for convolutions that it makes faster" : "off");
  add("Precision", m.runtime.precision);
  add("Convolutions on the device", m.convolutions);
  if (!m.device_text.empty()) add("CUDA graphs", m.graphs ? "for steps that can be recorded" : "off");
  if (m.device_memory_peak > 0)
    add("Device memory, peak", std::to_string(m.device_memory_peak >> 20) + " MiB");
  if (m.threads > 0) add("Threads", std::to_string(m.threads));
  for (const auto& [name, value] : machine_facts(m.machine)) add(name, value);
  report.title = m.method;
  if (!m.dataset.empty()) report.title += " on " + m.dataset;
}

/// A number of the log by step. A later line of the same step (after a resume) replaces the earlier one.
using Series = std::map<double, double>;

Curve curve_of(const std::string& name, const Series& series) {
  Curve c{name, {}, {}};
  for (const auto& [x, y] : series) {
    c.x.push_back(x);
    c.y.push_back(y);
  }
  return c;
}

/// The log's numbers of the training of a stage.
struct StageSeries {
  std::string name;
  Series loss;
  std::map<std::string, Series> terms;
  double last_step = 0;
};

/// The figure of a stage's loss, and of its terms if there are several.
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
  const size_t window = smoothing_window(stage.loss.size());
  return {"Faint: loss of single steps, or means of neighbouring steps if there are many. Bold: mean of " +
              std::to_string(window) + " neighbouring steps." +
              (with_terms ? " Terms are shown as the method logs them, possibly without their weights." : ""),
          training_plot(curves, options, window)};
}

void read_curves(const std::string& path, Report& report) {
  std::vector<StageSeries> stages;                                  // in the order of training
  std::map<std::string, std::map<std::string, Series>> validation;  // first key: score; second key: stage
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
      // A line without a step belongs to the last step so far.
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
    if (points < 2) {  // a single number is shown as a fact, not as a curve
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

/// Reads the maps of a case, each on the image's grid.
class CaseReader {
 public:
  CaseReader(const RunFolder& run, const std::string& name) : run_(run), name_(name) {}

  bool has_image() const { return file_exists(path("image")); }

  ReportCase operator()(const Manifest& manifest) {
    ReportCase c;
    c.name = name_;
    const Tensor image = read_volume(path("image"), &c.header);
    header_ = c.header;
    for (int64_t k = 0; k < image.dim(0); ++k) {
      const auto channel = static_cast<size_t>(k);
      const std::string name = channel < manifest.channels.size() ? manifest.channels[channel]
                                                                  : "channel " + std::to_string(k + 1);
      const bool ct =
          channel < manifest.channels.size() ? normalisation_of(name) == "ct" : manifest.modality == "ct";
      const Tensor values = one_volume(image.rows(k, 1));
      // Air is below 0 HU, so a CT without values below 0 has another unit.
      const float* const v = values.data<float>();
      const bool below = *std::min_element(v, v + values.numel()) < 0;
      c.channels.push_back({name, ct && below ? "HU" : "", values});
    }
    c.truth = labels("truth");
    c.mask = labels("mask");
    for (size_t m = 1; file_exists(path(RunFolder::sample_map(m))); ++m)
      c.samples.push_back({"sample " + std::to_string(m), labels(RunFolder::sample_map(m))});
    for (const std::string& rater : run_.kept_raters(name_))
      c.raters.push_back(
          {rater.starts_with("rater") ? rater : "rater " + rater, labels(RunFolder::rater_map(rater))});
    c.entropy = values("entropy");
    c.mutual_information = values("mutual_information");
    c.probabilities = probabilities(image.numel() / image.dim(0));
    return c;
  }

 private:
  std::string path(const std::string& map) const { return run_.validation_map(name_, map); }
  void check(const NiftiHeader& header, const std::string& file) const {
    check_same_grid(header, file, header_, path("image"));
  }
  Tensor labels(const std::string& map) const {
    if (!file_exists(path(map))) return {};
    NiftiHeader header;
    Tensor y = read_labels(path(map), 0, &header);
    check(header, path(map));
    return y;
  }
  Tensor values(const std::string& map) const {
    if (!file_exists(path(map))) return {};
    NiftiHeader header;
    Tensor v = read_volume(path(map), &header);
    check(header, path(map));
    return one_volume(v);
  }
  /// Probabilities [K, D, H, W]; undefined if they would need more than a gigabyte.
  Tensor probabilities(int64_t voxels) const {
    constexpr int64_t kMost = int64_t{1} << 28;
    const std::string file = path("probabilities");
    if (!file_exists(file)) return {};
    NiftiHeader header = read_nifti_header(file);
    if (voxels * header.volumes() > kMost) return {};
    Tensor p = read_volume(file, &header);
    check(header, file);
    return p;
  }

  const RunFolder& run_;
  const std::string name_;
  NiftiHeader header_;
};

/// The rank of a case among all scored cases, for example "worst of 12" or "rank 7 of 12".
std::string rank_text(const Score& score, const ScoreTable& table) {
  std::vector<double> all;
  for (const CaseScores& c : table.cases)
    if (const auto it = c.values.find("dsc.mean_foreground"); it != c.values.end()) all.push_back(it->second);
  if (!score || all.empty()) return "";
  const auto below =
      static_cast<size_t>(std::count_if(all.begin(), all.end(), [&](double v) { return v < *score; }));
  const std::string of = " of " + std::to_string(all.size());
  const auto equal = std::count(all.begin(), all.end(), *score);
  const std::string shared = equal > 1 ? cat(", with ", equal - 1, equal == 2 ? " other" : " others") : "";
  if (below == 0) return "worst" + of + shared;
  if (below + static_cast<size_t>(equal) == all.size()) return "best" + of + shared;
  if (below == (all.size() - 1) / 2) return "median" + of + shared;
  return "rank " + std::to_string(all.size() - below) + of + shared;
}

/// The names of the cases that have maps with an image.
std::vector<std::string> kept_cases(const RunFolder& run, Report& report) {
  std::vector<std::string> names;
  for (const std::string& name : list_folder(run.validation())) {
    if (!is_folder(run.validation_case(name))) continue;
    if (CaseReader(run, name).has_image())
      names.push_back(name);
    else
      report.missing.push_back("pictures of " + name + ": " + run.validation_map(name, "image") +
                               " does not exist");
  }
  return names;
}

/// Adds names for labels without a name.
void name_labels(const ReportCase& c, std::vector<std::string>& names) {
  const auto name_all = [&](const Tensor& t) {
    if (!t.defined()) return;
    const int32_t largest = *std::max_element(t.data<int32_t>(), t.data<int32_t>() + t.numel());
    while (static_cast<int32_t>(names.size()) <= largest)
      names.push_back("label " + std::to_string(names.size()));
  };
  name_all(c.truth);
  name_all(c.mask);
  for (const auto* list : {&c.samples, &c.raters})
    for (const ReportCase::Labels& l : *list) name_all(l.labels);
}

/// Reports maps that runs of older versions lack.
void say_what_maps_lack(const ReportCase& c, const Manifest& manifest, Report& report) {
  std::string lacks;
  const auto lack = [&](bool missing, const char* what) {
    if (missing) lacks += (lacks.empty() ? "" : ", ") + std::string(what);
  };
  lack(!c.truth.defined(), "the truth");
  lack(!c.mask.defined(), "the prediction");
  lack(!c.entropy.defined(), "the entropy");
  lack(!c.probabilities.defined(), "the probabilities");
  lack(manifest.channels.empty(), "the names of the channels, and every channel after the first");
  lack(manifest.channels.size() > c.channels.size(), "further channels");
  if (!lacks.empty()) report.missing.push_back("maps of " + c.name + ": " + lacks);
}

void read_cases(const RunFolder& run, const Manifest& manifest, size_t most, Report& report) {
  const std::vector<std::string> names = kept_cases(run, report);
  const ScoreTable none, &table = report.scores.rows.empty() ? none : detail::main_row(report.scores).table;
  const std::vector<Score> scores = choosing_scores(table, names);
  std::vector<size_t> order = spread_by_score(scores);
  order.resize(std::min(order.size(), most));
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return scores[a] && (!scores[b] || *scores[a] < *scores[b]); });
  report.cases_scored = std::max(names.size(), table.cases.size());
  for (const size_t i : order) {  // one case at a time, because a case may need gigabytes
    ReportCase c = CaseReader(run, names[i])(manifest);
    c.score = scores[i];
    c.rank = rank_text(c.score, table);
    name_labels(c, report.class_names);
    say_what_maps_lack(c, manifest, report);
    report.cases.push_back(view_of(c, report.class_names));
  }
}

}  // namespace

Report read_run(const std::string& folder, size_t most_cases) {
  if (!is_folder(folder)) fail(ErrorCode::data, "[report] ", folder, ": expected a run folder");
  const RunFolder run{folder};
  Report report;
  report.subtitle = "Run folder: " + folder;
  bool empty = true;
  const auto present = [&](const std::string& path, const char* what) {
    if (file_exists(path) || is_folder(path)) {
      empty = false;
      return true;
    }
    report.missing.push_back(std::string(what) + ": " + path + " does not exist");
    return false;
  };
  if (present(run.metrics(), "scores and calibration"))
    report.scores = run_scores_from_json(read_text(run.metrics()), run.metrics());
  Manifest manifest;
  if (present(run.manifest(), "facts of the run")) {
    manifest = read_manifest(run.manifest());
    expect_recorded(run.model(), manifest.model_sha256, run.manifest());
    expect_recorded(run.metrics(), manifest.scores_sha256, run.manifest());
    read_facts(manifest, report);
    if (report.scores.split.empty()) report.scores.split = manifest.split;
  }
  for (const ScoreRow& row : report.scores.rows)
    if (!row.table.class_names.empty()) report.class_names = row.table.class_names;
  if (report.class_names.empty()) report.class_names = {"background"};
  if (present(run.log(), "training curves")) read_curves(run.log(), report);
  if (present(run.validation(), "pictures of cases")) read_cases(run, manifest, most_cases, report);
  if (empty)
    fail(ErrorCode::data, "[report] ", folder,
         ": expected a run folder with scores, a manifest, a log or maps of cases, found none of them");
  if (report.title.empty()) report.title = "Segmentation run";
  return report;
}

}  // namespace voxgrad
