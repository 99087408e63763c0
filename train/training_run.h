// A training run: trains the stages one after the other, writes checkpoints, log and manifest to the run
// folder, and can be stopped and resumed. A TrainingJob describes what is trained.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "run/folder.h"
#include "run/model.h"
#include "tensor/core/runtime.h"
#include "tensor/core/seed.h"
#include "train/group.h"
#include "train/stage.h"

namespace voxgrad {

struct TrainProgress {
  std::string stage;            ///< name of a stage, or of other work such as "validation" or "reading cases"
  int64_t step = 0, steps = 0;  ///< if `steps` is 0, `step` counts evaluations of windows
  double loss = 0;              ///< of this step
  double seconds = 0;           ///< since this stage began in this process
  double eta_seconds = 0;       ///< seconds left of this stage
  std::string detail = {};      ///< a text to show instead of the steps
};

/// A stage that another run has trained.
struct StageSource {
  std::string run, stage;
  bool train = false;  ///< true: training starts from its weights; false: its weights are used unchanged
};
/// Parses "RUN:STAGE" or "RUN:STAGE:train". ErrorCode::usage for any other text.
StageSource parse_stage_source(const std::string& text);

/// The user's request.
struct TrainRequest {
  std::string run;  ///< the run folder; made if it does not exist
  uint64_t seed = 1;
  bool resume = false;
  /// A plan as TOML (data/plan_file.h), which replaces the plan made from the data; empty: none. A resumed
  /// run uses the plan in RunFolder::plan().
  std::string plan;
  double max_minutes = 0;  ///< 0: no limit
  std::vector<StageSource> from;
  std::vector<std::string> command;  ///< the program and its arguments, for the manifest
  Runtime runtime;
  Group* group = nullptr;  ///< null: this process alone
  std::function<void(const TrainProgress&)> progress = {};
  std::function<void(const std::string&)> message = {};  ///< one line for the user
  std::function<bool()> stop_requested = {};             ///< polled every step
};

/// The properties of a run that are known before its data are read. They are written first. A resumed run
/// must have the same.
struct RunIdentity {
  std::string method;
  std::string config;     ///< text of config.toml, as requested
  std::string data;       ///< folder of the data set
  std::string plan = {};  ///< text of plan.toml, as given; empty: the plan is made from the data
};

/// Describes a training.
struct TrainingJob {
  // Identity, as far as it depends on the data. A resumed run must have the same.
  std::string plan;         ///< plan_to_json, or another text that determines the shapes of the weights
  std::string data_sha256;  ///< hash of the data used in training
  /// Hash of the scored data. If they have changed, a resumed run continues with a warning.
  std::string scored_sha256;
  // For manifest and model.
  std::string model_config;  ///< the part of config.toml that the model stores
  std::string dataset, modality, split, prepared_data;
  std::vector<std::string> channels;
  /// These four are the fields of ModelFile with the same names.
  std::string axis_codes;
  std::vector<SeenRange> spacing, intensity_low, intensity_high;
  // How to train.
  Seed seed;  ///< the parent of the stages' seeds; derived from the request's seed
  std::vector<Stage> stages;
  /// Values that the functions of the stages and `fit` find; stored with the weights.
  Constants* constants = nullptr;
  int64_t max_steps = 0;  ///< upper limit of the steps of every stage; 0: no limit
  int64_t checkpoint_every = 250;
  bool recompute = true;  ///< Tape::set_recompute
  /// Throws, naming `where`, for constants that are impossible for the method.
  std::function<void(const Constants& found, const std::string& where)> check_constants = {};
  /// Throws if a stage of another model cannot be used in this job.
  std::function<void(const ModelFile& model, const StageSource& source)> accept = {};
  std::function<void()> fit =
      {};  ///< called after the last stage; finds constants, which completes the model
  std::function<void()> score = {};  ///< scores the complete model
};

enum class TrainEnd { finished, already_finished, out_of_time, stopped };
struct TrainResult {
  TrainEnd end = TrainEnd::finished;
  std::string stopped_at;  ///< "step 120 of 500 of prior"
};

class TrainingRun {
 public:
  /// Makes and locks the folder. ErrorCode::usage in two cases: the folder holds a run and request.resume is
  /// false, or it holds no run and request.resume is true.
  explicit TrainingRun(const TrainRequest& request);
  ~TrainingRun();
  TrainingRun(const TrainingRun&) = delete;
  TrainingRun& operator=(const TrainingRun&) = delete;

  const RunFolder& folder() const;
  /// Writes the identity, calls `prepare` and trains the job that it returns. `prepare` may call poll() while
  /// it reads its data. A finished run is not changed. A resumed run gives the same bits as a run that was
  /// never stopped.
  TrainResult train(const RunIdentity& identity, const std::function<TrainingJob()>& prepare);
  /// Ends the training, by an exception, if the user or the time limit requests it. Call it between pieces of
  /// long work.
  void poll() const;
  /// Sends a message to TrainRequest::message.
  void say(const std::string& text) const;
  /// Names the present work, for example "step 3 of 10 of prior" or "calibration".
  const std::string& where() const;
  /// Reports the progress of work other than a stage's steps, as "WHAT done/total".
  void show(const std::string& what, size_t done, size_t total) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace voxgrad
