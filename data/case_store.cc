#include "data/case_store.h"

#include <algorithm>
#include <ctime>
#include <nlohmann/json.hpp>

#include "data/prepared_file.h"
#include "io/file.h"
#include "io/nifti.h"
#include "io/sha256.h"

namespace voxgrad {
namespace {

// Increase it whenever the same files and plan give other prepared voxels or fields. The tests CaseStore.*
// have the digest of a case.
constexpr int kVersion = 5;

constexpr const char *kCase = "case", *kFingerprint = "fingerprint", *kUnfinished = "unfinished";
const std::string kAdvice =
    " (prepared data; --cache names another folder, --cache off keeps the cases in memory)";
constexpr size_t kKeyDigits = 64;
constexpr int64_t kAbandoned =
    3600;  // seconds after its last write until a temporary file counts as abandoned

std::string hash_of(const std::string& text) { return sha256_hex(std::as_bytes(std::span(text))); }

std::string file_name(const std::string& key, const char* what) { return key + "." + what + ".safetensors"; }

/// StoredFile::what; empty for a file name that the store does not use.
std::string kind_of(const std::string& file) {
  if (is_temporary(file)) {
    const std::string name = file.substr(0, file.find(".safetensors.") + std::string(".safetensors").size());
    return name.size() < file.size() && !kind_of(name).empty() ? kUnfinished : "";
  }
  if (file.size() <= kKeyDigits || file.find_first_not_of("0123456789abcdef") != kKeyDigits) return "";
  for (const char* what : {kCase, kFingerprint})
    if (file == file_name(file.substr(0, kKeyDigits), what)) return what;
  return "";
}

/// The hashes of the files of a case, one line for each file.
std::string hash_files(const Case& c) {
  std::string text;
  const auto add = [&](const char* what, const std::string& path) {
    if (path.empty()) return;
    for (const std::string& file : nifti_files(path)) text += cat(what, " ", sha256_of_file(file), "\n");
  };
  for (const std::string& image : c.images) add("image", image);
  add("label", c.label);
  for (const Annotation& a : c.annotations) add("annotation", a.file);
  add("posterior", c.posterior);
  return text;
}

/// The fields of a plan that preprocessing reads.
std::string preprocessing_of(const Plan& plan) {
  nlohmann::json j{{"channels", plan.channels()},
                   {"classes", plan.classes()},
                   {"normalisation", plan.normalisation},
                   {"axes", plan.axes},
                   {"spacing", plan.spacing},
                   {"mask_normalisation", plan.mask_normalisation},
                   {"intensity", nlohmann::json::array()}};
  for (const ChannelIntensity& i : plan.intensity) j["intensity"].push_back({i.low, i.high, i.mean, i.std});
  return j.dump();
}

}  // namespace

std::string digest_of_files(const Case& c) { return hash_of(hash_files(c)); }

CaseStore::CaseStore(const CacheOptions& options) : folder_(options.folder), bound_(options.bound) {
  if (folder_.empty()) return;
  make_folders(folder_, 0700);
  try {
    remove_stale_temporaries(folder_, kAbandoned);
  } catch (const Error& e) {  // with a read-only folder the run can go on if no case needs to be written
    if (e.code() != ErrorCode::system) throw;
  }
  for (const StoredFile& f : stored_files(folder_)) stored_ += f.bytes;
  strict_ = bound_ > 0;
  if (!strict_) bound_ = static_cast<int64_t>((free_bytes(folder_) + stored_) / 2);
}

const std::string& CaseStore::content_of(const Case& c) {
  std::string& content = content_[c.images.at(0)];
  if (content.empty()) content = hash_files(c);
  return content;
}

void CaseStore::expect_unchanged(const Case& c) {
  if (hash_files(c) != content_of(c))
    fail(ErrorCode::data, "[data] case ", c.name, ": a file changed while it was read (", c.images[0],
         " or what belongs to it)");
}

PreparedCase CaseStore::prepared(const Case& c, const Plan& plan) {
  const auto make = [&] {
    ++made_;
    const LoadedCase loaded = load_case(c, plan.channels(), plan.classes());
    return to_tensors(prepare_case(loaded, load_annotations(c, plan.classes(), loaded.header), plan));
  };
  if (folder_.empty()) return prepared_from(make(), c, c.name);
  const std::string file =
      file_name(hash_of(cat("case ", kVersion, "\n", content_of(c), preprocessing_of(plan))), kCase);
  std::shared_ptr<const PreparedFile> stored = open(file);
  if (stored) {
    ++found_;
  } else {
    const SafeTensors content = make();
    expect_unchanged(c);
    stored = keep(file, content);
    if (!stored) return prepared_from(content, c, c.name);
  }
  PreparedCase p = prepared_from(stored->content(), c, path_of(file));
  p.file = stored;
  p.check();
  return p;
}

CaseFingerprint CaseStore::fingerprint(const Case& c, int channels, int classes, int64_t samples) {
  if (folder_.empty()) return read_fingerprint(c, channels, classes, samples);
  const std::string fields = cat("channels ", channels, " classes ", classes, " samples ", samples);
  const std::string file =
      file_name(hash_of(cat("fingerprint ", kVersion, "\n", content_of(c), fields)), kFingerprint);
  if (const auto stored = open(file)) {
    stored->verify();
    CaseFingerprint f = fingerprint_from(stored->content(), c, path_of(file));
    stored->check();
    return f;
  }
  const CaseFingerprint made = read_fingerprint(c, channels, classes, samples);
  expect_unchanged(c);
  keep(file, to_tensors(made, c));
  return made;
}

/// Null if the store does not have the file.
std::shared_ptr<const PreparedFile> CaseStore::open(const std::string& file) {
  const std::string path = path_of(file);
  if (!file_exists(path)) return nullptr;
  try {
    auto stored = std::make_shared<const PreparedFile>(path);
    touch_file(path);
    used_.insert(file);
    return stored;
  } catch (const Error& e) {
    if (e.code() == ErrorCode::data || !file_exists(path))
      return nullptr;  // damaged content is written anew; a missing file was removed by another run
    throw Error(e.code(), e.what() + kAdvice);
  }
}

/// Writes a file and maps it. Null if another run has removed it immediately.
std::shared_ptr<const PreparedFile> CaseStore::keep(const std::string& file, const SafeTensors& content) {
  uint64_t bytes = 0;
  for (const auto& [name, tensor] : content.tensors) bytes += tensor.nbytes();
  make_room(bytes);
  try {
    write_safetensors(path_of(file), content, 0600);
  } catch (const Error& e) {
    if (e.code() != ErrorCode::system) throw;
    throw Error(e.code(), e.what() + kAdvice);
  }
  return open(file);
}

/// Reserves `bytes` for a file. If they exceed the bound, removes the files with the oldest last use.
void CaseStore::make_room(uint64_t bytes) {
  const uint64_t bound = static_cast<uint64_t>(bound_);
  stored_ += bytes;
  if (stored_ <= bound) return;
  stored_ = bytes;  // count again, because other runs also write and remove files
  const std::vector<StoredFile> files = stored_files(folder_);
  for (const StoredFile& f : files) stored_ += f.bytes;
  for (const StoredFile& f : files) {
    if (stored_ <= bound) return;
    if (used_.contains(f.file) || f.what == kUnfinished) continue;
    remove_file(path_of(f.file));
    stored_ -= f.bytes;
  }
  if (strict_ && stored_ > bound)
    fail(ErrorCode::system, "[cache] ", folder_,
         ": the prepared cases of this run need more than the bound of ", bound_ >> 20,
         " MiB: --cache-size sets another, --cache off keeps the cases in memory");
}

std::vector<StoredFile> stored_files(const std::string& folder, bool names) {
  std::vector<StoredFile> files;
  if (!is_folder(folder)) return files;
  for (const std::string& file : list_folder(folder)) {
    const std::string what = kind_of(file), path = folder + "/" + file;
    if (what.empty()) continue;
    const std::optional<FileStatus> status = file_status(path);
    if (!status) continue;  // removed by another run
    StoredFile f{file, what, "", status->bytes, status->modified};
    if (names && what != kUnfinished) try {
        f.name = map_safetensors(path).content.metadata["name"];
      } catch (const Error& e) {
        f.name = e.code() == ErrorCode::system ? "(not readable)" : "(damaged)";
      }
    files.push_back(f);
  }
  std::stable_sort(files.begin(), files.end(),
                   [](const StoredFile& a, const StoredFile& b) { return a.used < b.used; });
  return files;
}

std::vector<StoredFile> remove_stored_files(const std::string& folder, int64_t seconds) {
  std::vector<StoredFile> removed;
  const int64_t now = ::time(nullptr);
  for (const StoredFile& f : stored_files(folder)) {
    if (seconds > 0 && f.used > now - seconds) continue;
    remove_file(folder + "/" + f.file);
    removed.push_back(f);
  }
  return removed;
}

}  // namespace voxgrad
