#include "methods/model.h"

#include <algorithm>

#include "io/file.h"
#include "methods/registry.h"

namespace voxgrad {

LoadedModel open_model(const RunFolder& run, const std::function<void(const std::string&)>& warn) {
  const std::string where = run.model();
  LoadedModel model;
  model.path = where;
  model.file = read_model(where, warn);
  const std::vector<std::string> names = method_names();
  if (std::find(names.begin(), names.end(), model.file.method) == names.end())
    fail(ErrorCode::data, "[model] ", where, ": method: expected one that this version knows, got ",
         model.file.method);
  model.method = make_method(model.file.method);
  Config config = model.method->config();
  try {
    // Format 1 had keys of every method, and some that are gone.
    config.read_toml(model.file.config, where,
                     model.file.format == 1 ? Config::Unknown::ignore : Config::Unknown::refuse);
  } catch (const Error& e) {  // nobody typed it
    fail(ErrorCode::data, e.what());
  }
  model.method->constants = model.file.constants;
  model.method->loaded();
  return model;
}

void build(LoadedModel& model, const Runtime& runtime) {
  for (const std::string& name : model.method->needed_constants())
    if (!model.method->constants.contains(name))
      fail(ErrorCode::data, "[model] ", model.path, ": constants: expected ", name,
           model.file.complete ? ""
                               : "; its training was stopped too early: go on with `voxgrad train --resume`");
  model.method->build(plan_from_json(model.file.plan, model.path), runtime);
  for (const auto& [name, p] : model.method->networks()) {
    p->allocate(0);
    p->read(p->values(), model.file.weights, "", model.path);
  }
  model.method->move_to_device();
}

}  // namespace voxgrad
