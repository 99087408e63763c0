#include "methods/case_progress.h"

#include <algorithm>
#include <numeric>

#include "data/grid.h"
#include "io/text.h"

namespace voxgrad {

std::string CaseProgress::text() const {
  std::string text = cat("case ", index + 1, "/", cases, " ", name);
  if (total > 0)
    text += cat(": ", done, "/", total, " window evaluations (", counted(windows, "window"), " x ",
                total / windows, ")");
  return text;
}

CaseClock::CaseClock(std::vector<int64_t> cost, Report report)
    : cost_(std::move(cost)),
      cost_of_all_(std::accumulate(cost_.begin(), cost_.end(), int64_t{0})),
      report_(std::move(report)) {
  p_.index = -1;
  p_.cases = static_cast<int64_t>(cost_.size());
}

void CaseClock::begin(const std::string& name) {
  if (p_.index >= 0) cost_before_ += cost_.at(static_cast<size_t>(p_.index));
  ++p_.index;
  p_.name = name;
  p_.windows = p_.done = p_.total = 0;
  tell();
}

void CaseClock::evaluate(int64_t windows, int64_t evaluations) {
  p_.windows = windows;
  p_.total = windows * evaluations;
  tell();
}

void CaseClock::advance(int64_t evaluations) {
  p_.done += evaluations;
  tell();
}

void CaseClock::tell() {
  if (!report_) return;
  const double part = p_.total > 0 ? static_cast<double>(p_.done) / static_cast<double>(p_.total) : 0;
  const double cost = static_cast<double>(cost_.at(static_cast<size_t>(p_.index)));
  const double ready = static_cast<double>(cost_before_) + cost * std::min(part, 1.0);
  p_.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  p_.eta_seconds = ready > 0 ? p_.seconds / ready * (static_cast<double>(cost_of_all_) - ready) : 0;
  report_(p_);
}

int64_t windows_of(const PreprocessedCase& c, const Plan& plan) {
  return count_windows(c.padded, plan.patch);
}

int64_t windows_of(const PreparedCase& c, const Plan& plan) {
  return count_windows(padding(c.content, plan.patch).first, plan.patch);
}

int64_t most_windows(const Case& c, const Plan& plan) {
  const NiftiHeader header = read_nifti_header(c.images[0]);
  const Turn turn = turn_to(plan.axes, header);
  const Triple extent{header.extent(2), header.extent(1), header.extent(0)};
  const Triple content =
      prepared_extent(c.name, turned(extent, turn), turned(spacing_of(header), turn), plan);
  return count_windows(padding(content, plan.patch).first, plan.patch);
}

std::vector<int64_t> most_windows(const std::vector<Case>& cases, const Plan& plan) {
  std::vector<int64_t> windows;
  for (const Case& c : cases) windows.push_back(std::max<int64_t>(1, most_windows(c, plan)));
  return windows;
}

}  // namespace voxgrad
