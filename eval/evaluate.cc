#include "eval/evaluate.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "data/dataset.h"
#include "data/labels.h"
#include "eval/curvas.h"
#include "io/file.h"
#include "io/text.h"

namespace voxgrad {

namespace {

int32_t largest_label(const Tensor& labels) {
  const int32_t* const y = labels.data<int32_t>();
  return *std::max_element(y, y + labels.numel());
}

class Evaluator {
 public:
  explicit Evaluator(const EvaluateOptions& options) : options_(options) {
    if (!options.posterior.empty() && !is_folder(options.posterior))
      fail(ErrorCode::data, "[evaluate] ", options.posterior, ": expected a folder");
    for (const std::string& path : {options.truth, options.prediction})
      if (!is_file(path) && !is_folder(path))
        fail(ErrorCode::data, "[evaluate] ", path, ": expected a folder or a file, found nothing there");
    if (is_file(options.truth) != is_file(options.prediction))
      fail(ErrorCode::usage, "[evaluate] expected two folders or two files, got ", options.truth, " and ",
           options.prediction);
    is_file(options.truth) ? find_files() : find_folders();
    if (!options.posterior.empty()) posteriors_ = find_volumes(options.posterior);
    annotations_ = find_annotations(truth_folder_ + "/../ratersTr");
    result_.profile = options.profile;
    if (!options.profile.empty()) profile_ = curvas_profile(options.profile);
    if (profile_ == CurvasProfile::curvas_2024) {
      image_folder_ = options.images.empty() ? truth_folder_ + "/../imagesTr" : options.images;
      images_ = find_volumes(image_folder_);
    }
  }

  Evaluation run() {
    check_files();
    ScoreTable& table = result_.table;
    table.class_names = find_label_names(truth_folder_ + "/..");
    table.options = {number_of_classes(), options_.foreground_radius, options_.nsd_tolerance};
    if (profile_ && table.options.classes != curvas_classes(*profile_))
      fail(ErrorCode::data, "[evaluate] ",
           options_.classes > 1 ? std::string("--classes") : probabilities_.begin()->second, ": expected ",
           curvas_classes(*profile_), " classes, including the background, for ", options_.profile, ", got ",
           table.options.classes);
    if (static_cast<int>(table.class_names.size()) != table.options.classes) table.class_names.clear();
    size_t done = 0;
    for (const auto& [name, path] : truths_) {
      if (options_.progress) options_.progress(name, done++, truths_.size());
      const CaseInput in = read_case(name);
      ScoredCase scored = score_case(in, table.options);
      if (profile_) scored.scores.values.merge(profile_scores(in));
      add(table, scored);
    }
    pool(table);
    return std::move(result_);
  }

 private:
  static bool is_file(const std::string& path) { return file_exists(path) && !is_folder(path); }
  static std::string folder_of(const std::string& path) {
    const size_t slash = path.rfind('/');
    return slash == std::string::npos ? "." : path.substr(0, slash + 1);
  }

  void find_folders() {
    for (const std::string& folder : {options_.truth, options_.prediction})
      if (!is_folder(folder)) fail(ErrorCode::data, "[evaluate] ", folder, ": expected a folder");
    truth_folder_ = options_.truth;
    prediction_folder_ = options_.prediction;
    truths_ = find_volumes(truth_folder_);
    predictions_ = find_volumes(prediction_folder_);
    probabilities_ = find_volumes(prediction_folder_ + "/probabilities");
    if (truths_.empty())
      fail(ErrorCode::data, "[evaluate] ", truth_folder_, ": expected label maps CASE.nii.gz, found none");
    result_.truths = static_cast<int64_t>(truths_.size());
    result_.only_predicted = options_.only_predicted;
    if (!options_.only_predicted) return;
    std::erase_if(truths_, [&](const auto& truth) { return !predictions_.contains(truth.first); });
    if (truths_.empty())
      fail(ErrorCode::data, "[evaluate] ", prediction_folder_,
           ": expected a prediction of at least one case of ", truth_folder_, ", found none");
    note(cat(truths_.size(), " of ", counted(result_.truths, "case"), " scored; ",
             result_.truths - static_cast<int64_t>(truths_.size()),
             " without a prediction left out (--only-predicted)"));
  }

  // The case is named after the truth file. Probabilities and samples are named after the prediction file.
  void find_files() {
    const auto name_of = [](const std::string& path) {
      for (const auto& [name, file] : find_volumes(folder_of(path)))
        if (same_file(file, path)) return name;
      fail(ErrorCode::data, "[evaluate] ", path, ": expected a volume NAME.nii.gz");
    };
    truth_folder_ = folder_of(options_.truth);
    prediction_folder_ = folder_of(options_.prediction);
    const std::string name = name_of(options_.truth), predicted = name_of(options_.prediction);
    truths_ = {{name, options_.truth}};
    predictions_ = {{name, options_.prediction}};
    const auto all = find_volumes(prediction_folder_ + "/probabilities");
    if (const auto own = all.find(predicted); own != all.end()) probabilities_ = {{name, own->second}};
    result_.truths = 1;
  }

  void check_files() {
    for (const auto& [name, path] : truths_) {
      if (!predictions_.contains(name))
        fail(ErrorCode::data, "[evaluate] ", options_.prediction, '/', name, ".nii.gz: missing; ", path,
             " has no prediction (--only-predicted leaves such cases out)");
      if (!probabilities_.empty() && !probabilities_.contains(name))
        fail(ErrorCode::data, "[evaluate] ", options_.prediction, "/probabilities/", name,
             ".nii.gz: missing, while other cases have probabilities");
      if (!options_.posterior.empty() && !posteriors_.contains(name))
        fail(ErrorCode::data, "[evaluate] ", options_.posterior, '/', name, ".nii.gz: missing; ", path,
             " has no posterior");
    }
    if (profile_) check_profile();
    int64_t others = 0;
    for (const auto& [name, path] : predictions_) others += !truths_.contains(name);
    if (others > 0)
      note(cat(counted(others, "prediction"), others == 1 ? " has" : " have", " no truth in ", options_.truth,
               " and ", others == 1 ? "is" : "are", " not scored"));
    if (probabilities_.empty())
      note(cat(options_.prediction,
               "/probabilities: not there, so that only Dice, HD95 and NSD are scored; "
               "voxgrad predict --save-probabilities writes them"));
    if (probabilities_.empty() && !posteriors_.empty())
      note("without probabilities the posterior is not used");
    std::vector<Case> cases;
    for (const auto& [name, path] : truths_) {
      cases.push_back({name, {}, path});
      if (const auto all = annotations_.find(name); all != annotations_.end())
        cases.back().annotations = all->second;
    }
    if (const std::string text = missing_annotations(cases); !text.empty()) note(text);
  }

  /// The file of a case's CT: CASE_0000.nii.gz, as nnU-Net names it, or CASE.nii.gz. Empty if there is none.
  std::string image_of(const std::string& name) const {
    for (const std::string& file : {name + "_0000", name})
      if (const auto it = images_.find(file); it != images_.end()) return it->second;
    return "";
  }

  void check_profile() {
    if (probabilities_.empty())
      fail(ErrorCode::data, "[evaluate] ", options_.prediction, "/probabilities: expected probabilities for ",
           options_.profile, ", found none");
    int64_t others = 0;
    for (const auto& [name, path] : truths_) {
      const auto all = annotations_.find(name);
      if (all == annotations_.end())
        fail(ErrorCode::data, "[evaluate] ", truth_folder_, "/../ratersTr/RATER/", name, ".nii.gz: missing; ",
             options_.profile, " needs annotations of every case");
      others += static_cast<int>(all->second.size()) != curvas_raters(*profile_);
      if (profile_ == CurvasProfile::curvas_2024 && image_of(name).empty())
        fail(ErrorCode::data, "[evaluate] ", image_folder_, '/', name, "_0000.nii.gz: missing; ",
             options_.profile, " needs the CT of every case (--images DIR)");
    }
    if (others > 0)
      note(cat(counted(others, "case"), others == 1 ? " has" : " have",
               " another number of annotations than ", curvas_raters(*profile_), ", which the cases of ",
               options_.profile, " have"));
  }

  ScoreMap profile_scores(const CaseInput& in) const {
    CurvasCase c{in.prediction, in.probabilities, in.annotations, {}};
    if (profile_ == CurvasProfile::curvas_2024) {
      const std::string& truth_path = truths_.at(in.name);
      const std::string path = image_of(in.name);
      NiftiHeader header;
      const Tensor image = read_volume(path, &header);
      check_same_grid(header, path, read_nifti_header(truth_path), truth_path);
      if (image.dim(0) != 1)
        fail(ErrorCode::data, "[evaluate] ", path, ": expected one volume, the CT, got ", image.dim(0));
      c.image = image.reshape(in.truth.shape());
    }
    return curvas_scores(*profile_, c);
  }

  int number_of_classes() {
    if (options_.classes > 1) return options_.classes;
    if (!probabilities_.empty()) {
      const NiftiHeader header = read_nifti_header(probabilities_.begin()->second);
      return static_cast<int>(std::max<int64_t>(header.volumes(), 2));
    }
    if (result_.table.class_names.size() > 1) return static_cast<int>(result_.table.class_names.size());
    classes_of_truth_ = true;
    int32_t largest = 1;
    for (const auto& [name, path] : truths_) largest = std::max(largest, largest_label(read_labels(path)));
    return largest + 1;
  }

  Tensor labels_on(const std::string& path, const NiftiHeader& grid, const std::string& truth_path) const {
    NiftiHeader header;
    Tensor labels = read_labels(path, result_.table.options.classes, &header);
    check_same_grid(header, path, grid, truth_path);
    return labels;
  }

  Tensor probabilities_on(const std::string& path, const NiftiHeader& grid,
                          const std::string& truth_path) const {
    NiftiHeader header;
    Tensor p = read_probabilities(path, &header);
    check_same_grid(header, path, grid, truth_path);
    if (p.dim(3) != result_.table.options.classes)
      fail(ErrorCode::data, "[evaluate] ", path, ": expected ", result_.table.options.classes,
           " classes, got ", p.dim(3));
    return p;
  }

  CaseInput read_case(const std::string& name) {
    CaseInput in;
    in.name = name;
    const std::string& truth_path = truths_.at(name);
    NiftiHeader grid;
    in.truth = read_labels(truth_path, result_.table.options.classes, &grid);
    for (const GeometryProblem& p : geometry_problems(grid)) note(truth_path + ": " + p.text);
    in.spacing = spacing_of(grid);
    const std::string& prediction_path = predictions_.at(name);
    if (classes_of_truth_)
      if (const int32_t largest = largest_label(read_labels(prediction_path));
          largest >= result_.table.options.classes)
        fail(ErrorCode::data, "[evaluate] ", prediction_path, ": expected labels from 0 to ",
             result_.table.options.classes - 1, ", which the truth has, got ", largest,
             "; for further classes use --classes or a dataset.json beside the truth");
    in.prediction = labels_on(prediction_path, grid, truth_path);
    if (!probabilities_.empty())
      in.probabilities = probabilities_on(probabilities_.at(name), grid, truth_path);
    if (!posteriors_.empty() && in.probabilities.defined())
      in.posterior = probabilities_on(posteriors_.at(name), grid, truth_path);
    for (const auto& [sample, path] : find_volumes(prediction_folder_ + "/samples/" + name)) {
      if (read_nifti_header(path).volumes() > 1) {
        in.sample_probabilities.push_back(probabilities_on(path, grid, truth_path));
        in.samples.push_back(most_probable_class(in.sample_probabilities.back()));
      } else {
        in.samples.push_back(labels_on(path, grid, truth_path));
      }
    }
    if (in.sample_probabilities.size() != in.samples.size()) in.sample_probabilities.clear();
    const bool raters_are_used = !in.samples.empty() || in.probabilities.defined();
    if (const auto all = annotations_.find(name); all != annotations_.end() && raters_are_used)
      for (const Annotation& a : all->second) in.annotations.push_back(labels_on(a.file, grid, truth_path));
    return in;
  }

  void note(const std::string& text) { result_.notes.push_back(text); }

  EvaluateOptions options_;
  Evaluation result_;
  bool classes_of_truth_ = false;  // the number of classes is known only from the truth
  std::optional<CurvasProfile> profile_;
  std::string truth_folder_, prediction_folder_, image_folder_;
  std::map<std::string, std::string> truths_, predictions_, probabilities_, posteriors_, images_;
  std::map<std::string, std::vector<Annotation>> annotations_;
};

}  // namespace

Evaluation evaluate(const EvaluateOptions& options) { return Evaluator(options).run(); }

std::string to_json(const Evaluation& evaluation) {
  if (!evaluation.only_predicted && evaluation.profile.empty()) return to_json(evaluation.table);
  auto j = nlohmann::json::parse(to_json(evaluation.table));
  if (!evaluation.profile.empty()) j["profile"] = evaluation.profile;
  if (evaluation.only_predicted)
    j["without_prediction"] = evaluation.truths - static_cast<int64_t>(evaluation.table.cases.size());
  return j.dump(2) + '\n';
}

}  // namespace voxgrad
