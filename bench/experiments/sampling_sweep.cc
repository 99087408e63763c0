// Which sampler, how many steps, which readout: for a finished run, tau_out is fitted anew for every setting
// on the calibration cases and the setting is scored on the scored cases, on the plan's grid. Prints a
// Markdown table. usage: sampling_sweep RUN DATASET [M]
#include <cstdio>
#include <iostream>

#include "diffusion/aggregate.h"
#include "eval/calibrate.h"
#include "eval/reliability.h"
#include "methods/validation.h"

namespace voxgrad {
namespace {

struct Setting {
  const char* sampler;
  int64_t steps;
  const char* spacing;
  double eta;
};

struct Drawn {
  std::vector<LabelledSamples> cases;
};

Drawn draw(Method& method, const std::vector<PreprocessedCase>& cases, const SampleOptions& options) {
  Drawn d;
  for (const PreprocessedCase& c : cases) {
    LabelledSamples l{{}, content_of(c.label, c)};
    method.sample(c, options, [&](const Tensor& raw) { l.samples.push_back(content_of(raw, c)); });
    d.cases.push_back(std::move(l));
  }
  return d;
}

void print_row(const Setting& s, int64_t samples, const char* kind, double tau, const Drawn& scored,
               int classes) {
  double dsc = 0, likelihood = 0, calibration = 0, disagreement = 0;
  for (const LabelledSamples& c : scored.cases) {
    SampleAggregator a;
    for (int64_t m = 0; m < samples; ++m) a.add(readout(c.samples[static_cast<size_t>(m)], kind, tau));
    const Tensor p = a.mean();
    dsc += dice(most_probable_class(p), c.truth, classes).mean_foreground.value_or(0);
    likelihood += nll(p, c.truth).value_or(0);
    calibration += ece_top_label(p, c.truth).value_or(0);
    disagreement += mean_over(a.mutual_information()).value_or(0);
  }
  const double n = static_cast<double>(scored.cases.size());
  std::printf("| %s%s | %lld | %s | %lld | %s | %.3f | %.2f | %.3f | %.3f | %.2f |\n", s.sampler,
              s.eta > 0 ? " eta 1" : "", static_cast<long long>(s.steps), s.spacing,
              static_cast<long long>(samples), kind, tau, 100 * dsc / n, 100 * likelihood / n,
              100 * calibration / n, 100 * disagreement / n);
  std::fflush(stdout);
}

void sweep(const std::string& run, const std::string& folder, int64_t most) {
  LoadedModel model = load_model({run});
  Method& method = *model.method;
  const Dataset dataset = open_dataset(folder);
  const RunSplit split = run_split(dataset, static_cast<int>(method.config().integer("train.fold")));
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
      "| sampler | S | spacing | M | readout | tau_out | DSC | NLL | ECE | MI "
      "|\n|---|---|---|---|---|---|---|---|---|---|\n");
  for (const Setting& s : {Setting{"ddim", 1, "uniform", 0},
                           {"ddim", 2, "uniform", 0},
                           {"ddim", 5, "uniform", 0},
                           {"ddim", 10, "uniform", 0},
                           {"ddim", 5, "log-snr", 0},
                           {"dpmpp", 5, "log-snr", 0},
                           {"ddim", 5, "uniform", 1}}) {
    SampleOptions o = sample_options(method.config());
    o.samples = s.steps == 1 ? std::min<int64_t>(4, most) : most;  // one step hardly depends on the start
    o.sampler.kind = s.sampler;
    o.sampler.steps = s.steps;
    o.sampler.spacing = s.spacing;
    o.sampler.eta = s.eta;
    o.seed = 1;
    const Drawn fit = draw(method, calibration, o), score = draw(method, scored, o);
    print_row(s, o.samples, "softmax", fit_tau_out(fit.cases), score, method.plan().classes());
    print_row(s, o.samples, "clip", 1, score, method.plan().classes());
  }
}

}  // namespace
}  // namespace voxgrad

int main(int argc, char** argv) {
  if (argc < 3) {
    std::cerr << "usage: sampling_sweep RUN DATASET [M]\n";
    return 2;
  }
  try {
    voxgrad::sweep(argv[1], argv[2], argc > 3 ? std::stoll(argv[3]) : 16);
  } catch (const std::exception& e) {
    std::cerr << "sampling_sweep: " << e.what() << "\n";
    return 1;
  }
}
