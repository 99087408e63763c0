#include "eval/report.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "eval/class_colours.h"
#include "eval/figures.h"
#include "eval/svg.h"

namespace voxgrad {

namespace {

constexpr const char* kDisclaimer =
    "Research software, not a medical device. Not for diagnosis or treatment decisions.";
constexpr const char* kPatients =
    "This page contains images and names of the cases that it shows. For patients these are personal data: "
    "treat this file as you treat the data set, and do not send or publish it without permission.";

constexpr size_t kMostColours = 255;

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
         detail::summary_table(r.scores) + detail::class_table(r.scores) +
         detail::comparison_table(r.scores) + list(r.scores.notes, "notes");
}

std::string calibration(const Report& r) {
  std::string out;
  bool foreground = false;
  for (const ScoreRow& row : r.scores.rows) {
    const std::string all = reliability_diagram(row.table.reliability, row.label, "All voxels"),
                      near = reliability_diagram(row.table.foreground_reliability, row.label,
                                                 "Near the foreground");
    if (all.empty() && near.empty()) continue;
    out += "<div class=\"pair\">";
    for (const std::string& svg : {all, near})
      if (!svg.empty()) out += "<figure>" + svg + "</figure>";
    out += "</div>";
    foreground = foreground || !near.empty();
  }
  if (out.empty()) return "";
  return "<div class=\"figures\">" + out +
         "</div><p class=\"small\">Reliability of the most probable class (top label), over the voxels of "
         "all scored cases together, in 15 bins. The blue line on a bar is the accuracy of the bin. The "
         "yellow part is the gap between accuracy and mean confidence. Grey bars count voxels. Most voxels "
         "are background far from any border, and they dominate the diagram of all voxels" +
         (foreground ? ". The diagram near the foreground has only the voxels within " +
                           label_of(detail::main_row(r.scores).table.options.foreground_radius) +
                           " mm of a true foreground voxel.</p>"
                     : ".</p>");
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

/// The colours by class. Only classes that occur in a case of the page get a colour.
std::vector<std::string> colours_of(const Report& r) {
  std::set<size_t> shown;
  for (const CaseView& c : r.cases) shown.insert(c.classes.begin(), c.classes.end());
  std::vector<std::string> colours(r.class_names.size());
  const std::vector<std::string> palette = class_colours(std::min<size_t>(shown.size(), kMostColours));
  size_t next = 0;
  for (const size_t k : shown) colours.at(k) = palette[next++ % palette.size()];
  return colours;
}

std::string viewers(const Report& r) {
  if (r.cases.empty()) return "";
  std::string out = "<p>";
  if (r.cases_scored > r.cases.size())
    out += std::to_string(r.cases.size()) + " of " + std::to_string(r.cases_scored) +
           " scored cases are shown, chosen by Dice: the worst, the median, the best, and others between "
           "them. ";
  if (std::any_of(r.cases.begin(), r.cases.end(), [](const CaseView& c) { return c.oriented; }))
    out +=
        "Radiological convention: the patient\u2019s right is on the left of axial and coronal slices. "
        "Sagittal slices have anterior on the left. ";
  out +=
      "Solid line: prediction. Dashed line: truth. Click a slice to move the cross-hair there. The list "
      "\u201cDragging\u201d chooses what dragging with the left mouse button does. Dragging with the right "
      "button changes window and level, with the middle button it moves the picture. Ctrl and the wheel "
      "zoom.</p><details class=\"keys\"><summary>Keys</summary><p class=\"small\">Select a slice first, "
      "with a click or Tab. Arrow keys, Page Up, Page Down, Home, End and the wheel change the slice. P and "
      "T switch prediction and truth on and off. S goes through prediction and samples, R through truth and "
      "raters, U through uncertainty, errors and probabilities, H through the channels. C switches the "
      "cross-hair, I switches inverse grey, + and \u2212 zoom, 0 shows everything.</p></details><noscript>"
      "<p>The viewer needs JavaScript. Tables and figures do not.</p></noscript>";
  const std::vector<std::string> colours = colours_of(r);
  nlohmann::json classes = {{"names", r.class_names}, {"colours", colours}};
  std::string data = classes.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  for (size_t at = 0; (at = data.find('<', at)) != std::string::npos;) data.replace(at, 1, "\\u003c");
  out += "<script type=\"application/json\" id=\"classes\">" + data + "</script>";
  for (size_t i = 0; i < r.cases.size(); ++i) out += viewer(r.cases[i], i, r.class_names, colours, i == 0);
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
  // The security policy forbids the page to load anything, so it shows only the content of the file.
  return "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"generator\" "
         "content=\"voxgrad report\">\n<meta "
         "http-equiv=\"Content-Security-Policy\" "
         "content=\"default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src "
         "data:\">\n<meta "
         "name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>" +
         title + "</title>\n<style>\n" + detail::kReportStyle + "</style>\n</head>\n<body>\n<header><h1>" +
         title + "</h1>" +
         (r.subtitle.empty() ? "" : "<p class=\"subtitle\">" + escape_markup(r.subtitle) + "</p>") +
         "<p class=\"disclaimer\">" + kDisclaimer + (r.cases.empty() ? "" : std::string("<br>") + kPatients) +
         "</p><nav aria-label=\"Sections\">" + nav + "</nav></header>\n<main>\n" + body +
         "</main>\n<footer>" + kDisclaimer + "</footer>\n<script>\n" + detail::kReportScript +
         "</script>\n</body>\n</html>\n";
}

}  // namespace voxgrad
