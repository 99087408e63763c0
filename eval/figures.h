// Draws the figures of a report as complete SVG texts. Without data, the functions return an empty string.
#pragma once
#include <string>
#include <vector>

#include "eval/reliability.h"

namespace voxgrad {

struct Curve {
  std::string name;
  std::vector<double> x, y;  ///< equal lengths; points that are not finite are left out
};

struct PlotOptions {
  std::string title, x_label, y_label;  ///< labels with units
  bool log_x = false, log_y = false;    ///< a logarithmic axis leaves out values of 0 and below
  double width = 560, height = 320;
};

/// Lines with a marker at each point, such as Dice against sampling steps or validation scores against
/// training steps.
std::string line_plot(const std::vector<Curve>& curves, const PlotOptions& options);

/// Training curves: faint lines of the values, reduced to at most 400 means of neighbours, and above them
/// lines of the mean over `window` neighbouring values.
std::string training_plot(const std::vector<Curve>& curves, const PlotOptions& options, size_t window);
/// The window for a curve of `points` values: a hundredth of them, at least 5 and at most 25, so that a jump
/// of the loss stays visible.
size_t smoothing_window(size_t points);
/// The mean that training_plot draws: for each point the mean of `window` values around it, of fewer at the
/// ends.
std::vector<double> smoothed(const std::vector<double>& values, size_t window);

/// Draws accuracy against confidence in each bin with the gap to the diagonal, the ECE, and below the number
/// of voxels in each bin (log scale). `title` names the method, `region` the voxels.
std::string reliability_diagram(const Reliability& bins, const std::string& title, const std::string& region);

/// Draws one bar for each case, from the highest to the lowest value, and the mean as a line. Values are in
/// [0, 1].
std::string case_bars(const std::vector<std::string>& names, const std::vector<double>& values,
                      const PlotOptions& options);

}  // namespace voxgrad
