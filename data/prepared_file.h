// Converts prepared cases and fingerprints to safetensors and back. Internal to data/.
#pragma once
#include <mutex>

#include "data/preprocess.h"
#include "io/safetensors.h"

namespace voxgrad {

/// A memory-mapped file of prepared data.
class PreparedFile {
 public:
  /// ErrorCode::system, naming the file, if it is damaged.
  explicit PreparedFile(const std::string& path);
  const SafeTensors& content() const { return mapped_.content; }
  /// Compares the content with the digest in the file, once. ErrorCode::system if they differ.
  void verify() const;
  void check() const { mapped_.file->check(); }

 private:
  MappedSafeTensors mapped_;
  mutable std::mutex mutex_;
  mutable bool verified_ = false;
};

/// Throws ErrorCode::system: the file of prepared data is damaged. The message says what to do.
[[noreturn]] void damaged_file(const std::string& path, const std::string& how);

/// The files that a warning may name: images and label.
std::vector<std::string> files_of(const Case& c);

/// The metadata has the digest of all other content except the name.
SafeTensors to_tensors(const PreparedCase& prepared);
SafeTensors to_tensors(const CaseFingerprint& f, const Case& c);
/// `where`: the file for error messages. The tensors share the memory of `content`.
PreparedCase prepared_from(const SafeTensors& content, const Case& c, const std::string& where);
CaseFingerprint fingerprint_from(const SafeTensors& content, const Case& c, const std::string& where);

}  // namespace voxgrad
