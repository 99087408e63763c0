// Writes the files of a run: configuration, checkpoint, model, manifest.
#include "io/sha256.h"
#include "io/system_info.h"
#include "tensor/conv/conv.h"
#include "tensor/core/parallel.h"
#include "train/training_state.h"

namespace voxgrad {

RuntimeRecord record_of(const Runtime& r) {
  return {std::string(name_of(r.instruction_set())),
          r.winograd(),
          r.gemm(),
          name_of(r.precision()),
          r.device().str(),
          device_options().nondeterministic};
}

// A new run writes its identity before it reads its data. The log of an earlier run in the folder is removed.
void TrainingRun::State::begin() const {
  if (file_exists(folder.plan()) && !file_exists(folder.manifest()))
    fail(ErrorCode::usage, "[train] ", folder.plan(),
         ": expected no plan in the folder of a new run, which keeps its own there; move the file, and give "
         "it "
         "with --plan");
  if (file_exists(folder.log())) remove_file(folder.log());
  write_text(folder.config(), identity.config);
  if (!identity.plan.empty())
    write_text(folder.plan(), identity.plan);
  else if (file_exists(folder.plan()))
    remove_file(folder.plan());
  write_record("reading the data");
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
  m.intensity_low = job.intensity_low;
  m.intensity_high = job.intensity_high;
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
  if (!identity.plan.empty()) m.plan_sha256 = sha256_of_file(folder.plan());
  m.dataset_folder = absolute_path(identity.data);
  m.from = from;
  m.starts = starts;
  m.dataset = job.dataset;
  m.modality = job.modality;
  m.channels = job.channels;
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

}  // namespace voxgrad
