// Takes stages from other runs (--from).
#include "train/training_state.h"

namespace voxgrad {
namespace {

// The record of a finished stage; null if there is none.
const StageRecord* ended_stage(const ModelFile& model, const std::string& stage) {
  for (const StageRecord& r : model.provenance.stages)
    if (r.name == stage && !r.digest.empty()) return &r;
  return nullptr;
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

// Takes a stage of another run: copies its weights and constants into the job.
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
         ": expected the network of this run's method; ", file, ", trained as ", model.method, ", has ",
         what);
  };
  const NamedTensors here = p.named(p.values());
  for (const auto& [name, tensor] : model.weights)
    if (name.starts_with(source.stage + ".") && !here.contains(name))
      unequal(name + ", which this run does not have");
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
  // The constants that the stage found at its start belong to its weights. A model of format 1 does not
  // record which ones these are, so all of its constants are taken.
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

// A stage that is used unchanged was trained with the earlier stages of its run, so these must be taken too.
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

}  // namespace voxgrad
