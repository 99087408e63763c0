// The parts of the Probabilistic U-Net (Kohl et al. 2018) beside its trunk (nn/unet.h): an encoder that gives
// a Gaussian over a latent variable z, from the image (prior) or from image and annotation (posterior), and a
// head that reads z beside the trunk's finest features. Their distance is ops::kl_gaussian.
#pragma once
#include "nn/layers.h"

namespace voxgrad {

struct GaussianEncoderConfig {
  int64_t in_channels = 1;
  std::vector<int64_t> features;  ///< a stage each
  std::vector<Triple> strides;    ///< a stage each
  std::vector<Triple> kernels;    ///< a stage each; 3 or 1 an axis
  int64_t latent = 6;             ///< dimensions of z
};

/// An axis-aligned Gaussian over z, from inputs: two convolutions with leaky ReLU a stage, the mean over
/// space, and a linear map to 2 L numbers. No norm, as in the paper's code: an instance norm before the mean
/// over space would remove what the mean is there to see. It computes in f32.
///
/// The paper's beta stands beside a cross-entropy summed over voxels. Beside ops::cross_entropy, which is a
/// mean over voxels, the same weight is beta divided by the number of voxels.
class GaussianEncoder {
 public:
  /// Named NAME.encoder.i and NAME.gaussian.
  GaussianEncoder(Parameters& p, const std::string& name, const GaussianEncoderConfig& config);

  /// [N, L] each, f32 (f64 in a network of f64).
  struct Gaussian {
    Var mu, log_sigma;
  };
  /// x: inputs that are read one after the other along the channels, [N, D, H, W, *], extents divisible by
  /// the product of the strides; those without gradient are brought to where the parameters are.
  /// log_sigma lies in (-10, 10): a clamp without a kink, 10 tanh(v / 10) of the linear map's v, computed as
  /// 20 sigmoid(v / 5) - 10. Its slope is 1 at 0 and .96 at v = 2.
  Gaussian operator()(const std::vector<Var>& x) const;
  /// z = mu + exp(log_sigma) eps [N, L] with standard normal eps of Stream::latent at a site of the step's
  /// random numbers, which lie where mu does. Gradients flow into mu and log_sigma (Kingma and Welling 2014).
  static Var sample(const Var& mu, const Var& log_sigma, const StepRandom& random, uint32_t site);
  /// The same with given eps: [N, L] where mu is. At prediction each window of a volume has a Gaussian of its
  /// own; with one eps for all windows of a sample, the windows agree on which segmentation they show.
  static Var sample(const Var& mu, const Var& log_sigma, const Tensor& eps);

 private:
  int64_t latent_;
  std::vector<Conv3d> convolutions_;
  Linear gaussian_;
};

/// f_comb of Kohl et al. 2018: z, the same for all voxels of an example, is read beside the finest features
/// by three 1x1x1 convolutions with leaky ReLU, which keep the number of features, and a 1x1x1 convolution
/// gives the logits. All have a bias and compute in f32 (the features are widened where the trunk has bf16).
class LatentHead {
 public:
  /// Named NAME.0, NAME.1, NAME.2 and NAME.logits.
  LatentHead(Parameters& p, const std::string& name, int64_t features, int64_t latent, int64_t channels);
  /// finest [N, D, H, W, features], z [N, latent] -> [N, D, H, W, channels], f32 (f64 in a network of f64).
  Var operator()(const Var& finest, const Var& z) const;

 private:
  std::vector<Conv3d> layers_;
  Conv3d logits_;
};

}  // namespace voxgrad
