// Progress on stderr. On a terminal one line is redrawn. In a file or pipe a plain line is written every few
// seconds. During long work without progress a thread repeats the line, so that output appears at least every
// 10 s.
#pragma once
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

#include "train/training_run.h"

namespace voxgrad::apps {

class ProgressLine {
 public:
  /// `quiet_seconds`: time between lines in a file or pipe.
  explicit ProgressLine(double quiet_seconds = 8);
  ~ProgressLine();
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  void show(const TrainProgress& p);
  /// Shows a text, at most every tenth of a second on a terminal and every few seconds otherwise. `force`: at
  /// once.
  void show(const std::string& text, bool force);
  /// The same with the elapsed time and the time left (0: unknown).
  void show(const std::string& text, double seconds, double eta_seconds, bool force = false);
  /// Removes the line from the terminal, so that something else can be printed.
  void clear();

 private:
  using Clock = std::chrono::steady_clock;
  void repeat();
  void write(const std::string& text);

  const bool terminal_;
  const double quiet_;
  std::mutex mutex_;  // protects everything below
  std::condition_variable end_;
  bool drawn_ = false, ending_ = false;
  std::string text_;                // the present text; empty: nothing was shown yet
  Clock::time_point said_, begun_;  // time of the last output; time at which text_ was set
  double smooth_loss_ = 0;
  std::string stage_;
  std::thread repeating_;
};

/// Disables all progress lines (--quiet).
void silence_progress();

/// A duration as text: "1 h 02 min", "3 min 10 s" or "12 s".
std::string duration_text(double seconds);

}  // namespace voxgrad::apps
