#include "methods/validation.h"

#include <algorithm>

#include "data/grid.h"
#include "eval/calibrate.h"
#include "eval/evaluate.h"
#include "io/file.h"
#include "methods/prediction.h"

namespace voxgrad {
namespace {

// The annotations and the exact posterior of a case where the data set has them (ratersTr/rater*/,
// posteriorTr/).
void read_extras(const Dataset& dataset, const Case& c, const LoadedCase& loaded, int classes,
                 CaseInput& input) {
  const std::string file = "/" + c.name + ".nii.gz", raters = dataset.folder + "/ratersTr";
  NiftiHeader header;
  if (is_folder(raters))
    for (const std::string& r : list_folder(raters))
      if (const std::string path = raters + "/" + r + file; file_exists(path)) {
        input.annotations.push_back(read_labels(path, classes, &header));
        check_same_grid(header, path, loaded.header, c.images[0]);
      }
  if (const std::string path = dataset.folder + "/posteriorTr" + file; file_exists(path)) {
    input.posterior = read_probabilities(path, &header);
    check_same_grid(header, path, loaded.header, c.images[0]);
    if (input.posterior.dim(3) != classes)
      fail(ErrorCode::data, "[train] ", path, ": expected ", classes, " classes, got ",
           input.posterior.dim(3));
  }
}

void keep_maps(const RunFolder& run, const Case& c, const LoadedCase& loaded, const CasePrediction& p) {
  const std::string folder = run.validation() + "/" + c.name;
  make_folders(folder);
  const Tensor& image = loaded.image;
  write_volume(folder + "/image.nii.gz", loaded.header, channels_first(image).rows(0, 1));
  write_volume(folder + "/truth.nii.gz", loaded.header, loaded.label, 1002);
  write_volume(folder + "/mask.nii.gz", loaded.header, p.mask, 1002);
  write_volume(folder + "/entropy.nii.gz", loaded.header, p.entropy);
  write_volume(folder + "/mutual_information.nii.gz", loaded.header, p.mutual_information);
  write_volume(folder + "/probabilities.nii.gz", loaded.header, channels_first(p.probabilities));
}

}  // namespace

RunSplit run_split(const Dataset& dataset, int fold) {
  const Split s = split(dataset, fold);
  RunSplit r;
  if (s.validation.size() >= 10) {
    r.train = s.train;
    for (size_t i = 0; i < s.validation.size(); ++i)
      (i % 2 == 0 ? r.calibration : r.scored).push_back(s.validation[i]);
    r.text = cat("Fold ", fold, ": ", r.train.size(), " training cases; of ", s.validation.size(),
                 " validation cases every second by name (", r.calibration.size(),
                 ") fit the calibration, the other ", r.scored.size(), " are for scoring.");
  } else {
    r.scored = s.validation;
    for (size_t i = 0; i < s.train.size(); ++i)
      (s.train.size() > 1 && i % 6 == 0 ? r.calibration : r.train).push_back(s.train[i]);
    r.text = cat("Fold ", fold, ": ", r.train.size(), " training cases; ", r.calibration.size(),
                 " cases were held out of training to fit the calibration (fewer than ten "
                 "validation cases); ",
                 r.scored.size(), " validation cases are for scoring.");
  }
  r.text +=
      " The split is by case: where a data set holds several images of one person, they may be on both "
      "sides.";
  return r;
}

RunScores validate(const RunFolder& run, Method& method, const Dataset& dataset, const RunSplit& split,
                   const ValidationOptions& options) {
  const Plan& plan = method.plan();
  ScoreOptions scoring;
  scoring.classes = plan.classes();
  const auto row = [&](const std::string& key, const std::string& label, RowRole role) {
    ScoreRow m{key, label, role, {}};
    m.table.class_names = plan.label_names;
    m.table.options = scoring;
    return m;
  };
  RunScores scores;
  scores.split = split.text;
  size_t total = split.scored.size();
  if (options.max_scored > 0) total = std::min(total, static_cast<size_t>(options.max_scored));
  if (total < split.scored.size())
    scores.notes.push_back(
        cat("Only the first ", total, " of ", split.scored.size(), " cases were scored (train.max_scored)."));
  if (method.fixed_samples() != 1 && options.sampling.first_estimates)
    scores.notes.push_back(cat(
        method.name(),
        ": the mean probability comes from the samples' first estimates (sampling.mean); \"mean of samples\" "
        "averages the finished samples, as the paper does."));
  const auto temperature = method.constants.find("prior_temperature");
  const std::string drawn = method.fixed_samples() == 1 ? ""
                                                        : cat(" (M = ", options.sampling.samples,
                                                              ", S = ", options.sampling.sampler.steps, ")");
  ScoreRow prior = row("prior", "prior", RowRole::baseline),
           tempered = row("prior-tempered", "prior + temperature", RowRole::baseline),
           mean_of_samples = row(method.name() + "-mean-of-samples",
                                 method.name() + " mean of samples" + drawn, RowRole::variant),
           sampled = row(method.name(), method.name() + drawn, RowRole::method);
  for (size_t i = 0; i < total; ++i) {
    const Case& c = dataset.cases[static_cast<size_t>(split.scored[i])];
    if (options.progress) options.progress(c.name, i, total);
    const LoadedCase loaded = load_case(c, plan.channels(), plan.classes());
    const PreprocessedCase prepared = preprocess(loaded, plan);
    CaseInput input;
    input.name = c.name;
    input.truth = loaded.label;
    input.spacing = spacing_of(loaded.header);
    read_extras(dataset, c, loaded, plan.classes(), input);
    // Scores of a probability map on the image's grid, without those of samples.
    const auto deterministic = [&](ScoreRow& to, const Tensor& probabilities) {
      CaseInput one = input;
      one.annotations.clear();
      one.probabilities = probabilities;
      one.prediction = most_probable_class(one.probabilities);
      add(to.table, score_case(one, scoring));
    };
    if (const Tensor p = method.prior_probabilities(prepared, options.sampling); p.defined()) {
      deterministic(prior, invert_probabilities(p, prepared));
      if (temperature != method.constants.end())
        deterministic(tempered, invert_probabilities(apply_temperature(p, temperature->second), prepared));
    }
    const CasePrediction p = predict_case(method, prepared, options.sampling, true);
    if (p.mean_of_samples.defined()) deterministic(mean_of_samples, p.mean_of_samples);
    input.prediction = p.mask;
    input.probabilities = p.probabilities;
    if (method.fixed_samples() == 1)
      input.annotations.clear();
    else {
      input.samples = p.samples;
      input.mutual_information = p.mutual_information;
    }
    add(sampled.table, score_case(input, scoring));
    if (static_cast<int64_t>(i) < options.keep_cases) keep_maps(run, c, loaded, p);
  }
  for (ScoreRow* m : {&prior, &tempered, &mean_of_samples, &sampled})
    if (!m->table.cases.empty()) {
      pool(m->table);
      write_text(run.metrics_csv(m->key), to_csv(m->table));
      scores.rows.push_back(std::move(*m));
    }
  write_text(run.metrics(), to_json(scores));
  return scores;
}

}  // namespace voxgrad
