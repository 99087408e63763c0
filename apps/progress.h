// Progress on stderr: one line that is redrawn on a terminal, a plain line now and then otherwise. While
// something is done no 10 s pass in silence: a thread says again what goes on.
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
  /// `quiet_seconds`: how long nothing is written to a file or a pipe.
  explicit ProgressLine(double quiet_seconds = 8);
  ~ProgressLine();
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  void show(const TrainProgress& p);
  /// Any text, at most every tenth of a second on a terminal, every few seconds otherwise.
  void show(const std::string& text, bool force);
  /// The same with the time since the beginning and the time that is left (0: not known).
  void show(const std::string& text, double seconds, double eta_seconds, bool force = false);
  /// Removes the line from the terminal, so that something else can be printed.
  void clear();

 private:
  using Clock = std::chrono::steady_clock;
  void repeat();
  void write(const std::string& text);

  const bool terminal_;
  const double quiet_;
  std::mutex mutex_;  // of everything below
  std::condition_variable end_;
  bool drawn_ = false, ending_ = false;
  std::string text_;                // what goes on; empty: nothing was shown yet
  Clock::time_point said_, begun_;  // when something was written last; when text_ came
  double smooth_loss_ = 0;
  std::string stage_;
  std::thread repeating_;
};

/// From here on no ProgressLine writes (--quiet).
void silence_progress();

/// "1 h 02 min", "3 min 10 s", "12 s".
std::string duration_text(double seconds);

}  // namespace voxgrad::apps
