#include "io/sha256.h"

#include <openssl/evp.h>

#include <array>
#include <new>
#include <vector>

#include "io/file.h"
#include "tensor/core/error.h"

namespace voxgrad {

struct Sha256::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  ~State() { EVP_MD_CTX_free(context); }
};

Sha256::Sha256() : state_(std::make_unique<State>()) {
  if (!state_->context) throw std::bad_alloc();
  require(EVP_DigestInit_ex(state_->context, EVP_sha256(), nullptr) == 1,
          "[sha256] expected libcrypto to start");
}

Sha256::~Sha256() = default;

void Sha256::update(const void* from, size_t size) {
  require(EVP_DigestUpdate(state_->context, from, size) == 1,
          "[sha256] expected libcrypto to take the bytes");
}

std::string Sha256::hex() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  require(EVP_DigestFinal_ex(state_->context, digest.data(), &size) == 1,
          "[sha256] expected libcrypto to end");
  std::string text;
  for (unsigned i = 0; i < size; ++i) {
    constexpr char digits[] = "0123456789abcdef";
    text += digits[digest[i] >> 4];
    text += digits[digest[i] & 15];
  }
  return text;
}

std::string sha256_hex(std::span<const std::byte> bytes) {
  Sha256 hash;
  hash.update(bytes.data(), bytes.size());
  return hash.hex();
}

std::string sha256_of_file(const std::string& path) {
  FileReader file(path);
  Sha256 hash;
  std::vector<std::byte> buffer(1 << 20);
  while (const size_t n = file.read(buffer.data(), buffer.size())) hash.update(buffer.data(), n);
  return hash.hex();
}

}  // namespace voxgrad
