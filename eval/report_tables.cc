// The tables of the report.
#include <algorithm>
#include <array>
#include <cstdio>
#include <set>

#include "eval/report.h"
#include "eval/statistics.h"
#include "eval/svg.h"

namespace voxgrad::detail {

namespace {

/// How a score is shown.
struct ScoreText {
  const char* key;
  const char* label;
  const char* unit;  ///< none: a fraction, or a number without a unit
  int decimals;
  bool higher_is_better;
  bool in_first_table;  ///< the scores of the papers; the others stand in a second table
  const char* definition;
};

constexpr std::array<ScoreText, 16> kScores = {{
    {"dsc.mean_foreground", "Dice", "", 3, true, true,
     "2|A\u2229B| / (|A|+|B|), mean over the foreground classes; a class absent in truth and prediction is "
     "left out."},
    {"nsd.mean_foreground", "NSD", "", 3, true, true,
     "Share of both surfaces (face-connected voxels) within the tolerance of the other, mean over the "
     "classes."},
    {"hd95.mean_foreground", "HD95", "mm", 2, false, true,
     "Larger of the two directed 95th percentiles of surface distance; left out where truth or prediction "
     "lacks the "
     "class."},
    {"nll", "NLL", "nats", 4, false, true,
     "Mean over voxels of \u2212log p of the true class, p at least 10\u207b\u00b9\u2070."},
    {"nll_foreground", "NLL, foreground", "nats", 4, false, true,
     "NLL over the voxels near the true foreground."},
    {"ece_top15", "ECE", "", 5, false, true,
     "Top-label expected calibration error of a case, 15 bins (b/15, (b+1)/15]."},
    {"ece_top15_foreground", "ECE, foreground", "", 4, false, true,
     "Top-label ECE over the voxels near the true foreground."},
    {"ece_marginal20", "Class ECE", "", 5, false, true,
     "Calibration error of each class's probability, 20 bins, mean over all classes."},
    {"brier", "Brier", "", 4, false, false,
     "Mean over voxels of \u03a3 (p \u2212 truth)\u00b2; from 0 to 2."},
    {"ged_squared", "GED\u00b2", "", 3, false, false,
     "Squared generalised energy distance of samples and raters, d = 1 \u2212 IoU, self-pairs included; "
     "compare at equal "
     "numbers of samples only."},
    {"hm_iou", "HM-IoU", "", 3, true, false,
     "Mean IoU of the best one-to-one matching of samples and raters."},
    {"nll_excess", "NLL excess", "nats", 4, false, false,
     "NLL minus the NLL of the exact posterior, which no method can beat in expectation."},
    {"kl_posterior", "KL to exact posterior", "nats", 4, false, false,
     "Mean over voxels of KL(posterior \u2016 prediction)."},
    {"uncertainty_auroc_foreground", "Error AUROC", "", 3, true, false,
     "Probability that a wrong voxel near the foreground has more entropy than a right one."},
    {"uncertainty_spearman_foreground", "Error Spearman", "", 3, true, false,
     "Rank correlation of entropy and error over the voxels near the foreground."},
    {"entropy_foreground", "Entropy, foreground", "nats", 3, false, false,
     "Mean entropy of the voxels near the true foreground: a description, not a grade."},
}};

std::string fixed(double value, int decimals) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", decimals, value);
  const std::string s = text;
  return s[0] == '-' ? "\u2212" + s.substr(1) : s;
}

/// Name and unit; with an arrow where `graded`.
std::string heading(const ScoreText& s, bool graded = false) {
  std::string out = escape_markup(s.label);
  if (graded)
    out += std::string("<span class=\"better\">") + (s.higher_is_better ? "\u2191" : "\u2193") + "</span>";
  if (*s.unit) out += " <span class=\"unit\">" + escape_markup(s.unit) + "</span>";
  return out;
}

/// Scores that at least one case of the tables has.
std::vector<ScoreText> present(const std::vector<const ScoreTable*>& tables) {
  std::set<std::string> keys;
  for (const ScoreTable* t : tables)
    for (const CaseScores& c : t->cases)
      for (const auto& [key, value] : c.values) keys.insert(key);
  std::vector<ScoreText> out;
  for (const ScoreText& s : kScores)
    if (keys.contains(s.key)) out.push_back(s);
  return out;
}

std::vector<ScoreText> present(const RunScores& scores) {
  std::vector<const ScoreTable*> tables;
  for (const ScoreRow& row : scores.rows) tables.push_back(&row.table);
  return present(tables);
}

constexpr const char* kNone = "<td class=\"none\">\u2013</td>";

/// Entropy describes a method; it is no grade.
bool is_a_grade(const ScoreText& s) { return std::string_view(s.key) != "entropy_foreground"; }

/// Mean and standard deviation of a score of row r; bold where no other row is better and some row is worse.
std::string summary_cell(const std::vector<std::map<std::string, Summary>>& rows, size_t r,
                         const ScoreText& s) {
  const auto it = rows[r].find(s.key);
  if (it == rows[r].end()) return kNone;
  bool best = is_a_grade(s), differs = false;
  for (const auto& other : rows) {
    const auto o = other.find(s.key);
    if (o == other.end()) continue;
    if (fixed(it->second.mean, s.decimals) == fixed(o->second.mean, s.decimals)) continue;  // as printed
    best = best && (it->second.mean > o->second.mean) == s.higher_is_better;
    differs = true;
  }
  std::string out = best && differs ? "<td class=\"best\">" : "<td>";
  out += fixed(it->second.mean, s.decimals);
  if (it->second.std)
    out += " <span class=\"sd\">\u00b1&#8239;" + fixed(*it->second.std, s.decimals) + "</span>";
  return out + "</td>";
}

std::string p_text(const Score& p) {
  if (!p) return "\u2013";
  return *p < 0.001 ? "&lt; 0.001" : fixed(*p, 3);
}

}  // namespace

const ScoreRow& main_row(const RunScores& scores) {
  require(!scores.rows.empty(), "[report] expected at least one row of scores");
  const ScoreRow* method = scores.method();
  return method ? *method : scores.rows.back();
}

std::string summary_table(const RunScores& scores) {
  if (scores.rows.empty()) return "";
  std::vector<std::map<std::string, Summary>> rows;
  bool pooled = false;
  for (const ScoreRow& row : scores.rows) {
    rows.push_back(summarise(row.table));
    pooled = pooled || !row.table.pooled.empty();
  }
  std::string out;
  for (const bool first : {true, false}) {
    std::vector<ScoreText> columns = present(scores);
    std::erase_if(columns, [first](const ScoreText& s) { return s.in_first_table != first; });
    if (columns.empty() && (first || !pooled)) continue;
    out += std::string(first ? "" : "<h3>Further scores</h3>") +
           "<div class=\"scroll\"><table class=\"numbers\"><thead><tr><th scope=\"col\">Method</th>" +
           (first ? "<th scope=\"col\">Cases</th>" : "");
    for (const ScoreText& s : columns)
      out += "<th scope=\"col\" title=\"" + escape_markup(s.definition) + "\">" + heading(s, is_a_grade(s)) +
             "</th>";
    if (!first && pooled)
      out +=
          "<th scope=\"col\" title=\"ECE of the bins of all cases together\">Pooled ECE</th><th "
          "scope=\"col\" title=\"Rank correlation over cases of "
          "mean "
          "foreground entropy and 1 \u2212 Dice\">Case Spearman</th>";
    out += "</tr></thead><tbody>";
    for (size_t r = 0; r < rows.size(); ++r) {
      out += "<tr><th scope=\"row\">" + escape_markup(scores.rows[r].label) + "</th>";
      if (first) out += "<td>" + std::to_string(scores.rows[r].table.cases.size()) + "</td>";
      for (const ScoreText& s : columns) out += summary_cell(rows, r, s);
      if (!first && pooled) {
        const ScoreMap& p = scores.rows[r].table.pooled;
        const auto cell = [&](const char* key, int decimals) {
          const auto it = p.find(key);
          return it == p.end() ? std::string(kNone) : "<td>" + fixed(it->second, decimals) + "</td>";
        };
        out += cell("ece_top15", 5) + cell("casewise_spearman", 2);
      }
      out += "</tr>";
    }
    out += "</tbody></table></div>";
  }
  return out +
         "<p class=\"small\">Mean \u00b1 standard deviation over cases (n \u2212 1). \u2191 higher is "
         "better, \u2193 "
         "lower is better; the best mean of a column is bold. Scores without a unit are fractions, from 0 to "
         "1 where "
         "they have a bound.</p>";
}

std::string class_table(const RunScores& scores) {
  const ScoreRow& row = main_row(scores);
  const std::vector<std::string>& names = row.table.class_names;
  if (names.size() < 3) return "";  // one class: its scores are the means above
  const auto summary = summarise(row.table);
  const size_t cases = row.table.cases.size();
  std::string body;
  for (size_t k = 1; k < names.size(); ++k) {
    std::string cells;
    bool any = false;
    for (const auto& [key, decimals] : {std::pair{"dsc.", 3}, {"nsd.", 3}, {"hd95.", 2}}) {
      const auto it = summary.find(key + std::to_string(k));
      if (it == summary.end()) {
        cells += kNone;
        continue;
      }
      any = true;
      const Summary& s = it->second;
      cells += "<td>" + fixed(s.mean, decimals);
      if (s.std) cells += " <span class=\"sd\">\u00b1&#8239;" + fixed(*s.std, decimals) + "</span>";
      if (static_cast<size_t>(s.count) < cases)
        cells += cat(" <span class=\"unit\">", s.count, " of ", cases, "</span>");
      cells += "</td>";
    }
    if (any) body += "<tr><th scope=\"row\">" + escape_markup(names[k]) + "</th>" + cells + "</tr>";
  }
  if (body.empty()) return "";
  return "<h3>Classes, " + escape_markup(row.label) +
         "</h3><div class=\"scroll\"><table class=\"numbers\"><thead><tr><th scope=\"col\">Class</th><th "
         "scope=\"col\">Dice</th><th scope=\"col\">NSD</th><th scope=\"col\">HD95 <span "
         "class=\"unit\">mm</span></th></tr></thead><tbody>" +
         body +
         "</tbody></table></div><p class=\"small\">A mean over fewer than all cases says over how many. HD95 "
         "has "
         "no value where truth or prediction lacks the class: a class that is missed is not in it, but has a "
         "Dice "
         "of 0.</p>";
}

std::string comparison_table(const RunScores& scores) {
  const ScoreRow* method = scores.method();
  if (!method) return "";
  std::string body;
  for (const ScoreRow& row : scores.rows) {
    if (&row == method) continue;
    for (const char* key : {"dsc.mean_foreground", "nll", "ece_top15"}) {
      const ScoreText& s = *std::find_if(kScores.begin(), kScores.end(),
                                         [&](const ScoreText& t) { return std::string_view(t.key) == key; });
      std::vector<double> a, b;
      for (const CaseScores& c : method->table.cases)
        for (const CaseScores& o : row.table.cases)
          if (o.name == c.name && o.values.contains(key) && c.values.contains(key)) {
            a.push_back(c.values.at(key));
            b.push_back(o.values.at(key));
          }
      if (a.empty()) continue;
      const PairedComparison d = compare_paired(a, b);
      const auto show = [&](double v) { return fixed(v, s.decimals + 1); };
      body += "<tr><th scope=\"row\">" + escape_markup(method->label) + " \u2212 " +
              escape_markup(row.label) + "</th><td class=\"left\">" + heading(s) + "</td><td>" +
              show(d.mean_difference) + "</td><td>" + show(d.ci_low) + " to " + show(d.ci_high) +
              "</td><td>" + p_text(d.p) + "</td><td>" + std::to_string(d.n) + "</td></tr>";
    }
  }
  if (body.empty()) return "";
  return "<h3>Paired differences</h3><div class=\"scroll\"><table class=\"numbers\"><thead><tr><th "
         "scope=\"col\">Methods</th><th scope=\"col\" class=\"left\">Score</th><th scope=\"col\">Mean "
         "difference</th><th scope=\"col\">95&#8239;% interval</th><th scope=\"col\">p</th><th "
         "scope=\"col\">Cases</th></tr></thead><tbody>" +
         body +
         "</tbody></table></div><p class=\"small\">Percentile bootstrap over cases (10,000 resamples) and "
         "two-sided "
         "paired t-test; p is not corrected for the number of comparisons." +
         (method->table.cases.size() < 10 ? " With so few cases both are rough." : "") + "</p>";
}

std::string case_tables(const RunScores& scores) {
  std::string out;
  std::vector<const ScoreRow*> rows;
  for (auto row = scores.rows.rbegin(); row != scores.rows.rend(); ++row) rows.push_back(&*row);
  if (!rows.empty())  // the method first
    std::stable_partition(rows.begin(), rows.end(), [&](auto* row) { return row == &main_row(scores); });
  for (const ScoreRow* row : rows) {
    const ScoreRow& m = *row;
    if (m.table.cases.empty()) continue;
    const std::vector<ScoreText> columns = present({&m.table});
    out += std::string("<details") + (row == rows.front() ? " open" : "") + "><summary>" +
           escape_markup(m.label) + ", " + std::to_string(m.table.cases.size()) +
           " cases</summary><div class=\"scroll tall\"><table class=\"numbers sortable\"><thead><tr><th "
           "scope=\"col\" "
           "aria-sort=\"ascending\"><button type=\"button\">Case</button></th>";
    for (const ScoreText& s : columns)
      out += "<th scope=\"col\"><button type=\"button\" title=\"" + escape_markup(s.definition) + "\">" +
             heading(s) + "</button></th>";
    out += "</tr></thead><tbody>";
    for (const CaseScores& c : m.table.cases) {
      out += "<tr><th scope=\"row\">" + escape_markup(c.name) + "</th>";
      for (const ScoreText& s : columns) {
        const auto it = c.values.find(s.key);
        out += it == c.values.end() ? kNone : "<td>" + fixed(it->second, s.decimals) + "</td>";
      }
      out += "</tr>";
    }
    out += "</tbody></table></div></details>";
  }
  return out;
}

std::string definitions(const RunScores& scores) {
  std::string out = "<dl class=\"definitions\">";
  for (const ScoreText& s : present(scores))
    out += "<dt>" + heading(s) + "</dt><dd>" + escape_markup(s.definition) + "</dd>";
  if (!scores.rows.empty() && !main_row(scores).table.pooled.empty())
    out +=
        "<dt>Pooled ECE</dt><dd>Top-label ECE of the bins of all cases together, as in the reliability "
        "diagrams."
        "</dd><dt>Case Spearman</dt><dd>Rank correlation over cases of mean foreground entropy and 1 \u2212 "
        "Dice; with few cases it says little.</dd>";
  out += "</dl>";
  if (!scores.rows.empty()) {
    const ScoreOptions& o = main_row(scores).table.options;
    out += "<p class=\"small\">Near the foreground: every voxel within " + label_of(o.foreground_radius) +
           " mm of a true foreground voxel (exact Euclidean distance in mm), the same voxels for all "
           "methods. NSD "
           "tolerance: " +
           label_of(o.nsd_tolerance) + " mm.</p>";
  }
  return out;
}

}  // namespace voxgrad::detail
