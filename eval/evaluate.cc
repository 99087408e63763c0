#include "eval/evaluate.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "data/grid.h"
#include "io/file.h"

namespace voxgrad {

namespace {

/// "case.nii.gz" -> "case"; empty for other names.
std::string case_of(const std::string& file) {
  for (const char* ending : {".nii.gz", ".nii"})
    if (const std::string e = ending; file.size() > e.size() && file.ends_with(e))
      return file.substr(0, file.size() - e.size());
  return "";
}

/// Image files of a folder by case name; none where there is no such folder.
std::map<std::string, std::string> images_of(const std::string& folder) {
  std::map<std::string, std::string> files;
  if (!is_folder(folder)) return files;
  for (const std::string& name : list_folder(folder))
    if (const std::string c = case_of(name); !c.empty()) files[c] = folder + '/' + name;
  return files;
}

/// Label names of the dataset.json beside a folder of labels, by class; empty where there is none.
std::vector<std::string> label_names(const std::string& truth_folder) {
  const std::string path = truth_folder + "/../dataset.json";
  if (!file_exists(path)) return {};
  std::map<int, std::string> names;
  try {
    const auto root = nlohmann::json::parse(read_text(path));
    for (const auto& [key, value] : root.at("labels").items()) {
      if (value.is_number_integer())  // nnU-Net: name -> number
        names[value.get<int>()] = key;
      else  // Decathlon: number -> name
        names[std::stoi(key)] = value.get<std::string>();
    }
  } catch (const std::exception& e) {
    fail(ErrorCode::data, "[evaluate] ", path,
         ": labels: expected names and numbers of the classes, got: ", e.what());
  }
  std::vector<std::string> list;
  for (const auto& [number, name] : names) {
    if (number != static_cast<int>(list.size()))
      fail(ErrorCode::data, "[evaluate] ", path, ": labels: expected consecutive numbers from 0, got ",
           number);
    list.push_back(name);
  }
  return list;
}

int largest_label(const std::map<std::string, std::string>& files) {
  int32_t largest = 1;
  for (const auto& [name, path] : files) {
    const Tensor labels = read_labels(path);
    const int32_t* y = labels.data<int32_t>();
    for (int64_t i = 0; i < labels.numel(); ++i) largest = std::max(largest, y[i]);
  }
  return largest;
}

class Evaluator {
 public:
  explicit Evaluator(const EvaluateOptions& options) : options_(options) {
    for (const std::string& folder : {options.truth, options.prediction})
      if (!is_folder(folder)) fail(ErrorCode::data, "[evaluate] ", folder, ": expected a folder");
    if (!options.posterior.empty() && !is_folder(options.posterior))
      fail(ErrorCode::data, "[evaluate] ", options.posterior, ": expected a folder");
    truths_ = images_of(options.truth);
    predictions_ = images_of(options.prediction);
    probabilities_ = images_of(options.prediction + "/probabilities");
    posteriors_ =
        options.posterior.empty() ? std::map<std::string, std::string>{} : images_of(options.posterior);
    if (truths_.empty())
      fail(ErrorCode::data, "[evaluate] ", options.truth, ": expected label maps CASE.nii.gz, found none");
    const std::string raters = options.truth + "/../ratersTr";
    if (is_folder(raters))
      for (const std::string& rater : list_folder(raters)) raters_.push_back(images_of(raters + '/' + rater));
  }

  Evaluation run() {
    check_files();
    ScoreTable& table = result_.table;
    table.class_names = label_names(options_.truth);
    table.options = {number_of_classes(), options_.foreground_radius, options_.nsd_tolerance};
    if (static_cast<int>(table.class_names.size()) != table.options.classes) table.class_names.clear();
    for (const auto& [name, path] : truths_) add(table, score_case(read_case(name), table.options));
    pool(table);
    return std::move(result_);
  }

 private:
  void check_files() {
    for (const auto& [name, path] : truths_) {
      if (!predictions_.contains(name))
        fail(ErrorCode::data, "[evaluate] ", options_.prediction, '/', name, ".nii.gz: missing; ", path,
             " has no prediction");
      if (!probabilities_.empty() && !probabilities_.contains(name))
        fail(ErrorCode::data, "[evaluate] ", options_.prediction, "/probabilities/", name,
             ".nii.gz: missing, while other cases have probabilities");
      if (!options_.posterior.empty() && !posteriors_.contains(name))
        fail(ErrorCode::data, "[evaluate] ", options_.posterior, '/', name, ".nii.gz: missing; ", path,
             " has no posterior");
    }
    int64_t others = 0;
    for (const auto& [name, path] : predictions_) others += !truths_.contains(name);
    if (others > 0)
      note(cat(others, " predictions have no truth in ", options_.truth, " and are not scored"));
    if (probabilities_.empty())
      note(cat(options_.prediction,
               "/probabilities: not there, so that only Dice, HD95 and NSD are scored; "
               "voxgrad predict --save-probabilities writes them"));
    if (probabilities_.empty() && !posteriors_.empty())
      note("without probabilities the posterior is not used");
  }

  int number_of_classes() const {
    if (options_.classes > 1) return options_.classes;
    if (!probabilities_.empty()) {
      const NiftiHeader header = read_nifti_header(probabilities_.begin()->second);
      return static_cast<int>(std::max<int64_t>(header.extent(3), 2));
    }
    if (result_.table.class_names.size() > 1) return static_cast<int>(result_.table.class_names.size());
    return largest_label(truths_) + 1;
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
    if (const std::string why = missing_spacing(grid); !why.empty())
      fail(ErrorCode::data, "[evaluate] ", truth_path, ": ", why);
    in.spacing = spacing_of(grid);
    in.prediction = labels_on(predictions_.at(name), grid, truth_path);
    if (!probabilities_.empty())
      in.probabilities = probabilities_on(probabilities_.at(name), grid, truth_path);
    if (!posteriors_.empty() && in.probabilities.defined())
      in.posterior = probabilities_on(posteriors_.at(name), grid, truth_path);
    for (const auto& [sample, path] : images_of(options_.prediction + "/samples/" + name)) {
      if (read_nifti_header(path).extent(3) > 1) {
        in.sample_probabilities.push_back(probabilities_on(path, grid, truth_path));
        in.samples.push_back(most_probable_class(in.sample_probabilities.back()));
      } else {
        in.samples.push_back(labels_on(path, grid, truth_path));
      }
    }
    if (in.sample_probabilities.size() != in.samples.size()) in.sample_probabilities.clear();
    if (!in.samples.empty())
      for (const auto& rater : raters_)
        if (const auto it = rater.find(name); it != rater.end())
          in.annotations.push_back(labels_on(it->second, grid, truth_path));
    return in;
  }

  void note(const std::string& text) { result_.notes.push_back(text); }

  EvaluateOptions options_;
  Evaluation result_;
  std::map<std::string, std::string> truths_, predictions_, probabilities_, posteriors_;
  std::vector<std::map<std::string, std::string>> raters_;
};

}  // namespace

Evaluation evaluate_folders(const EvaluateOptions& options) { return Evaluator(options).run(); }

Tensor read_labels(const std::string& path, int classes, NiftiHeader* header) {
  const Tensor volume = read_volume(path, header);
  if (volume.dim(0) != 1)
    fail(ErrorCode::data, "[labels] ", path, ": expected a 3-D label map, got ", volume.dim(0), " volumes");
  const int limit = classes > 0 ? classes : 65536;
  const LabelCensus c = label_census(volume, limit);
  if (c.fractional + c.outside > 0) {
    const int64_t i = c.fractional > 0 ? c.fractional_at : c.outside_at, width = volume.dim(3),
                  height = volume.dim(2);
    fail(ErrorCode::data, "[labels] ", path, ": expected integers from 0 to ", limit - 1, ", got ",
         volume.data<float>()[i], " at voxel (", i % width, ", ", i / width % height, ", ",
         i / (width * height), ")");
  }
  return c.labels;
}

Tensor read_probabilities(const std::string& path, NiftiHeader* header) {
  const Tensor volumes = read_volume(path, header);  // [K, D, H, W]
  const int64_t classes = volumes.dim(0), voxels = volumes.numel() / classes;
  if (classes < 2)
    fail(ErrorCode::data, "[probabilities] ", path,
         ": expected a 4-D image, a volume a class, got one volume");
  Tensor p = Tensor::empty({volumes.dim(1), volumes.dim(2), volumes.dim(3), classes});
  const float* v = volumes.data<float>();
  float* out = p.mutable_data<float>();
  for (int64_t i = 0; i < voxels; ++i) {
    double sum = 0;
    for (int64_t c = 0; c < classes; ++c) {
      const float value = v[c * voxels + i];
      // f32 rounding may leave [0, 1] by a hair; what is not a probability is refused.
      if (!(value >= -1e-5f && value <= 1 + 1e-5f))
        fail(ErrorCode::data, "[probabilities] ", path, ": expected values from 0 to 1, got ", value,
             " in class ", c);
      out[i * classes + c] = std::clamp(value, 0.0f, 1.0f);
      sum += value;
    }
    if (std::fabs(sum - 1) > 1e-3)
      fail(ErrorCode::data, "[probabilities] ", path, ": expected classes that add up to 1, got ", sum,
           " at voxel ", i);
  }
  return p;
}

Spacing spacing_of(const NiftiHeader& header) {
  return {header.spacing(2), header.spacing(1), header.spacing(0)};
}

}  // namespace voxgrad
