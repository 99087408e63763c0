// A run: its folder, stages one after the other, checkpoints, log and manifest, stop and resume. What is
// trained comes as a TrainingJob.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "run/folder.h"
#include "run/model.h"
#include "tensor/runtime.h"
#include "tensor/seed.h"
#include "train/group.h"
#include "train/stage.h"

namespace voxgrad {

struct TrainProgress {
  std::string stage;            ///< of the job, or what else is done: "validation", "reading cases"
  int64_t step = 0, steps = 0;  ///< without a number of steps, `step` counts evaluations of windows
  double loss = 0;              ///< of this step
  double seconds = 0;           ///< since this stage began in this process
  double eta_seconds = 0;       ///< of this stage
  std::string detail = {};      ///< in place of the steps, for people
};

/// A stage that another run has trained.
struct StageSource {
  std::string run, stage;
  bool train = false;  ///< its weights are where training starts; otherwise they are taken as they are
};
/// "RUN:STAGE", or "RUN:STAGE:train". ErrorCode::usage for another text.
StageSource parse_stage_source(const std::string& text);

/// What the user asks for.
struct TrainRequest {
  std::string run;  ///< folder, made where it is not there
  uint64_t seed = 1;
  bool resume = false;
  /// TOML of a plan (data/plan_file.h) in place of the one made from the data; empty: none. A resumed run has
  /// that of RunFolder::plan().
  std::string plan;
  double max_minutes = 0;  ///< 0: no limit
  std::vector<StageSource> from;
  std::vector<std::string> command;  ///< for the manifest: the program and its arguments
  Runtime runtime;
  Group* group = nullptr;  ///< null: this process alone
  std::function<void(const TrainProgress&)> progress = {};
  std::function<void(const std::string&)> message = {};  ///< one line for the user
  std::function<bool()> stop_requested = {};             ///< polled every step
};

/// What is known of a run before its data are read. It is written first, and a resumed run must agree.
struct RunIdentity {
  std::string method;
  std::string config;     ///< config.toml: as asked
  std::string data;       ///< folder of the data set
  std::string plan = {};  ///< plan.toml: as given; empty: the plan is made from the data
};

/// What is trained.
struct TrainingJob {
  // Identity, as far as the data decide it: a resumed run must agree.
  std::string plan;         ///< plan_to_json, or what else fixes the shapes of the weights
  std::string data_sha256;  ///< of the data that training sees
  /// Of the data that are scored. A resumed run goes on with others, and says so.
  std::string scored_sha256;
  // For manifest and model.
  std::string model_config;  ///< what of config.toml the model keeps
  std::string dataset, modality, split, prepared_data;
  std::vector<std::string> channels;
  std::string axis_codes;  ///< ModelFile::axis_codes, spacing, intensity_low, intensity_high
  std::vector<SeenRange> spacing, intensity_low, intensity_high;
  // How.
  Seed seed;  ///< where the stages' seeds come from: a child of the request's
  std::vector<Stage> stages;
  Constants* constants = nullptr;  ///< what hooks find, kept with the weights
  int64_t max_steps = 0;           ///< caps the steps of every stage; 0: no cap
  int64_t checkpoint_every = 250;
  bool recompute = true;  ///< Tape::set_recompute
  /// Throws, naming `where`, for constants that no run of the method can have.
  std::function<void(const Constants& found, const std::string& where)> check_constants = {};
  /// Throws where a stage of another model cannot serve this job.
  std::function<void(const ModelFile& model, const StageSource& source)> accept = {};
  std::function<void()> fit = {};    ///< after the last stage: finds constants; then the model is complete
  std::function<void()> score = {};  ///< scores the complete model
};

enum class TrainEnd { finished, already_finished, out_of_time, stopped };
struct TrainResult {
  TrainEnd end = TrainEnd::finished;
  std::string stopped_at;  ///< "step 120 of 500 of prior"
};

class TrainingRun {
 public:
  /// Makes and locks the folder. A folder that holds a run is refused without `resume`, one that holds none
  /// with it (ErrorCode::usage).
  explicit TrainingRun(const TrainRequest& request);
  ~TrainingRun();
  TrainingRun(const TrainingRun&) = delete;
  TrainingRun& operator=(const TrainingRun&) = delete;

  const RunFolder& folder() const;
  /// Writes the identity, then trains what `prepare` returns, which may poll() while it reads its data; a
  /// finished run is left as it is. A resumed run ends in the same bits as one that was never stopped.
  TrainResult train(const RunIdentity& identity, const std::function<TrainingJob()>& prepare);
  /// To be called between pieces of long work: ends the training where the user or the clock wants it to.
  void poll() const;
  void say(const std::string& text) const;
  /// What is done: "step 3 of 10 of prior", "calibration".
  const std::string& where() const;
  /// Shows how far something other than a stage's steps is: "WHAT done/total".
  void show(const std::string& what, size_t done, size_t total) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace voxgrad
