#include "methods/validation.h"

#include <algorithm>

#include "eval/calibrate.h"
#include "eval/case_choice.h"
#include "eval/evaluate.h"
#include "io/file.h"
#include "io/text.h"
#include "methods/prediction.h"

namespace voxgrad {
namespace {

constexpr int kIntentLabel = 1002;  // NIFTI_INTENT_LABEL

constexpr size_t kKeptSamples = 4;

// Removes the maps of an earlier scoring. Other files stay.
void remove_maps(const std::string& folder) {
  if (!is_folder(folder)) return;
  for (const std::string& name : list_folder(folder))
    if (const std::string path = folder + "/" + name; name.ends_with(".nii.gz") && !is_folder(path))
      remove_file(path);
  if (list_folder(folder).empty()) remove_folder(folder);
}

void write_maps(const RunFolder& run, const Case& c, const LoadedCase& loaded, const CasePrediction& p,
                const std::vector<Tensor>& annotations, int classes) {
  const std::string folder = run.validation_case(c.name);
  remove_maps(folder);
  make_folders(folder);
  const auto write = [&](const std::string& map, const Tensor& volume) {
    write_volume(run.validation_map(c.name, map), loaded.header, volume);
  };
  const auto labels = [&](const std::string& map, const Tensor& volume) {
    write_volume(run.validation_map(c.name, map), loaded.header,
                 classes <= 256 ? volume.to(DType::u8) : volume, kIntentLabel);
  };
  write("image", channels_first(loaded.image));
  labels("truth", loaded.label);
  labels("mask", p.mask);
  if (p.drawn > 1)
    for (size_t m = 0; m < std::min(p.samples.size(), kKeptSamples); ++m)
      labels(RunFolder::sample_map(m + 1), p.samples[m]);
  for (size_t r = 0; r < annotations.size(); ++r)
    labels(RunFolder::rater_map(c.annotations[r].rater), annotations[r]);
  write("entropy", p.entropy);
  if (p.drawn > 1) write("mutual_information", p.mutual_information);
  write("probabilities", channels_first(p.probabilities));
}

// Keeps the maps of `most` cases, chosen by their scores, and removes the others.
void keep_maps(const RunFolder& run, const ScoreTable& table, size_t most) {
  std::vector<std::string> names;
  for (const CaseScores& c : table.cases) names.push_back(c.name);
  const std::vector<size_t> order = spread_by_score(choosing_scores(table, names));
  for (size_t i = most; i < order.size(); ++i) remove_maps(run.validation_case(names[order[i]]));
}

}  // namespace

RunSplit run_split(const Dataset& dataset, int fold, int64_t max_scored) {
  const Split s = split(dataset, fold);
  RunSplit r;
  if (s.validation.size() >= 10) {
    r.train = s.train;
    for (size_t i = 0; i < s.validation.size(); ++i)
      (i % 2 == 0 ? r.calibration : r.scored).push_back(s.validation[i]);
    r.text = cat("Fold ", fold, ": ", counted(r.train.size(), "training case"), "; of ", s.validation.size(),
                 " validation cases, every second one by name (", r.calibration.size(),
                 ") is used to fit the calibration, the other ", r.scored.size(), " are for scoring.");
  } else {
    r.scored = s.validation;
    for (size_t i = 0; i < s.train.size(); ++i)
      (s.train.size() > 1 && i % 6 == 0 ? r.calibration : r.train).push_back(s.train[i]);
    r.text = cat("Fold ", fold, ": ", counted(r.train.size(), "training case"), "; ",
                 counted(r.calibration.size(), "case"), r.calibration.size() == 1 ? " was" : " were",
                 " held out of training to fit the calibration (fewer than ten "
                 "validation cases); ",
                 counted(r.scored.size(), "validation case"), " for scoring.");
  }
  if (max_scored > 0 && max_scored < static_cast<int64_t>(r.scored.size()))
    r.text += cat(" Of these, only the first ", max_scored, " by name ", max_scored == 1 ? "is" : "are",
                  " scored (train.max_scored).");
  r.text +=
      " The split is by case: where a data set holds several images of one person, they may be on both "
      "sides.";
  return r;
}

std::vector<Case> scored_cases(const Dataset& dataset, const RunSplit& split, int64_t most) {
  std::vector<Case> cases;
  for (const int i : split.scored)
    if (most == 0 || static_cast<int64_t>(cases.size()) < most)
      cases.push_back(dataset.cases[static_cast<size_t>(i)]);
  return cases;
}

RunScores validate(const RunFolder& run, Method& method, const Dataset& dataset, const RunSplit& split,
                   const ValidationOptions& options) {
  const Plan& plan = method.plan();
  ScoreOptions scoring;
  scoring.classes = plan.classes();
  RunScores scores;
  scores.split = split.text;
  const std::vector<Case> cases = scored_cases(dataset, split, options.max_scored);
  const size_t total = cases.size();
  if (split.calibration.empty())
    scores.notes.push_back("Not calibrated: no case was left to fit temperatures.");
  for (const std::string& note : method.notes()) scores.notes.push_back(note);
  if (const std::string text = missing_annotations(cases); !text.empty()) scores.notes.push_back(text);
  for (const EstimateInfo& info : method.estimates()) {
    ScoreRow row{info.key, info.label, info.role, {}};
    row.table.class_names = plan.label_names;
    row.table.options = scoring;
    scores.rows.push_back(std::move(row));
  }
  const auto row = [&](const std::string& key) -> ScoreRow& {
    return *std::find_if(scores.rows.begin(), scores.rows.end(),
                         [&](const ScoreRow& r) { return r.key == key; });
  };
  const std::string own = own_estimate(method.estimates()).key;
  CaseClock clock(most_windows(cases, plan), options.progress);
  for (size_t i = 0; i < total; ++i) {
    const Case& c = cases[i];
    clock.begin(c.name);
    const LoadedCase loaded = load_case(c, plan.channels(), plan.classes());
    const PreprocessedCase prepared = preprocess(loaded, plan);
    if (!loaded.label.defined())
      fail(ErrorCode::data, "[train] ", dataset.folder, ": case ", c.name, ": expected a label");
    CaseInput input;
    input.name = c.name;
    input.truth = loaded.label;
    input.spacing = spacing_of(loaded.header);
    const std::vector<Tensor> annotations = load_annotations(c, plan.classes(), loaded.header);
    input.annotations = annotations;
    input.posterior = load_posterior(c, plan.classes(), loaded.header);
    CaseRequest request;
    request.work = options.work;
    request.work.advance = [&](int64_t n) { clock.advance(n); };
    request.keep_samples = true;
    request.wants = [](const std::string&) { return true; };
    clock.evaluate(windows_of(prepared, plan), method.evaluations(request.wants));
    // Other estimates get the scores of a probability map, but no scores of samples.
    request.other = [&](const EstimateInfo& info, const Tensor& probabilities) {
      CaseInput one = input;
      one.probabilities = probabilities;
      one.prediction = most_probable_class(one.probabilities);
      add(row(info.key).table, score_case(one, scoring));
    };
    const CasePrediction p = predict_case(method, prepared, request);
    input.prediction = p.mask;
    input.probabilities = p.probabilities;
    if (p.drawn > 1) {
      input.samples = p.samples;
      input.mutual_information = p.mutual_information;
    }
    add(row(own).table, score_case(input, scoring));
    if (options.keep_cases > 0) write_maps(run, c, loaded, p, annotations, plan.classes());
  }
  if (options.keep_cases > 0) keep_maps(run, row(own).table, static_cast<size_t>(options.keep_cases));
  for (ScoreRow& r : scores.rows) {
    pool(r.table);
    write_text(run.metrics_csv(r.key), to_csv(r.table));
  }
  write_text(run.metrics(), to_json(scores));
  return scores;
}

}  // namespace voxgrad
