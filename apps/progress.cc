#include "apps/progress.h"

#include <unistd.h>

#include <cstdio>

#include "apps/terminal.h"

namespace voxgrad::apps {

namespace {
bool silent = false;
}

void silence_progress() { silent = true; }

ProgressLine::ProgressLine(double quiet_seconds)
    : terminal_(isatty(STDERR_FILENO) == 1),
      quiet_(quiet_seconds),
      said_(Clock::now()),
      repeating_([this] { repeat(); }) {}

ProgressLine::~ProgressLine() {
  clear();
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  end_.notify_one();
  repeating_.join();
}

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
  std::string text = p.stage;
  if (!p.detail.empty())
    text += ", " + p.detail;
  else
    text += cat(" ", p.step, "/", p.steps);
  if (p.loss != 0) {
    char loss[32];
    std::snprintf(loss, sizeof loss, "%.4f", smooth_loss_);
    text += cat("  loss ", loss);
  }
  show(text, p.seconds, p.eta_seconds, first || (p.steps > 0 && p.step == p.steps));
}

void ProgressLine::show(const std::string& text, double seconds, double eta_seconds, bool force) {
  std::string time;
  if (seconds > 0) time = "  " + duration_text(seconds);
  if (eta_seconds > 0) time += ", " + duration_text(eta_seconds) + " left";
  show(text + time, force);
}

void ProgressLine::show(const std::string& text, bool force) {
  if (silent) return;
  const std::lock_guard lock(mutex_);
  const auto now = Clock::now();
  const double age = std::chrono::duration<double>(now - said_).count();
  text_ = text;
  begun_ = now;
  if (force || age >= (terminal_ ? 0.1 : quiet_)) write(text);
}

void ProgressLine::repeat() {
  std::unique_lock lock(mutex_);
  const std::chrono::duration<double> quiet(quiet_ + 1);
  while (!end_.wait_for(lock, quiet / 4, [this] { return ending_; })) {
    const auto now = Clock::now();
    if (text_.empty() || now - said_ < quiet) continue;
    write(text_ + "  (unchanged for " + duration_text(std::chrono::duration<double>(now - begun_).count()) +
          ")");
  }
}

void ProgressLine::write(const std::string& plain) {
  said_ = Clock::now();
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
  const std::lock_guard lock(mutex_);
  text_.clear();
  if (!drawn_) return;
  std::fprintf(stderr, "\r\033[K");
  std::fflush(stderr);
  drawn_ = false;
}

}  // namespace voxgrad::apps
