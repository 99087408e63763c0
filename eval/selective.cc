#include "eval/selective.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace voxgrad {

namespace {

struct Point {
  double coverage = 0, selective = 0, generalised = 0;
};

/// The point at a coverage on the line from a to b.
Point between(const Point& a, const Point& b, double coverage) {
  const double t = (coverage - a.coverage) / (b.coverage - a.coverage);
  return {coverage, a.selective + t * (b.selective - a.selective),
          a.generalised + t * (b.generalised - a.generalised)};
}

void append(RiskCurve& curve, const Point& p) {
  curve.coverage.push_back(p.coverage);
  curve.selective_risk.push_back(p.selective);
  curve.generalised_risk.push_back(p.generalised);
}

/// Adds groups of equal confidence, the most confident first, and sums the areas.
class Areas {
 public:
  explicit Areas(int64_t total) : total_(static_cast<double>(total)) {}

  /// Adds a group of `count` with the sum `risk` of their risks.
  void add(int64_t count, double risk) {
    accepted_ += count;
    risk_ += risk;
    const double accepted = static_cast<double>(accepted_);
    before_ = at_;
    at_ = {accepted / total_, risk_ / accepted, risk_ / total_};
    if (accepted_ == count) before_.selective = at_.selective;  // the first group: the value at coverage 0
    const double width = at_.coverage - before_.coverage;
    aurc_ += width * (before_.selective + at_.selective) / 2;
    augrc_ += width * (before_.generalised + at_.generalised) / 2;
  }
  int64_t accepted() const { return accepted_; }
  const Point& before() const { return before_; }
  const Point& at() const { return at_; }
  SelectiveRisk result(RiskCurve curve, int64_t cases) const {
    curve.cases = cases;
    return {aurc_, augrc_, std::move(curve)};
  }

 private:
  double total_, risk_ = 0, aurc_ = 0, augrc_ = 0;
  int64_t accepted_ = 0;
  Point before_, at_;
};

}  // namespace

std::optional<SelectiveRisk> selective_risk(const RankedVoxels& voxels) {
  constexpr int64_t kSteps = 100;
  if (voxels.size() == 0) return std::nullopt;
  Areas areas(voxels.size());
  RiskCurve curve;
  int64_t step = 0;
  voxels.descending([&](const ConfidenceGroup& group) {
    areas.add(group.count, static_cast<double>(group.count - group.right));
    for (; step <= kSteps && step * voxels.size() <= kSteps * areas.accepted(); ++step)
      append(curve, between(areas.before(), areas.at(), static_cast<double>(step) / kSteps));
  });
  return areas.result(std::move(curve), 1);
}

std::optional<SelectiveRisk> selective_risk(const std::vector<double>& confidence,
                                            const std::vector<double>& risk) {
  require(confidence.size() == risk.size(), "[selective_risk] expected a risk for each confidence, got ",
          confidence.size(), " confidences and ", risk.size(), " risks");
  for (size_t i = 0; i < risk.size(); ++i)
    require(std::isfinite(confidence[i]) && std::isfinite(risk[i]),
            "[selective_risk] expected finite values, got confidence ", confidence[i], " and risk ", risk[i]);
  if (risk.empty()) return std::nullopt;
  std::vector<size_t> order(risk.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t i, size_t j) { return confidence[i] > confidence[j]; });
  const auto cases = static_cast<int64_t>(risk.size());
  Areas areas(cases);
  RiskCurve curve;
  for (size_t begin = 0, end; begin < order.size(); begin = end) {
    double sum = 0;
    for (end = begin; end < order.size() && confidence[order[end]] == confidence[order[begin]]; ++end)
      sum += risk[order[end]];
    areas.add(static_cast<int64_t>(end - begin), sum);
    if (begin == 0) append(curve, areas.before());
    append(curve, areas.at());
  }
  return areas.result(std::move(curve), cases);
}

}  // namespace voxgrad
