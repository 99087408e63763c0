// The HTML report: one file that needs no network and no other files, made from a plain struct. report_case.h
// has the cases for its viewer. The style (report.css), the sorting of tables (report.js) and the viewer
// (report_voxels.js, report_picture.js, report_viewer.js) are files in this folder that are compiled into the
// program.
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
  /// Facts of the run: method, data, seed, versions, time.
  std::vector<std::pair<std::string, std::string>> facts;
  RunScores scores;
  std::vector<std::string> class_names;  ///< index = class
  std::vector<ReportFigure> training;    ///< training curves
  std::vector<ReportFigure> figures;     ///< other figures, such as Dice against sampling steps
  std::vector<CaseView> cases;           ///< in the order from the worst to the best
  size_t cases_scored = 0;               ///< number of scored cases, from which `cases` were chosen
  std::vector<std::string> missing;      ///< descriptions of parts that the run lacks
};

/// Makes the page. Equal reports give equal texts.
std::string report_html(const Report& report);

namespace detail {
/// The row of the method, or the last row if there is none. Needs at least one row.
const ScoreRow& main_row(const RunScores& scores);
/// Sections made by report_tables.cc.
std::string summary_table(const RunScores& scores);
std::string class_table(const RunScores& scores);  ///< classes of the method's row
std::string comparison_table(const RunScores& scores);
std::string case_tables(const RunScores& scores);
std::string definitions(const RunScores& scores);
/// The texts of report.css, and of report.js and the viewer's files.
extern const char* const kReportStyle;
extern const char* const kReportScript;
}  // namespace detail

}  // namespace voxgrad
