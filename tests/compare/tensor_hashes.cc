// Prints "NAME SHA-256" for every tensor of .safetensors files: what compare-builds compares, whatever the
// files say beside their tensors.
#include <iostream>

#include "io/safetensors.h"
#include "io/sha256.h"
#include "tensor/core/error.h"

int main(int argc, char** argv) {
  try {
    for (int i = 1; i < argc; ++i)
      for (const auto& [name, tensor] : voxgrad::read_safetensors(argv[i]).tensors) {
        voxgrad::Sha256 hash;
        hash.update(tensor.raw(), tensor.nbytes());
        std::cout << name << ' ' << tensor.dtype() << ' ' << tensor.shape() << ' ' << hash.hex() << '\n';
      }
  } catch (const voxgrad::Error& e) {
    std::cerr << e.what() << '\n';
    return static_cast<int>(e.code());
  }
}
