// kernels_bench: the CPU kernels against the limits of the machine. VOXGRAD_CPU_ISA and --threads=N choose
// the instruction set and the threads.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <string>
#include <string_view>

#include "tensor/core/cpu/isa.h"
#include "tensor/core/parallel.h"
#include "tensor/gemm/peak.h"

int main(int argc, char** argv) {
  for (int i = 1; i < argc; ++i)
    if (const std::string_view a = argv[i]; a.substr(0, 10) == "--threads=") {
      voxgrad::set_thread_count(std::atoi(argv[i] + 10));
      for (int k = i; k + 1 < argc; ++k) argv[k] = argv[k + 1];
      --argc;
      break;
    }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::AddCustomContext("instruction_set", std::string(voxgrad::name_of(voxgrad::cpu_isa())));
  benchmark::AddCustomContext("threads", std::to_string(voxgrad::thread_count()));
  benchmark::AddCustomContext("fma_peak_gflops", std::to_string(voxgrad::fma_peak() / 1e9));
  if (const double peak = voxgrad::tile_peak(); peak > 0)
    benchmark::AddCustomContext("tile_peak_gflops", std::to_string(peak / 1e9));
  benchmark::RunSpecifiedBenchmarks();
}
