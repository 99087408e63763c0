// Prepared data on disk. A case is read and preprocessed once and stored in a file. Every run that needs it
// maps the file, so that the memory of a training does not grow with the number of cases.
//
// A file is named after its key, a SHA-256 of
//   - the content of the case's files: images, label, annotations of every rater, posterior,
//   - the fields of the plan that preprocessing reads (not patch or network),
//   - the version of the stored data, kVersion in case_store.cc.
// It is a safetensors file, written atomically with mode 0600 and never changed. Each use sets its time of
// modification. If the folder exceeds its size limit, the files that were not used for the longest time are
// removed. On a local file system, removing a file does not disturb a run that has mapped it. Several runs
// may use a folder at the same time.
#pragma once
#include <map>
#include <set>

#include "data/preprocess.h"

namespace voxgrad {

struct CacheOptions {
  std::string folder;  ///< made with mode 0700 if missing; empty: nothing is stored, cases stay in memory
  /// Limit of the prepared data in the folder, bytes. 0: half of the sum of the present prepared data and the
  /// free space. The cases of one run may exceed that automatic limit, but not a given one.
  int64_t bound = 0;
};

class CaseStore {
 public:
  CaseStore() = default;
  explicit CaseStore(const CacheOptions& options);

  /// Returns the prepared case. If the store does not have it, the case is read, preprocessed and stored;
  /// then the errors of load_case and load_annotations are possible. ErrorCode::data if a file changes while
  /// it is read. ErrorCode::system, naming the file, if a stored file is damaged or cannot be written.
  PreparedCase prepared(const Case& c, const Plan& plan);
  /// Returns the properties of the case that a plan needs, in the same way. If the store does not have them,
  /// the whole case is read and checked, including annotations and posterior.
  CaseFingerprint fingerprint(const Case& c, int channels, int classes, int64_t samples);

  const std::string& folder() const { return folder_; }
  /// The number of cases that prepared() found in the store, and the number that it had to prepare.
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
  bool strict_ = false;                         // whether the user set the bound
  uint64_t stored_ = 0;                         // bytes in the folder, as far as this store knows
  std::map<std::string, std::string> content_;  // digests of the files of a case, by its first image
  std::set<std::string> used_;                  // files of this run, which must not be removed
};

/// SHA-256 in hexadecimal of the files of a case: images, label, annotations and posterior.
std::string digest_of_files(const Case& c);

/// A file in a folder of prepared data.
struct StoredFile {
  std::string file;  ///< name in the folder
  std::string what;  ///< "case", "fingerprint", or "unfinished" (being written, or interrupted)
  std::string name;  ///< name of the case
  uint64_t bytes = 0;
  int64_t used = 0;  ///< time of the last use, seconds since 1970
};
/// The prepared files of a folder, sorted by last use, oldest first. Other files are left out. Empty if the
/// folder does not exist. `names`: whether to open each file for the name of its case, which is "(damaged)"
/// or "(not readable)" if that fails.
std::vector<StoredFile> stored_files(const std::string& folder, bool names = false);
/// Removes the files that were last used `seconds` ago or earlier; 0: all files. Returns the removed files.
std::vector<StoredFile> remove_stored_files(const std::string& folder, int64_t seconds);

}  // namespace voxgrad
