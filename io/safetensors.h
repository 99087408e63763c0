// Reads and writes safetensors files (https://github.com/huggingface/safetensors): a JSON header and raw
// little-endian tensors.
#pragma once
#include <map>
#include <string>

#include "io/file.h"
#include "tensor/core/tensor.h"

namespace voxgrad {

struct SafeTensors {
  std::map<std::string, Tensor> tensors;        ///< sorted by name
  std::map<std::string, std::string> metadata;  ///< "__metadata__"
};

/// Reads a file and checks every rule of the format: header size, sorted offsets without overlaps or holes,
/// sizes that match shape and dtype, no duplicate keys. Errors: ErrorCode::data, naming file, tensor and
/// expectation.
SafeTensors read_safetensors(const std::string& path);
/// Maps a file with the same checks and errors. The tensors are in the mapped file and must not be written.
/// After reading tensors, call check() of the file (io/file.h) before using the values. A tensor that another
/// program did not align to its elements is copied.
struct MappedSafeTensors {
  SafeTensors content;
  std::shared_ptr<const MappedFile> file;
};
MappedSafeTensors map_safetensors(const std::string& path);
/// Writes a file atomically, with sorted keys and a header padded to 8 bytes. Equal content gives equal
/// bytes. `mode`: like FileWriter.
void write_safetensors(const std::string& path, const SafeTensors& content, unsigned mode = 0666);

}  // namespace voxgrad
