#include "data/prepared_file.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "io/sha256.h"

namespace voxgrad {
namespace {

using nlohmann::json;

constexpr const char *kFields = "fields", *kName = "name", *kDigest = "sha256";

std::string numbered(const std::string& name, size_t i) {
  const std::string digits = std::to_string(i);
  return name + "." + std::string(digits.size() < 5 ? 5 - digits.size() : 0, '0') + digits;
}

void add_text(Sha256& hash, const std::string& text) { hash.update(text.data(), text.size()); }

void add_tensor(Sha256& hash, const std::string& name, const Tensor& t) {
  add_text(hash, cat(name, " ", t.dtype(), " ", t.shape(), "\n"));
  hash.update(t.raw(), t.nbytes());
}

/// The digest of the fields and all tensors.
std::string digest_of(const SafeTensors& content) {
  Sha256 hash;
  add_text(hash, content.metadata.at(kFields) + "\n");
  for (const auto& [name, t] : content.tensors) add_tensor(hash, name, t);
  return hash.hex();
}

/// The digest of the data of a case that training uses.
std::string digest_of(const PreparedCase& p) {
  Sha256 hash;
  add_tensor(hash, "image", p.image);
  if (p.label.defined()) add_tensor(hash, "label", p.label);
  hash.update(p.air.data(), p.air.size() * sizeof(float));
  return hash.hex();
}

SafeTensors finished(SafeTensors content, const json& fields, const std::string& name) {
  content.metadata[kFields] = fields.dump(-1, ' ', false, json::error_handler_t::replace);
  content.metadata[kName] = name;
  content.metadata[kDigest] = digest_of(content);
  return content;
}

/// Reads fields and tensors of a file. Its errors name the file.
class Reader {
 public:
  Reader(const SafeTensors& content, const std::string& where) : content_(content), where_(where) {
    const auto text = content.metadata.find(kFields);
    if (text == content.metadata.end()) damaged_file(where, "expected metadata \"fields\"");
    fields_ = json::parse(text->second, nullptr, /*allow_exceptions=*/false);
  }
  template <class T>
  void field(const char* name, T& to) const {
    try {
      fields_.at(name).get_to(to);
    } catch (const json::exception&) {
      damaged_file(where_, cat("field \"", name, "\": expected another value"));
    }
  }
  bool has(const std::string& name) const { return content_.tensors.contains(name); }
  /// `shape`: -1 stands for any extent.
  Tensor tensor(const std::string& name, std::initializer_list<DType> types,
                const std::vector<int64_t>& shape) const {
    const auto it = content_.tensors.find(name);
    if (it == content_.tensors.end()) damaged_file(where_, cat("expected a tensor \"", name, "\""));
    const Tensor& t = it->second;
    bool fits = t.rank() == static_cast<int>(shape.size()) &&
                std::find(types.begin(), types.end(), t.dtype()) != types.end();
    for (size_t i = 0; fits && i < shape.size(); ++i)
      fits = shape[i] < 0 || shape[i] == t.dim(static_cast<int>(i));
    if (!fits) damaged_file(where_, cat("tensor \"", name, "\": expected another type or shape"));
    return t;
  }
  std::vector<float> floats(const std::string& name, int64_t count) const {
    return tensor(name, {DType::f32}, {count}).to_vector<float>();
  }

 private:
  const SafeTensors& content_;
  const std::string& where_;
  json fields_;
};

}  // namespace

void damaged_file(const std::string& path, const std::string& how) {
  fail(ErrorCode::system, "[cache] ", path, ": the file of prepared data is damaged (", how,
       "); remove it, and the next run prepares the case anew");
}

PreparedFile::PreparedFile(const std::string& path) {
  try {
    mapped_ = map_safetensors(path);
  } catch (const Error& e) {
    const std::string what = e.what(), place = path + ": ";
    if (e.code() != ErrorCode::data || what.starts_with("[file]")) throw;  // the file is missing
    damaged_file(path, what.substr(what.find(place) + place.size()));
  }
}

void PreparedFile::verify() const {
  const std::lock_guard lock(mutex_);
  if (verified_) return;
  const SafeTensors& c = mapped_.content;
  const bool same =
      c.metadata.contains(kFields) && c.metadata.contains(kDigest) && digest_of(c) == c.metadata.at(kDigest);
  check();
  if (!same) damaged_file(mapped_.file->path(), "its content is not that of its digest");
  verified_ = true;
}

std::vector<std::string> files_of(const Case& c) {
  std::vector<std::string> files = c.images;
  files.push_back(c.label);
  return files;
}

std::string digest_of_annotations(const PreparedCase& c) {
  c.verify();
  Sha256 hash;
  for (size_t i = 0; i < c.annotations.size(); ++i)
    add_tensor(hash, numbered("annotation", i), c.annotations[i]);
  c.check();
  return hash.hex();
}

SafeTensors to_tensors(const PreparedCase& p) {
  SafeTensors s;
  const auto floats = [&](const char* name, const std::vector<float>& v) {
    s.tensors[name] = Tensor::from<float>({static_cast<int64_t>(v.size())}, v);
  };
  s.tensors["image"] = p.image;
  if (p.label.defined()) s.tensors["label"] = p.label;
  for (size_t i = 0; i < p.annotations.size(); ++i) s.tensors[numbered("annotation", i)] = p.annotations[i];
  for (size_t i = 0; i < p.class_voxels.size(); ++i) s.tensors[numbered("class", i)] = p.class_voxels[i];
  floats("air", p.air);
  floats("low", p.low);
  floats("high", p.high);
  return finished(std::move(s),
                  {{"turn", p.turn.axis},
                   {"original", p.original},
                   {"crop_begin", p.crop_begin},
                   {"crop_size", p.crop_size},
                   {"content", p.content},
                   {"spacing", p.spacing},
                   {"axes", p.axes},
                   {"digest", digest_of(p)}},
                  p.name);
}

PreparedCase prepared_from(const SafeTensors& content, const Case& c, const std::string& where) {
  const Reader r(content, where);
  PreparedCase p;
  p.name = c.name;
  r.field("turn", p.turn.axis);
  r.field("original", p.original);
  r.field("crop_begin", p.crop_begin);
  r.field("crop_size", p.crop_size);
  r.field("content", p.content);
  r.field("spacing", p.spacing);
  r.field("axes", p.axes);
  const Triple& e = p.content;
  p.image = r.tensor("image", {DType::f32}, {e[0], e[1], e[2], -1});
  const auto labels = [&](const std::string& name) {
    return r.tensor(name, {DType::u8, DType::i32}, {e[0], e[1], e[2]});
  };
  if (r.has("label")) p.label = labels("label");
  for (size_t i = 0; r.has(numbered("annotation", i)); ++i)
    p.annotations.push_back(labels(numbered("annotation", i)));
  for (size_t i = 0; r.has(numbered("class", i)); ++i)
    p.class_voxels.push_back(r.tensor(numbered("class", i), {DType::i64}, {-1}));
  p.air = r.floats("air", p.image.dim(3));
  p.low = r.floats("low", p.image.dim(3));
  p.high = r.floats("high", p.image.dim(3));
  r.field("digest", p.digest);
  return p;
}

SafeTensors to_tensors(const CaseFingerprint& f, const Case& c) {
  SafeTensors s;
  const std::vector<std::string> files = files_of(c);
  json warnings = json::array();
  for (const Problem& w : f.warnings)
    warnings.push_back({w.kind, std::find(files.begin(), files.end(), w.file) - files.begin(), w.text});
  const CaseSummary& m = f.summary;
  if (f.foreground.defined()) s.tensors["foreground"] = f.foreground;
  if (f.anything.defined()) s.tensors["anything"] = f.anything;
  return finished(std::move(s),
                  {{"extent", f.extent},
                   {"box", f.box},
                   {"spacing", f.spacing},
                   {"stored_shape", m.shape},
                   {"stored_spacing", m.spacing},
                   {"low", m.low},
                   {"high", m.high},
                   {"class_voxels", m.class_voxels},
                   {"axes", m.axes},
                   {"image_hash", m.image_hash},
                   {"corner", m.corner},
                   {"warnings", warnings}},
                  c.name);
}

CaseFingerprint fingerprint_from(const SafeTensors& content, const Case& c, const std::string& where) {
  const Reader r(content, where);
  CaseFingerprint f;
  r.field("extent", f.extent);
  r.field("box", f.box);
  r.field("spacing", f.spacing);
  const auto intensities = [&](const char* name) {
    return r.has(name) ? r.tensor(name, {DType::f32}, {-1, -1}).clone() : Tensor();
  };
  f.foreground = intensities("foreground");
  f.anything = intensities("anything");
  CaseSummary& m = f.summary;
  m.name = c.name;
  r.field("stored_shape", m.shape);
  r.field("stored_spacing", m.spacing);
  r.field("low", m.low);
  r.field("high", m.high);
  r.field("class_voxels", m.class_voxels);
  r.field("axes", m.axes);
  r.field("image_hash", m.image_hash);
  r.field("corner", m.corner);
  std::vector<std::tuple<std::string, size_t, std::string>> warnings;
  r.field("warnings", warnings);
  const std::vector<std::string> files = files_of(c);
  for (const auto& [kind, file, text] : warnings)
    f.warnings.push_back({false, kind, c.name, file < files.size() ? files[file] : "", text});
  return f;
}

void PreparedCase::verify() const {
  if (file) file->verify();
}
void PreparedCase::check() const {
  if (file) file->check();
}

}  // namespace voxgrad
