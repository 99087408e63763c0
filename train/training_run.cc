#include "train/training_run.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <optional>

#include "io/file.h"
#include "io/sha256.h"
#include "io/system_info.h"
#include "run/checkpoint.h"
#include "run/log.h"
#include "run/manifest.h"
#include "tensor/conv.h"
#include "tensor/parallel.h"
#include "train/stage_steps.h"

namespace voxgrad {
namespace {

using Clock = std::chrono::steady_clock;
double since(Clock::time_point t) { return std::chrono::duration<double>(Clock::now() - t).count(); }

// Thrown by poll() when a user or the clock wants training to end; what is done is kept.
struct Stopped {
  TrainEnd end;
};

constexpr const char* kScoring = "scoring";  // the log's stage behind the last one

// The record of a stage that has ended; null where there is none.
const StageRecord* ended_stage(const ModelFile& model, const std::string& stage) {
  for (const StageRecord& r : model.provenance.stages)
    if (r.name == stage && !r.digest.empty()) return &r;
  return nullptr;
}

// The model of a source, whose stage has ended.
ModelFile read_source(const StageSource& source, const std::function<void(const std::string&)>& warn) {
  const RunFolder from{source.run};
  ModelFile model = read_model(from.model(), warn);
  if (ended_stage(model, source.stage)) return model;
  std::string names;
  for (const StageRecord& r : model.provenance.stages) {
    names += (names.empty() ? "" : ", ") + r.name;
    if (r.name == source.stage)
      fail(ErrorCode::data, "[train] --from ", source.run, ":", source.stage,
           ": expected a stage that has ended; its training was stopped");
  }
  if (model.format != 1)
    fail(ErrorCode::usage, "[train] --from ", source.run, ":", source.stage, ": expected a stage of ",
         from.model(), " (", names, ")");
  if (!model.complete)  // format 1 did not record stages
    fail(ErrorCode::data, "[train] --from ", source.run, ": expected a model whose training has ended");
  return model;
}

std::string absolute_path(const std::string& path) {
  return std::filesystem::absolute(path).lexically_normal().string();
}

RuntimeRecord record_of(const Runtime& r) {
  return {std::string(name_of(r.instruction_set())), r.winograd(), name_of(r.precision()), r.device().str(),
          device_options().nondeterministic};
}

}  // namespace

StageSource parse_stage_source(const std::string& text) {
  StageSource source;
  std::string rest = text;
  if (rest.ends_with(":train")) {
    source.train = true;
    rest.resize(rest.size() - 6);
  }
  const size_t colon = rest.rfind(':');
  if (colon == std::string::npos || colon == 0 || colon + 1 == rest.size())
    fail(ErrorCode::usage, "[train] --from: expected RUN:STAGE or RUN:STAGE:train, got ", text);
  source.run = rest.substr(0, colon);
  source.stage = rest.substr(colon + 1);
  return source;
}

struct TrainingRun::State {
  explicit State(const TrainRequest& r) : request(r), folder{r.run}, start(Clock::now()) {}

  // The stage under way: an index into the job's stages; their number once all have ended.
  size_t stage = 0;
  int64_t step = 0;  // steps done in it

  const TrainRequest request;
  RunFolder folder;
  Clock::time_point start;
  std::optional<FolderLock> lock;
  std::vector<ModelFile> sources;  // of request.from
  RunIdentity identity;
  std::string from;  // Manifest::from
  TrainingJob job;
  std::vector<StageRecord> records;  // a stage each
  std::optional<Tensor> averaged;    // weights of a stage that was stopped, for save_model
  std::optional<RunLog> log;
  std::string where;         // "step k of n of STAGE"
  std::string model_digest;  // of the model that this process has written; empty: none
  bool scored = false;       // this process has scored the model
  double earlier = 0;        // seconds of earlier starts

  int64_t steps_of(const Stage& s) const {
    return job.max_steps > 0 ? std::min(s.options.steps, job.max_steps) : s.options.steps;
  }
  /// Of what a stage draws: its first "weights", its "batches" (order of the cases, places, augmentation),
  /// the "draws" of its loss.
  uint64_t seed_of(size_t s, std::string_view what) const {
    return job.seed.child("stages").child(job.stages[s].name).child(what).value;
  }
  /// Whether a checkpoint has weights of the stage: it has begun, or was taken from another run.
  bool has_weights(size_t s) const {
    return s < stage || (s == stage && step > 0) || !records[s].from.empty();
  }
  NamedTensors weights_of(size_t s, const Tensor& flat) const {
    return job.stages[s].parameters->named(flat);
  }
  std::string from_text() const {
    std::string text;
    for (const StageSource& s : request.from)
      text += (text.empty() ? "" : " ") + s.run + ":" + s.stage + (s.train ? ":train" : "");
    return text;
  }
  void poll() const {
    if (request.stop_requested && request.stop_requested()) throw Stopped{TrainEnd::stopped};
    if (request.max_minutes > 0 && since(start) > request.max_minutes * 60)
      throw Stopped{TrainEnd::out_of_time};
  }
  void say(const std::string& text) const {
    if (request.message) request.message(text);
  }
  /// What a hook has found.
  void expect_finite(const std::map<std::string, double>& found) const {
    for (const auto& [name, value] : found)
      if (!std::isfinite(value))
        fail(ErrorCode::diverged, "[train] ", where, ": expected a finite ", name, ", got ", value);
  }

  bool finished() const;
  void expect_same(const std::string& field, const std::string& was, const std::string& is,
                   ErrorCode code = ErrorCode::usage) const;
  void expect_run_of(const Manifest& before) const;
  void expect_stages(const std::vector<StageRecord>& of, const std::string& at) const;
  void begin() const;
  void say_where_scores_change(const std::string& before) const;
  void take(const StageSource& source, const ModelFile& model);
  void expect_stages_before(const StageSource& source, const ModelFile& model) const;
  void load(const Checkpoint& saved, NamedTensors& optimizer);
  void open_log();
  void save(const NamedTensors& optimizer) const;
  void save_model(bool complete);
  void write_record(const std::string& now) const;
  void train_stage(const NamedTensors& saved);
  void end_stage();
};

// Complete weights, scores and a manifest that says so.
bool TrainingRun::State::finished() const {
  return file_exists(folder.metrics()) && file_exists(folder.model()) && file_exists(folder.manifest()) &&
         read_manifest(folder.manifest()).status == "finished" && read_model(folder.model()).complete;
}

void TrainingRun::State::expect_same(const std::string& field, const std::string& was, const std::string& is,
                                     ErrorCode code) const {
  if (was != is) fail(code, "[train] ", folder.path, ": was started with ", field, " ", was, ", not ", is);
}

// What a manifest says that this run was started as.
void TrainingRun::State::expect_run_of(const Manifest& before) const {
  expect_same("--method", before.method, identity.method);
  expect_same("--seed", cat(before.seed), cat(request.seed));
  if (!before.config_sha256.empty()) {
    if (!file_exists(folder.config()))
      fail(ErrorCode::data, "[train] ", folder.config(),
           ": expected the configuration of the run, found no file");
    if (const std::string now = sha256_of_file(folder.config()); now != before.config_sha256)
      fail(ErrorCode::data, "[train] ", folder.config(),
           ": was changed since the run was started: expected SHA-256 ", before.config_sha256, ", got ", now);
  }
  // Until data or a checkpoint say more.
  if (before.data_sha256.empty() && !before.dataset_folder.empty()) {
    if (!same_file(before.dataset_folder, identity.data))
      expect_same("the data set", before.dataset_folder, absolute_path(identity.data));
    expect_same("--from", before.from.empty() ? "nothing" : before.from, from.empty() ? "nothing" : from);
  }
}

// Refuses stages and steps that this job does not have, and another order.
void TrainingRun::State::expect_stages(const std::vector<StageRecord>& of, const std::string& at) const {
  size_t s = 0;
  for (size_t i = 0; i < of.size(); ++i, ++s) {
    const StageRecord& r = of[i];
    while (s < job.stages.size() && job.stages[s].name != r.name) ++s;
    if (s == job.stages.size())
      fail(ErrorCode::data, at, ": stages.", i, ".name: expected the stages of ", identity.method,
           " in their order, got ", r.name);
    const int64_t steps = steps_of(job.stages[s]);
    if (r.steps > steps || (!r.digest.empty() && !r.frozen && r.steps != steps))
      fail(ErrorCode::data, at, ": stages.", i, ".steps: expected ", r.digest.empty() ? "at most " : "",
           steps, " of ", r.name, ", got ", r.steps);
  }
}

// A new run says what it is before it reads its data. The log of one that was never resumed goes.
void TrainingRun::State::begin() const {
  if (file_exists(folder.log())) remove_file(folder.log());
  write_text(folder.config(), identity.config);
  write_record("reading the data");
}

void TrainingRun::State::say_where_scores_change(const std::string& before) const {
  if (!before.empty() && before != job.scored_sha256)
    say(cat("warning: ", job.dataset, ": the scored cases are not those that ", folder.path,
            " was started with: an image, a label or an annotation was changed; its scores are of the cases "
            "as they are now"));
}

// A stage of another run. On return its weights are in the parameters.
void TrainingRun::State::take(const StageSource& source, const ModelFile& model) {
  size_t which = 0;
  std::string names;
  for (; which < job.stages.size() && job.stages[which].name != source.stage; ++which)
    names += (names.empty() ? "" : ", ") + job.stages[which].name;
  if (which == job.stages.size())
    fail(ErrorCode::usage, "[train] --from ", source.run, ":", source.stage, ": expected a stage of ",
         identity.method, " (", names, ")");
  if (job.accept) job.accept(model, source);
  if (job.check_constants) job.check_constants(model.constants, "[model] " + RunFolder{source.run}.model());
  Parameters& p = *job.stages[which].parameters;
  p.allocate(seed_of(which, "weights"));
  const std::string file = RunFolder{source.run}.model();
  const auto unequal = [&](const std::string& what) {
    fail(ErrorCode::usage, "[train] --from ", source.run, ":", source.stage,
         ": a stage is taken between equal networks; ", file, ", trained as ", model.method, ", has ", what);
  };
  const NamedTensors here = p.named(p.values());
  for (const auto& [name, tensor] : model.weights)
    if (name.starts_with(source.stage + ".") && !here.contains(name))
      unequal(name + ", which this run has not");
  for (const auto& [name, wanted] : here)
    if (const auto it = model.weights.find(name); it == model.weights.end())
      unequal("no " + name);
    else if (it->second.shape() != wanted.shape())
      unequal(cat(name, " ", it->second.shape(), ", expected ", wanted.shape()));
  p.read(p.values(), model.weights, "", file);
  StageRecord& record = records[which];
  record.from = weights_digest(weights_of(which, p.values()));
  const StageRecord* const ended = ended_stage(model, source.stage);
  if (ended && record.from != ended->digest)
    fail(ErrorCode::data, "[train] ", file, ": provenance: expected the digest of ", source.stage, " ",
         record.from, ", got ", ended->digest);
  record.frozen = !source.train;
  // What its start found belongs to the weights. Format 1 did not record which constants those are.
  if (record.frozen)
    for (const auto& [name, value] : model.constants)
      if (!ended ||
          std::find(ended->constants.begin(), ended->constants.end(), name) != ended->constants.end()) {
        (*job.constants)[name] = value;
        record.constants.push_back(name);
      }
  say(cat(source.stage, source.train ? ": training starts from " : ": taken from ", source.run, ", digest ",
          record.from.substr(0, 12)));
}

// A stage that is taken as it is was trained on those before it.
void TrainingRun::State::expect_stages_before(const StageSource& source, const ModelFile& model) const {
  for (const Stage& s : job.stages) {
    if (s.name == source.stage) return;
    const StageRecord& record = records[static_cast<size_t>(&s - job.stages.data())];
    const StageRecord* const then = ended_stage(model, s.name);
    if (!record.frozen || (then && then->digest != record.from))
      fail(ErrorCode::usage, "[train] --from ", source.run, ":", source.stage, ": was trained on the ",
           s.name, " of that run: expected --from ", source.run, ":", s.name, " too");
  }
}

void TrainingRun::State::load(const Checkpoint& saved, NamedTensors& optimizer) {
  const std::string where_saved = "[checkpoint] " + folder.checkpoint();
  expect_same("--method", saved.method, identity.method);
  if (saved.plan != job.plan)
    fail(ErrorCode::usage, "[train] ", folder.checkpoint(),
         ": was made with another plan: data set or configuration have changed");
  expect_same("--seed", cat(saved.seed), cat(request.seed));
  if (saved.data_sha256 != job.data_sha256)
    fail(ErrorCode::data, "[train] ", job.dataset, ": the training and calibration cases are not those that ",
         folder.path, " was started with");
  expect_stages(saved.stages, where_saved);
  if (job.check_constants) job.check_constants(saved.constants, where_saved);
  *job.constants = saved.constants;
  stage = 0;
  while (stage < job.stages.size() && job.stages[stage].name != saved.stage) ++stage;
  for (size_t s = 0; s < std::min(stage + 1, job.stages.size()); ++s)
    if (s >= saved.stages.size() || saved.stages[s].name != job.stages[s].name)
      fail(ErrorCode::data, where_saved, ": stages.", s, ": expected ", job.stages[s].name, " of ",
           identity.method, ", got ", s < saved.stages.size() ? saved.stages[s].name : "nothing");
  step = saved.step;
  if (stage < job.stages.size() && step > steps_of(job.stages[stage]))
    fail(ErrorCode::data, "[train] ", folder.checkpoint(), ": step: expected at most ",
         steps_of(job.stages[stage]), " of ", saved.stage, ", got ", step);
  for (const StageRecord& r : saved.stages)
    for (size_t s = 0; s < job.stages.size(); ++s) {
      if (job.stages[s].name != r.name) continue;
      records[s] = r;
      if (!has_weights(s)) continue;
      Parameters& p = *job.stages[s].parameters;
      p.allocate(seed_of(s, "weights"));
      p.read(p.values(), saved.weights, "", folder.checkpoint());
      const std::string expected = r.digest.empty() && r.frozen ? r.from : r.digest;
      if (expected.empty()) continue;
      if (const std::string got = weights_digest(weights_of(s, p.values())); got != expected)
        fail(ErrorCode::data, where_saved, ": weights of ", r.name, ": expected the digest ", expected,
             ", got ", got);
    }
  optimizer = saved.optimizer;
}

void TrainingRun::State::save(const NamedTensors& optimizer) const {
  Checkpoint c;
  c.method = identity.method;
  c.plan = job.plan;
  c.seed = request.seed;
  c.data_sha256 = job.data_sha256;
  c.scored_sha256 = job.scored_sha256;
  if (stage < job.stages.size()) c.stage = job.stages[stage].name;
  c.step = step;
  c.constants = *job.constants;
  for (size_t s = 0; s < job.stages.size(); ++s) {
    if (has_weights(s)) c.weights.merge(weights_of(s, job.stages[s].parameters->values()));
    if (has_weights(s) || s == stage) c.stages.push_back(records[s]);
  }
  c.optimizer = optimizer;
  write_checkpoint(folder.checkpoint(), c);
}

void TrainingRun::State::save_model(bool complete) {
  ModelFile m;
  m.method = identity.method;
  m.plan = job.plan;
  m.config = job.model_config;
  m.constants = *job.constants;
  m.complete = complete;
  m.axis_codes = job.axis_codes;
  m.spacing = job.spacing;
  m.intensity = job.intensity;
  m.provenance = {request.seed, job.dataset, job.data_sha256, build_info().version, records};
  for (size_t s = 0; s < job.stages.size(); ++s) {
    Parameters& p = *job.stages[s].parameters;
    if (!p.allocated()) p.allocate(seed_of(s, "weights"));
    m.weights.merge(weights_of(s, s == stage && averaged ? *averaged : p.values()));
  }
  write_model(folder.model(), m);
  model_digest = m.digest;
}

void TrainingRun::State::write_record(const std::string& now) const {
  Manifest m;
  m.status = now;
  m.method = identity.method;
  m.seed = request.seed;
  m.config_sha256 = sha256_of_file(folder.config());
  m.dataset_folder = absolute_path(identity.data);
  m.from = from;
  m.dataset = job.dataset;
  m.modality = job.modality;
  m.split = job.split;
  m.data_sha256 = job.data_sha256;
  m.scored_sha256 = job.scored_sha256;
  m.prepared_data = job.prepared_data;
  if (job.constants) m.constants = *job.constants;
  m.stages = records;
  for (const Stage& s : job.stages) m.parameters += s.parameters->count();
  m.seconds = since(start) + earlier;
  if (!model_digest.empty()) {
    m.model_sha256 = sha256_of_file(folder.model());
    m.model_digest = model_digest;
  }
  if (scored && file_exists(folder.metrics())) m.scores_sha256 = sha256_of_file(folder.metrics());
  m.runtime = record_of(request.runtime);
  m.threads = thread_count();
  if (const Device device = request.runtime.device(); device.is_cuda()) {
    m.device_text = describe_device(device);
    m.convolutions = convolution_report(device);
    m.graphs = device_options().graphs;
    m.device_memory_peak = device_memory(device).peak;
  }
  m.machine = machine_record();
  write_manifest(folder.manifest(), m);
}

// Lines of steps behind the checkpoint are dropped, and what is said of a stage that has not ended: they will
// be written again. Each start leaves a line that says what computed from there on: a manifest has room for
// the last.
void TrainingRun::State::open_log() {
  const RuntimeRecord now = record_of(request.runtime);
  std::optional<RuntimeRecord> before;
  log.emplace(folder.log());
  log->keep([&](const LogLine& line, const std::string& at) {
    // The stage of a line. Refuses stages and steps that the job does not have.
    const auto index = [&](const std::string& name, int64_t steps) {
      size_t s = 0;
      while (s < job.stages.size() && job.stages[s].name != name) ++s;
      const bool behind = s == job.stages.size();
      if (behind && name != kScoring)
        fail(ErrorCode::data, at, ": stage: expected one of ", identity.method, ", got ", name);
      if (const int64_t most = behind ? 0 : steps_of(job.stages[s]); steps > most)
        fail(ErrorCode::data, at, ": step: expected at most ", most, " of ", name, ", got ", steps);
      return s;
    };
    if (const auto* l = std::get_if<StartLine>(&line)) {
      index(l->stage, l->step);
      before = l->runtime;
    }
    if (const auto* l = std::get_if<StepLine>(&line)) {
      const size_t s = index(l->stage, l->step);
      return s < stage || (s == stage && l->step <= step);
    }
    if (const auto* l = std::get_if<ValidationLine>(&line))
      return index(l->stage, l->step.value_or(0)) < stage;
    return true;
  });
  if (before && *before != now)
    say(cat("the run went so far with ", to_json(*before).dump(), ", goes on with ", to_json(now).dump(),
            ": results may differ from those of one of them by rounding"));
  log->write(StartLine{stage < job.stages.size() ? job.stages[stage].name : kScoring, step,
                       build_info().version, now});
}

void TrainingRun::State::train_stage(const NamedTensors& saved) {
  const Stage& s = job.stages[stage];
  Parameters& p = *s.parameters;
  const Device device = request.runtime.device();
  if (step == 0) {
    where = cat("the start of ", s.name);
    if (!p.allocated()) p.allocate(seed_of(stage, "weights"));
    const Constants before = *job.constants;
    if (s.begin) s.begin();
    expect_finite(*job.constants);
    records[stage].constants.clear();
    for (const auto& [name, value] : *job.constants)
      if (const auto it = before.find(name); it == before.end() || it->second != value)
        records[stage].constants.push_back(name);
  }
  if (p.values().device() != device) p.move_to(device);
  const auto begun = Clock::now();
  const int64_t first = step, end = steps_of(s);
  StageSteps all({s, device, job.recompute, seed_of(stage, "batches"), seed_of(stage, "draws"), first, end,
                  request.group});
  Optimizer& optimizer = all.optimizer();
  if (step > 0) optimizer.load_state(saved, step, folder.checkpoint());
  const auto say_where = [&] { where = cat("step ", step, " of ", end, " of ", s.name); };
  bool said = false;
  say_where();
  while (step < end) {
    try {
      poll();
    } catch (const Stopped&) {
      if (step > 0) {
        averaged = optimizer.averaged(all.values());
        records[stage].steps = step;
        save(optimizer.state());
      }
      throw;
    }
    const double lr = learning_rate(s.options.schedule, s.options.learning_rate, step, end, s.options.warmup);
    const StageSteps::Step done = all.next(lr);
    if (!said) {
      const std::string manner = all.manner();
      if (!manner.empty()) say(cat(s.name, ": ", manner));
      said = !manner.empty();
    }
    ++step;
    say_where();
    const double seconds = since(begun);
    log->write(StepLine{s.name, step, done.loss, done.terms, lr, done.norm, seconds});
    if (request.progress)
      request.progress({s.name, step, end, done.loss, seconds,
                        seconds / static_cast<double>(step - first) * static_cast<double>(end - step)});
    if (step % job.checkpoint_every == 0 && step < end) save(optimizer.state());
  }
  // From here on the stage's weights are the averaged ones, frozen.
  p.use(optimizer.averaged(all.values()).clone());
  all.expect_finite_end();
  records[stage].steps = end;
  try {
    end_stage();
  } catch (const Stopped&) {  // a resumed run has no step to take and comes here again
    save(optimizer.state());
    throw;
  }
}

// The stage's weights are final.
void TrainingRun::State::end_stage() {
  const Stage& s = job.stages[stage];
  if (s.end) {
    where = cat("the validation of ", s.name);
    const std::map<std::string, double> scores = s.end();
    expect_finite(scores);
    if (!scores.empty()) {
      log->write(ValidationLine{s.name, std::nullopt, scores});
      std::string text;
      for (const auto& [name, value] : scores) text += cat(text.empty() ? "" : ", ", name, " ", value);
      say(cat(s.name, ": ", text));
    }
  }
  records[stage].name = s.name;
  records[stage].digest = weights_digest(weights_of(stage, s.parameters->values()));
  ++stage;
  step = 0;
  save({});
}

TrainingRun::TrainingRun(const TrainRequest& request) : state_(std::make_unique<State>(request)) {
  const RunFolder& folder = state_->folder;
  for (const StageSource& source : request.from) {
    for (const StageSource& other : request.from)
      if (&other != &source && other.stage == source.stage)
        fail(ErrorCode::usage, "[train] --from: expected each stage once, got ", source.stage, " from ",
             other.run, " and from ", source.run);
    state_->sources.push_back(
        read_source(source, [this](const std::string& text) { state_->say("warning: " + text); }));
  }
  if (request.resume && !file_exists(folder.manifest()) && !file_exists(folder.checkpoint()))
    fail(ErrorCode::usage, "[train] ", folder.path,
         ": expected a run to go on with, found none that has begun; start it without --resume");
  make_folders(folder.path);
  state_->lock.emplace(folder.path);
  remove_stale_temporaries(folder.path);
  if (is_folder(folder.validation()))
    for (const std::string& name : list_folder(folder.validation()))
      if (const std::string one = folder.validation() + "/" + name; is_folder(one))
        remove_stale_temporaries(one);
  if ((file_exists(folder.checkpoint()) || file_exists(folder.model())) && !request.resume)
    fail(ErrorCode::usage, "[train] ", folder.path, ": holds a run already; --resume goes on with it");
}

TrainingRun::~TrainingRun() = default;

const RunFolder& TrainingRun::folder() const { return state_->folder; }
void TrainingRun::poll() const { state_->poll(); }
void TrainingRun::say(const std::string& text) const { state_->say(text); }
void TrainingRun::show(const std::string& what, size_t done, size_t total) const {
  if (state_->request.progress)
    state_->request.progress({what, static_cast<int64_t>(done), static_cast<int64_t>(total), 0, 0, 0});
}

TrainResult TrainingRun::train(const RunIdentity& identity, const std::function<TrainingJob()>& prepare) {
  State& s = *state_;
  const TrainRequest& request = s.request;
  s.identity = identity;
  s.from = s.from_text();
  std::optional<Manifest> before;  // of the run that is resumed; none: its manifest is lost
  if (!request.resume) {
    s.begin();
  } else if (file_exists(s.folder.manifest())) {
    before = read_manifest(s.folder.manifest());
    s.expect_run_of(*before);
    s.from = before->from;
    s.earlier = before->seconds;
    if (s.finished()) return {TrainEnd::already_finished, ""};
  }
  bool complete = false;
  try {
    s.where = "reading the data";
    s.job = prepare();
  } catch (const Stopped& stop) {  // a resumed run stands where it stood
    if (!request.resume) s.write_record("stopped at " + s.where);
    return {stop.end, s.where};
  } catch (...) {  // a run that cannot begin leaves nothing to resume
    if (!request.resume) {
      remove_file(s.folder.manifest());
      remove_file(s.folder.config());
    }
    throw;
  }
  s.records.resize(s.job.stages.size());
  for (size_t i = 0; i < s.job.stages.size(); ++i) s.records[i].name = s.job.stages[i].name;
  if (before) s.expect_stages(before->stages, "[manifest] " + s.folder.manifest());
  NamedTensors optimizer;
  if (file_exists(s.folder.checkpoint())) {
    if (!request.from.empty())
      fail(ErrorCode::usage, "[train] --from: expected without --resume, which has the stages of the run");
    const Checkpoint saved = read_checkpoint(s.folder.checkpoint());
    s.load(saved, optimizer);
    s.say_where_scores_change(saved.scored_sha256);
    s.say(cat("resuming at stage ", s.stage + 1, ", step ", s.step));
  } else {
    if (before) {
      if (!before->data_sha256.empty() && before->data_sha256 != s.job.data_sha256)
        fail(ErrorCode::data, "[train] ", s.job.dataset,
             ": the training and calibration cases are not those that ", s.folder.path, " was started with");
      s.say_where_scores_change(before->scored_sha256);
      s.say("the run was stopped before its first checkpoint: it starts again from step 0");
    }
    for (size_t i = 0; i < request.from.size(); ++i) s.take(request.from[i], s.sources[i]);
    for (size_t i = 0; i < request.from.size(); ++i)
      if (!request.from[i].train) s.expect_stages_before(request.from[i], s.sources[i]);
    s.sources.clear();
    if (!request.from.empty()) s.save({});  // a resumed run does not need the other one
  }
  const std::vector<Stage>& stages = s.job.stages;
  const Device device = request.runtime.device();
  const auto move = [&] {  // what a checkpoint or another run holds was read to the CPU
    for (const Stage& stage : stages)
      if (stage.parameters->allocated() && stage.parameters->values().device() != device)
        stage.parameters->move_to(device);
  };
  s.open_log();
  s.write_record("running");
  move();
  try {
    while (s.stage < stages.size()) {
      if (s.records[s.stage].frozen)
        s.end_stage();
      else
        s.train_stage(optimizer);
      optimizer.clear();
    }
    move();
    if (s.job.fit) {
      s.where = "calibration";
      show(s.where, 0, 1);
      s.job.fit();
      s.expect_finite(*s.job.constants);
    }
    std::string found;
    for (const auto& [name, value] : *s.job.constants)
      found += (found.empty() ? "" : ", ") + name + " " + cat(value);
    if (!found.empty()) s.say(found);
    complete = true;
    s.save_model(complete);
    s.where = "validation";
    if (s.job.score) s.job.score();
    s.scored = true;
  } catch (const Stopped& stop) {
    s.save_model(complete);
    s.write_record("stopped at " + s.where);
    return {stop.end, s.where};
  } catch (const std::exception& e) {
    try {
      s.write_record("failed at " + s.where + ": " + e.what());
    } catch (const std::exception&) {  // the first error is the one to tell
    }
    throw;
  }
  s.write_record("finished");
  return {};
}

}  // namespace voxgrad
