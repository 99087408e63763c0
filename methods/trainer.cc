#include "methods/trainer.h"

#include <algorithm>
#include <chrono>
#include <optional>

#include "io/file.h"
#include "io/sha256.h"
#include "io/system_info.h"
#include "methods/training_steps.h"
#include "run/log.h"
#include "run/manifest.h"
#include "tensor/allocator.h"
#include "tensor/conv.h"
#include "tensor/cpu/isa.h"
#include "tensor/parallel.h"

namespace voxgrad {
namespace {

using Clock = std::chrono::steady_clock;
double since(Clock::time_point t) { return std::chrono::duration<double>(Clock::now() - t).count(); }

// Thrown by the poll callback when a user or the clock wants training to end; what is done is kept.
struct Stopped {
  TrainEnd end;
};

std::vector<PreprocessedCase> load(const Dataset& dataset, const std::vector<int>& which, const Plan& plan,
                                   const std::function<void()>& poll, std::vector<std::string>& warnings) {
  std::vector<PreprocessedCase> cases;
  for (const int i : which) {
    poll();
    const Case& c = dataset.cases[static_cast<size_t>(i)];
    const LoadedCase loaded = load_case(c, plan.channels(), plan.classes());
    warnings.insert(warnings.end(), loaded.warnings.begin(), loaded.warnings.end());
    cases.push_back(preprocess(loaded, plan));
    if (!cases.back().label.defined())
      fail(ErrorCode::data, "[train] ", dataset.folder, ": case ", c.name, ": expected a label");
  }
  return cases;
}

// Of names, shapes and voxels: what training and the fits see.
std::string hash_of(const std::vector<PreprocessedCase>& training,
                    const std::vector<PreprocessedCase>& calibration) {
  Sha256 h;
  for (const auto* cases : {&training, &calibration})
    for (const PreprocessedCase& c : *cases) {
      const std::string head =
          cat(cases == &training ? "training " : "calibration ", c.name, " ", c.image.shape(), "\n");
      h.update(head.data(), head.size());
      h.update(c.image.raw(), c.image.nbytes());
      h.update(c.label.raw(), c.label.nbytes());
    }
  return h.hex();
}

class Trainer {
 public:
  Trainer(const TrainOptions& options, const Config& config)
      : options_(options), config_(config), run_{options.run}, start_(Clock::now()) {}

  TrainResult run();

 private:
  void say(const std::string& text) const {
    if (options_.message) options_.message(text);
  }
  // Throws Stopped when it is time to end.
  void poll() const {
    if (options_.stop_requested && options_.stop_requested()) throw Stopped{TrainEnd::stopped};
    if (options_.max_minutes > 0 && since(start_) > options_.max_minutes * 60)
      throw Stopped{TrainEnd::out_of_time};
  }
  void train_stage(size_t stage, const StageOptions& s, const std::map<std::string, Tensor>& saved);
  void save(const std::map<std::string, Tensor>& optimizer) {
    save_checkpoint(run_, *method_, state_, optimizer);
  }
  void save_weights(bool complete);
  void log_start();
  void expect_same_run();
  void log_validation_of_prior();
  SampleOptions sampling() {
    SampleOptions o = sample_options(config_);
    // The bounds are half of the caps; the cases in memory, and parameters, count against the caps too.
    const auto rest = [](int64_t bound, uint64_t taken) {
      return std::max(bound - static_cast<int64_t>(taken / 2), bound / 8);
    };
    o.memory = rest(options_.memory, memory_stats().current);
    if (options_.device.is_cuda())
      o.device_memory = rest(options_.device_memory, device_memory(options_.device).live);
    o.seed = state_.seed;
    o.poll = [this] { poll(); };
    return o;
  }
  void write_record(const std::string& status);
  RuntimeRecord runtime() const {
    return {std::string(name_of(cpu_isa())), winograd_allowed(), config_.text("train.precision"),
            options_.device.str()};
  }

  const TrainOptions& options_;
  Config config_;
  RunFolder run_;
  Clock::time_point start_;
  Dataset dataset_;
  RunSplit split_;
  std::vector<PreprocessedCase> training_, calibration_;
  std::unique_ptr<Method> method_;
  TrainingState state_;
  std::optional<Tensor> averaged_;  // weights of the stage under way, for save_weights
  std::optional<RunLog> log_;
  std::string where_;  // "step k of n of STAGE"
};

void Trainer::train_stage(size_t stage, const StageOptions& s, const std::map<std::string, Tensor>& saved) {
  Parameters& p = method_->parameters(stage);
  if (state_.step == 0) {
    where_ = cat("the start of ", s.name);
    p.allocate(state_.seed + stage);
    method_->begin_stage(stage, training_, calibration_, sampling());
  }
  method_->move_to(options_.device);
  // Every stage sees its own order of samples and augmentations.
  const uint64_t seed = state_.seed + 1000003 * stage;
  const AugmentOptions augment = augment_options(config_);
  const auto begun = Clock::now();
  const int64_t first = state_.step;
  const auto batch = [&](int64_t step) {
    return training_batch(training_, method_->plan(), augment, seed, step);
  };
  TrainingSteps steps({*method_, stage, options_.device, s.optimizer, config_.boolean("train.recompute"),
                       seed, first, s.steps, batch});
  Optimizer& optimizer = steps.optimizer();
  if (state_.step > 0) optimizer.load_state(saved, state_.step, run_.checkpoint());
  const auto where = [&] { where_ = cat("step ", state_.step, " of ", s.steps, " of ", s.name); };
  const auto keep = [&] {
    averaged_ = optimizer.averaged(steps.values());
    save(optimizer.state());
  };
  bool said = false;
  where();
  while (state_.step < s.steps) {
    try {
      poll();
    } catch (const Stopped&) {
      if (state_.step > 0) keep();
      throw;
    }
    const double lr = learning_rate(s.schedule, s.learning_rate, state_.step, s.steps, s.warmup);
    const auto [loss, norm] = steps.next(lr);
    if (!said) {
      const std::string manner = steps.manner();
      if (!manner.empty()) say(cat(s.name, ": ", manner));
      said = !manner.empty();
    }
    ++state_.step;
    where();
    const double seconds = since(begun);
    log_->write(StepLine{s.name, state_.step, loss, {}, lr, norm, seconds});
    if (options_.progress)
      options_.progress(
          {s.name, state_.step, s.steps, loss, seconds,
           seconds / static_cast<double>(state_.step - first) * static_cast<double>(s.steps - state_.step)});
    if (state_.step % config_.integer("train.checkpoint_every") == 0 && state_.step < s.steps) keep();
  }
  // From here on the stage's weights are the averaged ones, frozen.
  p.use(optimizer.averaged(steps.values()).clone());
  averaged_.reset();
  ++state_.stage;
  state_.step = 0;
  save({});
}

void Trainer::save_weights(bool complete) {
  std::vector<Tensor> weights;
  const size_t stages = method_->stages().size();
  for (size_t s = 0; s < stages; ++s) {
    Parameters& p = method_->parameters(s);
    if (!p.allocated()) p.allocate(state_.seed + s);
    weights.push_back(s == state_.stage && averaged_ ? *averaged_ : p.values());
  }
  save_model(run_, *method_, weights, complete);
}

// Each start of a run leaves a line that says what computed from there on: a manifest has room for the last.
void Trainer::log_start() {
  std::optional<RuntimeRecord> before;
  if (file_exists(run_.log()))
    for (const LogLine& line : read_log(run_.log()))
      if (const auto* start = std::get_if<StartLine>(&line)) before = start->runtime;
  const RuntimeRecord now = runtime();
  if (before && *before != now)
    say(cat("the run went so far with ", to_json(*before).dump(), ", goes on with ", to_json(now).dump(),
            ": results may differ from those of one of them by rounding"));
  log_->write(
      StartLine{state_.stage < method_->stages().size() ? method_->stages()[state_.stage].name : "scoring",
                state_.step, build_info().version, now});
}

void Trainer::log_validation_of_prior() {
  // The prior has seen the training cases: how much surer it is there decides what the denoiser learns
  // (docs/method.md).
  const auto mean_nll = [&](const std::vector<PreprocessedCase>& cases) {
    double sum = 0;
    int64_t n = 0;
    for (const PreprocessedCase& c : cases) {
      if (n == 20) break;
      if (const Tensor p = method_->prior_probabilities(c, sampling()); p.defined()) {
        sum += nll(content_of(p, c), content_of(c.label, c)).value_or(0);
        ++n;
      }
    }
    return n ? sum / static_cast<double>(n) : 0;
  };
  const double seen = mean_nll(training_), unseen = mean_nll(calibration_);
  if (seen == 0) return;
  log_->write(ValidationLine{"prior", {}, {{"nll_training", seen}, {"nll_calibration", unseen}}});
  say(cat("prior: NLL ", seen, " on training cases, ", unseen, " on calibration cases"));
}

void Trainer::write_record(const std::string& status) {
  Manifest m;
  m.machine = machine_record();
  m.status = status;
  m.method = method_->name();
  m.dataset = dataset_.name;
  m.modality = method_->plan().modality;
  m.seed = state_.seed;
  m.split = split_.text;
  m.data_sha256 = state_.data;
  m.constants = method_->constants;
  const double before =
      options_.resume && file_exists(run_.manifest()) ? read_manifest(run_.manifest()).seconds : 0;
  m.seconds = since(start_) + before;
  for (size_t s = 0; s < method_->stages().size(); ++s) m.parameters += method_->parameters(s).count();
  m.threads = thread_count();
  m.runtime = runtime();
  if (file_exists(run_.model())) m.model_sha256 = sha256_of_file(run_.model());
  if (options_.device.is_cuda()) {
    m.device_text = describe_device(options_.device);
    m.convolutions = convolution_report(options_.device);
    m.graphs = device_options().graphs;
    m.device_memory_peak = device_memory(options_.device).peak;
  }
  write_manifest(run_.manifest(), m);
}

// What a finished run was started with, from its manifest: its checkpoint is not read again.
void Trainer::expect_same_run() {
  const Manifest m = read_manifest(run_.manifest());
  if (m.method != options_.method)
    fail(ErrorCode::usage, "[train] ", run_.path, ": was started with method ", m.method, ", not ",
         options_.method);
  if (m.seed != options_.seed)
    fail(ErrorCode::usage, "[train] ", run_.path, ": was started with seed ", m.seed, ", not ",
         options_.seed);
}

TrainResult Trainer::run() {
  TrainResult result;
  if (options_.resume && !is_folder(run_.path))
    fail(ErrorCode::usage, "[train] ", run_.path, ": expected a run to go on with, there is no such folder");
  make_folders(run_.path);
  const FolderLock lock(run_.path);
  remove_stale_temporaries(run_.path);
  const bool has_checkpoint = file_exists(run_.checkpoint());
  if ((has_checkpoint || file_exists(run_.model())) && !options_.resume)
    fail(ErrorCode::usage, "[train] ", run_.path, ": holds a run already; --resume goes on with it");
  if (options_.resume && file_exists(run_.metrics()) && file_exists(run_.manifest()) &&
      file_exists(run_.model()) && load_model(run_).complete) {
    expect_same_run();
    result.end = TrainEnd::already_finished;
    return result;
  }

  dataset_ = open_dataset(options_.dataset);
  split_ = run_split(dataset_, static_cast<int>(config_.integer("train.fold")));
  if (split_.train.empty())
    fail(ErrorCode::data, "[train] ", options_.dataset, ": expected at least one training case in fold ",
         config_.integer("train.fold"));
  const Plan plan = make_plan(dataset_, split_.train, plan_options(config_));
  method_ = make_method(options_.method, plan, config_);
  say(split_.text);
  std::vector<std::string> warnings;
  try {
    training_ = load(
        dataset_, split_.train, plan, [this] { poll(); }, warnings);
    calibration_ = load(
        dataset_, split_.calibration, plan, [this] { poll(); }, warnings);
  } catch (const Stopped& stop) {  // nothing is done yet
    result.end = stop.end;
    result.stopped_at = "reading the data";
    return result;
  }

  if (!warnings.empty())
    say(cat("warning: ", warnings[0], "; ", warnings.size(), warnings.size() == 1 ? " warning" : " warnings",
            " in all, listed by `voxgrad check`"));

  state_.seed = options_.seed;
  state_.data = hash_of(training_, calibration_);
  std::map<std::string, Tensor> optimizer;
  if (has_checkpoint) {
    const TrainingState saved = load_checkpoint(run_, *method_, optimizer);
    if (saved.seed != options_.seed)
      fail(ErrorCode::usage, "[train] ", run_.path, ": was started with --seed ", saved.seed, ", not ",
           options_.seed);
    if (saved.data != state_.data)
      fail(ErrorCode::data, "[train] ", options_.dataset,
           ": the training and calibration cases are not those that ", run_.path, " was started with");
    state_ = saved;
    say(cat("resuming at stage ", state_.stage + 1, ", step ", state_.step));
  } else {
    write_text(run_.config(), config_.to_toml());
  }
  const std::vector<StageOptions> stages = method_->stages();
  // Lines of steps behind the checkpoint are dropped, and so is what is said of a stage before the next one
  // has a checkpoint: they will be written again.
  log_.emplace(run_.log());
  log_->keep([&](const LogLine& line) {
    if (std::holds_alternative<StartLine>(line)) return true;
    const auto* step = std::get_if<StepLine>(&line);
    const auto* validation = std::get_if<ValidationLine>(&line);
    if (!step && !validation) return false;
    for (size_t s = 0; s < stages.size(); ++s)
      if (stages[s].name == (step ? step->stage : validation->stage))
        return validation ? s + 1 < state_.stage || (s + 1 == state_.stage && state_.step > 0)
                          : s < state_.stage || (s == state_.stage && step->step <= state_.step);
    return false;
  });
  log_start();
  bool complete = false;
  method_->move_to(options_.device);  // what a checkpoint holds was read to the CPU

  try {
    while (state_.stage < stages.size()) {
      const size_t s = state_.stage;
      if (s > 0 && state_.step == 0 && stages[s - 1].name == "prior") {
        where_ = "the prior's validation";
        log_validation_of_prior();
      }
      train_stage(s, stages[s], optimizer);
      optimizer.clear();
    }
    method_->move_to(options_.device);
    where_ = "calibration";
    if (options_.progress) options_.progress({"calibration", 0, 1, 0, 0, 0});
    method_->fit_readout(calibration_, sampling());
    std::string found;
    for (const auto& [name, value] : method_->constants)
      found += (found.empty() ? "" : ", ") + name + " " + cat(value);
    if (!found.empty()) say(found);
    save_weights(complete = true);
    where_ = "validation";
    ValidationOptions v;
    v.sampling = sampling();
    v.max_scored = config_.integer("train.max_scored");
    v.keep_cases = config_.integer("train.keep_cases");
    v.progress = [this](const std::string&, size_t done, size_t total) {
      if (options_.progress)
        options_.progress({"validation", static_cast<int64_t>(done), static_cast<int64_t>(total), 0, 0, 0});
    };
    result.scores = validate(run_, *method_, dataset_, split_, v);
  } catch (const Stopped& stop) {
    save_weights(complete);
    write_record("stopped at " + where_);
    result.end = stop.end;
    result.stopped_at = where_;
    return result;
  }
  write_record("finished");
  return result;
}

}  // namespace

TrainResult train(const TrainOptions& options, const Config& config) {
  return Trainer(options, config).run();
}

}  // namespace voxgrad
