#include "tensor/core/runtime.h"

#include <atomic>
#include <cstdlib>
#include <string_view>

#include "tensor/core/error.h"
#include "tensor/core/kernel.h"

namespace voxgrad {
namespace {

bool given(const char* variable) {
  const char* const value = std::getenv(variable);
  return value && *value;
}

void prefer_gemm(const std::string& name) {
  if (name != "auto" && name != "openblas")
    fail(ErrorCode::usage, "[cpu] expected VOXGRAD_GEMM to be auto or openblas, got '", name, "'");
  prefer_implementation("gemm", name);
}

std::atomic<int> winograd_setting{-1};  // -1: the environment variable was not read yet

}  // namespace

bool winograd_allowed() {
  int now = winograd_setting.load(std::memory_order_relaxed);
  if (now < 0) {
    const char* const given = std::getenv("VOXGRAD_WINOGRAD");
    const std::string_view wanted = given ? given : "";
    if (!wanted.empty() && wanted != "0" && wanted != "1")
      fail(ErrorCode::usage, "[cpu] expected VOXGRAD_WINOGRAD to be 0 or 1, got '", wanted, "'");
    winograd_setting.store(now = wanted != "0", std::memory_order_relaxed);
  }
  return now != 0;
}

void allow_winograd(bool yes) { winograd_setting.store(yes, std::memory_order_relaxed); }

void RuntimeOptions::declare(OptionList& options) {
  options.table("runtime", OptionUse::runtime)
      .word("instruction_set", instruction_set,
            {"auto", "ref", "portable", "avx2", "avx512", "avx512bf16", "amx"},
            "widest instruction set that the CPU kernels use; auto: the widest that this CPU has "
            "(VOXGRAD_CPU_ISA overrides)")
      .word("winograd", winograd, {"auto", "on", "off"},
            "whether convolutions on the CPU may use Winograd's algorithm; auto is on; off: direct sums "
            "(VOXGRAD_WINOGRAD=0 or 1 overrides)")
      .word(
          "gemm", gemm, {"auto", "openblas"},
          "what computes f32 matrix products on the CPU; auto: the kernels of direct convolutions, but "
          "OpenBLAS if the inner dimension is above 4096; openblas: always OpenBLAS (VOXGRAD_GEMM overrides)")
      .word("precision", precision, {"auto", "fp32", "tf32", "bf16"},
            "precision of the networks, in training and prediction; auto is fp32; bf16: activations and "
            "products are bf16, weights, sums, statistics and optimizer are fp32; tf32: the factors of "
            "products are rounded to TF32, on CUDA devices only")
      .word("graphs", graphs, {"auto", "on", "off"},
            "whether repeated work of a CUDA device is recorded once and then replayed; auto is on; results "
            "have the same bits either way (VOXGRAD_CUDA_GRAPHS=0 or 1 overrides)");
}

bool Runtime::winograd() const { return winograd_allowed(); }
std::string Runtime::gemm() const { return preferred_implementation("gemm"); }

Runtime::Runtime(const RuntimeOptions& options, const Device& device, bool nondeterministic)
    : device_(device), precision_(parse_precision(options.precision == "auto" ? "fp32" : options.precision)) {
  require_precision(device, precision_);
  if (nondeterministic && !device.is_cuda())
    fail(ErrorCode::usage,
         "--nondeterministic: expected with --device cuda; the CPU always gives the same bits");
  if (options.instruction_set != "auto" && !given("VOXGRAD_CPU_ISA")) set_cpu_isa(options.instruction_set);
  if (options.winograd != "auto" && !given("VOXGRAD_WINOGRAD")) allow_winograd(options.winograd == "on");
  if (options.graphs != "auto" && !given("VOXGRAD_CUDA_GRAPHS"))
    device_options().graphs = options.graphs == "on";
  if (const char* const wanted = std::getenv("VOXGRAD_GEMM"); wanted && *wanted)
    prefer_gemm(wanted);
  else if (options.gemm != "auto")
    prefer_gemm(options.gemm);
  (void)cpu_isa();  // a wrong environment variable is reported now
  (void)winograd_allowed();
  device_options().tf32 = precision_ == Precision::tf32;
  device_options().nondeterministic = nondeterministic;
  require_device(device);
}

}  // namespace voxgrad
