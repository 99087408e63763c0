// Progress on stderr: one line that is redrawn on a terminal, a plain line now and then otherwise.
#pragma once
#include <chrono>
#include <string>

#include "train/training_run.h"

namespace voxgrad::apps {

class ProgressLine {
 public:
  ProgressLine();
  ~ProgressLine() { clear(); }
  void show(const TrainProgress& p);
  /// Any text, at most every tenth of a second on a terminal, every few seconds otherwise.
  void show(const std::string& text, bool force);
  /// Removes the line from the terminal, so that something else can be printed.
  void clear();

 private:
  bool terminal_, drawn_ = false;
  std::chrono::steady_clock::time_point last_;
  double smooth_loss_ = 0;
  std::string stage_;
};

/// "1 h 02 min", "3 min 10 s", "12 s".
std::string duration_text(double seconds);

}  // namespace voxgrad::apps
