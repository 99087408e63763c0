// The diffusion process of PGRD on the residual r = s - pi (docs/method.md, equations 1 to 4, 7, 10), and its
// preconditioning.
#pragma once
#include "diffusion/sampler.h"
#include "tensor/core/random.h"
#include "tensor/process/process.h"

namespace voxgrad {

/// The network reads c_in r_t and gives F. Then r0_hat = c_skip r_t + c_out F. `sd` is the standard deviation
/// of the clean residual (Karras et al. 2022, with the variance abar sd^2 + 1 - abar of r_t). With sd = 1
/// this is v-prediction, F = -v.
struct Preconditioning {
  double in, skip, out;
};
Preconditioning precondition(double alpha_bar, double sd);

/// What the network predicts: the residual with precondition(), or the noise.
class Prediction {
 public:
  /// With preconditioning for the standard deviation `sd` of the clean residual.
  Prediction(double sd) : sd_(sd) {}
  /// The noise, F = eps (Ho et al. 2020): c_in = 1, c_skip = 1 / sqrt(abar), c_out = -sqrt((1 - abar) /
  /// abar). It needs abar > 0 at every time, so no zero terminal SNR. Near T an error of F is multiplied by 1
  /// / sqrt(abar).
  static Prediction of_noise() { return Prediction(0); }
  Preconditioning at(double alpha_bar) const;

 private:
  double sd_;  // 0: the noise is predicted
};

/// The constants that the kernels of tensor/process/process.h read for N examples at times t in 1..T: f32
/// [kProcessConstants, N], on the CPU. `step`: the next reverse step, the same for all examples.
Tensor process_constants(const NoiseSchedule& schedule, const std::vector<int64_t>& t,
                         const Prediction& prediction, const ReverseStep& step = {});
/// One row of process_constants, [N]; shares storage.
Tensor constant_of(const Tensor& constants, ProcessConstant row);

/// A training example of the denoiser, N volumes.
struct ResidualExample {
  Tensor input;   ///< c_in r_t, [N, D, H, W, K]
  Tensor target;  ///< (r_0 - c_skip r_t) / c_out; at sd = 1 this is -v_t of equation 3, and eps for noise
  Tensor state;   ///< r_t
};
/// Makes examples with r_0 = onehot(label) - pi and r_t = sqrt(abar_t) r_0 + sqrt(1 - abar_t) eps (equation
/// 2; equation 7 is pi + r_t). `constants`: process_constants of the N examples. label i32 [N, D, H, W], pi
/// and eps f32 [N, D, H, W, K]. All are on the device of pi.
ResidualExample make_residual_example(const Tensor& constants, const Tensor& label, const Tensor& pi,
                                      const Tensor& eps);

/// The sum of (onehot(label) - pi)^2 over all elements. Divided by the number of elements it is sd^2.
double residual_power(const Tensor& label, const Tensor& pi);

}  // namespace voxgrad
