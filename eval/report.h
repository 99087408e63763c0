// The HTML report: one file without network or other files, from a plain struct. report_case.h has the cases
// of its viewer. The style (report.css), the tables (report.js) and the viewer (report_voxels.js,
// report_picture.js, report_viewer.js) stand beside this file and are compiled in.
#pragma once
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "eval/report_case.h"
#include "eval/scores.h"

namespace voxgrad {

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
  std::vector<CaseView> cases;           ///< from the worst to the best
  size_t cases_scored = 0;               ///< among which those were chosen
  std::vector<std::string> missing;      ///< parts that the run lacks, in words
};

/// The page. Equal reports give equal texts.
std::string report_html(const Report& report);

namespace detail {
/// The row of the method; the last one where there is none. At least one row.
const ScoreRow& main_row(const RunScores& scores);
/// Sections made by report_tables.cc.
std::string summary_table(const RunScores& scores);
std::string class_table(const RunScores& scores);  ///< of the method
std::string comparison_table(const RunScores& scores);
std::string case_tables(const RunScores& scores);
std::string definitions(const RunScores& scores);
/// report.css; report.js and the files of the viewer.
extern const char* const kReportStyle;
extern const char* const kReportScript;
}  // namespace detail

}  // namespace voxgrad
