// ddpm: the diffusion model without a prior, from noise to the one-hot label, conditioned on the image (Ho et
// al. 2020; on labels Wolleb et al. 2022). It is the row "DDPM" in table I of the PGRD paper. Like the
// original it predicts the noise, with the linear schedule from 1e-4 to 0.02, clips the estimate of the label
// and draws samples by 1000 ancestral steps; the PGRD paper (III.B) gives such baselines all T = 1000 steps.
// There is no deep diffusion supervision. Readout, mean of the finished samples and tau_out are those of
// section II.E.
#include "methods/pgrd.h"

namespace voxgrad {
namespace {

class Ddpm : public Pgrd {
 public:
  Ddpm() {
    guided = false;
    predicts_noise = true;
    denoiser.lambda = 0;
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
    "ddpm", "diffusion model of the one-hot label: predicts the noise, draws samples by 1000 ancestral steps",
    []() -> std::unique_ptr<Method> { return std::make_unique<Ddpm>(); }};

}  // namespace voxgrad
