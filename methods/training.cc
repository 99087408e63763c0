#include "methods/training.h"

#include <algorithm>
#include <utility>

#include "data/plan_file.h"
#include "io/file.h"
#include "io/sha256.h"
#include "io/text.h"
#include "methods/folders.h"
#include "methods/look_ahead.h"
#include "methods/registry.h"
#include "methods/training_domain.h"
#include "methods/validation.h"
#include "run/manifest.h"
#include "tensor/core/allocator.h"

namespace voxgrad {
namespace {

// A hash of the names and prepared data of the training and calibration cases. It covers the annotations of
// the training cases if the training reads them.
std::string hash_of(const TrainingData& data, LabelSource source) {
  Sha256 h;
  for (const auto* cases : {&data.training, &data.calibration})
    for (const PreparedCase& c : *cases) {
      const std::string line =
          cat(cases == &data.training ? "training " : "calibration ", c.name, " ", c.digest, "\n");
      h.update(line.data(), line.size());
    }
  if (source == LabelSource::raters)
    for (const PreparedCase& c : data.training) {
      const std::string line = cat("annotations ", c.name, " ", digest_of_annotations(c), "\n");
      h.update(line.data(), line.size());
    }
  return h.hex();
}

// A hash of the names and files of the scored cases.
std::string hash_of(const std::vector<Case>& scored, const std::function<void()>& poll) {
  Sha256 h;
  for (const Case& c : scored) {
    poll();
    const std::string line = cat(c.name, " ", digest_of_files(c), "\n");
    h.update(line.data(), line.size());
  }
  return h.hex();
}

// Refuses plans that differ where the meaning of a network's weights depends on the plan.
void expect_same_network(const Plan& a, const Plan& b, const std::string& where) {
  const auto expect = [&](bool same, const char* field) {
    if (!same)
      fail(ErrorCode::usage, "[train] --from ", where, ": plan: expected the same ", field,
           " as this run's (`voxgrad plan` shows it)");
  };
  expect(a.dims == b.dims, "dims");
  expect(a.channel_names == b.channel_names, "channels");
  expect(a.label_names == b.label_names, "labels");
  expect(a.spacing == b.spacing, "spacing");
  expect(a.features == b.features && a.strides == b.strides && a.kernels == b.kernels,
         "features, strides and kernels");
  expect(a.axes == b.axes, "axes");
  expect(a.normalisation == b.normalisation, "normalisation");
  expect(a.mask_normalisation == b.mask_normalisation && a.anisotropic == b.anisotropic, "preprocessing");
  bool same = a.intensity.size() == b.intensity.size();
  for (size_t i = 0; same && i < a.intensity.size(); ++i)
    same = a.intensity[i].low == b.intensity[i].low && a.intensity[i].high == b.intensity[i].high &&
           a.intensity[i].mean == b.intensity[i].mean && a.intensity[i].std == b.intensity[i].std;
  expect(same, "intensities");
}

// The option table of a stage. Stages NAME-1, NAME-2, ... share the table NAME.
std::string table_of(const std::string& stage) {
  const size_t dash = stage.rfind('-');
  const bool numbered = dash != std::string::npos && dash + 1 < stage.size() &&
                        stage.find_first_not_of("0123456789", dash + 1) == std::string::npos;
  return numbered ? stage.substr(0, dash) : stage;
}

// The keys of a stage whose values in another run differ from the present ones, as "KEY = VALUE" of that run.
std::string other_settings(const ModelFile& model, const std::string& stage, const OptionList& now) {
  const std::vector<std::string> known = method_names();
  if (std::find(known.begin(), known.end(), model.method) == known.end()) return "";
  const std::unique_ptr<Method> then = make_method(model.method);
  then->config().read_toml(model.config, model.method, Config::Unknown::ignore);
  std::string text;
  for (const Option& old : then->options().all())
    for (const Option& o : now.all())
      if (o.key == old.key && o.key.starts_with(table_of(stage) + ".") && o.value() != old.value())
        text += cat(text.empty() ? "" : ", ", old.key, " = ", value_text(old.value()));
  return text;
}

class MethodTraining {
 public:
  MethodTraining(Method& method, const std::string& folder, const TrainRequest& request,
                 const MemoryBounds& memory, const CacheOptions& cache)
      : method_(method), folder_(folder), request_(request), memory_(memory), cache_(cache), run_(request) {}

  TrainResult operator()() {
    return run_.train({method_.name(), method_.config().to_toml(), folder_, request_.plan},
                      [this] { return prepare(); });
  }

 private:
  TrainingJob prepare();
  // Another data set than that of a resumed run is found before its cases are prepared. Names alone do not
  // decide: a data set may be renamed.
  void expect_data_of_run() const {
    if (!request_.resume || !file_exists(run_.folder().manifest())) return;
    const Manifest before = read_manifest(run_.folder().manifest());
    if (before.channels.empty()) return;  // stopped before the data were read, or of an earlier version
    if (before.channels != dataset_.channel_names)
      fail(ErrorCode::data, "[train] ", run_.folder().path, ": was started with the data set ",
           before.dataset, " (channels ", joined(before.channels), "), got ", dataset_.name, " (channels ",
           joined(dataset_.channel_names), ")");
    if (before.dataset != dataset_.name)
      run_.say(cat("warning: the run was started with the data set ", before.dataset, ", this one is ",
                   dataset_.name));
  }
  Plan plan(CaseStore& store);
  void load(CaseStore& store);
  // The bounds are half of the memory limits. The cases in memory and the parameters also count against the
  // limits, so half of their size is subtracted.
  void bound_work() {
    const auto rest = [](int64_t bound, uint64_t taken) {
      return std::max(bound - static_cast<int64_t>(taken / 2), bound / 8);
    };
    const Device& device = request_.runtime.device();
    work_.memory = rest(memory_.host, memory_stats().current);
    if (device.is_cuda()) work_.device_memory = rest(memory_.device, device_memory(device).live);
  }

  Method& method_;
  const std::string& folder_;
  const TrainRequest& request_;
  const MemoryBounds& memory_;
  const CacheOptions& cache_;
  TrainingRun run_;
  Dataset dataset_;
  RunSplit split_;
  TrainingData data_;
  TrainingDomain seen_;
  Work work_;
  int64_t evaluations_ = 0,
          expected_ = 0;  // network evaluations outside training steps: done, and expected in total
};

void MethodTraining::load(CaseStore& store) {
  const size_t total = split_.train.size() + split_.calibration.size();
  const auto add = [&](const std::vector<int>& which, std::vector<PreparedCase>& to) {
    for (const int i : which) {
      run_.poll();
      run_.show("preparing case", data_.training.size() + data_.calibration.size() + 1, total);
      const Case& c = dataset_.cases[static_cast<size_t>(i)];
      PreparedCase prepared = store.prepared(c, method_.plan());
      if (!prepared.label.defined())
        fail(ErrorCode::data, "[train] ", dataset_.folder, ": case ", c.name, ": expected a label");
      seen_.add(prepared);
      to.push_back(std::move(prepared));
    }
  };
  add(split_.train, data_.training);
  add(split_.calibration, data_.calibration);
  for (const PreparedCase& c : data_.calibration) c.verify();  // now, because they are read hours later
}

// Reads all cases now, so that errors in them do not appear after hours of training. Returns the given plan,
// or one that is made by the rules.
Plan MethodTraining::plan(CaseStore& store) {
  const RunCases cases =
      look_ahead(dataset_, split_, method_.common.max_scored, store, [&](size_t done, size_t total) {
        run_.poll();
        run_.show("reading case", done + 1, total);
      });
  for (const ProblemLine& line : grouped(cases.warnings)) run_.say("warning: " + line.text);
  Plan plan;
  if (request_.plan.empty()) {
    plan = plan_from_fingerprints(dataset_, cases.training, method_.common.plan);
  } else {
    const std::string where = run_.folder().plan();
    plan = plan_from_toml(request_.plan, where);
    expect_plan_of(dataset_, plan, where);
  }
  expect_preparable(cases, plan);
  return plan;
}

TrainingJob MethodTraining::prepare() {
  const CommonOptions& common = method_.common;
  dataset_ = open_dataset(folder_);
  expect_data_of_run();
  split_ = run_split(dataset_, static_cast<int>(common.fold), common.max_scored);
  CaseStore store(cache_);
  run_.say(split_.text);
  if (split_.calibration.empty())
    run_.say("warning: no case is left to fit the calibration: the probabilities will not be calibrated");
  if (!store.folder().empty()) run_.say(cat("prepared data lie in ", store.folder()));
  method_.build(plan(store), request_.runtime);
  load(store);
  release_memory_cache();  // its blocks have the sizes of preprocessing, not of training
  if (!store.folder().empty())
    run_.say(
        cat("prepared cases: ", store.found(), " were stored already, ", store.made(), " were made now"));
  const Seed seed = Seed{request_.seed}.child("fold", static_cast<uint64_t>(common.fold));
  work_.seed = seed.value;
  work_.poll = [this] { run_.poll(); };
  work_.expect = [this](int64_t n) { evaluations_ = 0, expected_ = n; };
  work_.advance = [this](int64_t n) {
    evaluations_ += n;
    run_.show(run_.where() + ": window evaluation", static_cast<size_t>(evaluations_),
              static_cast<size_t>(std::max(expected_, evaluations_)));
  };
  bound_work();

  TrainingJob job;
  job.plan = plan_to_json(method_.plan());
  job.data_sha256 = hash_of(data_, method_.labels());
  job.scored_sha256 = hash_of(scored_cases(dataset_, split_, common.max_scored), work_.poll);
  job.model_config = method_.config().to_toml(Config::Print::model);
  job.dataset = dataset_.name;
  job.modality = method_.plan().modality();
  job.channels = method_.plan().channel_names;
  job.split = split_.text;
  job.prepared_data = store.folder();
  job.axis_codes = seen_.axis_codes();
  job.spacing = seen_.spacing();
  job.intensity_low = seen_.intensity_low();
  job.intensity_high = seen_.intensity_high();
  job.seed = seed;
  job.stages = method_.stages(data_, work_);
  job.constants = &method_.constants;
  job.max_steps = common.max_steps;
  job.checkpoint_every = common.checkpoint_every;
  job.recompute = common.recompute;
  job.check_constants = [this](const Constants& found, const std::string& where) {
    method_.check_constants(found, where);
  };
  job.accept = [this, sha = job.data_sha256](const ModelFile& model, const StageSource& source) {
    const std::string where = source.run + ":" + source.stage;
    expect_same_network(plan_of(model, where), method_.plan(), where);
    if (const std::string other = other_settings(model, source.stage, method_.options());
        !source.train && !other.empty())
      run_.say(cat("warning: ", where, " was trained with ", other));
    if (model.provenance.data_sha256.empty())
      run_.say(cat("warning: ", where, " does not say on which cases it was trained"));
    else if (model.provenance.data_sha256 != sha)
      run_.say(cat("warning: ", where,
                   " was trained on other cases than those of this run: it may have seen calibration or "
                   "scored cases"));
  };
  job.fit = [this] {
    bound_work();
    method_.fit(data_, work_);
    for (const std::string& text : method_.warnings()) run_.say("warning: " + text);
  };
  job.score = [this] {
    bound_work();
    ValidationOptions v;
    v.work = work_;
    v.max_scored = method_.common.max_scored;
    v.keep_cases = method_.common.keep_cases;
    v.progress = [this](const CaseProgress& p) {
      if (request_.progress)
        request_.progress({"validation", p.index, p.cases, 0, p.seconds, p.eta_seconds, p.text()});
    };
    validate(run_.folder(), method_, dataset_, split_, v);
  };
  return job;
}

}  // namespace

TrainResult train_method(Method& method, const std::string& dataset, const TrainRequest& request,
                         const MemoryBounds& memory, const CacheOptions& cache) {
  expect_folder_of_results(request.run, "a run", "[train] ");
  return MethodTraining(method, dataset, request, memory, cache)();
}

}  // namespace voxgrad
