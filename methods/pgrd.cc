#include "methods/pgrd.h"

#include <algorithm>
#include <cmath>

#include "diffusion/aggregate.h"
#include "eval/calibrate.h"

namespace voxgrad {
namespace {

UNetConfig denoiser_config(const Plan& plan, const Config& config) {
  // The network reads [c_in r_t, X, pi] and gives F, K channels.
  UNetConfig c = unet_config(plan, plan.channels() + 2 * plan.classes(), plan.classes());
  c.deep_supervision = false;
  c.time_conditioned = true;
  c.time_features = config.integer("denoiser.time_features");
  c.auxiliary_channels =
      config.number("denoiser.lambda") > 0 && config.text("denoiser.dds") == "heads" ? plan.classes() : 0;
  c.zero_output = true;
  return c;
}

uint64_t hash_name(const std::string& name) {
  uint64_t h = 14695981039346656037u;  // FNV-1a
  for (const char c : name) h = (h ^ static_cast<unsigned char>(c)) * 1099511628211u;
  return h;
}

Tensor times_tensor(const std::vector<int64_t>& t) {
  std::vector<float> f(t.begin(), t.end());
  return Tensor::from<float>({static_cast<int64_t>(f.size())}, f);
}

Tensor subtract(const Tensor& a, const Tensor& b) { return apply_step({0, 0, 1, -1, 0, 0}, a, b, {}, {}); }

}  // namespace

Pgrd::Pgrd(const Plan& plan, const Config& config, std::string name)
    : Method(plan, config),
      name_(std::move(name)),
      prior_(plan_, config_),
      schedule_(config.text("diffusion.schedule"), config.integer("diffusion.steps"),
                config.boolean("diffusion.zero_terminal_snr")),
      lambda_(config.number("denoiser.lambda")),
      heads_(config.text("denoiser.dds") == "heads"),
      net_(params_, "denoiser", denoiser_config(plan_, config_)) {}

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
                       const std::vector<PreprocessedCase>& calibration, uint64_t seed) {
  if (stage != 1) return;
  constants["prior_temperature"] = fit_prior_temperature(prior_, calibration);
  constants["pi_temperature"] =
      config_.boolean("denoiser.tempered_prior") ? constants["prior_temperature"] : 1;
  double sd = config_.number("denoiser.residual_sd");
  if (sd == 0) {
    // Over patches as the denoiser will see them. Residuals are mostly near zero: their sd is small.
    double power = 0, count = 0;
    for (int64_t step = 0; step < 32; ++step) {
      const Batch b = training_batch(training, plan_, augment_options(config_), seed, step);
      const Tensor pi = prior_.batch_probabilities(b.image, constants["pi_temperature"]);
      power += residual_power(b.label, pi);
      count += static_cast<double>(pi.numel());
    }
    sd = std::clamp(std::sqrt(power / count), 1e-3, 1.0);
  }
  constants["residual_sd"] = sd;
}

Var Pgrd::deep_supervision(const UNet::Output& output, const ResidualExample& example, const Tensor& pi,
                           const std::vector<int64_t>& t, const Tensor& label) const {
  if (heads_) {
    std::vector<Var> scaled;
    const double tau = config_.number("denoiser.dds_tau");
    for (const Var& logits : output.auxiliary) scaled.push_back(ops::scale(logits, 1 / tau));
    return deep_segmentation_loss(scaled, label, {1, 0});
  }
  // y0_hat = pi + c_skip r_t + c_out F, which is affine in F.
  const double sd = constant("residual_sd");
  std::vector<float> skip, out;
  for (const int64_t time : t) {
    const Preconditioning c = precondition(schedule_.alpha_bar(time), sd);
    skip.push_back(static_cast<float>(c.skip));
    out.push_back(static_cast<float>(c.out));
  }
  const int64_t n = static_cast<int64_t>(t.size());
  const Device device = output.out.value().device();
  const Var residual = ops::axpby(Tensor::from<float>({n}, skip).to(device), Var(example.state.to(device)),
                                  Tensor::from<float>({n}, out).to(device), output.out);
  return ops::cross_entropy(
      ops::scale(ops::add(residual, Var(pi.to(device))), 1 / config_.number("denoiser.dds_tau")),
      label.to(device));
}

Var Pgrd::loss(size_t stage, const Batch& batch, uint64_t seed, int64_t step) {
  if (stage == 0) return prior_.loss(batch);
  const Tensor pi = prior_.batch_probabilities(batch.image, constant("pi_temperature"));
  const int64_t n = pi.dim(0);
  const Philox times{seed, Stream::time_step, static_cast<uint32_t>(step)};
  std::vector<int64_t> t;
  for (int64_t i = 0; i < n; ++i) t.push_back(1 + times.below(static_cast<uint64_t>(i), schedule_.steps()));
  const Tensor eps = random_normal(pi.shape(), {seed, Stream::noise, static_cast<uint32_t>(step)});
  const ResidualExample e =
      make_residual_example(schedule_, batch.label, pi, eps, t, constant("residual_sd"));
  const UNet::Output o = net_({Var(e.input), Var(batch.image), Var(pi)}, times_tensor(t), true);
  const Var velocity = ops::mse(o.out, Var(e.target.to(o.out.value().device())));
  if (lambda_ == 0) return velocity;
  return ops::add(velocity, ops::scale(deep_supervision(o, e, pi, t, batch.label), lambda_));
}

Tensor Pgrd::prior_probabilities(const PreprocessedCase& c, const std::function<void()>& poll) {
  return prior_.volume_probabilities(c.image, 1, int64_t{4} << 30, poll);
}

void Pgrd::sample(const PreprocessedCase& c, const SampleOptions& options,
                  const std::function<void(const Tensor&)>& sink) {
  const Triple shape{c.image.dim(0), c.image.dim(1), c.image.dim(2)};
  const int64_t classes = plan_.classes(), voxels = plan_.patch[0] * plan_.patch[1] * plan_.patch[2];
  const double sd = constant("residual_sd");
  const Tensor pi =
      prior_.volume_probabilities(c.image, constant("pi_temperature"), options.memory, options.poll);
  const std::vector<ReverseStep> steps = reverse_steps(schedule_, options.sampler);
  const uint64_t seed = options.seed ^ hash_name(c.name);
  const Shape state_shape{shape[0], shape[1], shape[2], classes};
  const int64_t group = group_size(options.memory, voxels, plan_.features[0]);

  for (int64_t first = 0; first < options.samples; first += group) {
    const int64_t many = std::min(group, options.samples - first);
    std::vector<Tensor> state, previous(static_cast<size_t>(many));
    for (int64_t m = first; m < first + many; ++m)
      state.push_back(random_normal(state_shape, {seed, Stream::start, static_cast<uint32_t>(m)}));
    for (size_t i = 0; i < steps.size(); ++i) {
      const ReverseStep& step = steps[i];
      const float c_in = static_cast<float>(precondition(schedule_.alpha_bar(step.t), sd).in);
      // All samples of the group at once, window by window; the estimates are blended on the volume's grid.
      const int64_t channels = many * classes;
      const std::vector<int64_t> t(static_cast<size_t>(many), step.t);
      const Tensor times = times_tensor(t);
      const Tensor blended = over_windows(
          shape, plan_.patch, channels, 1,
          [&](const std::vector<Window>& w) {
            const Tensor pi_window = gather_windows(pi, w, plan_.patch);
            Tensor r = Tensor::empty({many, plan_.patch[0], plan_.patch[1], plan_.patch[2], classes});
            for (int64_t m = 0; m < many; ++m) {
              const Tensor one = gather_windows(state[static_cast<size_t>(m)], w, plan_.patch);
              std::memcpy(r.rows(m, 1).raw(), one.raw(), one.nbytes());
            }
            const Tensor input = apply_step({0, 0, c_in, 0, 0, 0}, r, r, {}, {});
            const Tensor f = net_({Var(input), Var(repeat(gather_windows(c.image, w, plan_.patch), many)),
                                   Var(repeat(pi_window, many))},
                                  times, false)
                                 .out.value()
                                 .to(Device::cpu());
            const Tensor y0 = clean_estimate(schedule_, r, pi_window, f, t, sd);
            // [m, d, h, w, k] -> [1, d, h, w, m k]: the blend works on channels.
            Tensor out = Tensor::empty({1, plan_.patch[0], plan_.patch[1], plan_.patch[2], channels});
            const float* from = y0.data<float>();
            float* to = out.mutable_data<float>();
            for (int64_t m = 0; m < many; ++m)
              for (int64_t x = 0; x < voxels; ++x)
                for (int64_t k = 0; k < classes; ++k)
                  to[x * channels + m * classes + k] = from[(m * voxels + x) * classes + k];
            return out;
          },
          options.poll);
      const float* all = blended.data<float>();
      for (int64_t m = 0; m < many; ++m) {
        Tensor y0 = Tensor::empty(state_shape);
        float* to = y0.mutable_data<float>();
        for (int64_t x = 0; x < y0.numel() / classes; ++x)
          for (int64_t k = 0; k < classes; ++k) to[x * classes + k] = all[x * channels + m * classes + k];
        Tensor& s = state[static_cast<size_t>(m)];
        const Tensor r0 = subtract(y0, pi);
        if (step.s == 0) {
          s = y0;  // the sample itself
          continue;
        }
        const Tensor z = step.noise != 0
                             ? random_normal(state_shape, {seed + 1 + static_cast<uint64_t>(first + m),
                                                           Stream::ancestral, static_cast<uint32_t>(i)})
                             : Tensor();
        s = apply_step(step, s, r0, previous[static_cast<size_t>(m)], z);
        previous[static_cast<size_t>(m)] = r0;
      }
    }
    for (const Tensor& s : state) sink(s);
  }
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
  std::vector<LabelledSamples> labelled;
  for (const PreprocessedCase& c : calibration) {
    if (!c.label.defined()) continue;
    LabelledSamples l{{}, content_of(c.label, c)};
    sample(c, options, [&](const Tensor& raw) { l.samples.push_back(content_of(raw, c)); });
    labelled.push_back(std::move(l));
  }
  constants["tau_out"] = labelled.empty() ? 0.2 : fit_tau_out(labelled);
  constants["tau_out_samples"] = static_cast<double>(options.samples);
  constants["tau_out_steps"] = static_cast<double>(options.sampler.steps);
}

}  // namespace voxgrad
