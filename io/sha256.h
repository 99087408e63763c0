// SHA-256 (FIPS 180-4), by libcrypto.
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
  /// 64 hexadecimal digits; call once.
  std::string hex();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string sha256_hex(std::span<const std::byte> bytes);
/// Of a file's content; errors as FileReader.
std::string sha256_of_file(const std::string& path);

}  // namespace voxgrad
