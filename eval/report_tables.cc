// Makes the tables of the report.
#include <algorithm>
#include <cstdio>
#include <set>

#include "eval/report.h"
#include "eval/score_names.h"
#include "eval/statistics.h"
#include "eval/svg.h"
#include "io/text.h"

namespace voxgrad::detail {

namespace {

std::string fixed(double value, int decimals) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", decimals, value);
  const std::string s = text;
  return s[0] == '-' ? "\u2212" + s.substr(1) : s;
}

/// Name and unit; with an arrow if `graded`.
std::string heading(const ScoreName& s, bool graded = false) {
  std::string out = escape_markup(s.label);
  if (graded)
    out += std::string("<span class=\"better\">") + (s.higher_is_better ? "\u2191" : "\u2193") + "</span>";
  if (*s.unit) out += " <span class=\"unit\">" + escape_markup(s.unit) + "</span>";
  return out;
}

/// The scores that at least one case of the tables has.
std::vector<ScoreName> present(const std::vector<const ScoreTable*>& tables) {
  std::set<std::string> keys;
  for (const ScoreTable* t : tables)
    for (const CaseScores& c : t->cases)
      for (const auto& [key, value] : c.values) keys.insert(key);
  std::vector<ScoreName> out;
  for (const ScoreName& s : score_names())
    if (keys.contains(s.key)) out.push_back(s);
  return out;
}

std::vector<ScoreName> present(const RunScores& scores) {
  std::vector<const ScoreTable*> tables;
  for (const ScoreRow& row : scores.rows) tables.push_back(&row.table);
  return present(tables);
}

constexpr const char* kNone = "<td class=\"none\">\u2013</td>";

/// The difference of a score between two rows, over the cases that have it in both. Nothing if there is no
/// such case.
std::optional<PairedComparison> paired(const ScoreTable& a, const ScoreTable& b, const std::string& key) {
  std::map<std::string, double> of_b;
  for (const CaseScores& c : b.cases)
    if (const auto value = c.values.find(key); value != c.values.end()) of_b[c.name] = value->second;
  std::vector<double> x, y;
  for (const CaseScores& c : a.cases)
    if (const auto value = c.values.find(key); value != c.values.end() && of_b.contains(c.name)) {
      x.push_back(value->second);
      y.push_back(of_b.at(c.name));
    }
  if (x.empty()) return std::nullopt;
  return compare_paired(x, y);
}

/// With fewer pairs, no two-sided sign test reaches p < 0.05, and a bootstrap interval does not contain 0 as
/// soon as all differences have the same sign.
constexpr int64_t kFewestPairs = 6;

/// Whether a difference is shown: there are enough pairs, the interval does not contain 0, and the t-test
/// agrees.
bool is_shown(const PairedComparison& d) {
  const bool agrees = !d.p || *d.p < 0.05;  // without variance there is no p
  return d.n >= kFewestPairs && (d.ci_low > 0 || d.ci_high < 0) && agrees;
}

using Summaries = std::vector<std::map<std::string, Summary>>;  // one for each row

/// The rows that are bold in the column of a score: the row with the best mean, and rows that do not differ
/// from it (equal printed values, or a paired difference that is not shown). No row is bold if this holds for
/// all rows.
std::vector<bool> bold_rows(const RunScores& scores, const Summaries& rows, const ScoreName& s) {
  std::vector<bool> bold(rows.size());
  const auto mean = [&](size_t r) { return rows[r].at(s.key).mean; };
  std::optional<size_t> best;
  for (size_t r = 0; r < rows.size(); ++r)
    if (rows[r].contains(s.key) && (!best || (mean(r) > mean(*best)) == s.higher_is_better)) best = r;
  if (!best || !s.graded()) return bold;
  bool all = true;
  for (size_t r = 0; r < rows.size(); ++r) {
    if (!rows[r].contains(s.key)) continue;
    const auto difference = paired(scores.rows[*best].table, scores.rows[r].table, s.key);
    bold[r] = fixed(mean(r), s.decimals) == fixed(mean(*best), s.decimals) ||
              !(difference && is_shown(*difference));
    all = all && bold[r];
  }
  return all ? std::vector<bool>(rows.size()) : bold;
}

/// Mean and standard deviation of a score, and the number of cases if it is not all of them.
std::string summary_cell(const std::map<std::string, Summary>& row, size_t cases, const ScoreName& s,
                         bool bold) {
  const auto it = row.find(s.key);
  if (it == row.end()) return kNone;
  std::string out = bold ? "<td class=\"best\">" : "<td>";
  out += fixed(it->second.mean, s.decimals);
  if (it->second.std)
    out += " <span class=\"sd\">\u00b1&#8239;" + fixed(*it->second.std, s.decimals) + "</span>";
  if (static_cast<size_t>(it->second.count) < cases)
    out += cat(" <span class=\"unit\">", it->second.count, " of ", cases, "</span>");
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
  Summaries rows;
  bool pooled = false;
  for (const ScoreRow& row : scores.rows) {
    rows.push_back(summarise(row.table));
    pooled = pooled || !row.table.pooled.empty();
  }
  std::string out;
  for (const bool first : {true, false}) {
    std::vector<ScoreName> columns = present(scores);
    std::erase_if(columns, [first](const ScoreName& s) { return s.main != first; });
    if (columns.empty() && (first || !pooled)) continue;
    out += std::string(first ? "" : "<h3>Further scores</h3>") +
           "<div class=\"scroll\"><table class=\"numbers\"><thead><tr><th scope=\"col\">Method</th>" +
           (first ? "<th scope=\"col\">Cases</th>" : "");
    for (const ScoreName& s : columns)
      out += "<th scope=\"col\" title=\"" + escape_markup(s.definition) + "\">" + heading(s, s.graded()) +
             "</th>";
    if (!first && pooled)
      out +=
          "<th scope=\"col\" title=\"ECE of the bins of all cases together\">Pooled ECE</th><th "
          "scope=\"col\" title=\"Rank correlation over cases of mean foreground entropy and 1 \u2212 "
          "Dice\">Case Spearman</th><th scope=\"col\" title=\"Area under the selective risk over "
          "cases\">Case AURC</th><th scope=\"col\" title=\"Area under the generalised risk over "
          "cases\">Case AUGRC</th>";
    out += "</tr></thead><tbody>";
    std::vector<std::vector<bool>> bold;
    for (const ScoreName& s : columns) bold.push_back(bold_rows(scores, rows, s));
    for (size_t r = 0; r < rows.size(); ++r) {
      out += "<tr><th scope=\"row\">" + escape_markup(scores.rows[r].label) + "</th>";
      if (first) out += "<td>" + std::to_string(scores.rows[r].table.cases.size()) + "</td>";
      for (size_t i = 0; i < columns.size(); ++i)
        out += summary_cell(rows[r], scores.rows[r].table.cases.size(), columns[i], bold[i][r]);
      if (!first && pooled) {
        const ScoreMap& p = scores.rows[r].table.pooled;
        const auto cell = [&](const char* key, int decimals) {
          const auto it = p.find(key);
          return it == p.end() ? std::string(kNone) : "<td>" + fixed(it->second, decimals) + "</td>";
        };
        out += cell("ece_top15", 5) + cell("casewise_spearman", 2) + cell("casewise_aurc", 4) +
               cell("casewise_augrc", 4);
      }
      out += "</tr>";
    }
    out += "</tbody></table></div>";
  }
  return out +
         "<p class=\"small\">Mean \u00b1 standard deviation over cases (n \u2212 1). \u2191 higher is "
         "better, \u2193 lower is better. Bold: the best mean of a column, and means that are not shown to "
         "differ from it. A difference is shown if there are at least six cases, the 95&#8239;% interval of "
         "the paired difference does not contain 0, and p < 0.05. If no row is shown to differ, nothing is "
         "bold. If a mean has fewer than all cases, its number of cases follows it. Scores without a unit "
         "are fractions, not per cent.</p>";
}

std::string class_table(const RunScores& scores) {
  const ScoreRow& row = main_row(scores);
  const std::vector<std::string>& names = row.table.class_names;
  if (names.size() < 3) return "";  // with one class its scores equal the means above
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
         "</tbody></table></div><p class=\"small\">If a mean has fewer than all cases, its number of cases "
         "follows it. HD95 has no value if the class is absent in truth or prediction. So a class that was "
         "missed has a Dice of 0, but does not change HD95.</p>";
}

std::string comparison_table(const RunScores& scores) {
  const ScoreRow* method = scores.method();
  if (!method) return "";
  struct Difference {
    const ScoreRow* row;
    const ScoreName* score;
    PairedComparison paired;
    Score holm_p;  // Wilcoxon's p, corrected
    bool few() const { return paired.n < kFewestPairs; }
  };
  std::vector<Difference> differences;
  for (const ScoreRow& row : scores.rows) {
    if (&row == method) continue;
    for (const char* key : {"dsc.mean_foreground", "nll", "ece_top15"}) {
      const ScoreName& s = *std::find_if(score_names().begin(), score_names().end(),
                                         [&](const ScoreName& t) { return std::string_view(t.key) == key; });
      if (const auto d = paired(method->table, row.table, key))
        differences.push_back({&row, &s, *d, std::nullopt});
    }
  }
  std::vector<Difference*> tested;
  std::vector<double> p_values;
  for (Difference& d : differences)
    if (d.paired.wilcoxon_p && !d.few()) {
      tested.push_back(&d);
      p_values.push_back(*d.paired.wilcoxon_p);
    }
  const std::vector<double> adjusted = holm(p_values);
  for (size_t i = 0; i < tested.size(); ++i) tested[i]->holm_p = adjusted[i];

  std::string body;
  for (const Difference& difference : differences) {
    const PairedComparison& d = difference.paired;
    const ScoreRow& row = *difference.row;
    const ScoreName& s = *difference.score;
    const bool few = difference.few();
    const std::string better = few                                             ? "too few cases"
                               : !is_shown(d)                                  ? "not shown"
                               : (d.mean_difference > 0) == s.higher_is_better ? escape_markup(method->label)
                                                                               : escape_markup(row.label);
    const auto show = [&](double v) { return fixed(v, s.decimals + 1); };
    const auto cell = [few](const std::string& text) { return "<td>" + (few ? "\u2013" : text) + "</td>"; };
    body += "<tr><th scope=\"row\">" + escape_markup(method->label) + " \u2212 " + escape_markup(row.label) +
            "</th><td class=\"left\">" + heading(s, true) + "</td><td>" + show(d.mean_difference) + "</td>" +
            cell(show(d.ci_low) + " to " + show(d.ci_high)) + cell(p_text(d.p)) + cell(p_text(d.wilcoxon_p)) +
            cell(p_text(difference.holm_p)) + "<td>" + std::to_string(d.n) + "</td><td class=\"left\">" +
            better + "</td></tr>";
  }
  if (body.empty()) return "";
  return "<h3>Paired differences</h3><div class=\"scroll\"><table class=\"numbers\"><thead><tr><th "
         "scope=\"col\">Methods</th><th scope=\"col\" class=\"left\">Score</th><th scope=\"col\">Mean "
         "difference</th><th scope=\"col\">95&#8239;% interval</th><th scope=\"col\">p</th><th "
         "scope=\"col\">Wilcoxon p</th><th scope=\"col\">Holm p</th><th "
         "scope=\"col\">Cases</th><th scope=\"col\" class=\"left\">Better</th></tr></thead><tbody>" +
         body +
         "</tbody></table></div><p class=\"small\">Better: the better one of the two, if the difference is "
         "shown (see the first table). The interval is a percentile bootstrap over cases (10,000 resamples). "
         "p is from a two-sided paired t-test. Wilcoxon p is from a Wilcoxon signed-rank test, exact with at "
         "most 50 cases. These two are not corrected for the number of comparisons. Holm p is Wilcoxon p "
         "after Holm\u2019s correction for all comparisons of this table." +
         (method->table.cases.size() < 10 ? " With so few cases, interval and p are imprecise." : "") +
         "</p>";
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
    const std::vector<ScoreName> columns = present({&m.table});
    out += std::string("<details") + (row == rows.front() ? " open" : "") + "><summary>" +
           escape_markup(m.label) + ", " + counted(m.table.cases.size(), "case") +
           "</summary><div class=\"scroll tall\"><table class=\"numbers sortable\"><thead><tr><th "
           "scope=\"col\" "
           "aria-sort=\"ascending\"><button type=\"button\">Case</button></th>";
    for (const ScoreName& s : columns)
      out += "<th scope=\"col\"><button type=\"button\" title=\"" + escape_markup(s.definition) + "\">" +
             heading(s) + "</button></th>";
    out += "</tr></thead><tbody>";
    for (const CaseScores& c : m.table.cases) {
      out += "<tr><th scope=\"row\">" + escape_markup(c.name) + "</th>";
      for (const ScoreName& s : columns) {
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
  for (const ScoreName& s : present(scores))
    out += "<dt>" + heading(s) + "</dt><dd>" + escape_markup(s.definition) + "</dd>";
  if (!scores.rows.empty() && !main_row(scores).table.pooled.empty())
    out +=
        "<dt>Pooled ECE</dt><dd>Top-label ECE of the bins of all cases together, as in the reliability "
        "diagrams.</dd><dt>Case Spearman</dt><dd>Rank correlation over cases of mean foreground entropy and "
        "1 \u2212 Dice. With few cases it says little.</dd><dt>Case AURC, Case AUGRC</dt><dd>Areas under the "
        "selective and the generalised risk over cases. The risk of a case is 1 \u2212 Dice. Its confidence "
        "is the mean entropy near the predicted foreground, with the opposite sign. Lower is better.</dd>";
  out += "</dl>";
  if (!scores.rows.empty()) {
    const ScoreOptions& o = main_row(scores).table.options;
    out += "<p class=\"small\">Near the foreground: every voxel within " + label_of(o.foreground_radius) +
           " mm of a true foreground voxel (exact Euclidean distance). These are the same voxels for all "
           "methods. NSD tolerance: " +
           label_of(o.nsd_tolerance) + " mm.</p>";
  }
  return out;
}

}  // namespace voxgrad::detail
