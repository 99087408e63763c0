// Prepared cases and fingerprints as safetensors, in a file or in memory. Internal to data/.
#pragma once
#include <mutex>

#include "data/preprocess.h"
#include "io/safetensors.h"

namespace voxgrad {

/// A stored file that is mapped.
class PreparedFile {
 public:
  /// ErrorCode::system, naming the file, where it is damaged.
  explicit PreparedFile(const std::string& path);
  const SafeTensors& content() const { return mapped_.content; }
  /// Compares the content with the digest in the file, the first time it is called.
  void verify() const;
  void check() const { mapped_.file->check(); }

 private:
  MappedSafeTensors mapped_;
  mutable std::mutex mutex_;
  mutable bool verified_ = false;
};

/// Throws ErrorCode::system: the file of prepared data is damaged, and what to do.
[[noreturn]] void damaged_file(const std::string& path, const std::string& how);

/// The files that a warning may name: images, label.
std::vector<std::string> files_of(const Case& c);

/// With the digest of all that they hold, except the name, in their metadata.
SafeTensors to_tensors(const PreparedCase& prepared);
SafeTensors to_tensors(const CaseFingerprint& f, const Case& c);
/// `where`: for errors. The tensors are those of `content`.
PreparedCase prepared_from(const SafeTensors& content, const Case& c, const std::string& where);
CaseFingerprint fingerprint_from(const SafeTensors& content, const Case& c, const std::string& where);

}  // namespace voxgrad
