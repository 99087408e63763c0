// Compares settings of sampling for a finished run: which sampler, how many steps and samples, which readout.
// For every setting tau_out is fitted anew on the calibration cases. The setting is then scored on the grid
// of the plan: on these cases, to choose by, and on the scored cases, to report. Prints a Markdown table.
// usage: sampling_sweep RUN DATASET [M]
#include <cstdio>
#include <iostream>

#include "diffusion/aggregate.h"
#include "eval/calibrate.h"
#include "eval/reliability.h"
#include "methods/model.h"
#include "methods/pgrd.h"
#include "methods/validation.h"
#include "methods/volume.h"

namespace voxgrad {
namespace {

struct Setting {
  const char* sampler;
  int64_t steps;
  const char* spacing;
  double eta;
};

struct LabelledSamples {
  std::vector<Tensor> samples;  // clean estimates y0_hat, or probabilities: f32 [D, H, W, K]
  Tensor truth;
};

struct Drawn {
  std::vector<LabelledSamples> cases;
  std::vector<LabelledSamples> first_estimates;  // their mean, one for each case
};

Drawn draw(const Pgrd& method, const std::vector<PreprocessedCase>& cases, const SamplingOptions& options) {
  Drawn d;
  for (const PreprocessedCase& c : cases) {
    LabelledSamples l{{}, content_of(c.label, c)};
    const Tensor mean = method.draw(c, options, {.seed = 1},
                                    [&](const Tensor& raw) { l.samples.push_back(content_of(raw, c)); });
    d.first_estimates.push_back({{content_of(mean, c)}, l.truth});
    d.cases.push_back(std::move(l));
  }
  return d;
}

struct Means {
  double dsc = 0, nll = 0, ece = 0, disagreement = 0;
};

Means score(const std::vector<LabelledSamples>& cases, int64_t samples, const char* kind, double tau,
            int classes) {
  Means m;
  for (const LabelledSamples& c : cases) {
    SampleAggregator a;
    for (int64_t k = 0; k < samples; ++k) a.add(readout(c.samples[static_cast<size_t>(k)], kind, tau));
    const Tensor p = a.mean();
    m.dsc += dice(most_probable_class(p), c.truth, classes).mean_foreground.value_or(0);
    m.nll += nll(p, c.truth).value_or(0);
    m.ece += ece_top_label(p, c.truth).value_or(0);
    m.disagreement += mean_over(a.mutual_information()).value_or(0);
  }
  const double n = static_cast<double>(cases.size()) / 100;
  return {m.dsc / n, m.nll / n, m.ece / n, m.disagreement / n};
}

double fit_tau(const Drawn& drawn, int64_t samples) {
  TauOutFit fit;
  for (const LabelledSamples& c : drawn.cases) {
    fit.begin_case(c.truth);
    for (int64_t k = 0; k < samples; ++k) fit.add_sample(c.samples[static_cast<size_t>(k)]);
    fit.end_case();
  }
  return fit.best();
}

void print_rows(const Setting& s, int64_t samples, const Drawn& fitted, const Drawn& scored, int classes) {
  const auto print = [&](const char* kind, double tau, const Means& c, const Means& t) {
    std::printf("| %s%s | %lld | %s | %lld | %s | %.3f | %.2f | %.3f | %.3f | %.2f | %.3f | %.3f | %.2f |\n",
                s.sampler, s.eta > 0 ? " eta 1" : "", static_cast<long long>(s.steps), s.spacing,
                static_cast<long long>(samples), kind, tau, c.dsc, c.nll, c.ece, t.dsc, t.nll, t.ece,
                t.disagreement);
    std::fflush(stdout);
  };
  for (const char* kind : {"softmax", "clip"}) {
    const double tau = kind == std::string_view("softmax") ? fit_tau(fitted, samples) : 1;
    print(kind, tau, score(fitted.cases, samples, kind, tau, classes),
          score(scored.cases, samples, kind, tau, classes));
  }
  // Made of all samples, whatever their number in this row.
  if (samples == static_cast<int64_t>(fitted.cases.front().samples.size()))
    print("first estimates", 1, score(fitted.first_estimates, 1, "clip", 1, classes),
          score(scored.first_estimates, 1, "clip", 1, classes));
}

/// An estimate of a case, without anything else of the case.
struct OneEstimate : Receiver {
  explicit OneEstimate(std::string wanted_key) : key(std::move(wanted_key)) {}
  bool wants(const std::string& estimate) const override { return estimate == key; }
  void sample(const Tensor&, double) override {}
  void estimate(const std::string& name, const Tensor& probabilities) override {
    if (name == key) result = probabilities;
  }
  std::string key;
  Tensor result;
};

/// The network without samples: the prior, and the prior after temperature scaling.
void print_prior(Pgrd& method, const std::vector<PreprocessedCase>& calibration,
                 const std::vector<PreprocessedCase>& scored) {
  method.sampling.samples = 1;
  for (const EstimateInfo& info : method.estimates()) {
    if (info.role != RowRole::baseline) continue;
    const auto draw_estimate = [&](const std::vector<PreprocessedCase>& cases) {
      std::vector<LabelledSamples> all;
      for (const PreprocessedCase& c : cases) {
        OneEstimate one(info.key);
        method.predict(c, {}, one);
        all.push_back({{content_of(one.result, c)}, content_of(c.label, c)});
      }
      return all;
    };
    const int classes = method.plan().classes();
    const Means c = score(draw_estimate(calibration), 1, "clip", 1, classes),
                t = score(draw_estimate(scored), 1, "clip", 1, classes);
    std::printf("| %s | | | | | | %.2f | %.3f | %.3f | %.2f | %.3f | %.3f | |\n", info.label.c_str(), c.dsc,
                c.nll, c.ece, t.dsc, t.nll, t.ece);
  }
}

/// All settings, or only number `only` (from 1).
void sweep(const std::string& run, const std::string& folder, int64_t most, int64_t only) {
  LoadedModel model = open_model({run});
  build(model, Runtime());
  Pgrd* const pgrd = dynamic_cast<Pgrd*>(model.method.get());
  if (!pgrd) fail(ErrorCode::usage, run, ": expected a run of pgrd, got ", model.method->name());
  Pgrd& method = *pgrd;
  const Dataset dataset = open_dataset(folder);
  const RunSplit split = run_split(dataset, static_cast<int>(method.common.fold));
  const auto load = [&](const std::vector<int>& which) {
    std::vector<PreprocessedCase> cases;
    for (const int i : which)
      cases.push_back(preprocess(
          load_case(dataset.cases[static_cast<size_t>(i)], method.plan().channels(), method.plan().classes()),
          method.plan()));
    return cases;
  };
  const auto calibration = load(split.calibration), scored = load(split.scored);
  std::printf(
      "| sampler | S | spacing | M | readout | tau_out | DSC, calibration | NLL | ECE | DSC, scored | NLL | "
      "ECE | MI "
      "|\n|---|---|---|---|---|---|---|---|---|---|---|---|---|\n");
  print_prior(method, calibration, scored);
  std::vector<Setting> settings{
      {"ddim", 1, "uniform", 0},  {"ddim", 2, "uniform", 0},  {"ddim", 5, "uniform", 0},
      {"ddim", 10, "uniform", 0}, {"ddim", 2, "log-snr", 0},  {"ddim", 3, "log-snr", 0},
      {"ddim", 5, "log-snr", 0},  {"dpmpp", 5, "log-snr", 0}, {"ddim", 5, "uniform", 1}};
  if (only > 0) settings = {settings.at(static_cast<size_t>(only - 1))};
  for (const Setting& s : settings) {
    SamplingOptions o = method.sampling;
    o.samples = most;
    o.mean = "first-estimates";
    o.sampler.kind = s.sampler;
    o.sampler.steps = s.steps;
    o.sampler.spacing = s.spacing;
    o.sampler.eta = s.eta;
    o.stop_tolerance = 0;
    const Drawn fitted = draw(method, calibration, o), drawn = draw(method, scored, o);
    for (int64_t samples = o.samples; samples >= std::min<int64_t>(4, o.samples) && samples * 4 >= o.samples;
         samples /= 2)
      print_rows(s, samples, fitted, drawn, method.plan().classes());
  }
}

}  // namespace
}  // namespace voxgrad

int main(int argc, char** argv) {
  if (argc < 3) {
    std::cerr << "usage: sampling_sweep RUN DATASET [M [NUMBER OF THE SETTING]]\n";
    return 2;
  }
  try {
    voxgrad::sweep(argv[1], argv[2], argc > 3 ? std::stoll(argv[3]) : 16, argc > 4 ? std::stoll(argv[4]) : 0);
  } catch (const std::exception& e) {
    std::cerr << "sampling_sweep: " << e.what() << "\n";
    return 1;
  }
}
