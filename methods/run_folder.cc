#include "methods/run_folder.h"

#include <nlohmann/json.hpp>

#include "io/file.h"

namespace voxgrad {
namespace {

constexpr const char* kFormat = "1";

std::string constants_text(const Constants& c) { return nlohmann::json(c).dump(); }

Constants constants_from(const std::string& text, const std::string& where) {
  try {
    return nlohmann::json::parse(text).get<Constants>();
  } catch (const nlohmann::json::exception& e) {
    fail(ErrorCode::data, "[run] ", where, ": constants: ", e.what());
  }
}

const std::string& field(const SafeTensors& file, const std::string& key, const std::string& where) {
  const auto it = file.metadata.find(key);
  if (it == file.metadata.end()) fail(ErrorCode::data, "[run] ", where, ": expected the metadata ", key);
  return it->second;
}

int64_t integer_field(const SafeTensors& file, const std::string& key, const std::string& where) {
  const std::string& text = field(file, key, where);
  try {
    size_t used = 0;
    const unsigned long long v = std::stoull(text, &used);
    if (used == text.size()) return static_cast<int64_t>(v);
  } catch (const std::exception&) {
  }
  fail(ErrorCode::data, "[run] ", where, ": ", key, ": expected a number, got ", text);
}

void check_format(const SafeTensors& file, const std::string& kind, const std::string& where) {
  if (field(file, "kind", where) != kind || field(file, "format", where) != kFormat)
    fail(ErrorCode::data, "[run] ", where, ": expected a voxgrad ", kind, " of format ", kFormat, ", got ",
         field(file, "kind", where), " ", field(file, "format", where));
}

// One file holds all stages: their parameters have names of their own (prior.*, denoiser.*).
void add_parameters(SafeTensors& file, Method& method, size_t stage, const Tensor& flat) {
  for (auto& [name, tensor] : method.parameters(stage).named(flat)) file.tensors[name] = tensor;
}

}  // namespace

void save_model(const RunFolder& run, Method& method, const std::vector<Tensor>& weights, bool complete) {
  SafeTensors file;
  for (size_t s = 0; s < weights.size(); ++s) add_parameters(file, method, s, weights[s]);
  file.metadata = {{"kind", "voxgrad model"},
                   {"format", kFormat},
                   {"method", method.name()},
                   {"plan", plan_to_json(method.plan())},
                   {"config", method.config().to_toml()},
                   {"constants", constants_text(method.constants)},
                   {"complete", complete ? "1" : "0"}};
  write_safetensors(run.model(), file);
}

LoadedModel load_model(const RunFolder& run, const std::string& precision) {
  const std::string where = run.model();
  if (!file_exists(where))
    fail(ErrorCode::data, "[run] ", where, ": expected a trained model (made by `voxgrad train`)");
  const SafeTensors file = read_safetensors(where);
  check_format(file, "voxgrad model", where);
  const Plan plan = plan_from_json(field(file, "plan", where), where);
  Config config = default_config();
  config.read_toml(field(file, "config", where), where);
  if (!precision.empty()) config.set("train.precision", precision);
  LoadedModel model;
  model.method = make_method(field(file, "method", where), plan, config);
  model.method->constants = constants_from(field(file, "constants", where), where);
  model.complete = field(file, "complete", where) == "1";
  for (size_t s = 0; s < model.method->stages().size(); ++s) {
    Parameters& p = model.method->parameters(s);
    p.allocate(0);
    p.read(p.values(), file.tensors, "", where);
  }
  return model;
}

void save_checkpoint(const RunFolder& run, Method& method, const TrainingState& state,
                     const std::map<std::string, Tensor>& optimizer) {
  SafeTensors file;
  const size_t stages = method.stages().size();
  for (size_t s = 0; s <= state.stage && s < stages; ++s)
    if (method.parameters(s).allocated()) add_parameters(file, method, s, method.parameters(s).values());
  for (const auto& [name, tensor] : optimizer) file.tensors["optimizer." + name] = tensor;
  file.metadata = {{"kind", "voxgrad checkpoint"},
                   {"format", kFormat},
                   {"method", method.name()},
                   {"plan", plan_to_json(method.plan())},
                   {"constants", constants_text(method.constants)},
                   {"stage", std::to_string(state.stage)},
                   {"step", std::to_string(state.step)},
                   {"seed", std::to_string(state.seed)},
                   {"data", state.data}};
  write_safetensors(run.checkpoint(), file);
}

TrainingState load_checkpoint(const RunFolder& run, Method& method,
                              std::map<std::string, Tensor>& optimizer) {
  const std::string where = run.checkpoint();
  const SafeTensors file = read_safetensors(where);
  check_format(file, "voxgrad checkpoint", where);
  if (field(file, "method", where) != method.name())
    fail(ErrorCode::usage, "[run] ", where, ": was made by --method ", field(file, "method", where), ", not ",
         method.name());
  if (field(file, "plan", where) != plan_to_json(method.plan()))
    fail(ErrorCode::usage, "[run] ", where,
         ": was made with another plan: data set or configuration have changed");
  TrainingState state;
  state.stage = static_cast<size_t>(integer_field(file, "stage", where));
  state.step = integer_field(file, "step", where);
  state.seed = static_cast<uint64_t>(integer_field(file, "seed", where));
  state.data = field(file, "data", where);
  method.constants = constants_from(field(file, "constants", where), where);
  for (size_t s = 0; s <= state.stage && s < method.stages().size(); ++s) {
    Parameters& p = method.parameters(s);
    if (s == state.stage && state.step == 0) break;  // not begun
    p.allocate(state.seed + s);
    p.read(p.values(), file.tensors, "", where);
  }
  optimizer.clear();
  for (const auto& [name, tensor] : file.tensors)
    if (name.rfind("optimizer.", 0) == 0) optimizer[name.substr(10)] = tensor;
  return state;
}

}  // namespace voxgrad
