// pgrd-no-dds: the ablation of PGRD without deep diffusion supervision, lambda = 0 (table II of the paper).
#include "methods/pgrd.h"

namespace voxgrad {

extern const MethodRecord pgrd_no_dds_method{
    "pgrd-no-dds", "the ablation of pgrd without deep diffusion supervision",
    []() -> std::unique_ptr<Method> { return std::make_unique<Pgrd>(/*with_dds=*/false); }};

}  // namespace voxgrad
