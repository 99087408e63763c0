// fuzz_seeds FOLDER: sound files of each format for the fuzzers to start from.
#include <cstdio>

#include "io/file.h"
#include "io/gzip.h"
#include "io/nifti.h"
#include "io/safetensors.h"

namespace voxgrad {
namespace {

void make_nifti(const std::string& folder) {
  for (const int version : {1, 2})
    for (const NiftiType type :
         {NiftiType::uint8, NiftiType::int16, NiftiType::float32, NiftiType::rgb24, NiftiType::complex64})
      for (const char* end : {".nii", ".nii.gz"}) {
        NiftiImage image{make_nifti_header({3, 2, 2}, {1, 2, 3}, {4, 5, 6}), {}};
        image.header.version = version;
        image.header.datatype = type;
        image.stored.resize(static_cast<size_t>(12 * bits_of(type) / 8), std::byte{0x3f});
        write_nifti(folder + "/" + name_of(type) + std::to_string(version) + end, image);
      }
}

void make_gzip(const std::string& folder) {
  std::string text;
  for (int i = 0; i < 200; ++i) text += std::to_string(i * i);
  for (const int level : {0, 1, 9}) {
    GzipWriter writer(folder + "/level" + std::to_string(level), level);
    writer.write(text.data(), text.size());
    writer.commit();
  }
  write_text(folder + "/members", read_text(folder + "/level1") + read_text(folder + "/level9"));
}

void make_safetensors(const std::string& folder) {
  SafeTensors content;
  for (const DType t : {DType::f32, DType::f64, DType::bf16, DType::i64, DType::i32, DType::u8})
    content.tensors["t." + std::string(name_of(t))] = Tensor::zeros({2, 3}, t);
  content.tensors["scalar"] = Tensor::zeros({});
  content.metadata["key"] = "value";
  write_safetensors(folder + "/all", content);
}

void make_config(const std::string& folder) {
  write_text(folder + "/all",
             "flag = true\nlist = [1, 2.5e3]\n[a]\ncount = 7\nrate = 0.25\nb.kind = \"text\\n\"\n");
  write_text(folder + "/assignment", "a.rate=0.125");
}

}  // namespace
}  // namespace voxgrad

int main(int argc, char** argv) {
  using namespace voxgrad;
  if (argc != 2) return std::fprintf(stderr, "usage: fuzz_seeds FOLDER\n"), 2;
  const std::string root = argv[1];
  for (const char* format : {"nifti", "gzip", "safetensors", "config"}) make_folders(root + "/" + format);
  make_nifti(root + "/nifti");
  make_gzip(root + "/gzip");
  make_safetensors(root + "/safetensors");
  make_config(root + "/config");
  return 0;
}
