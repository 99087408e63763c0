// The parts of the Probabilistic U-Net (Kohl et al. 2018) besides its trunk (nn/unet.h). GaussianEncoder
// gives a Gaussian over a latent variable z, from the image (prior) or from image and annotation (posterior).
// ops::kl_gaussian is the divergence of two such Gaussians. LatentHead reads z together with the trunk's
// finest features.
#pragma once
#include "nn/layers.h"

namespace voxgrad {

struct GaussianEncoderConfig {
  int64_t in_channels = 1;
  std::vector<int64_t> features;  ///< one for each stage
  std::vector<Triple> strides;    ///< one for each stage
  std::vector<Triple> kernels;    ///< one for each stage; 3 or 1 along each axis
  int64_t latent = 6;             ///< dimensions of z
};

/// Computes an axis-aligned Gaussian over z: two convolutions with leaky ReLU in each stage, the mean over
/// space, and a linear map to 2 L numbers. As in the paper's code there is no norm: an instance norm before
/// the mean over space would make that mean constant. It computes in f32.
///
/// The paper's weight beta is for a cross-entropy that is summed over voxels. ops::cross_entropy is a mean
/// over voxels, so with it the same weight is beta divided by the number of voxels.
class GaussianEncoder {
 public:
  /// Names of the parameters: NAME.encoder.i and NAME.gaussian.
  GaussianEncoder(Parameters& p, const std::string& name, const GaussianEncoderConfig& config);

  /// [N, L] each, f32 (f64 in a network of f64).
  struct Gaussian {
    Var mu, log_sigma;
  };
  /// x: inputs [N, D, H, W, *], concatenated along the channels. The extents must be divisible by the product
  /// of the strides. Inputs without gradient are copied to the device of the parameters. log_sigma is in
  /// (-10, 10). It is a smooth clamp, 10 tanh(v / 10), of the linear map's output v, computed as 20 sigmoid(v
  /// / 5) - 10. Its slope is 1 at v = 0 and 0.96 at v = 2.
  Gaussian operator()(const std::vector<Var>& x) const;
  /// z = mu + exp(log_sigma) eps [N, L], where eps is standard normal, from Stream::latent at a site of the
  /// step's random numbers. `random` must be on the device of mu. Gradients flow into mu and log_sigma
  /// (Kingma and Welling 2014).
  static Var sample(const Var& mu, const Var& log_sigma, const StepRandom& random, uint32_t site);
  /// The same with given eps [N, L], on the device of mu. At prediction each window of a volume has its own
  /// Gaussian. If all windows of a sample use the same eps, they show the same segmentation.
  static Var sample(const Var& mu, const Var& log_sigma, const Tensor& eps);

 private:
  int64_t latent_;
  std::vector<Conv3d> convolutions_;
  Linear gaussian_;
};

/// f_comb of Kohl et al. 2018. Its input is the finest features, concatenated with z, which is the same for
/// all voxels of an example. Three 1x1x1 convolutions with leaky ReLU keep the number of features, and a
/// further 1x1x1 convolution gives the logits. All have a bias and compute in f32. Features in bf16 are
/// converted to f32.
class LatentHead {
 public:
  /// Names of the parameters: NAME.0, NAME.1, NAME.2 and NAME.logits.
  LatentHead(Parameters& p, const std::string& name, int64_t features, int64_t latent, int64_t channels);
  /// finest [N, D, H, W, features], z [N, latent] -> [N, D, H, W, channels], f32 (f64 in a network of f64).
  Var operator()(const Var& finest, const Var& z) const;

 private:
  std::vector<Conv3d> layers_;
  Conv3d logits_;
};

}  // namespace voxgrad
