// voxgrad predict RUN IMAGE... -o OUT
#include <spdlog/spdlog.h>

#include "apps/commands.h"
#include "apps/progress.h"
#include "apps/signals.h"
#include "apps/train_options.h"
#include "methods/prediction.h"

namespace voxgrad::apps {
namespace {

struct Arguments {
  std::string run, memory, sampler, spacing, mean, precision;
  DeviceChoice device;
  PredictOptions options;
  int64_t samples = 0, steps = 0;
  double eta = -1, stop_tolerance = -1;
  uint64_t seed = 1;
};

void run(Arguments& a) {
  watch_signals();
  const Device device = a.device.open();
  const RunFolder folder{a.run};
  LoadedModel model = load_model(folder, a.precision);
  if (!model.complete)
    spdlog::warn("{}: training was stopped before its end; masks are those of an unfinished model", a.run);
  Method& method = *model.method;
  a.device.use(method.config().text("train.precision"));
  method.move_to(device);
  SampleOptions& s = a.options.sampling;
  s = sample_options(method.config());
  if (a.samples > 0) s.samples = a.samples;
  if (a.stop_tolerance >= 0) s.stop_tolerance = a.stop_tolerance;
  if (a.steps > 0) s.sampler.steps = a.steps;
  if (!a.sampler.empty()) s.sampler.kind = a.sampler;
  if (!a.spacing.empty()) s.sampler.spacing = a.spacing;
  if (a.eta >= 0) s.sampler.eta = a.eta;
  if (!a.mean.empty()) s.first_estimates = a.mean == "first-estimates";
  s.seed = a.seed;
  s.memory = memory_limit(a.memory);
  s.device_memory = a.device.memory_limit();
  if (method.fixed_samples() > 0) {
    if (a.samples > 0 || a.steps > 0 || !a.sampler.empty())
      spdlog::info("{} has no use for --samples, --steps and --sampler", method.name());
  } else if (const auto m = method.constants.find("tau_out_samples");
             !s.first_estimates && m != method.constants.end()) {
    const SamplerOptions trained = sample_options(method.config()).sampler;
    if (static_cast<double>(s.samples) != m->second || s.sampler.steps != trained.steps ||
        s.sampler.kind != trained.kind || s.sampler.spacing != trained.spacing ||
        s.sampler.eta != trained.eta)
      spdlog::warn(
          "tau_out was fitted for M = {}, S = {}, {}; with other samples the probabilities may be less well "
          "calibrated",
          m->second, method.constants.at("tau_out_steps"), trained.kind);
  }
  ProgressLine line;
  s.poll = [] {
    if (interrupted()) fail(ErrorCode::internal, "interrupted");
  };
  a.options.progress = [&](const std::string& name, size_t done, size_t total) {
    line.show(cat("predicting ", name, " (", done + 1, "/", total, ")"), false);
  };
  a.options.warn = [&](const std::string& text) {
    line.clear();
    spdlog::warn("{}", text);
  };
  const auto names = predict_files(method, a.options);
  line.clear();
  spdlog::info("{} case{} written to {}", names.size(), names.size() == 1 ? "" : "s", a.options.output);
}

}  // namespace

void add_predict(CLI::App& app) {
  auto a = std::make_shared<Arguments>();
  CLI::App* c = app.add_subcommand("predict", "Segment images with a trained run");
  c->add_option("RUN", a->run, "Run folder of `voxgrad train`")->required();
  c->add_option("IMAGE", a->options.images, "Images, or folders in nnU-Net layout (CASE_0000.nii.gz)")
      ->required();
  c->add_option("-o,--output", a->options.output, "Folder for masks, entropy and mutual information")
      ->required();
  c->add_option("--samples", a->samples, "M, samples a case (default: as trained)")
      ->check(CLI::Range(1, 100000));
  c->add_option("--steps", a->steps, "S, evaluations of the network a sample (default: as trained)")
      ->check(CLI::Range(1, 100000));
  c->add_option("--sampler", a->sampler, "ddim, ddpm or dpmpp (default: as trained)")
      ->check(CLI::IsMember({"ddim", "ddpm", "dpmpp"}));
  c->add_option("--spacing", a->spacing, "uniform or log-snr (default: as trained)")
      ->check(CLI::IsMember({"uniform", "log-snr"}));
  c->add_option("--eta", a->eta, "Noise of ddim, 0 to 1 (default: as trained)")->check(CLI::Range(0.0, 1.0));
  c->add_option(
       "--mean", a->mean,
       "Mean probability from first-estimates or from samples, as in the paper (default: as trained)")
      ->check(CLI::IsMember({"first-estimates", "samples"}));
  c->add_option(
       "--stop-tolerance", a->stop_tolerance,
       "Early stop: no more samples once four more changed the samples' mean nowhere by more than this; 0: "
       "always all (default: as trained)")
      ->check(CLI::Range(0.0, 1.0));
  c->add_option("--precision", a->precision, "fp32, bf16, or tf32 on a CUDA device (default: as trained)")
      ->check(CLI::IsMember({"fp32", "tf32", "bf16"}));
  c->add_option("--seed", a->seed, "Seed of the samples")->default_val(1);
  a->device.add_to(*c);
  c->add_option("--memory", a->memory, "Memory to stay under: 8G, 500M (default: half of the RAM)");
  c->add_flag("--save-samples", a->options.save_samples,
              "Write every sample's mask (OUT/samples/CASE); without it those of an earlier prediction go");
  c->add_flag(
      "--save-probabilities", a->options.save_probabilities,
      "Write mean probabilities (OUT/probabilities, 4-D); without it those of an earlier prediction go");
  c->callback([a] { run(*a); });
}

}  // namespace voxgrad::apps
