// The HTML report: one file without network or other files, from a plain struct. report.css and report.js
// beside this file are its style and its viewer; they are compiled in.
#pragma once
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "eval/scores.h"
#include "io/nifti.h"

namespace voxgrad {

/// A case of the viewer. Undefined tensors are not shown.
struct ReportCase {
  std::string name;
  NiftiHeader header;         ///< grid of all tensors: spacing and orientation
  Tensor image;               ///< f32 [D, H, W], one channel
  std::string image_unit;     ///< "HU" (which offers the usual CT windows); empty: arbitrary
  Tensor truth, mask;         ///< i32 [D, H, W]
  Tensor entropy;             ///< f32 [D, H, W], nats
  Tensor mutual_information;  ///< f32 [D, H, W], nats
};

struct ReportFigure {
  std::string caption;
  std::string svg;
};

struct Report {
  std::string title;
  std::string subtitle;
  std::vector<std::pair<std::string, std::string>> facts;  ///< of the run: method, data, seed, versions, time
  RunScores scores;
  std::vector<std::string> class_names;  ///< index = class
  std::vector<ReportFigure> training;    ///< curves
  std::vector<ReportFigure> figures;     ///< any others, e.g. Dice against sampling steps
  std::vector<ReportCase> cases;
  size_t cases_available = 0;        ///< cases that could be shown; 0: as many as `cases`
  std::vector<std::string> missing;  ///< parts that the run lacks, in words
};

/// At most so many cases, and so many voxels of each, go into the viewer; larger volumes show every second
/// (third, ...) voxel of an axis, and the page says so.
constexpr size_t kReportCases = 6;
constexpr int64_t kReportVoxels = int64_t{1} << 20;

/// The page. Equal reports give equal texts.
std::string report_html(const Report& report);

namespace detail {
/// The row of the method; the last one where there is none. At least one row.
const ScoreRow& main_row(const RunScores& scores);
/// Sections made by report_tables.cc and report_viewer.cc.
std::string summary_table(const RunScores& scores);
std::string comparison_table(const RunScores& scores);
std::string case_tables(const RunScores& scores);
std::string definitions(const RunScores& scores);
/// Colour of a class's contours (class 1 and up), colour-blind safe on grey.
std::string_view class_colour(size_t class_index);
std::string viewer(const ReportCase& c, size_t index, const std::vector<std::string>& class_names);
/// report.css and report.js.
extern const char* const kReportStyle;
extern const char* const kReportScript;
}  // namespace detail

}  // namespace voxgrad
