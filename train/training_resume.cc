// Checks that a resumed run is the run that was started, and loads its state. An error names the difference.
#include "io/sha256.h"
#include "io/system_info.h"
#include "train/training_state.h"

namespace voxgrad {

// True if the run has complete weights, scores and a manifest that records the end.
bool TrainingRun::State::finished() const {
  return file_exists(folder.metrics()) && file_exists(folder.model()) && file_exists(folder.manifest()) &&
         read_manifest(folder.manifest()).status == "finished" && read_model(folder.model()).complete;
}

void TrainingRun::State::expect_same(const std::string& field, const std::string& was, const std::string& is,
                                     ErrorCode code) const {
  if (was != is) fail(code, "[train] ", folder.path, ": was started with ", field, " ", was, ", not ", is);
}

// Checks a file that was written at the start of the run. `sha256` is empty if the run has no such file.
void TrainingRun::State::expect_unchanged(const std::string& path, const std::string& sha256,
                                          const char* what) const {
  if (sha256.empty()) return;
  if (!file_exists(path))
    fail(ErrorCode::data, "[train] ", path, ": expected the ", what, " of the run, found no file");
  if (const std::string now = sha256_of_file(path); now != sha256)
    fail(ErrorCode::data, "[train] ", path, ": was changed since the run was started: expected SHA-256 ",
         sha256, ", got ", now);
}

// Compares the manifest of the earlier start with this run.
void TrainingRun::State::expect_run_of(const Manifest& before) const {
  expect_same("--method", before.method, identity.method);
  expect_same("--seed", cat(before.seed), cat(request.seed));
  expect_unchanged(folder.config(), before.config_sha256, "configuration");
  expect_unchanged(folder.plan(), before.plan_sha256, "plan");
  if (before.plan_sha256.empty() && !identity.plan.empty())
    fail(ErrorCode::usage, "[train] ", folder.path, ": was started without --plan; resume without it");
  // Data set and --from are compared only while the data's hash is unknown. Later the hash and the checkpoint
  // are compared.
  if (before.data_sha256.empty() && !before.dataset_folder.empty()) {
    if (!same_file(before.dataset_folder, identity.data))
      expect_same("the data set", before.dataset_folder, absolute_path(identity.data));
    expect_same("--from", before.from.empty() ? "nothing" : before.from, from.empty() ? "nothing" : from);
  }
}

// Refuses stages and steps that this job does not have, and stages in another order.
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

void TrainingRun::State::say_where_scores_change(const std::string& before) const {
  if (!before.empty() && before != job.scored_sha256)
    say(cat("warning: ", job.dataset, ": the scored cases are not those that ", folder.path,
            " was started with: an image, a label or an annotation was changed; the scores are of the cases "
            "as they are now"));
}

void TrainingRun::State::load(const Checkpoint& saved, NamedTensors& optimizer) {
  const std::string where_saved = "[checkpoint] " + folder.checkpoint();
  expect_same("--method", saved.method, identity.method);
  if (saved.plan != job.plan)
    fail(ErrorCode::usage, "[train] ", folder.checkpoint(),
         ": was made with another plan: data set, configuration or the version of voxgrad have changed");
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

// Removes the log lines of steps after the checkpoint and the validation lines of unfinished stages, because
// they will be written again. Each start adds a line with the runtime that computes from there on, because
// the manifest records only the last runtime.
void TrainingRun::State::open_log() {
  const RuntimeRecord now = record_of(request.runtime);
  std::optional<RuntimeRecord> before;
  log.emplace(folder.log());
  log->keep([&](const LogLine& line, const std::string& at) {
    // The index of a line's stage. Refuses stages and steps that the job does not have.
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
    say(cat("the run computed with ", to_json(*before).dump(), " so far, now with ", to_json(now).dump(),
            ": results may differ by rounding from those of a run with only one of them"));
  log->write(StartLine{stage < job.stages.size() ? job.stages[stage].name : kScoring, step,
                       build_info().version, now});
}

}  // namespace voxgrad
