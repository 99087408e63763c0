// Folders and little data sets for the tests of data/.
#pragma once
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "data/case_store.h"
#include "io/file.h"
#include "io/nifti.h"
#include "tests/temporary_folder.h"

namespace voxgrad::testing {

/// The folder of real data sets, or empty: then the test skips itself.
inline std::string real_data() {
  const char* folder = std::getenv("VOXGRAD_DATA");
  return folder ? folder : "";
}

/// An f32 volume [D, H, W] (or [T, D, H, W]) of f(flat index).
template <class F>
Tensor volume(const Shape& shape, F&& f) {
  Tensor t = Tensor::empty(shape);
  float* out = t.mutable_data<float>();
  for (int64_t i = 0; i < t.numel(); ++i) out[i] = static_cast<float>(f(i));
  return t;
}

/// The plan of these cases, with options `o`.
inline Plan make_plan(const Dataset& d, const std::vector<int>& cases, const PlanOptions& o,
                      CaseStore* store = nullptr) {
  return plan_from_fingerprints(d, fingerprints(d, cases, intensity_samples(d, cases.size()), store), o);
}

inline void write_image(const std::string& path, const Tensor& voxels,
                        std::array<double, 3> spacing = {1, 1, 1}, std::array<double, 3> origin = {}) {
  const int r = voxels.rank();
  write_volume(path,
               make_nifti_header({voxels.dim(r - 1), voxels.dim(r - 2), voxels.dim(r - 3)}, spacing, origin),
               voxels);
}

/// A data set in nnU-Net layout: `names` with one channel "MRI" of shape 4 x 5 x 6, labels 0, 1, 2.
inline void write_small_dataset(const std::string& folder, const std::vector<std::string>& names,
                                const std::string& channel = "MRI") {
  make_folders(folder + "/imagesTr");
  make_folders(folder + "/labelsTr");
  double shift = 0;
  for (const std::string& name : names) {
    shift += 1000;
    write_image(folder + "/imagesTr/" + name + "_0000.nii.gz",
                volume({4, 5, 6}, [&](int64_t i) { return shift + static_cast<double>(i); }));
    write_image(folder + "/labelsTr/" + name + ".nii.gz", volume({4, 5, 6}, [](int64_t i) { return i % 3; }));
  }
  write_text(folder + "/dataset.json", R"({"name": "small", "channel_names": {"0": ")" + channel +
                                           R"("}, "labels": {"background": 0, "a": 1, "b": 2},
                 "numTraining": )" + std::to_string(names.size()) +
                                           R"(, "file_ending": ".nii.gz"})");
}

}  // namespace voxgrad::testing
