// A case for the viewer of the report. report_case.cc chooses and encodes its data, report_grid.h turns its
// voxels to the patient's axes, report_viewer.cc makes its HTML, report_viewer.js is the viewer.
#pragma once
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "io/nifti.h"
#include "run/scores.h"

namespace voxgrad {

/// A predicted case. Undefined tensors and empty lists are not shown.
struct ReportCase {
  struct Channel {
    std::string name;
    std::string unit;  ///< "HU", for which the viewer offers the usual CT windows; empty: arbitrary units
    Tensor image;      ///< f32 [D, H, W]
  };
  struct Labels {
    std::string name;
    Tensor labels;  ///< i32 [D, H, W]
  };
  std::string name;
  std::string rank;               ///< its rank among the cases, for example "worst of 12"
  Score score;                    ///< mean Dice of the foreground
  NiftiHeader header;             ///< grid of all tensors: spacing and orientation
  std::vector<Channel> channels;  ///< at least one
  Tensor truth, mask;             ///< i32 [D, H, W]
  std::vector<Labels> samples, raters;
  Tensor entropy;             ///< f32 [D, H, W], nats
  Tensor mutual_information;  ///< f32 [D, H, W], nats
  Tensor probabilities;       ///< f32 [K, D, H, W]
};

/// The data of a case in the page. Label maps are cropped to the box around all labels and have full
/// resolution. Images and uncertainty have full resolution in a box around the labels, which is as large as
/// the bounds allow, and are means of blocks elsewhere. The page says where a bound made data coarser.
struct CaseView {
  std::string name, rank;
  Score score;
  bool oriented = false;  ///< whether the file gives left and right
  /// Whether the file gives the size of a voxel. A flat picture with pixels of 1 x 1 mm and without
  /// orientation does not, because converters of pictures write these values.
  bool measured = true;
  std::string size;                 ///< for example "40 x 48 x 36 voxels of 1 x 1 x 1.2 mm"
  std::string notes;                ///< remarks about the shown data
  std::vector<std::string> planes;  ///< of "axial", "coronal", "sagittal", those that are more than a line
  std::vector<size_t> classes;      ///< classes with a voxel in any label map, without the background
  struct Size {
    size_t label = 0;
    double truth = 0, mask = 0;  ///< mL; mm^2 or pixels for a flat image
    Score dice;
  };
  std::vector<Size> sizes;  ///< for the classes in truth or prediction
  bool flat = false;
  std::string description;                                 ///< JSON for report_viewer.js
  std::vector<std::pair<std::string, std::string>> blobs;  ///< name, and gzip as base64
};

/// Bounds of a case in the page (docs/report.md): image values (voxels times channels) at full resolution
/// near the labels, image values of the coarse rest, voxels of the box of the labels, and values of
/// probabilities.
constexpr int64_t kReportFocus = int64_t{1} << 21;
constexpr int64_t kReportContext = int64_t{1} << 18;
constexpr int64_t kReportLabels = int64_t{1} << 26;
constexpr int64_t kReportProbabilities = int64_t{1} << 23;
constexpr size_t kReportProbabilityClasses = 8, kReportRaters = 8, kReportSamples = 4;

CaseView view_of(const ReportCase& c, const std::vector<std::string>& class_names);

/// The HTML `details` element of a case, with its data. `open`: whether it is open at first.
std::string viewer(const CaseView& view, size_t index, const std::vector<std::string>& class_names,
                   const std::vector<std::string>& colours, bool open);

}  // namespace voxgrad
