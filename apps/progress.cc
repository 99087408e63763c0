#include "apps/progress.h"

#include <unistd.h>

#include <cstdio>

#include "apps/terminal.h"

namespace voxgrad::apps {

ProgressLine::ProgressLine() : terminal_(isatty(STDERR_FILENO) == 1) {}

std::string duration_text(double seconds) {
  const long s = static_cast<long>(seconds + 0.5);
  char text[64];
  if (s >= 3600)
    std::snprintf(text, sizeof text, "%ld h %02ld min", s / 3600, s % 3600 / 60);
  else if (s >= 60)
    std::snprintf(text, sizeof text, "%ld min %02ld s", s / 60, s % 60);
  else
    std::snprintf(text, sizeof text, "%ld s", s);
  return text;
}

void ProgressLine::show(const TrainProgress& p) {
  const bool first = p.stage != stage_;
  smooth_loss_ = first ? p.loss : 0.98 * smooth_loss_ + 0.02 * p.loss;
  stage_ = p.stage;
  std::string text = cat(p.stage, " ", p.step, "/", p.steps);
  if (p.eta_seconds > 0 || p.loss != 0) {
    char loss[32];
    std::snprintf(loss, sizeof loss, "%.4f", smooth_loss_);
    text += cat("  loss ", loss, "  ", duration_text(p.seconds), ", ", duration_text(p.eta_seconds), " left");
  }
  show(text, first || p.step == p.steps);
}

void ProgressLine::show(const std::string& plain, bool force) {
  const auto now = std::chrono::steady_clock::now();
  const double age = std::chrono::duration<double>(now - last_).count();
  if (!force && age < (terminal_ ? 0.1 : 10.0)) return;
  last_ = now;
  const std::string text = escaped(plain);
  if (terminal_) {
    std::fprintf(stderr, "\r\033[K%s", text.c_str());
    drawn_ = true;
  } else {
    std::fprintf(stderr, "%s\n", text.c_str());
  }
  std::fflush(stderr);
}

void ProgressLine::clear() {
  if (!drawn_) return;
  std::fprintf(stderr, "\r\033[K");
  std::fflush(stderr);
  drawn_ = false;
}

}  // namespace voxgrad::apps
