#include "methods/pgrd.h"

#include <algorithm>
#include <cmath>

#include "diffusion/aggregate.h"
#include "eval/calibrate.h"
#include "methods/group_sampler.h"

namespace voxgrad {
namespace {

int64_t time_features(const Config& config) {
  const int64_t size = config.integer("denoiser.time_features");
  if (size % 2 != 0)
    fail(ErrorCode::usage, "[config] denoiser.time_features: expected an even number, got ", size);
  return size;
}

UNetConfig denoiser_config(const Plan& plan, const Config& config) {
  // The network reads [c_in r_t, X, pi] and gives F, K channels.
  UNetConfig c = unet_config(plan, config, plan.channels() + 2 * plan.classes());
  c.embedding = config.integer("denoiser.time_features");
  return c;
}

uint64_t hash_name(const std::string& name) {
  uint64_t h = 14695981039346656037u;  // FNV-1a
  for (const char c : name) h = (h ^ static_cast<unsigned char>(c)) * 1099511628211u;
  return h;
}

uint64_t case_seed(const std::string& case_name, uint64_t seed) { return seed ^ hash_name(case_name); }

// Brings a value to a device, into the memory of the one before.
void put(Tensor& place, const Tensor& value, const Device& device) {
  if (!place.defined() || place.device() != device || place.shape() != value.shape())
    place = Tensor::empty_on(device, value.shape(), value.dtype());
  place.copy_from(value);
}

}  // namespace

Tensor start_noise(const std::string& case_name, uint64_t seed, int64_t m, const Shape& shape) {
  return start_noise(case_seed(case_name, seed), m, shape);
}

Pgrd::Pgrd(const Plan& plan, const Config& config, std::string name)
    : Method(plan, config),
      name_(std::move(name)),
      prior_(plan_, config_),
      schedule_(config.text("diffusion.schedule"), config.integer("diffusion.steps"),
                config.boolean("diffusion.zero_terminal_snr")),
      lambda_(config.number("denoiser.lambda")),
      heads_(config.text("denoiser.dds") == "heads"),
      time_(params_, "denoiser.time", time_features(config_), time_features(config_)),
      net_(params_, "denoiser", denoiser_config(plan_, config_)),
      head_(params_, "denoiser.head", net_.config().features, 1, plan_.classes(), /*zero=*/true) {
  if (lambda_ > 0 && heads_)
    auxiliary_.emplace(params_, "denoiser.auxiliary", net_.config().features, deep_levels(net_.config()),
                       plan_.classes());
  reverse_steps(schedule_,
                sample_options(config_).sampler);  // refuses what no sampler can do, before training
}

std::vector<StageOptions> Pgrd::stages() const {
  return {stage_options(config_, "prior"), stage_options(config_, "denoiser")};
}

double Pgrd::constant(const std::string& name) const {
  const auto it = constants.find(name);
  if (it == constants.end())
    fail(ErrorCode::data, "[pgrd] the model has no ", name,
         ": its training was stopped before the denoiser began; ", "go on with `voxgrad train --resume`");
  return it->second;
}

void Pgrd::begin_stage(size_t stage, const std::vector<PreprocessedCase>& training,
                       const std::vector<PreprocessedCase>& calibration, const SampleOptions& options) {
  if (stage != 1) return;
  constants["prior_temperature"] = fit_prior_temperature(prior_, calibration, options);
  constants["pi_temperature"] =
      config_.boolean("denoiser.tempered_prior") ? constants["prior_temperature"] : 1;
  double sd = config_.number("denoiser.residual_sd");
  if (sd == 0) {
    // Over patches as the denoiser will see them. Residuals are mostly near zero: their sd is small.
    double power = 0, count = 0;
    for (int64_t step = 0; step < 32; ++step) {
      if (options.poll) options.poll();
      const Batch b = training_batch(training, plan_, augment_options(config_), options.seed, step);
      const Tensor pi = prior_.batch_probabilities(b.image, constants["pi_temperature"]).to(Device::cpu());
      power += residual_power(b.label, pi);
      count += static_cast<double>(pi.numel());
    }
    sd = std::clamp(std::sqrt(power / count), 1e-3, 1.0);
  }
  constants["residual_sd"] = sd;
}

Var Pgrd::deep_supervision(const std::vector<Var>& pyramid, const Var& output, const ResidualExample& example,
                           const Tensor& pi, const Tensor& label) const {
  if (heads_) {
    std::vector<Var> scaled;
    const double tau = config_.number("denoiser.dds_tau");
    for (const Var& logits : (*auxiliary_)(pyramid)) scaled.push_back(ops::scale(logits, 1 / tau));
    return deep_segmentation_loss(scaled, label, {1, 0});
  }
  // y0_hat = pi + c_skip r_t + c_out F, which is affine in F.
  const Var residual = ops::axpby(constant_of(step_constants_, ProcessConstant::skip), Var(example.state),
                                  constant_of(step_constants_, ProcessConstant::out), output);
  return ops::cross_entropy(ops::scale(ops::add(residual, Var(pi)), 1 / config_.number("denoiser.dds_tau")),
                            label);
}

void Pgrd::prepare(size_t stage, int64_t examples, uint64_t seed, int64_t step) {
  if (stage == 0) return;
  const auto draw = static_cast<uint32_t>(step);
  const Philox times{seed, Stream::time_step, draw};
  std::vector<int64_t> t;
  for (int64_t i = 0; i < examples; ++i)
    t.push_back(1 + times.below(static_cast<uint64_t>(i), schedule_.steps()));
  put(step_constants_, process_constants(schedule_, t, constant("residual_sd")), net_.device());
  put(step_noise_, Tensor::from<int64_t>({2}, {static_cast<int64_t>(seed), int64_t{draw}}), net_.device());
}

Var Pgrd::loss(size_t stage, const Batch& batch) {
  if (stage == 0) return prior_.loss(batch);
  // The networks, the noise and the losses are in one place; a batch that is elsewhere is brought there.
  const Tensor image = batch.image.to(net_.device()), label = batch.label.to(net_.device());
  const Tensor pi = prior_.batch_probabilities(image, constant("pi_temperature"));
  Tensor eps = Tensor::empty_on(pi.device(), pi.shape());
  fill_normal(eps, {0, Stream::noise, 0}, step_noise_);
  const ResidualExample e = make_residual_example(step_constants_, label, pi, eps);
  const std::vector<Var> pyramid =
      net_({Var(e.input), Var(image), Var(pi)}, time_(constant_of(step_constants_, ProcessConstant::time)));
  const Var output = head_.finest(pyramid);
  const Var velocity = ops::mse(output, Var(e.target));
  if (lambda_ == 0) return velocity;
  return ops::add(velocity, ops::scale(deep_supervision(pyramid, output, e, pi, label), lambda_));
}

Tensor Pgrd::prior_probabilities(const PreprocessedCase& c, const SampleOptions& options) {
  return prior_.volume_probabilities(c.image, 1, options).to(Device::cpu());
}

Tensor Pgrd::sample(const PreprocessedCase& c, const SampleOptions& options,
                    const std::function<void(const Tensor&)>& sink) {
  const Tensor image = c.image.to(net_.device());
  const Tensor pi = prior_.volume_probabilities(image, constant("pi_temperature"), options);
  GroupSampler sampler({plan_, schedule_, net_, time_, head_, constant("residual_sd"), image, pi,
                        case_seed(c.name, options.seed), options});
  EarlyStop stop(options.stop_tolerance);
  int64_t group = sampler.group();
  if (options.stop_tolerance > 0) {
    // Few that are not needed, and an end of a group wherever EarlyStop may stop: first estimates are of all
    // that were drawn.
    group = std::min(group, EarlyStop::kInterval);
    while (EarlyStop::kInterval % group != 0) --group;
  }
  for (int64_t first = 0; first < options.samples; first += group)
    for (const Tensor& sample : sampler.draw(first, std::min(group, options.samples - first))) {
      sink(sample);
      if (options.stop_tolerance > 0 && stop.add(probabilities(sample))) return sampler.first_estimate();
    }
  return sampler.first_estimate();
}

Tensor Pgrd::probabilities(const Tensor& raw) const {
  const std::string& kind = config_.text("sampling.readout");
  double tau = config_.number("sampling.tau_out");
  if (tau == 0) {
    // A run that was stopped before the fit (prediction warns about it) reads out with a moderate tau.
    const auto fitted = constants.find("tau_out");
    tau = fitted != constants.end() ? fitted->second : 0.2;
  }
  return readout(raw, kind, tau);
}

void Pgrd::fit_readout(const std::vector<PreprocessedCase>& calibration, const SampleOptions& options) {
  if (config_.number("sampling.tau_out") > 0 || config_.text("sampling.readout") != "softmax") return;
  // Samples are kept as they are, since each tau reads them anew: as many cases as the memory bound allows.
  SampleOptions all = options;
  all.stop_tolerance = 0;
  std::vector<LabelledSamples> labelled;
  int64_t kept = 0;
  for (const PreprocessedCase& c : calibration) {
    if (!c.label.defined()) continue;
    const int64_t bytes = options.samples * c.label.numel() * plan_.classes() * int64_t{sizeof(float)};
    if (!labelled.empty() && kept + bytes > options.memory / 2) break;
    kept += bytes;
    LabelledSamples l{{}, content_of(c.label, c)};
    sample(c, all, [&](const Tensor& raw) { l.samples.push_back(content_of(raw, c)); });
    labelled.push_back(std::move(l));
  }
  constants["tau_out"] = labelled.empty() ? 0.2 : fit_tau_out(labelled);
  constants["tau_out_cases"] = static_cast<double>(labelled.size());
  constants["tau_out_samples"] = static_cast<double>(options.samples);
  constants["tau_out_steps"] = static_cast<double>(reverse_steps(schedule_, options.sampler).size());
}

}  // namespace voxgrad
