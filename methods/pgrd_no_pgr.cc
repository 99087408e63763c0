// pgrd-no-pgr: PGRD without prior-guided residuals, the ablation "w/o PGR" in table I of the paper. The
// process is that of a diffusion model of the one-hot label: r_0 = y, and sampling starts at N(0, I). The
// rest is that of pgrd: schedule, preconditioning, deep diffusion supervision and sampler.
#include "methods/pgrd.h"

namespace voxgrad {
namespace {

class PgrdNoPgr : public Pgrd {
 public:
  PgrdNoPgr() { guided = false; }
};

}  // namespace

extern const MethodRecord pgrd_no_pgr_method{
    "pgrd-no-pgr", "pgrd without a prior: diffusion from noise to the one-hot label (an ablation)",
    []() -> std::unique_ptr<Method> { return std::make_unique<PgrdNoPgr>(); }};

}  // namespace voxgrad
