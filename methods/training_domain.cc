#include "methods/training_domain.h"

#include <algorithm>
#include <cmath>

#include "data/grid.h"
#include "io/text.h"

namespace voxgrad {
namespace {

// Limits for intensities that are far from training. "Width" is the difference of largest and smallest value.
// A z-scored or rescaled channel is far if its width differs from training by more than the factor kFactor.
// Any other channel is far if one of these holds, in units of the usual width in training:
// - its smallest value is more than kOutside below or more than kInside above the smallest values of
// training,
// - its largest value is more than kOutside above the largest values of training, or less than kInside above
//   the smallest values of training.
constexpr double kInside = 0.2, kOutside = 1, kFactor = 100;

void widen(std::vector<SeenRange>& ranges, size_t i, double low, double high) {
  if (i == ranges.size()) ranges.push_back({low, high});
  ranges[i] = {std::min(ranges[i].low, low), std::max(ranges[i].high, high)};
}

std::set<std::string> split_codes(const std::string& text) {
  std::set<std::string> codes;
  std::string code;
  for (const char c : text + ",") {
    if (c != ',') {
      if (c != ' ') code += c;
      continue;
    }
    if (!code.empty()) codes.insert(code);
    code.clear();
  }
  return codes;
}

/// For example "-1024", or "-1024 to -1000".
std::string range_text(const SeenRange& r) {
  return r.low == r.high ? cat(r.low) : cat(r.low, " to ", r.high);
}

}  // namespace

Plan plan_of(const ModelFile& model, const std::string& where) {
  Plan plan = plan_from_json(model.plan, where);
  const std::set<std::string> codes = split_codes(model.axis_codes);
  if (plan.version == 1 && codes.size() == 1 && names_axes(*codes.begin())) plan.axes = *codes.begin();
  return plan;
}

TrainingDomain::TrainingDomain(const ModelFile& model)
    : axes_(split_codes(model.axis_codes)),
      spacing_(model.spacing),
      low_(model.intensity_low),
      high_(model.intensity_high) {
  if (!low_.empty()) return;
  for (const SeenRange& r : model.intensity) {  // an earlier version stored a single range
    low_.push_back({r.low, r.low});
    high_.push_back({r.high, r.high});
  }
}

void TrainingDomain::add(const PreparedCase& c) {
  axes_.insert(c.axes);
  for (size_t axis = 0; axis < 3; ++axis) widen(spacing_, axis, c.spacing[2 - axis], c.spacing[2 - axis]);
  for (size_t k = 0; k < c.low.size(); ++k) {
    widen(low_, k, double{c.low[k]}, double{c.low[k]});
    widen(high_, k, double{c.high[k]}, double{c.high[k]});
  }
}

std::string TrainingDomain::axis_codes() const { return joined(axes_, ","); }

std::string TrainingDomain::doubt(const Plan& plan) const {
  if (!plan.axes.empty()) return "";
  if (axes_.empty())
    return "the model does not record the axes of its training images (format 1): images are not turned; "
           "they must be oriented like the training images";
  return cat("the training images of the model were not turned (their axes ran to ", joined(axes_),
             "): images are not turned either");
}

std::vector<std::string> TrainingDomain::compare(const LoadedCase& c, const std::string& file,
                                                 const Plan& plan) const {
  std::vector<std::string> warnings;
  const std::string letters = axis_letters(c.header);
  const bool turned_or_right = !turn_to(plan.axes, c.header).none() || letters == plan.axes;
  if (!turned_or_right && !axes_.empty() && !axes_.contains(letters))
    warnings.push_back(cat("its axes run to ", letters, ", but those of the training images to ",
                           joined(axes_), ", and the image is not turned"));
  if (c.header.qform_code <= 0 && c.header.sform_code <= 0 && c.image.dim(0) > 1)
    warnings.push_back(
        cat("qform_code and sform_code are 0: no orientation is given, so it is assumed to be ", letters));
  compare_spacing(c.header, file, plan, warnings);
  compare_intensity(c, plan, warnings);
  return warnings;
}

void TrainingDomain::compare_spacing(const NiftiHeader& header, const std::string& file, const Plan& plan,
                                     std::vector<std::string>& warnings) const {
  const Turn turn = turn_to(plan.axes, header);
  const std::array<double, 3> spacing = turned(spacing_of(header), turn);
  for (size_t axis = 0; axis < 3; ++axis) {
    const double target = plan.spacing[2 - axis], here = spacing[2 - axis];
    if (!(target > 0)) continue;  // no target spacing: slices of a 2-D plan are not resampled
    const int stored = std::abs(turn.axis[axis]) - 1;
    if (header.extent(stored) == 1) continue;
    const SeenRange seen = axis < spacing_.size() ? spacing_[axis] : SeenRange{target, target};
    const double off = std::max(here / seen.high, seen.low / here);
    if (!(off > kFarSpacing)) continue;
    const std::string what = cat("pixdim[", stored + 1, "]: the spacing is ", here, " mm along ",
                                 "xyz"[stored], ", in training it was ", seen.low);
    const std::string text = seen.high > seen.low ? cat(what, " to ", seen.high) : what;
    if (off > kImpossibleSpacing)
      fail(ErrorCode::data, "[predict] ", file, ": ", text, " mm: expected a factor of at most ",
           kImpossibleSpacing, " between them");
    warnings.push_back(text + " mm");
  }
}

void TrainingDomain::compare_intensity(const LoadedCase& c, const Plan& plan,
                                       std::vector<std::string>& warnings) const {
  for (size_t k = 0; k < low_.size() && static_cast<int64_t>(k) < c.image.dim(3); ++k) {
    const auto [smallest, largest] = channel_range(c.image, static_cast<int64_t>(k));
    const double low = smallest, high = largest;
    const SeenRange &lows = low_[k], &highs = high_[k];
    // The width is compared with the narrowest training case. Otherwise one training image with a metal voxel
    // would make every other image look narrow.
    const double width = high - low, usual = highs.low - lows.low;
    // z-scoring and rescaling remove a factor and a shift. With other normalisations the values matter.
    const std::string& how = plan.normalisation[k];
    const bool relative = how == "zscore" || how == "rescale_to_0_1";
    const bool moved = low > lows.high + kInside * usual || low < lows.low - kOutside * usual ||
                       high < lows.high + kInside * usual || high > highs.high + kOutside * usual;
    const bool scaled =
        width > kFactor * (highs.high - lows.low) || width < std::max(0.0, highs.low - lows.high) / kFactor;
    if (relative && !scaled && low < -0.01 * width && lows.low >= 0)
      warnings.push_back(cat("channel ", k, " (", plan.channel_names[k], "): the smallest value is ", low,
                             ", in training no value was below 0: is this the right kind of image?"));
    if ((relative ? scaled : moved) && width > 0)
      warnings.push_back(cat("channel ", k, " (", plan.channel_names[k], "): intensities from ", low, " to ",
                             high, " are far from those of training, which begin at ", range_text(lows),
                             " and end at ", range_text(highs)));
  }
}

}  // namespace voxgrad
