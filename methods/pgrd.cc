#include "methods/pgrd.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "diffusion/aggregate.h"
#include "eval/calibrate.h"
#include "eval/metrics.h"
#include "methods/case_progress.h"
#include "methods/volume.h"
#include "tensor/core/reduce.h"

namespace voxgrad {
namespace {

constexpr const char *kPrior = "prior", *kTempered = "prior-tempered", *kMeanOfSamples = "mean-of-samples";
constexpr double kTauOut =
    0.2;  // used without a fit: training was stopped before it, or no calibration cases
constexpr int64_t kSdBatches = 32;         // batches for estimating the residual's standard deviation
constexpr size_t kCasesOfValidation = 20;  // most cases in a mean NLL of the prior
// tau_out is fitted on at least kFitCases cases. Further cases are added while the samples of all cases have
// at most kFitValues values (samples x voxels x classes), which bounds the time. These limits are constants,
// so that a model does not depend on --memory.
constexpr size_t kFitCases = 4;
constexpr int64_t kFitValues = int64_t{1} << 28;

DenoiserConfig denoiser_config(const Plan& plan, const Runtime& runtime, const DenoiserOptions& options,
                               bool guided) {
  DenoiserConfig c;
  c.unet = unet_config(plan, runtime, plan.channels() + (guided ? 2 : 1) * plan.classes());
  c.channels = plan.classes();
  c.time_features = options.time_features;
  c.auxiliary_channels = options.lambda > 0 && options.dds == "heads" ? plan.classes() : 0;
  return c;
}

}  // namespace

struct Pgrd::Networks {
  Networks(const Plan& plan, const Runtime& runtime, const SegmenterOptions& prior_options,
           const DenoiserOptions& options, const ScheduleOptions& diffusion, bool guided)
      : denoiser("denoiser", denoiser_config(plan, runtime, options, guided)), schedule(diffusion) {
    if (guided) prior.emplace(kPrior, prior_options, plan, unet_config(plan, runtime, plan.channels()));
  }

  std::optional<Segmenter> prior;
  Denoiser denoiser;
  NoiseSchedule schedule;
  Tensor constants;  // process_constants of t = 1 .. T on the denoiser's device; undefined until needed
};

Pgrd::Pgrd() = default;
Pgrd::~Pgrd() = default;

void Pgrd::declare(OptionList& options) {
  if (guided) prior.declare(options.table(kPrior));
  OptionTable table = options.table("denoiser");
  denoiser.stage.declare(table);
  declare_supervision(table);
  table.integer("time_features", denoiser.time_features, 2, 4096, "size of the embedding of t; even");
  if (denoiser.prediction == "residual")
    table.number(
        "residual_sd", denoiser.residual_sd, 0, 10,
        guided ? "standard deviation of the residual for preconditioning; 0: estimated from the training "
                 "data; 1: the paper's plain v-prediction"
               : "standard deviation of the one-hot label for preconditioning; 0: its root mean square, 1 "
                 "/ sqrt(K) for K classes; 1: plain v-prediction");
  else
    table.word("prediction", denoiser.prediction, {"velocity", "noise"},
               "what the denoiser predicts; the loss is its mean squared error");
  if (guided)
    table.flag(
        "tempered_prior", denoiser.tempered_prior,
        "pi is the prior after temperature scaling (fitted on the calibration cases) instead of the prior "
        "itself");
  diffusion.declare(options);
  sampling.declare(options);
}

void Pgrd::declare_supervision(OptionTable table) {
  table
      .number("lambda", denoiser.lambda, 0, 100,
              "weight of deep diffusion supervision, DDS (equation 9); 0: no DDS")
      .word("dds", denoiser.dds, {"heads", "estimate"},
            "loss of DDS; heads: of 1x1x1 heads on every decoder level (II.C, equation 6); estimate: of "
            "softmax(y0_hat / dds_tau) (II.F)")
      .number("dds_tau", denoiser.dds_tau, 0.01, 100, "temperature tau of equation 6");
}

void Pgrd::make_networks() {
  if (denoiser.residual_sd > 0 && denoiser.residual_sd < kLeastSd)
    fail(ErrorCode::usage, "[config] denoiser.residual_sd: expected 0 or at least ", kLeastSd, ", got ",
         denoiser.residual_sd);
  if (denoiser.prediction == "noise" && diffusion.zero_terminal_snr)
    fail(ErrorCode::usage,
         "[config] diffusion.zero_terminal_snr: expected false with "
         "denoiser.prediction = noise: at SNR 0 the noise says nothing about the label");
  n_ = std::make_unique<Networks>(plan(), runtime(), prior, denoiser, diffusion, guided);
  reverse_steps(n_->schedule, sampling.sampler);  // refuses impossible sampler options before training
}

std::vector<ConstantRange> Pgrd::constant_ranges() const {
  std::vector<ConstantRange> all;
  if (guided) all = {{"prior_temperature", 0.01, 100, true}, {"pi_temperature", 0.01, 100, true}};
  all.push_back({"residual_sd", kLeastSd, 10, true});
  all.insert(all.end(), {{"tau_out", 1e-3, 100},
                         {"tau_out_cases", 0, 1e9},
                         {"tau_out_samples", 1, 1e5},
                         {"tau_out_steps", 1, 1e5}});
  return all;
}

Prediction Pgrd::prediction() const {
  return denoiser.prediction == "noise" ? Prediction::of_noise() : Prediction(constant("residual_sd"));
}

std::vector<Stage> Pgrd::stages(const TrainingData& data, const Work& work) {
  Stage second{.name = "denoiser",
               .parameters = &n_->denoiser.parameters(),
               .options = denoiser.stage,
               .begin = [this, &data, &work] { begin_denoiser(data, work); },
               .batch = patches_of(data.training, plan(), common.augment),
               .loss = [this](const Tensors& batch,
                              const StepRandom& random) { return denoiser_loss(batch, random); }};
  if (!guided) return {second};
  Stage first = n_->prior->stage(data.training, common.augment);
  // The prior was trained on the training cases and is more certain there than on new cases. The difference
  // influences what the denoiser learns (docs/method.md).
  first.end = [this, &data, &work] {
    const auto some = [](const std::vector<PreparedCase>& cases) {
      return std::span(cases).first(std::min(cases.size(), kCasesOfValidation));
    };
    int64_t windows = 0;
    for (const auto& cases : {some(data.training), some(data.calibration)})
      for (const PreparedCase& c : cases) windows += windows_of(c, plan());
    work.expected(windows);
    const auto mean_nll = [&](std::span<const PreparedCase> cases) {
      double sum = 0;
      for (const PreparedCase& prepared : cases) {
        const PreprocessedCase c = pad_case(prepared, plan().patch);
        const Tensor p = n_->prior->volume_probabilities(c.image, 1, work).to(Device::cpu());
        sum += nll(content_of(p, c), content_of(c.label, c)).value_or(0);
      }
      return cases.empty() ? 0 : sum / static_cast<double>(cases.size());
    };
    return std::map<std::string, double>{{"nll_training", mean_nll(some(data.training))},
                                         {"nll_calibration", mean_nll(some(data.calibration))}};
  };
  return {first, second};
}

void Pgrd::begin_denoiser(const TrainingData& data, const Work& work) {
  if (guided) {
    constants["prior_temperature"] = fit_segmenter_temperature(*n_->prior, data.calibration, work);
    constants["pi_temperature"] = denoiser.tempered_prior ? constants["prior_temperature"] : 1;
  }
  double sd = denoiser.residual_sd;
  if (sd == 0 && !guided) {
    sd = 1 / std::sqrt(static_cast<double>(plan().classes()));  // one of K values is 1, the others are 0
  } else if (sd == 0) {
    // The estimate uses patches like those that train the denoiser. Most residuals are near zero, so the
    // standard deviation is small.
    const uint64_t seed = Seed{work.seed}.child("residual_sd").value;
    double power = 0, count = 0;
    work.expected(kSdBatches * plan().batch_size);
    for (int64_t step = 0; step < kSdBatches; ++step) {
      if (work.poll) work.poll();
      const Batch b = training_batch(data.training, plan(), common.augment, seed, step);
      const Tensor pi =
          n_->prior->batch_probabilities(b.image, constants["pi_temperature"]).to(Device::cpu());
      power += residual_power(b.label, pi);
      count += static_cast<double>(pi.numel());
      work.done(b.image.dim(0));
    }
    sd = std::clamp(std::sqrt(power / count), 1e-3, 1.0);
  }
  constants["residual_sd"] = sd;
}

Var Pgrd::deep_supervision(const std::vector<Var>& pyramid, const Var& f, const ResidualExample& example,
                           const Tensor& step, const Tensor& pi, const Tensor& label) const {
  if (denoiser.dds == "heads") {
    std::vector<Var> scaled;
    for (const Var& logits : n_->denoiser.auxiliary(pyramid))
      scaled.push_back(ops::scale(logits, 1 / denoiser.dds_tau));
    return deep_segmentation_loss(scaled, label, {1, 0}).total;
  }
  // y0_hat = pi + c_skip r_t + c_out F, which is affine in F.
  const Var residual = ops::axpby(constant_of(step, ProcessConstant::skip), Var(example.state),
                                  constant_of(step, ProcessConstant::out), f);
  return ops::cross_entropy(ops::scale(ops::add(residual, Var(pi)), 1 / denoiser.dds_tau), label);
}

Loss Pgrd::denoiser_loss(const Tensors& batch, const StepRandom& random) const {
  const Device device = n_->denoiser.device();
  const Tensor &image = batch[0], &label = batch[1];
  if (!n_->constants.defined() || n_->constants.device() != device) {
    std::vector<int64_t> times(static_cast<size_t>(n_->schedule.steps()));
    for (size_t i = 0; i < times.size(); ++i) times[i] = static_cast<int64_t>(i) + 1;
    n_->constants = process_constants(n_->schedule, times, prediction()).to(device);
  }
  const Tensor step = random_columns(n_->constants, random, Stream::time_step, image.dim(0));
  std::vector<Var> inputs{Var(), Var(image)};
  Tensor pi;
  if (guided) {
    pi = n_->prior->batch_probabilities(image, constant("pi_temperature"));
    inputs.emplace_back(pi);
  } else {
    pi = Tensor::empty_on(device, {image.dim(0), image.dim(1), image.dim(2), image.dim(3), plan().classes()});
    fill(pi, 0);
  }
  Tensor eps = Tensor::empty_on(device, pi.shape());
  fill_normal(eps, random, Stream::noise);
  const ResidualExample e = make_residual_example(step, label, pi, eps);
  inputs[0] = Var(e.input);
  const Denoiser::Output o = n_->denoiser(inputs, constant_of(step, ProcessConstant::time));
  const Var velocity = ops::mse(o.f, Var(e.target));
  if (denoiser.lambda == 0) return {velocity, {}};
  const Var supervision = deep_supervision(o.pyramid, o.f, e, step, pi, label);
  return Loss::sum({{"velocity", velocity}, {"supervision", ops::scale(supervision, denoiser.lambda)}});
}

Tensor Pgrd::draw(const PreprocessedCase& c, const SamplingOptions& options, const Work& work,
                  const std::function<void(const Tensor&)>& sink) const {
  const Tensor image = c.image.to(n_->denoiser.device());
  Tensor pi;
  if (guided) pi = n_->prior->volume_probabilities(image, constant("pi_temperature"), work);
  GroupSampler sampler(
      {plan(), n_->schedule, n_->denoiser, prediction(), image, pi, c.name, work.seed, options, work});
  EarlyStop stop(options.stop_tolerance);
  int64_t group = sampler.group();
  if (options.stop_tolerance > 0) {
    // The group size divides EarlyStop::kInterval, so that a group ends wherever EarlyStop may stop. The mean
    // of first estimates then has no samples that were drawn but not used.
    group = std::min(group, EarlyStop::kInterval);
    while (EarlyStop::kInterval % group != 0) --group;
  }
  for (int64_t first = 0; first < options.samples; first += group)
    for (const Tensor& sample : sampler.draw(first, std::min(group, options.samples - first))) {
      sink(sample);
      if (options.stop_tolerance > 0 && stop.add(readout(sample, options.readout, tau_out())))
        return sampler.first_estimate();
    }
  return sampler.first_estimate();
}

double Pgrd::tau_out() const {
  if (sampling.tau_out > 0) return sampling.tau_out;
  const auto fitted = constants.find("tau_out");
  return fitted != constants.end() ? fitted->second : kTauOut;
}

std::vector<EstimateInfo> Pgrd::estimates() const {
  std::vector<EstimateInfo> all;
  if (guided)
    all = {{kPrior, kPrior, RowRole::baseline}, {kTempered, "prior + temperature", RowRole::baseline}};
  const std::string drawn = cat(" (M = ", sampling.samples, ", S = ", sampling.sampler.steps, ")");
  if (sampling.first_estimates())
    all.push_back(
        {kMeanOfSamples, name() + " mean of samples" + drawn, RowRole::variant, /*of_samples=*/true});
  all.push_back({name(), name() + drawn, RowRole::method, /*of_samples=*/!sampling.first_estimates()});
  return all;
}

void Pgrd::predict(const PreprocessedCase& c, const Work& work, Receiver& to) {
  if (guided && (to.wants(kPrior) || to.wants(kTempered))) {
    const Tensor p = n_->prior->volume_probabilities(c.image, 1, work).to(Device::cpu());
    if (to.wants(kPrior)) to.estimate(kPrior, p);
    if (to.wants(kTempered)) to.estimate(kTempered, apply_temperature(p, constant("prior_temperature")));
  }
  const Tensor mean = draw(
      c, sampling, work, [&](const Tensor& raw) { to.sample(readout(raw, sampling.readout, tau_out()), 1); });
  if (mean.defined()) to.estimate(name(), mean);
}

int64_t Pgrd::evaluations(const std::function<bool(const std::string&)>& wants) const {
  const auto steps = static_cast<int64_t>(reverse_steps(n_->schedule, sampling.sampler).size());
  const bool prior_again = wants(kPrior) || wants(kTempered);
  return (guided ? 1 + (prior_again ? 1 : 0) : 0) + sampling.samples * steps;
}

void Pgrd::fit(const TrainingData& data, const Work& work) {
  if (sampling.tau_out > 0 || sampling.readout != "softmax") return;
  SamplingOptions all = sampling;
  all.stop_tolerance = 0;
  std::vector<const PreparedCase*> cases;
  int64_t values = 0, windows = 0;
  for (const PreparedCase& c : data.calibration) {
    if (!c.label.defined()) continue;
    const Triple padded = padding(c.content, plan().patch).first;
    values += all.samples * padded[0] * padded[1] * padded[2] * plan().classes();
    if (cases.size() >= kFitCases && values > kFitValues) break;
    cases.push_back(&c);
    windows += windows_of(c, plan());
  }
  const auto steps = static_cast<int64_t>(reverse_steps(n_->schedule, all.sampler).size());
  work.expected(windows * ((guided ? 1 : 0) + all.samples * steps));
  TauOutFit tau;
  for (const PreparedCase* prepared : cases) {
    const PreprocessedCase c = pad_case(*prepared, plan().patch);
    tau.begin_case(content_of(c.label, c));
    draw(c, all, work, [&](const Tensor& raw) { tau.add_sample(content_of(raw, c)); });
    tau.end_case();
  }
  constants["tau_out"] = tau.cases() > 0 ? tau.best() : kTauOut;
  constants["tau_out_cases"] = static_cast<double>(tau.cases());
  constants["tau_out_samples"] = static_cast<double>(all.samples);
  constants["tau_out_steps"] = static_cast<double>(steps);
  fitted_ = sampling;
}

std::vector<std::string> Pgrd::doubts() const {
  std::vector<std::string> all;
  const auto judge = [&](const char* name, double low, double high) {
    const auto fitted = constants.find(name);
    if (fitted == constants.end()) return;
    if (std::string text = doubt_of_fit(name, fitted->second, low, high); !text.empty())
      all.push_back(std::move(text));
  };
  judge("prior_temperature", TemperatureFit::kLow, TemperatureFit::kHigh);
  judge("tau_out", TauOutFit::kLow, TauOutFit::kHigh);
  return all;
}

std::vector<std::string> Pgrd::notes() const {
  std::vector<std::string> all;
  for (const std::string& text : doubts()) all.push_back(cat(name(), ": ", text, "."));
  if (sampling.first_estimates())
    all.push_back(
        cat(name(),
            ": the mean probability comes from the samples' first estimates (sampling.mean); \"mean of "
            "samples\" averages the finished samples, as the paper does."));
  return all;
}

std::vector<std::string> Pgrd::warnings() const {
  std::vector<std::string> all = doubts();
  const SamplerOptions &now = sampling.sampler, &then = fitted_.sampler;
  const bool as_fitted = sampling.samples == fitted_.samples && now.steps == then.steps &&
                         now.kind == then.kind && now.spacing == then.spacing && now.eta == then.eta &&
                         now.variance == then.variance;
  if (!sampling.first_estimates() && constants.contains("tau_out_samples") && !as_fitted)
    all.push_back(cat("tau_out was fitted for M = ", fitted_.samples, ", S = ", then.steps, ", ", then.kind,
                      "; with other samples the probabilities may be less well calibrated"));
  return all;
}

extern const MethodRecord pgrd_method{
    "pgrd",
    "prior-guided residual diffusion: draws samples of the residual between the label and a frozen prior",
    []() -> std::unique_ptr<Method> { return std::make_unique<Pgrd>(); }};

}  // namespace voxgrad
