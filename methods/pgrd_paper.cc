// pgrd-paper: pgrd with the settings that the paper states (II.E, III.B) where the defaults of pgrd differ:
// learning rate 1e-3 of both stages, plain v-prediction, the prior without temperature scaling, readout by a
// softmax with tau_out, the mean of the finished samples, and 300 DDIM steps. What the paper leaves open (M,
// tau, widths, steps of training) is that of pgrd.
#include "methods/pgrd.h"

namespace voxgrad {
namespace {

class PgrdPaper : public Pgrd {
 public:
  PgrdPaper() {
    prior.stage.learning_rate = 1e-3;
    denoiser.residual_sd = 1;
    denoiser.tempered_prior = false;
    sampling.sampler.steps = 300;
    sampling.readout = "softmax";
    sampling.mean = "samples";
  }
};

}  // namespace

extern const MethodRecord pgrd_paper_method{
    "pgrd-paper", "pgrd with the settings that the paper states, among them 300 steps a sample",
    []() -> std::unique_ptr<Method> { return std::make_unique<PgrdPaper>(); }};

}  // namespace voxgrad
