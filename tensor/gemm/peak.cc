#include "tensor/gemm/peak.h"

#include <algorithm>
#include <chrono>

#include "tensor/core/parallel.h"
#include "tensor/core/tensor.h"
#include "tensor/gemm/cpu/tables.h"

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
  const cpu::RowKernels* table = cpu::row_kernels(cpu_isa());
  if (!table) table = cpu::row_kernels(CpuIsa::portable);
  require(table, "[peak] this build has no kernels");
  return rate_of(table->chains);
}

double bf16_peak() {
  const cpu::RowKernels* const table = cpu::row_kernels_bf16(cpu_isa());
  return table ? rate_of(table->chains) : 0;
}

double tile_peak() {
  const cpu::TileKernels* const table = cpu::tile_kernels(cpu_isa());
  return table ? rate_of(table->chains) : 0;
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
