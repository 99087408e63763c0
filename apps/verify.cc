// `voxgrad verify RUN|MODEL`: checks that the files of a run are undamaged and belong together
// (docs/audit.md).
#include <iostream>

#include "apps/commands.h"
#include "data/plan_file.h"
#include "io/file.h"
#include "io/sha256.h"
#include "io/text.h"
#include "methods/model.h"
#include "methods/registry.h"
#include "run/checkpoint.h"
#include "run/log.h"
#include "run/manifest.h"
#include "run/scores.h"

namespace voxgrad::apps {
namespace {

class Verification {
 public:
  /// Performs the checks and prints a line for each.
  void model(const std::string& path);
  void run(const RunFolder& folder);
  /// Throws if a check has failed, a file could not be read, or nothing was checked. Else prints the result.
  void finish(const std::string& what) const;

 private:
  void line(const char* result, const std::string& text) { std::cout << result << "  " << text << '\n'; }
  void check(bool right, const std::string& text) {
    ++checks_;
    failed_ += !right;
    line(right ? "ok         " : "WRONG      ", text);
  }
  /// Checks that two texts are equal.
  void equal(const std::string& what, const std::string& expected, const std::string& got) {
    check(expected == got, what + (expected == got ? "" : ": expected " + expected + ", got " + got));
  }
  /// Calls read() if the file exists. An exception of read() means that the file cannot be read.
  template <class Read>
  void file(const std::string& path, Read&& read) {
    if (!file_exists(path)) return line("not there  ", path);
    try {
      read();
    } catch (const Error& e) {
      ++unreadable_;
      line("UNREADABLE ", e.what());
    }
  }
  void stage_weights(const std::string& path, const std::vector<StageRecord>& stages,
                     const NamedTensors& weights);
  void config(const RunFolder& folder);
  void plan(const RunFolder& folder);
  void checkpoint(const RunFolder& folder);
  void log(const RunFolder& folder);
  void scores(const RunFolder& folder);
  /// Compares the SHA-256 of a file with the manifest.
  void recorded(const std::string& path, const std::string& sha256) {
    if (!sha256.empty()) equal(path + ": SHA-256 as in the manifest", sha256, sha256_of_file(path));
  }

  int checks_ = 0, failed_ = 0, unreadable_ = 0;
  std::optional<Manifest> manifest_;
  std::optional<ModelFile> model_;
};

void Verification::stage_weights(const std::string& path, const std::vector<StageRecord>& stages,
                                 const NamedTensors& weights) {
  for (const StageRecord& stage : stages) {
    if (stage.digest.empty()) continue;
    NamedTensors own;
    for (const auto& [name, tensor] : weights)
      if (name.starts_with(stage.name + ".")) own.emplace(name, tensor);
    equal(path + ": digest of the weights of " + stage.name, stage.digest, weights_digest(own));
  }
}

void Verification::model(const std::string& path) {
  file(path, [&] {
    model_ = read_model_unchecked(path);
    const ModelFile& m = *model_;
    if (m.format == 1)
      line("not there  ", path + ": digest: a model of format 1 has none");
    else
      equal(path + ": digest of weights, plan, constants and thresholds", m.stored_digest, m.digest);
    stage_weights(path, m.provenance.stages, m.weights);
    LoadedModel opened = open_model(path, m);
    if (m.complete) {
      build(opened, Runtime());
      check(true, path + ": method, configuration, ranges of plan and constants, shapes of the weights");
    } else {
      plan_from_json(m.plan, path);
      check(true, path + ": method, configuration, ranges of plan and constants; its training has not ended");
    }
  });
}

void Verification::config(const RunFolder& folder) {
  const std::string path = folder.config();
  file(path, [&] {
    const auto values = [&](const std::string& text, const std::string& where) {
      const std::unique_ptr<Method> method = make_method(manifest_->method);
      Config config = method->config();
      config.read_toml(text, where,
                       manifest_->format == 1 ? Config::Unknown::ignore : Config::Unknown::refuse);
      return config.to_toml(Config::Print::model);
    };
    const std::string own = values(read_text(path), path);
    recorded(path, manifest_->config_sha256);
    if (model_)
      check(own == values(model_->config, folder.model()), path + ": the values that the model has");
  });
}

void Verification::plan(const RunFolder& folder) {
  if (manifest_->plan_sha256.empty()) return;
  const std::string path = folder.plan();
  if (!file_exists(path)) return check(false, path + ": expected the plan of the run, found no such file");
  file(path, [&] {
    const Plan given = plan_from_toml(read_text(path), path);
    recorded(path, manifest_->plan_sha256);
    if (model_) check(plan_to_json(given) == model_->plan, path + ": the plan of the model");
  });
}

void Verification::checkpoint(const RunFolder& folder) {
  const std::string path = folder.checkpoint();
  file(path, [&] {
    const Checkpoint c = read_checkpoint(path);
    equal(path + ": method", manifest_->method, c.method);
    equal(path + ": seed", cat(manifest_->seed), cat(c.seed));
    equal(path + ": data_sha256", manifest_->data_sha256, c.data_sha256);
    if (!c.scored_sha256.empty()) equal(path + ": scored_sha256", manifest_->scored_sha256, c.scored_sha256);
    if (model_) check(c.plan == model_->plan, path + ": the plan of the model");
    stage_weights(path, c.stages, c.weights);
    if (model_ && model_->complete)
      check(c.stage.empty() && c.stages == model_->provenance.stages, path + ": the stages of the model");
  });
}

void Verification::log(const RunFolder& folder) {
  const std::string path = folder.log();
  file(path, [&] {
    std::map<std::string, int64_t> steps;
    for (const LogLine& l : read_log(path)) {
      if (const auto* step = std::get_if<StepLine>(&l)) {
        int64_t& last = steps[step->stage];
        last = std::max(last, step->step);
      }
    }
    if (manifest_->format == 1) return;  // format 1 has no stages
    for (const StageRecord& stage : manifest_->stages) {
      const int64_t last = steps[stage.name];
      if (!stage.digest.empty()) equal(path + ": steps of " + stage.name, cat(stage.steps), cat(last));
      steps.erase(stage.name);
    }
    for (const auto& [stage, last] : steps)
      check(false, path + ": steps of " + stage + ", which the run does not have");
  });
}

void Verification::scores(const RunFolder& folder) {
  const std::string path = folder.metrics();
  file(path, [&] {
    const RunScores scores = run_scores_from_json(read_text(path), path);
    recorded(path, manifest_->scores_sha256);
    if (manifest_->format == 1) return;  // format 1 has other names of the tables
    for (const ScoreRow& row : scores.rows) {
      const std::string csv = folder.metrics_csv(row.key);
      file(csv, [&] { check(read_text(csv) == to_csv(row.table), csv + ": the scores of " + path); });
    }
  });
}

void Verification::run(const RunFolder& folder) {
  file(folder.manifest(), [&] {
    manifest_ = read_manifest(folder.manifest());
    line("           ", folder.manifest() + ": " + manifest_->status);
  });
  model(folder.model());
  if (!manifest_) return;
  const Manifest& m = *manifest_;
  if (model_) {
    const Provenance& p = model_->provenance;
    recorded(folder.model(), m.model_sha256);
    if (!m.model_digest.empty())
      equal(folder.model() + ": digest as in the manifest", m.model_digest, model_->digest);
    equal(folder.model() + ": method", m.method, model_->method);
    if (model_->format > 1) {
      equal(folder.model() + ": seed", cat(m.seed), cat(p.seed));
      equal(folder.model() + ": data_sha256", m.data_sha256, p.data_sha256);
    }
    if (!m.model_digest.empty())
      check(m.stages == p.stages && m.constants == model_->constants,
            folder.model() + ": stages and constants of the manifest");
  }
  config(folder);
  plan(folder);
  checkpoint(folder);
  log(folder);
  scores(folder);
  if (m.status == "finished")
    for (const std::string& path :
         {folder.model(), folder.config(), folder.checkpoint(), folder.log(), folder.metrics()})
      if (!file_exists(path)) check(false, path + ": expected in a finished run, found no such file");
}

void Verification::finish(const std::string& what) const {
  const std::string of = cat(" of ", counted(checks_, "check"));
  if (failed_ > 0) fail(ErrorCode::verification, "[verify] ", what, ": ", failed_, of, " failed");
  if (unreadable_ > 0)
    fail(ErrorCode::data, "[verify] ", what, ": ", counted(unreadable_, "file"), " could not be read");
  if (checks_ == 0)
    fail(ErrorCode::data, "[verify] ", what, ": expected a run folder or a model, found nothing to check");
  std::cout << what << ": " << counted(checks_, "check") << ", all right\n";
}

}  // namespace

void add_verify(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "verify",
      "Check that the files of a run, or a model, are undamaged and belong together; the exit code is 8 if a "
      "check fails, 3 if a file cannot be read");
  const auto what = std::make_shared<std::string>();
  command->add_option("RUN", *what, "Run folder, or a file model.safetensors")
      ->type_name("RUN|MODEL")
      ->required();
  command->callback([what] {
    Verification v;
    if (is_folder(*what))
      v.run({*what});
    else
      v.model(*what);
    v.finish(*what);
  });
}

}  // namespace voxgrad::apps
