#include "tensor/core/peak.h"

#include <algorithm>
#include <chrono>

#include "tensor/core/cpu/isa.h"
#include "tensor/core/cpu/kernels.h"
#include "tensor/core/parallel.h"
#include "tensor/core/tensor.h"

namespace voxgrad {
namespace {

constexpr int64_t kSteps = 400000;

template <class F>
double best(int repeats, F&& f) {
  double s = 1e9;
  for (int i = 0; i < repeats; ++i) {
    const auto start = std::chrono::steady_clock::now();
    f();
    s = std::min(s, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return s;
}

double rate_of(double (*chains)(int64_t, float*)) {
  const int tiles = thread_count() * 4;
  const Tensor results = Tensor::zeros({tiles, 24 * 16});
  double operations = 0;
  const double s = best(5, [&] {
    parallel_for(tiles, [&](int64_t t) {
      const double n = chains(kSteps, results.mutable_data<float>() + t * 24 * 16);
      if (t == 0) operations = n;
    });
  });
  return operations * tiles / s;
}

}  // namespace

double fma_peak() {
  const cpu::KernelTable* table = nullptr;
  for (int isa = static_cast<int>(cpu_isa()); isa >= 0 && !table; --isa)
    table = cpu::kernel_table(static_cast<CpuIsa>(isa));
  if (!table) table = cpu::kernel_table(CpuIsa::portable);
  require(table, "[peak] this build has no kernels");
  return rate_of(table->fma_chains);
}

double bf16_peak() {
  const cpu::KernelTable* const table = cpu::kernel_table(cpu_isa());
  return table && table->bf16 ? rate_of(table->bf16->dot_chains) : 0;
}

double tile_peak() {
  const cpu::KernelTable* const table = cpu::kernel_table(cpu_isa());
  return table && table->tiles ? rate_of(table->tiles->chains) : 0;
}

double copy_bandwidth(double bytes) {
  const auto n = static_cast<int64_t>(bytes / 4);
  const Tensor a = Tensor::full({n}, 1), b = Tensor::full({n}, 2);
  const double s = best(7, [&] {
    parallel_ranges(n, 16384, [&](int64_t begin, int64_t end) {
      std::memcpy(b.mutable_data<float>() + begin, a.data<float>() + begin,
                  static_cast<size_t>(end - begin) * 4);
    });
  });
  return 2 * bytes / s;
}

}  // namespace voxgrad
