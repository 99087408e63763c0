// ddpm: the diffusion model without a prior, from noise to the one-hot label, conditioned on the image (Ho et
// al. 2020). It is the row "DDPM" in table I of the PGRD paper. As in the original, the schedule is linear
// from 1e-4 to 0.02, the estimate of the label is clipped, and samples are drawn by ancestral steps; the PGRD
// paper (III.B) gives such baselines all T = 1000 steps. There is no deep diffusion supervision and no
// preconditioning. The denoiser predicts the velocity, as in the PGRD paper, or the noise, as in the
// original. Readout, mean of the finished samples and tau_out are those of section II.E.
#include "methods/pgrd.h"

namespace voxgrad {
namespace {

class Ddpm : public Pgrd {
 public:
  Ddpm() {
    guided = false;
    denoiser.lambda = 0;
    denoiser.residual_sd = 1;
    denoiser.prediction = "velocity";
    diffusion.kind = "linear";
    sampling.sampler.kind = "ddpm";
    sampling.sampler.steps = 1000;
    sampling.readout = "softmax";
    sampling.mean = "samples";
  }

 protected:
  void declare_supervision(OptionTable) override {}
};

}  // namespace

extern const MethodRecord ddpm_method{
    "ddpm", "diffusion model of the one-hot label, without a prior: draws samples by 1000 ancestral steps",
    []() -> std::unique_ptr<Method> { return std::make_unique<Ddpm>(); }};

}  // namespace voxgrad
