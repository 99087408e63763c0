// The figures of a report, as SVG texts that stand alone. Nothing is drawn of data that are not there: an
// empty string is returned then.
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
  bool log_x = false, log_y = false;    ///< values of 0 and below are then left out
  double width = 560, height = 320;
};

/// Lines with a marker at each point (Dice against sampling steps, validation scores against training steps).
std::string line_plot(const std::vector<Curve>& curves, const PlotOptions& options);

/// Training curves: the values thinned to at most 400 means of neighbours, faint, and on top the mean over
/// `window` neighbouring values.
std::string training_plot(const std::vector<Curve>& curves, const PlotOptions& options, size_t window);
/// The hundredth part of `points`, from 5 to 25: short enough that a jump of the loss is seen.
size_t smoothing_window(size_t points);
/// The mean that training_plot draws, one value a point: over `window` values around it, fewer at the ends.
std::vector<double> smoothed(const std::vector<double>& values, size_t window);

/// Accuracy against confidence in each bin with the gap to the diagonal, and below it the voxels of each bin
/// (log scale). `title` names the method, `region` the voxels; the ECE stands in the picture.
std::string reliability_diagram(const Reliability& bins, const std::string& title, const std::string& region);

/// One bar a case, from the highest to the lowest value, with the mean as a line. Values in [0, 1].
std::string case_bars(const std::vector<std::string>& names, const std::vector<double>& values,
                      const PlotOptions& options);

}  // namespace voxgrad
