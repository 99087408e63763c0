// Any bytes either are tensors that fill their file, or ErrorCode::data.
#include "io/safetensors.h"
#include "memory_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace voxgrad;
  const fuzz::MemoryFile file(data, size);
  try {
    const SafeTensors content = read_safetensors(file.path());
    size_t bytes = 0;
    for (const auto& [name, tensor] : content.tensors) bytes += tensor.nbytes();
    fuzz::check(bytes <= size);
  } catch (const Error& e) {
    fuzz::check(e.code() == ErrorCode::data);
  }
  return 0;
}
