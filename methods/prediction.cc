#include "methods/prediction.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "diffusion/aggregate.h"
#include "eval/metrics.h"
#include "io/file.h"
#include "io/system_info.h"
#include "io/text.h"
#include "io/toml.h"
#include "methods/folders.h"
#include "run/folder.h"
#include "tensor/parallel.h"

namespace voxgrad {
namespace {

constexpr int kIntentLabel = 1002;  // NIFTI_INTENT_LABEL

std::string padded_number(int64_t n) {
  std::string s = std::to_string(n);
  return std::string(s.size() < 3 ? 3 - s.size() : 0, '0') + s;
}

Tensor as_bytes_or_ints(const Tensor& labels, int classes) {
  return classes <= 256 ? labels.to(DType::u8) : labels;
}

std::string folder_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

// Masks and maps are named after the cases. In a folder of images or labels they would replace these files.
void refuse_folder_of_inputs(const PredictOptions& options, const std::vector<Case>& cases) {
  const std::string& output = options.output;
  for (const Case& c : cases) {
    std::vector<std::string> written{output, output + "/probabilities", output + "/entropy",
                                     output + "/mutual_information", output + "/samples/" + c.name};
    for (const std::string& key : options.estimates) written.push_back(output + "/estimates/" + key);
    for (const std::string& image : c.images)
      for (const std::string& folder : written)
        if (same_file(folder_of(image), folder) || same_file(image, folder + "/" + c.name + ".nii.gz"))
          fail(ErrorCode::usage, "[predict] ", output,
               ": expected an output folder without the input, got that of ", image);
  }
  expect_folder_of_results(output, "masks", "[predict] ");
  if (file_exists(RunFolder{output}.checkpoint()) || file_exists(RunFolder{output}.model()))
    fail(ErrorCode::usage, "[predict] ", output, ": expected a folder for masks, got the folder of a run");
}

constexpr const char* kRecord = "/prediction.json";

// The model and settings of the predictions in a folder.
std::string record_of(const Method& method, const PredictOptions& options) {
  const nlohmann::ordered_json j{{"format", 1},
                                 {"voxgrad", build_info().version},
                                 {"method", method.name()},
                                 {"model_digest", options.model_digest},
                                 {"seed", options.work.seed},
                                 {"probabilities", options.save_probabilities},
                                 {"samples", options.save_samples},
                                 {"estimates", options.estimates},
                                 {"configuration", method.config().to_toml()}};
  return j.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

struct RecordDifference {
  std::string text;    // in words; empty if nothing differs
  bool model = false;  // the model is another one
};

// Compares two texts of record_of. `path` names the first one.
RecordDifference difference_of_records(const std::string& there, const std::string& here,
                                       const std::string& path) {
  if (there == here) return {};
  const auto parsed = [](const std::string& text) {
    return nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  };
  const nlohmann::json a = parsed(there), b = parsed(here);
  if (!a.is_object())
    fail(ErrorCode::data, "[predict] ", path, ": expected the record of a prediction (JSON)");
  RecordDifference difference;
  std::vector<std::string> differences;
  const auto compare = [&](const nlohmann::json& x, const nlohmann::json& y, const std::string& table) {
    for (const auto& [key, now] : y.items()) {
      const nlohmann::json was = x.is_object() ? x.value(key, nlohmann::json()) : nlohmann::json();
      if (was == now) continue;
      const bool model = key == "model_digest";
      difference.model = difference.model || model;
      differences.push_back(model ? "the model is another one"
                                  : cat(table, key, " is ", was.dump(), ", now ", now.dump()));
    }
  };
  const auto settings = [&](const nlohmann::json& record) {
    const nlohmann::json text = record.value("configuration", nlohmann::json());
    return parsed(json_of_toml(text.is_string() ? text.get<std::string>() : "", "[predict] " + path));
  };
  nlohmann::json x = a, y = b;
  const nlohmann::json before = settings(a), now = settings(b);
  x.erase("configuration"), y.erase("configuration");
  compare(x, y, "");
  for (const auto& [table, keys] : now.items())
    compare(before.value(table, nlohmann::json::object()), keys, table + ".");
  difference.text = differences.empty() ? "the settings differ" : joined(differences);
  return difference;
}

// A folder holds predictions of one model with one set of settings. Files that no prediction wrote are not
// replaced.
void refuse_foreign_results(const PredictOptions& options, const std::vector<Case>& cases,
                            const std::string& record) {
  const std::string& output = options.output;
  if (!is_folder(output)) return;
  const std::string path = output + kRecord;
  const bool own = file_exists(path);
  const RecordDifference other =
      own ? difference_of_records(read_text(path), record, path) : RecordDifference();
  const bool same = own && other.text.empty();
  if (options.skip_existing && own && !same)
    fail(ErrorCode::usage, "[predict] ", output,
         ": --skip-existing: expected predictions with this model and these settings, but in ", path, " ",
         other.text);
  std::set<std::string> written;
  for (const Case& c : cases) written.insert(c.name);
  for (const std::string& file : list_folder(output)) {
    constexpr const char* ending = ".nii.gz";
    if (!file.ends_with(ending)) continue;
    const bool replaced = written.contains(file.substr(0, file.size() - std::string(ending).size()));
    if (!own && replaced && !options.overwrite)
      fail(ErrorCode::usage, "[predict] ", output, "/", file,
           ": expected no file of this name in a folder without prediction.json: no prediction wrote it; "
           "--overwrite replaces it");
    if (own && !same && !replaced)
      fail(ErrorCode::usage, "[predict] ", output, ": expected a new folder, since ", file,
           " is there from another prediction: in prediction.json ", other.text);
    if (other.model && replaced && !options.overwrite)
      fail(ErrorCode::usage, "[predict] ", output, "/", file,
           " is there from another prediction: in prediction.json ", other.text,
           "; choose another folder, or replace the masks with --overwrite");
  }
}

// Removes the files of an earlier prediction of a case, so that files of two predictions are not mixed. The
// mask is removed first and written last: a case without a mask was interrupted.
void remove_earlier(const PredictOptions& options, const std::string& name) {
  const std::string &output = options.output, file = "/" + name + ".nii.gz";
  std::vector<std::string> earlier{output + file, output + "/probabilities" + file,
                                   output + "/entropy" + file, output + "/mutual_information" + file};
  const std::string folder = output + "/samples/" + name;
  if (is_folder(folder))
    for (const std::string& sample : list_folder(folder)) {
      const std::string number = sample.starts_with("sample_") ? sample.substr(7, sample.find('.') - 7) : "";
      const bool digits = !number.empty() && number.find_first_not_of("0123456789") == std::string::npos;
      if (digits && sample == "sample_" + number + ".nii.gz") earlier.push_back(folder + "/" + sample);
    }
  if (const std::string all = output + "/estimates"; is_folder(all))
    for (const std::string& key : list_folder(all)) earlier.push_back(all + "/" + key + file);
  for (const std::string& each : earlier)
    if (file_exists(each)) remove_file(each);
}

// Warns about masks of an earlier prediction that are replaced, and about maps that are removed with them and
// not replaced.
void say_what_goes(const PredictOptions& options, const std::vector<Case>& cases) {
  const auto count = [&](auto&& there) { return std::count_if(cases.begin(), cases.end(), there); };
  const std::string& output = options.output;
  const auto probabilities =
      count([&](const Case& c) { return file_exists(output + "/probabilities/" + c.name + ".nii.gz"); });
  const auto samples = count([&](const Case& c) { return is_folder(output + "/samples/" + c.name); });
  const auto say = [&](const char* what, const char* option, auto n) {
    if (n > 0 && options.warn)
      options.warn(cat(output, "/", what, ": the earlier ", what, " of ", counted(n, "case"),
                       " are removed with their masks, since this prediction writes none (", option, ")"));
  };
  const auto masks = count([&](const Case& c) { return file_exists(output + "/" + c.name + ".nii.gz"); });
  if (masks > 0 && options.warn)
    options.warn(cat(output, ": the earlier masks of ", counted(masks, "case"), masks == 1 ? " is" : " are",
                     " replaced"));
  if (!options.save_probabilities) say("probabilities", "--save-probabilities", probabilities);
  if (!options.save_samples) say("samples", "--save-samples", samples);
}

}  // namespace

Tensor channels_first(const Tensor& v) {
  const int64_t voxels = v.dim(0) * v.dim(1) * v.dim(2), k = v.dim(3);
  Tensor out = Tensor::empty({k, v.dim(0), v.dim(1), v.dim(2)});
  const float* from = v.data<float>();
  float* to = out.mutable_data<float>();
  parallel_for(k, [&](int64_t c) {
    for (int64_t i = 0; i < voxels; ++i) to[c * voxels + i] = from[i * k + c];
  });
  return out;
}

namespace {

// Resamples samples and estimates to the input's grid.
class OnGrid : public Receiver {
 public:
  OnGrid(const PreprocessedCase& c, const CaseRequest& request, const std::vector<EstimateInfo>& estimates)
      : case_(c), request_(request), estimates_(estimates) {}

  bool wants(const std::string& key) const override {
    for (const EstimateInfo& info : estimates_)
      if (info.key == key && info.role == RowRole::method) return true;
    return request_.wants && request_.wants(key);
  }
  void sample(const Tensor& probabilities, double weight) override {
    const Tensor on_grid = invert_probabilities(probabilities, case_);
    mean_.add(on_grid, weight);
    ++prediction_.drawn;
    if (request_.keep_samples) prediction_.samples.push_back(most_probable_class(on_grid));
  }
  void estimate(const std::string& key, const Tensor& probabilities) override {
    deliver(key, invert_probabilities(probabilities, case_));
  }
  CasePrediction finish() {
    require(prediction_.drawn > 0, "[predict] expected at least one sample");
    prediction_.mutual_information = mean_.mutual_information();
    for (const EstimateInfo& info : estimates_)
      if (info.of_samples && wants(info.key)) deliver(info.key, mean_.mean());
    require(prediction_.mask.defined(), "[predict] expected the method's own estimate");
    return std::move(prediction_);
  }

 private:
  void deliver(const std::string& key, const Tensor& on_grid) {
    for (const EstimateInfo& info : estimates_) {
      if (info.key != key) continue;
      if (info.role == RowRole::method) {
        SampleAggregator one;
        one.add(on_grid);
        prediction_.probabilities = one.mean();
        prediction_.entropy = one.entropy();
        prediction_.mask = most_probable_class(prediction_.probabilities);
      } else if (request_.other) {
        request_.other(info, on_grid);
      }
      return;
    }
    fail(ErrorCode::internal, "[predict] expected a declared estimate, got ", key);
  }

  const PreprocessedCase& case_;
  const CaseRequest& request_;
  const std::vector<EstimateInfo>& estimates_;
  SampleAggregator mean_;
  CasePrediction prediction_;
};

}  // namespace

CasePrediction predict_case(Predictor& predictor, const PreprocessedCase& c, const CaseRequest& request) {
  const std::vector<EstimateInfo> estimates = predictor.estimates();
  OnGrid receiver(c, request, estimates);
  predictor.predict(c, request.work, receiver);
  return receiver.finish();
}

namespace {

void expect_estimates(const Method& method, const PredictOptions& options) {
  const std::vector<EstimateInfo> all = method.estimates();
  std::string known;
  for (const EstimateInfo& e : all) known += (known.empty() ? "" : ", ") + e.key;
  for (const std::string& key : options.estimates) {
    if (std::none_of(all.begin(), all.end(), [&](const EstimateInfo& e) { return e.key == key; }))
      fail(ErrorCode::usage, "[predict] --estimate: expected one of ", known, ", got ", key);
  }
}

}  // namespace

std::vector<Case> prediction_work(const Method& method, const PredictOptions& options) {
  const std::vector<Case> cases = prediction_cases(options, method.plan());
  refuse_folder_of_inputs(options, cases);
  expect_estimates(method, options);
  refuse_foreign_results(options, cases, record_of(method, options));
  std::vector<Case> left;
  for (const Case& c : cases)
    if (!options.skip_existing || !file_exists(options.output + "/" + c.name + ".nii.gz")) left.push_back(c);
  expect_folder_to_write(options.output);
  say_what_goes(options, left);
  return left;
}

LoadedCase read_case(const Case& c, const Plan& plan, const PredictOptions& options) {
  LoadedCase loaded = load_case(c, plan.channels(), plan.classes());
  if (!options.warn) return loaded;
  for (const Problem& w : loaded.warnings) options.warn(w.file + ": " + w.text);
  for (const std::string& text : options.domain.compare(loaded, c.images[0], plan))
    options.warn(c.images[0] + ": " + text);
  return loaded;
}

std::vector<std::string> predict_files(Method& method, const PredictOptions& options) {
  const Plan& plan = method.plan();
  const std::vector<Case> left = prediction_work(method, options);
  std::vector<std::string> folders{options.output, options.output + "/entropy"};
  for (const std::string& key : options.estimates) folders.push_back(options.output + "/estimates/" + key);
  if (options.save_probabilities) folders.push_back(options.output + "/probabilities");
  for (const std::string& folder : folders) make_folders(folder);
  const FolderLock lock(options.output);
  for (const std::string& folder : folders) remove_stale_temporaries(folder);
  write_text(options.output + kRecord, record_of(method, options));
  CaseClock clock(most_windows(left, plan), options.progress);
  std::vector<std::string> names;
  if (const std::string doubt = options.domain.doubt(plan); !doubt.empty() && options.warn)
    options.warn(doubt);
  for (const Case& c : left) try {
      clock.begin(c.name);
      const LoadedCase loaded = read_case(c, plan, options);
      const PreprocessedCase prepared = preprocess(loaded, plan);
      const std::string file = "/" + c.name + ".nii.gz";
      const auto wanted = [&](const std::string& key) { return options.wants(key); };
      clock.evaluate(windows_of(prepared, plan), method.evaluations(wanted));
      Work work = options.work;
      work.advance = [&](int64_t n) { clock.advance(n); };
      std::map<std::string, Tensor> others;
      const CasePrediction p = predict_case(
          method, prepared,
          {work, options.save_samples, wanted,
           [&](const EstimateInfo& info, const Tensor& on_grid) { others[info.key] = on_grid; }});
      if (const std::string own = own_estimate(method.estimates()).key; wanted(own))
        others[own] = p.probabilities;
      remove_earlier(options, c.name);
      if (options.save_samples) {
        const std::string folder = options.output + "/samples/" + c.name;
        make_folders(folder);
        for (size_t m = 0; m < p.samples.size(); ++m)
          write_volume(folder + "/sample_" + padded_number(static_cast<int64_t>(m) + 1) + ".nii.gz",
                       loaded.header, as_bytes_or_ints(p.samples[m], plan.classes()), kIntentLabel);
      }
      if (options.save_probabilities)
        write_volume(options.output + "/probabilities" + file, loaded.header,
                     channels_first(p.probabilities));
      for (const auto& [key, probabilities] : others)
        write_volume(options.output + "/estimates/" + key + file, loaded.header,
                     channels_first(probabilities));
      write_volume(options.output + "/entropy" + file, loaded.header, p.entropy);
      if (p.drawn > 1) {
        make_folders(options.output + "/mutual_information");
        write_volume(options.output + "/mutual_information" + file, loaded.header, p.mutual_information);
      }
      write_volume(options.output + file, loaded.header, as_bytes_or_ints(p.mask, plan.classes()),
                   kIntentLabel);
      names.push_back(c.name);
    } catch (const Error& e) {
      if (left.size() > 1 && options.warn)
        options.warn(cat(names.size(), " of ", counted(left.size(), "case"), " written before ", c.name,
                         e.code() == ErrorCode::data
                             ? "; leave that case out and use --skip-existing to continue with the others"
                             : "; --skip-existing continues with that case"));
      throw;
    }
  return names;
}

}  // namespace voxgrad
