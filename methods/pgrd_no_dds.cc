// pgrd-no-dds: PGRD without deep diffusion supervision (lambda = 0), the ablation in table I of the paper.
#include "methods/pgrd.h"

namespace voxgrad {
namespace {

class PgrdNoDds : public Pgrd {
 public:
  PgrdNoDds() { denoiser.lambda = 0; }

 protected:
  void declare_supervision(OptionTable) override {}
};

}  // namespace

extern const MethodRecord pgrd_no_dds_method{
    "pgrd-no-dds", "pgrd without deep diffusion supervision (an ablation)",
    []() -> std::unique_ptr<Method> { return std::make_unique<PgrdNoDds>(); }};

}  // namespace voxgrad
