// Writes the audit as text and as JSON.
#include <algorithm>
#include <iomanip>
#include <nlohmann/json.hpp>
#include <set>

#include "data/audit.h"
#include "io/text.h"

namespace voxgrad {
namespace {

/// Smallest, median (the upper one of two) and largest value.
template <class T>
std::array<T, 3> range_of(std::vector<T> values) {
  std::sort(values.begin(), values.end());
  return {values.front(), values[values.size() / 2], values.back()};
}

template <class T, class Get>
std::array<std::array<T, 3>, 3> axes_of(const AuditReport& report, Get get) {
  std::array<std::array<T, 3>, 3> axes{};
  for (size_t axis = 0; axis < 3; ++axis) {
    std::vector<T> values;
    for (const CaseSummary& c : report.cases) values.push_back(get(c)[axis]);
    axes[axis] = range_of(values);
  }
  return axes;
}

struct ClassCensus {
  std::string name;
  int64_t voxels = 0;
  int cases = 0;
};

std::vector<ClassCensus> census_of(const AuditReport& report) {
  std::vector<ClassCensus> census;
  for (size_t k = 0; k < report.dataset.label_names.size(); ++k) {
    ClassCensus c{report.dataset.label_names[k]};
    for (const CaseSummary& s : report.cases)
      if (k < s.class_voxels.size()) {
        c.voxels += s.class_voxels[k];
        c.cases += s.class_voxels[k] > 0;
      }
    census.push_back(c);
  }
  return census;
}

}  // namespace

namespace {

/// For example "3 raters (a, b, c), 20 annotations of 10 cases"; empty without annotations.
std::string annotations_text(const Dataset& d) {
  std::set<std::string> raters;
  size_t count = 0, cases = 0;
  for (const Case& c : d.cases) {
    for (const Annotation& a : c.annotations) raters.insert(a.rater);
    count += c.annotations.size();
    cases += !c.annotations.empty();
  }
  if (count == 0) return "";
  return cat(counted(raters.size(), "rater"), " (", joined(raters), "), ", counted(count, "annotation"),
             " of ", counted(cases, "case"));
}

}  // namespace

std::string audit_to_text(const AuditReport& report) {
  std::ostringstream out;
  out << "data set  " << report.dataset.name << "\n"
      << "folder    " << report.dataset.folder << "\n"
      << "layout    " << report.dataset.layout << "\n"
      << "channels ";
  for (const auto& name : report.dataset.channel_names) out << " " << name;
  out << "\ncases     " << report.dataset.cases.size() << " listed, " << report.cases.size()
      << " with readable images\n";
  if (const std::string text = annotations_text(report.dataset); !text.empty())
    out << "raters    " << text << "\n";
  if (!report.cases.empty()) {
    const auto shapes = axes_of<int64_t>(report, [](const CaseSummary& c) { return c.shape; });
    const auto spacings = axes_of<double>(report, [](const CaseSummary& c) { return c.spacing; });
    out << "          axis   voxels: min median max    spacing (mm): min median max\n";
    for (size_t axis = 3; axis-- > 0;) {
      out << "          "
          << "zyx"[axis] << "   ";
      for (const int64_t n : shapes[axis]) out << std::setw(7) << n;
      out << "       ";
      for (const double s : spacings[axis]) out << std::setw(9) << std::setprecision(4) << s;
      out << "\n";
    }
    out << "classes\n";
    for (const ClassCensus& c : census_of(report))
      out << "          " << std::left << std::setw(20) << c.name << std::right << std::setw(12) << c.voxels
          << " voxels in " << counted(c.cases, "case") << "\n";
  }
  for (const ProblemLine& line : grouped(report.problems))
    out << (line.error ? "error    " : "warning  ") << line.text << "\n";
  out << (report.errors() ? "not usable" : "usable") << ": " << counted(report.errors(), "error") << ", "
      << counted(report.warnings(), "warning") << "\n";
  return out.str();
}

std::string audit_to_json(const AuditReport& report) {
  using nlohmann::ordered_json;
  ordered_json j;
  j["name"] = report.dataset.name;
  j["folder"] = report.dataset.folder;
  j["layout"] = report.dataset.layout;
  j["channels"] = report.dataset.channel_names;
  j["errors"] = report.errors();
  j["warnings"] = report.warnings();
  j["classes"] = ordered_json::array();
  for (const ClassCensus& c : census_of(report))
    j["classes"].push_back({{"name", c.name}, {"voxels", c.voxels}, {"cases", c.cases}});
  j["cases"] = ordered_json::array();
  for (const CaseSummary& c : report.cases)
    j["cases"].push_back({{"name", c.name},
                          {"shape_dhw", c.shape},
                          {"spacing_dhw_mm", c.spacing},
                          {"low", c.low},
                          {"high", c.high},
                          {"class_voxels", c.class_voxels}});
  j["problems"] = ordered_json::array();
  for (const Problem& p : report.problems)
    j["problems"].push_back({{"severity", p.error ? "error" : "warning"},
                             {"kind", p.kind},
                             {"case", p.case_name},
                             {"file", p.file},
                             {"text", p.text}});
  // A file name may have bytes that are not UTF-8.
  return j.dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace voxgrad
