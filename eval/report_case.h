// A case for the viewer of the report: report_case.cc (what is shown of it), report_grid.h (its voxels turned
// to the patient's axes), report_viewer.cc (its HTML), report_viewer.js (the viewer).
#pragma once
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "io/nifti.h"
#include "run/scores.h"

namespace voxgrad {

/// A case as it was predicted. Undefined tensors and empty lists are not shown.
struct ReportCase {
  struct Channel {
    std::string name;
    std::string unit;  ///< "HU" (which offers the usual CT windows); empty: arbitrary
    Tensor image;      ///< f32 [D, H, W]
  };
  struct Labels {
    std::string name;
    Tensor labels;  ///< i32 [D, H, W]
  };
  std::string name;
  std::string rank;               ///< its place among the cases: "worst of 12"
  Score score;                    ///< mean Dice of the foreground
  NiftiHeader header;             ///< grid of all tensors: spacing and orientation
  std::vector<Channel> channels;  ///< at least one
  Tensor truth, mask;             ///< i32 [D, H, W]
  std::vector<Labels> samples, raters;
  Tensor entropy;             ///< f32 [D, H, W], nats
  Tensor mutual_information;  ///< f32 [D, H, W], nats
  Tensor probabilities;       ///< f32 [K, D, H, W]
};

/// What the page holds of a case. Label maps are cropped to the box around all labels and kept at full
/// resolution; images and uncertainty are kept at full resolution in a box around the labels, as large as the
/// bounds allow, and as means of blocks elsewhere. The page says where a bound made something coarser.
struct CaseView {
  std::string name, rank;
  Score score;
  bool oriented = false;  ///< the file says where left and right are
  /// The file says how large a voxel is. A picture of 1 x 1 pixels without orientation does not: converters
  /// write that.
  bool measured = true;
  std::string size;                 ///< "40 x 48 x 36 voxels of 1 x 1 x 1.2 mm"
  std::string notes;                ///< what a reader must know of what is shown
  std::vector<std::string> planes;  ///< "axial", "coronal", "sagittal": those that are more than a line
  std::vector<size_t> classes;      ///< those with a voxel in any label map, without the background
  struct Size {
    size_t label = 0;
    double truth = 0, mask = 0;  ///< mL; mm^2 of a flat image, or pixels
    Score dice;
  };
  std::vector<Size> sizes;  ///< of the classes that truth or prediction have
  bool flat = false;
  std::string description;                                 ///< JSON for report_viewer.js
  std::vector<std::pair<std::string, std::string>> blobs;  ///< name, and gzip as base64
};

/// Bounds of a case in the page: image values (voxels times channels) at full resolution near the labels;
/// those of the coarse rest; voxels of the box of the labels, and of probabilities (docs/report.md).
constexpr int64_t kReportFocus = int64_t{1} << 21;
constexpr int64_t kReportContext = int64_t{1} << 18;
constexpr int64_t kReportLabels = int64_t{1} << 26;
constexpr int64_t kReportProbabilities = int64_t{1} << 23;
constexpr size_t kReportProbabilityClasses = 8, kReportRaters = 8, kReportSamples = 4;

CaseView view_of(const ReportCase& c, const std::vector<std::string>& class_names);

/// The details element of a case, with its data. `open`: at first.
std::string viewer(const CaseView& view, size_t index, const std::vector<std::string>& class_names,
                   const std::vector<std::string>& colours, bool open);

}  // namespace voxgrad
