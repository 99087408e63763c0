// SHA-256 (FIPS 180-4), computed by libcrypto.
#pragma once
#include <cstddef>
#include <memory>
#include <span>
#include <string>

namespace voxgrad {

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  void update(const void* from, size_t size);
  /// The hash as 64 hexadecimal digits. Call it once.
  std::string hex();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string sha256_hex(std::span<const std::byte> bytes);
/// The hash of a file's content. Errors like FileReader.
std::string sha256_of_file(const std::string& path);

}  // namespace voxgrad
