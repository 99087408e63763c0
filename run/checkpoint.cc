#include "run/checkpoint.h"

#include <algorithm>

#include "io/safetensors.h"
#include "run/fields.h"

namespace voxgrad {
namespace {

constexpr const char* kKind = "voxgrad checkpoint";
constexpr const char* kFormat = "2";
const std::string kOptimizer = "optimizer.";  // prefix of the names of the optimizer's tensors

void check(const Checkpoint& c, const std::string& where, ErrorCode code) {
  detail::check_finite(c.constants, where, "constants", code);
  detail::check_stages(c.stages, where, "stages", code);
  detail::check_constants_of(c.stages, c.constants, where, "stages", code);
  std::string names;
  for (const StageRecord& s : c.stages) names += (names.empty() ? "" : ", ") + s.name;
  if (!c.stage.empty() &&
      std::none_of(c.stages.begin(), c.stages.end(), [&](const StageRecord& s) { return s.name == c.stage; }))
    fail(code, where, ": stage: expected one of the stages (", names.empty() ? "there are none" : names,
         ") or nothing, got ", c.stage);
  if (c.step < 0) fail(code, where, ": step: expected a whole number of at least 0, got ", c.step);
  if (c.stage.empty() && c.step != 0)
    fail(code, where, ": step: expected 0 behind the last stage, got ", c.step);
  for (size_t i = 0; i < c.stages.size() && c.stages[i].name != c.stage; ++i)
    if (c.stages[i].digest.empty())
      fail(code, where, ": stages.", i, ".digest: expected that of ", c.stages[i].name,
           ", which has ended, got none");
}

}  // namespace

void write_checkpoint(const std::string& path, const Checkpoint& checkpoint) {
  const std::string where = "[checkpoint] " + path;
  check(checkpoint, where, ErrorCode::internal);
  SafeTensors file;
  file.tensors = checkpoint.weights;
  for (const auto& [name, tensor] : checkpoint.weights)
    require(!name.starts_with(kOptimizer), where, ": expected no weights named ", kOptimizer, "*, got ",
            name);
  for (const auto& [name, tensor] : checkpoint.optimizer) file.tensors[kOptimizer + name] = tensor;
  detail::check_finite(file.tensors, where, ErrorCode::internal);
  file.metadata = {{"kind", kKind},
                   {"format", kFormat},
                   {"method", checkpoint.method},
                   {"plan", checkpoint.plan},
                   {"seed", std::to_string(checkpoint.seed)},
                   {"data_sha256", checkpoint.data_sha256},
                   {"scored_sha256", checkpoint.scored_sha256},
                   {"stage", checkpoint.stage},
                   {"step", std::to_string(checkpoint.step)},
                   {"constants", detail::dump_json(checkpoint.constants)},
                   {"stages", detail::dump_json(detail::stages_json(checkpoint.stages))}};
  write_safetensors(path, file);
}

Checkpoint read_checkpoint(const std::string& path) {
  const std::string where = "[checkpoint] " + path;
  SafeTensors file = read_safetensors(path);
  const detail::Metadata meta(file.metadata, where);
  if (const std::string& kind = meta.text("kind"); kind != kKind) meta.refuse("kind", kKind, kind);
  if (const std::string& format = meta.text("format"); format != kFormat) {
    if (format == "1")
      meta.refuse("format", kFormat,
                  "1: a run that was begun by an older version cannot be resumed; its finished model can be "
                  "used");
    meta.refuse("format", kFormat, format);
  }
  Checkpoint c;
  c.method = meta.text("method");
  c.plan = meta.text("plan");
  c.seed = meta.unsigned_whole("seed");
  c.data_sha256 = meta.text("data_sha256");
  if (file.metadata.contains("scored_sha256")) c.scored_sha256 = meta.text("scored_sha256");
  c.stage = meta.text("stage");
  c.step = meta.whole("step");
  c.constants = meta.constants("constants");
  c.stages = detail::stages_from(meta.json("stages"), where, "stages");
  check(c, where, ErrorCode::data);
  detail::check_finite(file.tensors, where, ErrorCode::data);
  for (auto& [name, tensor] : file.tensors)
    if (name.starts_with(kOptimizer))
      c.optimizer[name.substr(kOptimizer.size())] = std::move(tensor);
    else
      c.weights[name] = std::move(tensor);
  return c;
}

}  // namespace voxgrad
