#include "methods/model.h"

#include <algorithm>

#include "io/file.h"
#include "io/sha256.h"
#include "methods/registry.h"
#include "methods/training_domain.h"
#include "run/manifest.h"

namespace voxgrad {

LoadedModel open_model(const RunFolder& run, const std::function<void(const std::string&)>& warn) {
  ModelFile file = read_model(run.model(), warn);
  // The model's own digest covers weights, plan and constants. The manifest's hash covers the whole file.
  if (file_exists(run.manifest()))
    if (const std::string expected = read_manifest(run.manifest()).model_sha256; !expected.empty())
      if (const std::string got = sha256_of_file(run.model()); got != expected)
        fail(ErrorCode::data, "[model] ", run.model(), ": expected the model that ", run.manifest(),
             " records, of SHA-256 ", expected, ", got ", got);
  return open_model(run.model(), std::move(file));
}

LoadedModel open_model(const std::string& where, ModelFile file) {
  LoadedModel model;
  model.path = where;
  model.file = std::move(file);
  const std::vector<std::string> names = method_names();
  if (std::find(names.begin(), names.end(), model.file.method) == names.end())
    fail(ErrorCode::data, "[model] ", where, ": method: expected one that this version knows, got ",
         model.file.method);
  model.method = make_method(model.file.method);
  Config config = model.method->config();
  try {
    // A file of format 1 has the keys of every method, and some keys that no longer exist.
    config.read_toml(model.file.config, where,
                     model.file.format == 1 ? Config::Unknown::ignore : Config::Unknown::refuse);
  } catch (const Error& e) {  // the text comes from the file, so it is no usage error
    fail(ErrorCode::data, e.what());
  }
  model.config = config.to_toml(Config::Print::model);
  model.method->check_constants(model.file.constants, "[model] " + where);
  model.method->constants = model.file.constants;
  model.method->loaded();
  return model;
}

void build(LoadedModel& model, const Runtime& runtime) {
  for (const ConstantRange& c : model.method->constant_ranges())
    if (c.needed && !model.method->constants.contains(c.name))
      fail(ErrorCode::data, "[model] ", model.path, ": constants: expected ", c.name,
           model.file.complete
               ? ""
               : "; its training was stopped too early: continue it with `voxgrad train --resume`");
  const Plan plan = plan_of(model.file, model.path);
  try {
    model.method->build(plan, runtime);
  } catch (const Error& e) {
    if (e.code() != ErrorCode::usage || model.method->config().to_toml(Config::Print::model) != model.config)
      throw;
    fail(ErrorCode::data, "[model] ", model.path, ": config: ", e.what());  // comes from the file
  }
  const auto networks = model.method->networks();
  for (const auto& [name, p] : networks) p->expect(model.file.weights, "", model.path);
  for (const auto& [name, p] : networks) {
    p->allocate(0);
    p->read(p->values(), model.file.weights, "", model.path);
  }
  model.method->move_to_device();
}

}  // namespace voxgrad
