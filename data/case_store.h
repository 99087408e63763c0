// Prepared data on disk. What reading and preprocessing a case gives is made once and mapped by every run
// that needs it, so that the memory of a training does not grow with its cases.
//
// A file is named after its key, a SHA-256 of
//   - the content of the case's files: images, label, annotations of every rater, posterior,
//   - the fields of the plan that preprocessing reads (not patch or network),
//   - the version of what is stored, kVersion in case_store.cc.
// It is a safetensors file, written atomically with mode 0600 and never changed; a file that is used has its
// time of modification set, and files that were used longest ago are removed where the bound wants room.
// On a local file system removing one does not disturb a run that has mapped it. Several runs may use a
// folder at once.
#pragma once
#include <map>
#include <set>

#include "data/preprocess.h"

namespace voxgrad {

struct CacheOptions {
  std::string
      folder;  ///< made with mode 0700 where it is new; empty: nothing is stored, cases stay in memory
  /// Most bytes of prepared data in it. 0: half of what is used and free there, which the cases of one run
  /// may exceed.
  int64_t bound = 0;
};

class CaseStore {
 public:
  CaseStore() = default;
  explicit CaseStore(const CacheOptions& options);

  /// The case, read and preprocessed anew where the store does not have it. Errors as load_case and
  /// load_annotations, which only a case that is not stored can give. ErrorCode::data where a file changes
  /// while it is read; ErrorCode::system, naming the file, where a stored one is damaged or cannot be
  /// written.
  PreparedCase prepared(const Case& c, const Plan& plan);
  /// Returns what a plan needs to know about the case, in the same way. Everything of the case is read and
  /// checked where the store does not have it: annotations and posterior too.
  CaseFingerprint fingerprint(const Case& c, int channels, int classes, int64_t samples);

  const std::string& folder() const { return folder_; }
  /// Cases that prepared() found in the store, and that it had to prepare.
  int64_t found() const { return found_; }
  int64_t made() const { return made_; }

 private:
  const std::string& content_of(const Case& c);
  void expect_unchanged(const Case& c);
  std::string path_of(const std::string& file) const { return folder_ + "/" + file; }
  std::shared_ptr<const class PreparedFile> open(const std::string& file);
  std::shared_ptr<const class PreparedFile> keep(const std::string& file, const struct SafeTensors& content);
  void make_room(uint64_t bytes);

  std::string folder_;
  int64_t bound_ = 0, found_ = 0, made_ = 0;
  bool strict_ = false;                         // the user set the bound
  uint64_t stored_ = 0;                         // bytes in the folder, as far as this store knows
  std::map<std::string, std::string> content_;  // digests of the files of a case, by its first image
  std::set<std::string> used_;                  // files of this store that must not go
};

/// SHA-256 in hexadecimal of the files of a case: images, label, annotations and posterior.
std::string digest_of_files(const Case& c);

/// What a folder of prepared data holds.
struct StoredFile {
  std::string file;  ///< name in the folder
  std::string what;  ///< "case", "fingerprint", or "unfinished": a write goes on, or was broken off
  std::string name;  ///< of the case it was made from
  uint64_t bytes = 0;
  int64_t used = 0;  ///< when it was last used, seconds since 1970
};
/// Sorted by last use, oldest first. Other files are left out. Empty where there is no such folder. `names`:
/// whether to open each file for the name of its case ("(damaged)", "(not readable)" where that fails).
std::vector<StoredFile> stored_files(const std::string& folder, bool names = false);
/// Removes what was last used `seconds` ago or longer; 0: everything. Returns what was removed.
std::vector<StoredFile> remove_stored_files(const std::string& folder, int64_t seconds);

}  // namespace voxgrad
