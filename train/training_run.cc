#include "train/training_run.h"

#include "train/stage_steps.h"
#include "train/training_state.h"

namespace voxgrad {

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
  // From here on the stage uses its averaged weights, which are frozen.
  p.use(optimizer.averaged(all.values()).clone());
  all.expect_finite_end();
  records[stage].steps = end;
  try {
    end_stage();
  } catch (const Stopped&) {  // a resumed run has no steps left and continues here
    save(optimizer.state());
    throw;
  }
}

// Called when the stage's weights are final.
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

const std::string& TrainingRun::where() const { return state_->where; }

void TrainingRun::show(const std::string& what, size_t done, size_t total) const {
  if (state_->request.progress)
    state_->request.progress({what, static_cast<int64_t>(done), static_cast<int64_t>(total), 0, 0, 0});
}

TrainResult TrainingRun::train(const RunIdentity& identity, const std::function<TrainingJob()>& prepare) {
  State& s = *state_;
  const TrainRequest& request = s.request;
  s.identity = identity;
  s.from = s.from_text();
  s.starts = {start_now(request.command)};
  std::optional<Manifest> before;  // manifest of the resumed run; none if it is lost
  if (!request.resume) {
    s.begin();
  } else if (file_exists(s.folder.manifest())) {
    before = read_manifest(s.folder.manifest());
    s.expect_run_of(*before);
    s.from = before->from;
    s.starts.insert(s.starts.begin(), before->starts.begin(), before->starts.end());
    s.earlier = before->seconds;
    if (s.finished()) return {TrainEnd::already_finished, ""};
  }
  const auto forget = [&] {  // removes the files of a run that cannot begin
    if (request.resume) return;
    remove_file(s.folder.manifest());
    remove_file(s.folder.config());
    if (!identity.plan.empty()) remove_file(s.folder.plan());
  };
  bool complete = false;
  try {
    s.where = "reading the data";
    s.job = prepare();
  } catch (const Stopped& stop) {  // the record of a resumed run stays unchanged
    if (!request.resume) s.write_record("stopped at " + s.where);
    return {stop.end, s.where};
  } catch (...) {
    forget();
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
    try {
      for (size_t i = 0; i < request.from.size(); ++i) s.take(request.from[i], s.sources[i]);
      for (size_t i = 0; i < request.from.size(); ++i)
        if (!request.from[i].train) s.expect_stages_before(request.from[i], s.sources[i]);
    } catch (...) {
      forget();
      throw;
    }
    s.sources.clear();
    if (!request.from.empty()) s.save({});  // now a resumed run does not need the other run
  }
  const std::vector<Stage>& stages = s.job.stages;
  const Device device = request.runtime.device();
  const auto move = [&] {  // weights from a checkpoint or another run are on the CPU
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
    } catch (const std::exception&) {  // the first error is reported
    }
    throw;
  }
  s.write_record("finished");
  return {};
}

}  // namespace voxgrad
