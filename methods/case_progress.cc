#include "methods/case_progress.h"

namespace voxgrad {

std::string CaseProgress::text() const {
  std::string text = cat("case ", index + 1, "/", cases, " ", name);
  if (total > 0)
    text += cat(": ", done, "/", total, " window evaluations (", windows,
                windows == 1 ? " window x " : " windows x ", total / windows, ")");
  return text;
}

CaseClock::CaseClock(int64_t cases, Report report) : report_(std::move(report)) {
  p_.index = -1;
  p_.cases = cases;
}

void CaseClock::begin(const std::string& name) {
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
  const double ready = static_cast<double>(p_.index) + std::min(part, 1.0);
  p_.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  p_.eta_seconds = ready > 0 ? p_.seconds / ready * (static_cast<double>(p_.cases) - ready) : 0;
  report_(p_);
}

int64_t windows_of(const PreprocessedCase& c, const Plan& plan) {
  return count_windows(c.padded, plan.patch);
}

}  // namespace voxgrad
