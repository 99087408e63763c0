#include "eval/scores.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "eval/agreement.h"
#include "eval/ranked.h"
#include "eval/score_names.h"
#include "eval/statistics.h"
#include "eval/uncertainty.h"

namespace voxgrad {

namespace {

void put(ScoreMap& values, const std::string& key, const Score& score) {
  if (score && std::isfinite(*score)) values[key] = *score;
}

void put_classes(ScoreMap& values, const std::string& key, const ClassScores& scores) {
  for (size_t c = 1; c < scores.per_class.size(); ++c)
    put(values, key + '.' + std::to_string(c), scores.per_class[c]);
  put(values, key + ".mean_foreground", scores.mean_foreground);
}

/// Adds the scores that need the voxels sorted by confidence and returns the risk-coverage curve. The sorted
/// voxels are released before other scores need memory.
RiskCurve put_ranked(ScoreMap& values, const CaseInput& in, const Tensor& region, const std::string& suffix) {
  const RankedVoxels ranked(in.probabilities, in.truth, region);
  put(values, "adaptive_ce_top15" + suffix, adaptive_ce(ranked));
  const Score kernel = skce(ranked);
  put(values, "skce" + suffix, kernel);
  if (kernel) put(values, "root_skce" + suffix, std::sqrt(*kernel));
  auto selective = selective_risk(ranked);
  if (!selective) return {};
  put(values, "aurc" + suffix, selective->aurc);
  put(values, "augrc" + suffix, selective->augrc);
  return std::move(selective->curve);
}

/// The mean entropy near the predicted foreground, or of all voxels if there is none: how uncertain a case
/// is, judged without the truth.
Score predicted_entropy(const CaseInput& in, const Tensor& entropy, double radius) {
  const Tensor near = foreground_region(in.prediction, in.spacing, radius);
  const Score mean = mean_over(entropy, near);
  return mean ? mean : mean_over(entropy);
}

struct Curves {
  Reliability reliability;
  RiskCurve risk_coverage;
};

/// Adds the scores of a probability map over a region and returns its curves. `suffix` is the region's part
/// of the keys.
Curves put_probabilistic(ScoreMap& values, const CaseInput& in, const Tensor& entropy, const Tensor& region,
                         const std::string& suffix) {
  const Tensor &p = in.probabilities, &y = in.truth;
  const Score likelihood = nll(p, y, region);
  put(values, "nll" + suffix, likelihood);
  const Score squared = brier(p, y, region);
  put(values, "brier" + suffix, squared);
  if (squared) put(values, "root_brier" + suffix, std::sqrt(*squared));
  const Reliability bins = top_label_reliability(p, y, region);
  put(values, "ece_top15" + suffix, ece(bins));
  put(values, "average_ce_top15" + suffix, average_ce(bins));
  put(values, "mce_top15" + suffix, maximum_ce(bins));
  put(values, "ece_marginal20" + suffix, ece_class_marginal(p, y, region));
  RiskCurve risk_coverage = put_ranked(values, in, region, suffix);
  put(values, "entropy" + suffix, mean_over(entropy, region));
  const ErrorUncertainty error = error_uncertainty(entropy, in.prediction, y, region);
  put(values, "uncertainty_spearman" + suffix, error.spearman);
  put(values, "uncertainty_auroc" + suffix, error.auroc);
  const Tensor information = in.mutual_information.defined() ? in.mutual_information
                             : !in.sample_probabilities.empty()
                                 ? mutual_information_map(in.sample_probabilities)
                                 : Tensor();
  if (information.defined()) put(values, "mutual_information" + suffix, mean_over(information, region));
  if (in.posterior.defined()) {
    const Score exact = nll(in.posterior, y, region);
    put(values, "nll_posterior" + suffix, exact);
    if (likelihood && exact) put(values, "nll_excess" + suffix, *likelihood - *exact);
    put(values, "kl_posterior" + suffix, kl_divergence(in.posterior, p, region));
  }
  return {bins, std::move(risk_coverage)};
}

/// Adds the means over the raters of the NLL and the ECE. The label of a voxel is the one that the rater
/// drew.
void put_rater_means(ScoreMap& values, const CaseInput& in, const Tensor& region, const std::string& suffix) {
  std::vector<double> likelihoods, errors;
  for (const Tensor& annotation : in.annotations) {
    if (const Score s = nll(in.probabilities, annotation, region)) likelihoods.push_back(*s);
    if (const Score s = ece_top_label(in.probabilities, annotation, region)) errors.push_back(*s);
  }
  put(values, "nll_raters" + suffix, mean_of(likelihoods));
  put(values, "ece_top15_raters" + suffix, mean_of(errors));
}

}  // namespace

ScoredCase score_case(const CaseInput& in, const ScoreOptions& options) {
  ScoredCase scored;
  scored.scores.name = in.name;
  ScoreMap& values = scored.scores.values;
  put_classes(values, "dsc", dice(in.prediction, in.truth, options.classes));

  std::vector<Score> hd95(static_cast<size_t>(options.classes)), nsd(hd95.size());
  for (size_t c = 1; c < hd95.size(); ++c) {
    const SurfaceScores s =
        surface_scores(in.prediction, in.truth, static_cast<int>(c), in.spacing, options.nsd_tolerance);
    hd95[c] = s.hd95;
    nsd[c] = s.nsd;
  }
  put_classes(values, "hd95", with_mean(std::move(hd95)));
  put_classes(values, "nsd", with_mean(std::move(nsd)));

  if (in.probabilities.defined()) {
    require(in.probabilities.rank() == 4 && in.probabilities.dim(3) == options.classes,
            "[score_case] expected ", options.classes, " classes, got probabilities ",
            in.probabilities.shape());
    const Tensor entropy = entropy_map(in.probabilities);
    Curves all = put_probabilistic(values, in, entropy, {}, "");
    put(values, "entropy_predicted", predicted_entropy(in, entropy, options.foreground_radius));
    const Tensor near = foreground_region(in.truth, in.spacing, options.foreground_radius);
    Curves foreground = put_probabilistic(values, in, entropy, near, "_foreground");
    if (in.annotations.size() > 1) {
      put_rater_means(values, in, {}, "");
      put_rater_means(values, in, near, "_foreground");
    }
    scored.reliability = std::move(all.reliability);
    scored.foreground_reliability = std::move(foreground.reliability);
    scored.risk_coverage = std::move(all.risk_coverage);
    scored.foreground_risk_coverage = std::move(foreground.risk_coverage);
  }
  if (!in.samples.empty() && !in.annotations.empty()) {
    const Agreement a = agreement(in.samples, in.annotations, options.classes);
    put(values, "ged_squared", a.ged_squared);
    put(values, "ged_squared_unbiased", a.ged_squared_unbiased);
    put(values, "hm_iou", a.hm_iou);
    put(values, "sample_diversity", a.diversity);
  }
  return scored;
}

void add(ScoreTable& table, const ScoredCase& scored) {
  table.cases.push_back(scored.scores);
  table.reliability += scored.reliability;
  table.foreground_reliability += scored.foreground_reliability;
  table.risk_coverage += scored.risk_coverage;
  table.foreground_risk_coverage += scored.foreground_risk_coverage;
}

void pool(ScoreTable& table) {
  table.pooled.clear();
  put(table.pooled, "ece_top15", ece(table.reliability));
  const auto pairs = [&table](const char* uncertainty) {  // of the cases that have both scores
    std::pair<std::vector<double>, std::vector<double>> out;
    for (const CaseScores& c : table.cases) {
      const auto u = c.values.find(uncertainty), dsc = c.values.find("dsc.mean_foreground");
      if (u == c.values.end() || dsc == c.values.end()) continue;
      out.first.push_back(u->second);
      out.second.push_back(1 - dsc->second);
    }
    return out;
  };
  const auto [entropy, error] = pairs("entropy_foreground");
  put(table.pooled, "casewise_spearman", spearman(entropy, error));
  auto [confidence, risk] = pairs("entropy_predicted");
  for (double& v : confidence) v = -v;
  table.casewise_risk_coverage = {};
  if (risk.size() < 2) return;
  SelectiveRisk selective = *selective_risk(confidence, risk);
  put(table.pooled, "casewise_aurc", selective.aurc);
  put(table.pooled, "casewise_augrc", selective.augrc);
  table.casewise_risk_coverage = std::move(selective.curve);
}

std::string to_text(const ScoreTable& table) {
  std::string out =
      "fractions; HD95 in mm; NLL, KL and MI in nats a voxel (docs/metrics.md)\n"
      "score                                    mean         std     cases\n";
  const auto cases = static_cast<int64_t>(table.cases.size());
  const auto line = [&](const std::string& key, double mean, const Score& deviation, int64_t count,
                        const std::string& label) {
    std::string name = key;
    if (const size_t dot = key.find('.'); dot != std::string::npos) {
      const std::string rest = key.substr(dot + 1);
      for (size_t c = 1; c < table.class_names.size(); ++c)
        if (rest == std::to_string(c)) name += " (" + table.class_names[c] + ")";
    }
    name.resize(std::max<size_t>(name.size(), 34), ' ');
    char spread[32] = "-", text[96];
    if (deviation) std::snprintf(spread, sizeof spread, "%.5g", *deviation);
    std::snprintf(text, sizeof text, " %10.5g  %10s  ", mean, spread);
    std::string over = cat(count);
    if (count < cases) over += cat(" of ", cases);
    over.insert(0, std::string(8 - std::min<size_t>(8, over.size()), ' '));
    out += name + text + over + (label.empty() ? "" : "  " + label) + '\n';
  };
  std::map<std::string, Summary> left = summarise(table);
  for (const ScoreName& name : score_names())
    if (const auto s = left.find(name.key); s != left.end()) {
      const char* const better = name.higher_is_better ? ", higher is better" : ", lower is better";
      line(name.key, s->second.mean, s->second.std, s->second.count,
           std::string(name.label) + (name.graded() ? better : ""));
      left.erase(s);
    }
  for (const auto& [key, s] : left) line(key, s.mean, s.std, s.count, "");
  for (const auto& [key, value] : table.pooled) line("pooled " + key, value, std::nullopt, cases, "");
  return out;
}

}  // namespace voxgrad
