#include "eval/report.h"

#include <algorithm>

#include "eval/figures.h"
#include "eval/svg.h"

namespace voxgrad {

namespace {

constexpr const char* kDisclaimer =
    "Research software, not a medical device. Not for diagnosis or treatment decisions.";

std::string section(const char* id, const char* title, const std::string& body) {
  if (body.empty()) return "";
  return std::string("<section id=\"") + id + "\"><h2>" + title + "</h2>\n" + body + "</section>\n";
}

std::string list(const std::vector<std::string>& lines, const char* style) {
  if (lines.empty()) return "";
  std::string out = std::string("<ul class=\"") + style + "\">";
  for (const std::string& l : lines) out += "<li>" + escape_markup(l) + "</li>";
  return out + "</ul>";
}

std::string facts(const Report& r) {
  if (r.facts.empty()) return "";
  std::string out = "<table class=\"facts\"><tbody>";
  for (const auto& [key, value] : r.facts)
    out += "<tr><th scope=\"row\">" + escape_markup(key) + "</th><td>" + escape_markup(value) + "</td></tr>";
  return out + "</tbody></table>";
}

std::string scores(const Report& r) {
  if (r.scores.rows.empty()) return "";
  return (r.scores.split.empty() ? "" : "<p>" + escape_markup(r.scores.split) + "</p>") +
         detail::summary_table(r.scores) + detail::comparison_table(r.scores) + list(r.scores.notes, "notes");
}

std::string calibration(const Report& r) {
  std::string out;
  for (const ScoreRow& row : r.scores.rows) {
    const std::string svg = reliability_diagram(row.table.reliability, row.label);
    if (!svg.empty()) out += "<figure>" + svg + "</figure>";
  }
  if (out.empty()) return "";
  return "<div class=\"figures\">" + out +
         "</div><p class=\"small\">Top-label reliability of all voxels of all scored cases, pooled, 15 bins: "
         "the "
         "blue line on a bar is the accuracy of the bin, the yellow part its gap to the mean confidence; "
         "grey "
         "bars count voxels. Most voxels are background far from any border; the foreground scores above "
         "leave those out.</p>";
}

std::string figures(const std::vector<ReportFigure>& list) {
  std::string out;
  for (const ReportFigure& f : list)
    if (!f.svg.empty())
      out += "<figure>" + f.svg +
             (f.caption.empty() ? "" : "<figcaption>" + escape_markup(f.caption) + "</figcaption>") +
             "</figure>";
  return out.empty() ? "" : "<div class=\"figures\">" + out + "</div>";
}

std::string case_scores(const Report& r) {
  if (r.scores.rows.empty()) return "";
  const ScoreRow& main = detail::main_row(r.scores);
  std::vector<std::string> names;
  std::vector<double> values;
  for (const CaseScores& c : main.table.cases)
    if (const auto it = c.values.find("dsc.mean_foreground"); it != c.values.end()) {
      names.push_back(c.name);
      values.push_back(it->second);
    }
  PlotOptions options;
  options.title = "Dice of each case, " + main.label;
  options.y_label = "Dice, mean of the foreground classes";
  options.x_label = "Cases, from the highest to the lowest Dice";
  options.width = 1000;
  options.height = 300;
  const std::string bars = case_bars(names, values, options);
  return (bars.empty() ? "" : "<div class=\"figures\"><figure class=\"wide\">" + bars + "</figure></div>") +
         detail::case_tables(r.scores);
}

std::string viewers(const Report& r) {
  if (r.cases.empty()) return "";
  const size_t shown = std::min(r.cases.size(), kReportCases),
               available = std::max(r.cases_available, r.cases.size());
  std::string out =
      "<p>" +
      std::string(available > shown
                      ? std::to_string(shown) + " of " + std::to_string(available) + " cases are shown. "
                      : "") +
      "Radiological convention: the patient\u2019s right is on the left of axial and coronal slices; "
      "sagittal slices "
      "have anterior on the left. Thin line: prediction. Broad pale line: truth. Click a slice to move the "
      "other two "
      "there; with a slice focused, arrow keys, Page Up/Down and the wheel change it, and P, T, U, C switch "
      "prediction, "
      "truth, uncertainty and cross-hair.</p><noscript><p>The viewer needs JavaScript; tables and figures do "
      "not.</p></noscript>";
  for (size_t i = 0; i < shown; ++i) out += detail::viewer(r.cases[i], i, r.class_names);
  return out;
}

}  // namespace

std::string report_html(const Report& r) {
  struct Section {
    const char* id;
    const char* title;
    std::string html;
  };
  const std::vector<Section> sections = {{"missing", "Missing in this run", list(r.missing, "missing")},
                                         {"scores", "Scores", scores(r)},
                                         {"viewer", "Segmentations", viewers(r)},
                                         {"calibration", "Calibration", calibration(r)},
                                         {"cases", "Cases", case_scores(r)},
                                         {"training", "Training", figures(r.training)},
                                         {"figures", "Figures", figures(r.figures)},
                                         {"run", "Run", facts(r)},
                                         {"definitions", "How the scores are defined",
                                          r.scores.rows.empty() ? "" : detail::definitions(r.scores)}};
  std::string nav, body;
  for (const Section& s : sections) {
    if (s.html.empty()) continue;
    nav += std::string("<a href=\"#") + s.id + "\">" + s.title + "</a>";
    body += section(s.id, s.title, s.html);
  }
  const std::string title = escape_markup(r.title.empty() ? "voxgrad report" : r.title);
  // The policy lets the page load nothing: what is shown is what is in the file.
  return "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta "
         "http-equiv=\"Content-Security-Policy\" "
         "content=\"default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src "
         "data:\">\n<meta "
         "name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>" +
         title + "</title>\n<style>\n" + detail::kReportStyle + "</style>\n</head>\n<body>\n<header><h1>" +
         title + "</h1>" +
         (r.subtitle.empty() ? "" : "<p class=\"subtitle\">" + escape_markup(r.subtitle) + "</p>") +
         "<p class=\"disclaimer\">" + kDisclaimer + "</p><nav aria-label=\"Sections\">" + nav +
         "</nav></header>\n<main>\n" + body + "</main>\n<footer>" + kDisclaimer + "</footer>\n<script>\n" +
         detail::kReportScript + "</script>\n</body>\n</html>\n";
}

}  // namespace voxgrad
