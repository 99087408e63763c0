// safetensors (https://github.com/huggingface/safetensors): a JSON header and raw little-endian tensors.
#pragma once
#include <map>
#include <string>

#include "io/file.h"
#include "tensor/tensor.h"

namespace voxgrad {

struct SafeTensors {
  std::map<std::string, Tensor> tensors;        ///< sorted by name
  std::map<std::string, std::string> metadata;  ///< "__metadata__"
};

/// Reads a file, checking every rule of the format (header size, sorted non-overlapping offsets without
/// holes, sizes that match shape and dtype, no duplicate keys). ErrorCode::data names file, tensor and
/// expectation.
SafeTensors read_safetensors(const std::string& path);
/// The same rules and errors, but the tensors lie in the mapped file and are for reading only. Whoever has
/// read some of them calls check() of the file (io/file.h) before using what was read. A tensor that a
/// foreign writer did not align to its elements is copied.
struct MappedSafeTensors {
  SafeTensors content;
  std::shared_ptr<const MappedFile> file;
};
MappedSafeTensors map_safetensors(const std::string& path);
/// Writes atomically, keys sorted, header padded to 8 bytes: equal content gives equal bytes. `mode`: as
/// FileWriter.
void write_safetensors(const std::string& path, const SafeTensors& content, unsigned mode = 0666);

}  // namespace voxgrad
