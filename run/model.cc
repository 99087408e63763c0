#include "run/model.h"

#include <bit>
#include <cmath>

#include "io/file.h"
#include "io/safetensors.h"
#include "io/sha256.h"
#include "run/fields.h"

namespace voxgrad {
namespace {

using nlohmann::json;

constexpr const char* kKind = "voxgrad model";
constexpr const char* kFormat = "2";

/// SHA-256 over the parts defined in model.h.
class PartsDigest {
 public:
  void number(uint64_t value) {
    static_assert(std::endian::native == std::endian::little);
    hash_.update(&value, sizeof value);
  }
  void bytes(const void* from, size_t size) {
    number(size);
    hash_.update(from, size);
  }
  void text(std::string_view value) { bytes(value.data(), value.size()); }
  std::string hex() { return hash_.hex(); }

 private:
  Sha256 hash_;
};

json ranges_json(const std::vector<SeenRange>& ranges) {
  json list = json::array();
  for (const SeenRange& r : ranges) list.push_back({r.low, r.high});
  return list;
}

std::vector<SeenRange> ranges_from(const detail::Metadata& meta, const std::string& key) {
  const json list = meta.json(key);
  if (!list.is_array()) meta.refuse(key, "a list", detail::shown(list));
  std::vector<SeenRange> ranges;
  for (const json& r : list) {
    if (!r.is_array() || r.size() != 2 || !r[0].is_number() || !r[1].is_number())
      meta.refuse(cat(key, '.', ranges.size()), "a list of two numbers, low and high", detail::shown(r));
    ranges.push_back({r[0].get<double>(), r[1].get<double>()});
  }
  return ranges;
}

json provenance_json(const Provenance& p) {
  return {{"seed", p.seed},
          {"dataset", p.dataset},
          {"data_sha256", p.data_sha256},
          {"version", p.version},
          {"stages", detail::stages_json(p.stages)}};
}

Provenance provenance_from(const detail::Metadata& meta) {
  const json object = meta.json("provenance");
  const detail::Fields f(object, meta.where(), "provenance.");
  return {f.unsigned_whole("seed"), f.text("dataset"), f.text("data_sha256"), f.text("version"),
          detail::stages_from(f.list("stages"), meta.where(), "provenance.stages")};
}

/// Refuses impossible values.
void check(const ModelFile& m, const std::string& where, ErrorCode code) {
  detail::check_finite(m.constants, where, "constants", code);
  detail::check_finite(m.thresholds, where, "thresholds", code);
  detail::check_finite(m.weights, where, code);
  detail::check_stages(m.provenance.stages, where, "provenance.stages", code);
  detail::check_constants_of(m.provenance.stages, m.constants, where, "provenance.stages", code);
  for (const auto& [name, value] : m.thresholds)
    if (!(value >= 0 && value <= 1))
      fail(code, where, ": thresholds.", name, ": expected a number from 0 to 1, got ", value);
  const auto check_ranges = [&](const std::vector<SeenRange>& ranges, const char* key, double least) {
    for (size_t i = 0; i < ranges.size(); ++i) {
      const SeenRange& r = ranges[i];
      if (!std::isfinite(r.low) || !std::isfinite(r.high) || r.low > r.high || r.low < least)
        fail(code, where, ": ", key, '.', i, ": expected two finite numbers, the lower first, ",
             std::isfinite(least) ? "of at least 0, " : "", "got ", r.low, " and ", r.high);
    }
  };
  if (!m.spacing.empty() && m.spacing.size() != 3)
    fail(code, where, ": spacing: expected ranges along x, y and z, or none, got ", m.spacing.size());
  check_ranges(m.spacing, "spacing", 0);
  check_ranges(m.intensity, "intensity", -INFINITY);
  check_ranges(m.intensity_low, "intensity_low", -INFINITY);
  check_ranges(m.intensity_high, "intensity_high", -INFINITY);
  if (m.intensity_low.size() != m.intensity_high.size())
    fail(code, where, ": intensity_high: expected as many ranges as intensity_low has, ",
         m.intensity_low.size(), ", got ", m.intensity_high.size());
}

}  // namespace

std::string weights_digest(const NamedTensors& weights) {
  PartsDigest digest;
  digest.text("voxgrad weights");
  digest.number(weights.size());
  for (const auto& [name, tensor] : weights) {
    require(tensor.defined(), "[weights_digest] expected a tensor for \"", name, "\"");
    digest.text(name);
    digest.text(name_of(tensor.dtype()));
    digest.number(static_cast<uint64_t>(tensor.rank()));
    for (const int64_t extent : tensor.shape()) digest.number(static_cast<uint64_t>(extent));
    const Tensor host = tensor.to(Device::cpu());
    digest.bytes(host.raw(), host.nbytes());
  }
  return digest.hex();
}

std::string model_digest(const ModelFile& model) {
  PartsDigest digest;
  digest.text("voxgrad model");
  digest.text(weights_digest(model.weights));
  digest.text(model.plan);
  for (const auto* numbers : {&model.constants, &model.thresholds}) {
    digest.number(numbers->size());
    for (const auto& [name, value] : *numbers) {
      digest.text(name);
      digest.number(std::bit_cast<uint64_t>(value));
    }
  }
  return digest.hex();
}

void write_model(const std::string& path, ModelFile& model) {
  check(model, "[model] " + path, ErrorCode::internal);
  model.format = 2;
  model.digest = model.stored_digest = model_digest(model);
  SafeTensors file;
  file.tensors = model.weights;
  file.metadata = {{"kind", kKind},
                   {"format", kFormat},
                   {"method", model.method},
                   {"plan", model.plan},
                   {"config", model.config},
                   {"constants", detail::dump_json(model.constants)},
                   {"complete", model.complete ? "1" : "0"},
                   {"axis_codes", model.axis_codes},
                   {"spacing", detail::dump_json(ranges_json(model.spacing))},
                   {"intensity", detail::dump_json(ranges_json(model.intensity))},
                   {"intensity_low", detail::dump_json(ranges_json(model.intensity_low))},
                   {"intensity_high", detail::dump_json(ranges_json(model.intensity_high))},
                   {"thresholds", detail::dump_json(model.thresholds)},
                   {"provenance", detail::dump_json(provenance_json(model.provenance))},
                   {"digest", model.digest}};
  write_safetensors(path, file);
}

ModelFile read_model_unchecked(const std::string& path) {
  const std::string where = "[model] " + path;
  if (!file_exists(path))
    fail(ErrorCode::data, where, ": expected a trained model (made by `voxgrad train`), found no such file");
  SafeTensors file = read_safetensors(path);
  const detail::Metadata meta(file.metadata, where);
  if (const std::string& kind = meta.text("kind"); kind != kKind) meta.refuse("kind", kKind, kind);
  const std::string& format = meta.text("format");
  if (format != kFormat && format != "1") meta.refuse("format", "1 or 2", format);
  ModelFile m;
  m.format = format == "1" ? 1 : 2;
  m.method = meta.text("method");
  m.plan = meta.text("plan");
  m.config = meta.text("config");
  m.constants = meta.constants("constants");
  m.complete = meta.boolean("complete");
  if (m.format == 2) {
    m.axis_codes = meta.text("axis_codes");
    m.spacing = ranges_from(meta, "spacing");
    m.intensity = ranges_from(meta, "intensity");
    if (file.metadata.contains("intensity_low")) {  // earlier versions do not have it
      m.intensity_low = ranges_from(meta, "intensity_low");
      m.intensity_high = ranges_from(meta, "intensity_high");
    }
    m.thresholds = meta.constants("thresholds");
    m.provenance = provenance_from(meta);
    m.stored_digest = meta.text("digest");
  }
  m.weights = std::move(file.tensors);
  check(m, where, ErrorCode::data);
  m.digest = model_digest(m);
  return m;
}

ModelFile read_model(const std::string& path, const std::function<void(const std::string&)>& warn) {
  ModelFile m = read_model_unchecked(path);
  if (m.format == 1) {
    if (warn)
      warn(path + ": a model of format 1 has no digest: whether its weights are whole cannot be checked");
  } else if (m.stored_digest != m.digest) {
    fail(ErrorCode::data, "[model] ", path, ": digest: expected ", m.stored_digest, ", got ", m.digest,
         ": the weights, plan, constants or thresholds were changed");
  }
  return m;
}

}  // namespace voxgrad
