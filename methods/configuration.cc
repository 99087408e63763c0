#include "methods/configuration.h"

namespace voxgrad {
namespace {

void add_stage(std::vector<ConfigKey>& table, const std::string& name, int64_t steps, double learning_rate,
               double ema) {
  const std::vector<ConfigKey> keys = {
      {.key = "steps", .default_value = steps, .min = 1, .max = 1e7, .text = "training steps (batches)"},
      {.key = "optimizer",
       .default_value = std::string("adam"),
       .choices = {"adam", "adamw", "sgd"},
       .text = "sgd is Nesterov momentum, as nnU-Net trains"},
      {.key = "learning_rate",
       .default_value = learning_rate,
       .min = 0,
       .max = 10,
       .text = "at the start; the PGRD paper trains with 1e-3"},
      {.key = "schedule",
       .default_value = std::string("poly"),
       .choices = {"poly", "cosine", "constant"},
       .text = "decay of the learning rate; poly is (1 - step/steps)^0.9"},
      {.key = "warmup", .default_value = int64_t{0}, .min = 0, .max = 1e6, .text = "steps of linear warm-up"},
      {.key = "momentum", .default_value = 0.99, .min = 0, .max = 0.9999, .text = "of sgd"},
      {.key = "weight_decay",
       .default_value = 0.0,
       .min = 0,
       .max = 1,
       .text = "adamw: decoupled; otherwise added to the gradient; nnU-Net's sgd uses 3e-5"},
      {.key = "clip_norm",
       .default_value = 12.0,
       .min = 0,
       .max = 1e9,
       .text = "largest L2 norm of the gradient; 0: no clipping"},
      {.key = "ema_decay",
       .default_value = ema,
       .min = 0,
       .max = 0.99999,
       .text = "of the averaged weights that are saved and used; 0: the last weights"},
  };
  for (ConfigKey k : keys) {
    k.key = name + "." + k.key;
    table.push_back(std::move(k));
  }
}

}  // namespace

Config default_config() {
  const auto num = [](const char* key, double value, double low, double high, const char* text) {
    return ConfigKey{.key = key, .default_value = value, .min = low, .max = high, .text = text};
  };
  const auto count = [](const char* key, int64_t value, double low, double high, const char* text) {
    return ConfigKey{.key = key, .default_value = value, .min = low, .max = high, .text = text};
  };
  const auto flag = [](const char* key, bool value, const char* text) {
    return ConfigKey{.key = key, .default_value = value, .text = text};
  };
  const auto word = [](const char* key, const char* value, std::vector<std::string> choices,
                       const char* text) {
    return ConfigKey{
        .key = key, .default_value = std::string(value), .choices = std::move(choices), .text = text};
  };
  std::vector<ConfigKey> t = {
      count("plan.dims", 0, 0, 3,
            "2 or 3; 0: 2 where the depth is 1 or CT has a spacing ratio above 3, else 3"),
      count("plan.base_features", 16, 1, 512, "channels of the first stage; nnU-Net's 32 is meant for a GPU"),
      count("plan.max_features", 320, 1, 4096, "most channels of a stage"),
      count("plan.max_patch_voxels", 96 * 96 * 96, 512, 1e9, "largest training patch, voxels"),
      count("plan.max_patch_pixels", 512 * 512, 64, 1e9, "the same of a 2-D plan, pixels"),
      count("plan.batch_size", 2, 1, 1024, "patches a step; the PGRD paper trains with 2"),

      flag("augment.enabled", true, "random augmentation of training patches (nnU-Net's set)"),
      flag("augment.mirror", false,
           "mirror along every axis with probability 1/2, as nnU-Net does; only where no label depends on "
           "side or "
           "direction"),
      num("augment.rotation", 0.2, 0, 1, "probability of a rotation"),
      num("augment.scaling", 0.2, 0, 1, "probability of a scaling by 0.7 to 1.4"),
      num("augment.noise", 0.1, 0, 1, "probability of Gaussian noise"),
      num("augment.blur", 0.2, 0, 1, "probability of a Gaussian blur"),
      num("augment.brightness", 0.15, 0, 1, "probability of a change of brightness"),
      num("augment.contrast", 0.15, 0, 1, "probability of a change of contrast"),
      num("augment.low_resolution", 0.25, 0, 1, "probability of simulated low resolution"),
      num("augment.gamma", 0.3, 0, 1, "probability of a gamma transform, exponent 0.7 to 1.5"),

      word("train.precision", "fp32", {"fp32", "tf32", "bf16"},
           "of the networks, in training and prediction; bf16: activations and products in bf16, weights, "
           "sums, statistics and optimizer in fp32; tf32: factors of products rounded to TF32, on CUDA "
           "devices "
           "only"),
      count("train.max_steps", 0, 0, 1e7, "caps the steps of every stage; 0: no cap"),
      count("train.checkpoint_every", 250, 1, 1e7, "steps between checkpoints"),
      flag(
          "train.recompute", true,
          "compute activations again in the backward pass instead of keeping them: a quarter less memory for "
          "a few per cent more time; the same bits"),
      count("train.fold", 0, 0, 1000, "which fold is left out for validation"),
      count("train.max_scored", 0, 0, 1e6, "most validation cases that are scored at the end; 0: all"),
      count("train.keep_cases", 6, 0, 1000,
            "scored cases whose maps are kept in RUN/validation for the report"),
  };
  add_stage(t, "prior", 4000, 3e-3, 0.99);
  t.insert(t.end(), {
                        num("prior.cross_entropy", 1, 0, 100, "weight of the cross-entropy"),
                        num("prior.dice", 1, 0, 100, "weight of the soft Dice loss"),
                        flag("prior.deep_supervision", true,
                             "losses on the coarser decoder levels too, weights 2^-level"),
                    });
  add_stage(t, "denoiser", 4000, 1e-3, 0.995);
  t.insert(
      t.end(),
      {
          num("denoiser.lambda", 0.1, 0, 100,
              "weight of deep diffusion supervision (equation 9); 0 is the ablation without DDS"),
          word("denoiser.dds", "heads", {"heads", "estimate"},
               "heads: 1x1x1 heads on every decoder level (II.C, equation 6); estimate: softmax(y0_hat / "
               "dds_tau) (II.F)"),
          num("denoiser.dds_tau", 0.5, 0.01, 100, "temperature tau of equation 6"),
          count("denoiser.time_features", 64, 2, 4096, "size of the embedding of t; even"),
          num("denoiser.residual_sd", 0, 0, 10,
              "standard deviation of the residual for preconditioning; 0: estimated from the training data; "
              "1: the paper's plain v-prediction"),
          flag("denoiser.tempered_prior", true,
               "pi is the prior after temperature scaling (fitted on the calibration cases) instead of the "
               "prior itself"),

          count("diffusion.steps", 1000, 1, 100000, "T, steps of the forward process"),
          word("diffusion.schedule", "cosine", {"cosine", "linear"}, "noise schedule"),
          flag("diffusion.zero_terminal_snr", false, "rescale so that alpha_bar(T) = 0 (Lin et al. 2024)"),

          count("sampling.samples", 16, 1, 100000, "M, samples a case"),
          num("sampling.stop_tolerance", 0, 0, 1,
              "early stop: no more samples once four more changed the samples' mean probability of no class "
              "at "
              "any voxel by more than this; 0: always all M"),
          count("sampling.steps", 2, 1, 100000,
                "S, evaluations of the denoiser a sample; the paper uses 300"),
          word("sampling.sampler", "ddim", {"ddim", "ddpm", "dpmpp"}, "reverse process"),
          num("sampling.eta", 0, 0, 1, "noise of ddim: 0 is deterministic given the start"),
          word("sampling.variance", "posterior", {"posterior", "upper"},
               "variance of ddpm: that of the posterior, or 1 - alpha"),
          word("sampling.spacing", "uniform", {"uniform", "log-snr"}, "where the S steps lie in 1..T"),
          word("sampling.readout", "clip", {"softmax", "clip"},
               "probabilities of a sample: softmax(s / tau_out) as in the paper, or clipped to [0, 1] and "
               "renormalised"),
          word(
              "sampling.mean", "first-estimates", {"first-estimates", "samples"},
              "mean probability: of the samples, as in the paper, or of their first estimates, made at t = T "
              "where they are the conditional mean of the label"),
          num("sampling.tau_out", 0, 0, 100,
              "tau_out of the readout softmax; 0: fitted on the calibration cases and stored in the model"),
      });
  return Config(std::move(t));
}

std::string configuration_document() {
  return "# Configuration\n\nThe keys of `config.toml`, for `voxgrad train --config FILE` and `--set "
         "KEY=VALUE`. This page is the "
         "table that the parser and `--print-config` are made of: `voxgrad train --print-config-table` "
         "prints it, and a "
         "test compares.\n\n" +
         default_config().to_markdown();
}

DType precision_of(const std::string& name) {
  return parse_precision(name) == Precision::bf16 ? DType::bf16 : DType::f32;
}

PlanOptions plan_options(const Config& c) {
  PlanOptions o;
  o.dims = static_cast<int>(c.integer("plan.dims"));
  if (o.dims == 1) fail(ErrorCode::usage, "[config] plan.dims: expected 0, 2 or 3, got 1");
  o.base_features = static_cast<int>(c.integer("plan.base_features"));
  o.max_features = static_cast<int>(c.integer("plan.max_features"));
  o.max_patch_voxels = c.integer("plan.max_patch_voxels");
  o.max_patch_pixels = c.integer("plan.max_patch_pixels");
  o.batch_size = static_cast<int>(c.integer("plan.batch_size"));
  return o;
}

AugmentOptions augment_options(const Config& c) {
  AugmentOptions a;
  a.enabled = c.boolean("augment.enabled");
  a.mirror = c.boolean("augment.mirror");
  a.rotation = c.number("augment.rotation");
  a.scaling = c.number("augment.scaling");
  a.noise = c.number("augment.noise");
  a.blur = c.number("augment.blur");
  a.brightness = c.number("augment.brightness");
  a.contrast = c.number("augment.contrast");
  a.low_resolution = c.number("augment.low_resolution");
  a.gamma = c.number("augment.gamma");
  return a;
}

StageOptions stage_options(const Config& c, const std::string& name) {
  StageOptions s;
  s.name = name;
  s.steps = c.integer(name + ".steps");
  if (const int64_t cap = c.integer("train.max_steps"); cap > 0) s.steps = std::min(s.steps, cap);
  s.learning_rate = c.number(name + ".learning_rate");
  s.schedule = c.text(name + ".schedule");
  s.warmup = c.integer(name + ".warmup");
  s.optimizer.kind = c.text(name + ".optimizer");
  s.optimizer.momentum = c.number(name + ".momentum");
  s.optimizer.weight_decay = c.number(name + ".weight_decay");
  s.optimizer.clip_norm = c.number(name + ".clip_norm");
  s.optimizer.ema_decay = c.number(name + ".ema_decay");
  return s;
}

}  // namespace voxgrad
