// The state of a training run while it runs. Internal to train/: training_run.cc (trains the stages),
// training_resume.cc (checks and loads a resumed run), training_from.cc (stages taken from other runs),
// training_record.cc (writes checkpoint, model and manifest).
#pragma once
#include <algorithm>
#include <chrono>
#include <cmath>
#include <optional>

#include "io/file.h"
#include "run/checkpoint.h"
#include "run/log.h"
#include "run/manifest.h"
#include "train/training_run.h"

namespace voxgrad {

using Clock = std::chrono::steady_clock;
inline double since(Clock::time_point t) { return std::chrono::duration<double>(Clock::now() - t).count(); }

// Thrown by poll() if the user or the time limit ends the training. Finished work is kept.
struct Stopped {
  TrainEnd end;
};

constexpr const char* kScoring = "scoring";  // the name in the log for the work after the last stage

RuntimeRecord record_of(const Runtime& runtime);
// Reads the model of a source. ErrorCode::usage for an unknown stage, data for an unfinished one.
ModelFile read_source(const StageSource& source, const std::function<void(const std::string&)>& warn);

struct TrainingRun::State {
  explicit State(const TrainRequest& r) : request(r), folder{r.run}, start(Clock::now()) {}

  // The present stage: an index into the job's stages, or their number after the last one.
  size_t stage = 0;
  int64_t step = 0;  // steps done in the present stage

  const TrainRequest request;
  RunFolder folder;
  Clock::time_point start;
  std::optional<FolderLock> lock;
  std::vector<ModelFile> sources;  // of request.from
  RunIdentity identity;
  std::string from;  // Manifest::from
  std::vector<StartRecord> starts;
  TrainingJob job;
  std::vector<StageRecord> records;  // one for each stage
  std::optional<Tensor> averaged;    // averaged weights of a stopped stage, for save_model
  std::optional<RunLog> log;
  std::string where;         // "step k of n of STAGE"
  std::string model_digest;  // digest of the model that this process wrote; empty: none
  bool scored = false;       // this process has scored the model
  double earlier = 0;        // seconds spent in earlier starts of this run

  int64_t steps_of(const Stage& s) const {
    return job.max_steps > 0 ? std::min(s.options.steps, job.max_steps) : s.options.steps;
  }
  /// The seed of a stage for its initial "weights", its "batches" (order of the cases, patch positions,
  /// augmentation) or the "draws" of its loss.
  uint64_t seed_of(size_t s, std::string_view what) const {
    return job.seed.child("stages").child(job.stages[s].name).child(what).value;
  }
  /// Whether a checkpoint has weights of the stage: the stage has begun or was taken from another run.
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
  /// ErrorCode::diverged if a value found by a function of the job is not finite.
  void expect_finite(const std::map<std::string, double>& found) const {
    for (const auto& [name, value] : found)
      if (!std::isfinite(value))
        fail(ErrorCode::diverged, "[train] ", where, ": expected a finite ", name, ", got ", value);
  }

  bool finished() const;
  void expect_same(const std::string& field, const std::string& was, const std::string& is,
                   ErrorCode code = ErrorCode::usage) const;
  void expect_unchanged(const std::string& path, const std::string& sha256, const char* what) const;
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

}  // namespace voxgrad
