// Any bytes either are a NIfTI image, whose header and voxels fit, or ErrorCode::data.
#include <cmath>

#include "io/nifti.h"
#include "memory_file.h"
#include "tensor/core/error.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace voxgrad;
  const fuzz::MemoryFile file(data, size);
  try {
    const NiftiImage image = read_nifti(file.path());
    const NiftiHeader& h = image.header;
    fuzz::check(!h.dims.empty() && h.dims.size() <= 7 && h.voxels() > 0);
    fuzz::check(image.stored.size() ==
                static_cast<size_t>(h.voxels()) * static_cast<size_t>(bits_of(h.datatype)) / 8);
    for (const auto& row : h.affine())
      for (const double x : row) fuzz::check(std::isfinite(x) || h.qform_code > 0);
    if (is_real(h.datatype)) {
      fuzz::check(image.values().size() == static_cast<size_t>(h.voxels()));
      fuzz::check(read_volume(file.path()).numel() == h.voxels());
    }
    read_nifti_header(file.path());
  } catch (const Error& e) {
    fuzz::check(e.code() == ErrorCode::data);
  }
  return 0;
}
