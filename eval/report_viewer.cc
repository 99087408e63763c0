// Makes the HTML of a case. report_viewer.js fills it when the case is opened.
#include <algorithm>
#include <cmath>

#include "eval/report_case.h"
#include "eval/svg.h"

namespace voxgrad {
namespace {

/// Escapes a text for a script element, where "<!--", "<script" and "</script" have a special meaning.
std::string inert(std::string text) {
  for (size_t at = 0; (at = text.find('<', at)) != std::string::npos;) text.replace(at, 1, "\\u003c");
  return text;
}

std::string class_table(const CaseView& v, const std::vector<std::string>& names,
                        const std::vector<std::string>& colours) {
  const std::string measure = !v.measured ? "area <span class=\"unit\">pixels</span>"
                              : v.flat    ? "area <span class=\"unit\">mm\u00b2</span>"
                                          : "volume <span class=\"unit\">mL</span>";
  std::string out =
      "<div class=\"scroll\"><table class=\"numbers\"><thead><tr><th scope=\"col\">Class</th><th "
      "scope=\"col\">Truth, " +
      measure + "</th><th scope=\"col\">Prediction, " + measure +
      "</th><th scope=\"col\">Dice</th></tr></thead><tbody>";
  for (const CaseView::Size& s : v.sizes)
    out += "<tr><th scope=\"row\"><span class=\"swatch\" style=\"background:" + colours.at(s.label) +
           "\"></span>" + escape_markup(names.at(s.label)) + "</th><td>" + label_of(s.truth, 3) +
           "</td><td>" + label_of(s.mask, 3) + "</td><td>" + (s.dice ? label_of(*s.dice, 3) : "\u2013") +
           "</td></tr>";
  out += "</tbody></table></div>";
  const size_t absent = names.size() - 1 - std::min(names.size() - 1, v.sizes.size());
  if (absent > 0)
    out += "<p class=\"small\">" + std::to_string(absent) + (absent == 1 ? " class is" : " classes are") +
           " absent in truth and prediction.</p>";
  return out;
}

}  // namespace

std::string viewer(const CaseView& v, size_t index, const std::vector<std::string>& names,
                   const std::vector<std::string>& colours, bool open) {
  std::string planes, about = v.rank;
  for (const std::string& p : v.planes) planes += (planes.empty() ? "" : " ") + p;
  if (v.score) about += (about.empty() ? "" : ", ") + std::string("Dice ") + label_of(*v.score, 3);
  std::string out = "<details class=\"case\" id=\"case-" + std::to_string(index) + "\"" +
                    (open ? " open" : "") + "><summary>" + escape_markup(v.name) +
                    (about.empty() ? "" : " <span class=\"rank\">" + escape_markup(about) + "</span>") +
                    "</summary><p class=\"small\">" + v.size + ". " + v.notes +
                    "</p><div class=\"viewer\" data-planes=\"" + planes + "\"></div>" +
                    class_table(v, names, colours) + "<script type=\"application/json\">" +
                    inert(v.description) + "</script>";
  for (const auto& [name, blob] : v.blobs)
    out +=
        "<script type=\"application/octet-stream;base64\" data-blob=\"" + name + "\">" + blob + "</script>";
  return out + "</details>\n";
}

}  // namespace voxgrad
