#include "bench/kernels/peak.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <map>

#include "tensor/cpu/isa.h"
#include "tensor/parallel.h"
#include "tensor/tensor.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace voxgrad::bench {
namespace {

constexpr int kSteps = 400000;

template <class F>
double seconds(F&& f) {
  const auto start = std::chrono::steady_clock::now();
  f();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

template <class F>
double best(int repeats, F&& f) {
  double s = 1e9;
  for (int i = 0; i < repeats; ++i) s = std::min(s, seconds(f));
  return s;
}

volatile float sink;

// Each returns the operations it did: independent chains enough to fill the pipes.
#if defined(__x86_64__)
__attribute__((target("avx512f"))) double run_avx512() {
  __m512 a[24];
  for (auto& v : a) v = _mm512_set1_ps(0.01f);
  const __m512 b = _mm512_set1_ps(0.999f), c = _mm512_set1_ps(0.001f);
  for (int i = 0; i < kSteps; ++i)
#pragma GCC unroll 24
    for (auto& v : a) v = _mm512_fmadd_ps(v, b, c);
  for (int k = 1; k < 24; ++k) a[0] = _mm512_add_ps(a[0], a[k]);
  sink = _mm512_cvtss_f32(a[0]);
  return 24.0 * 32 * kSteps;
}
__attribute__((target("avx2,fma"))) double run_avx2() {
  __m256 a[12];
  for (auto& v : a) v = _mm256_set1_ps(0.01f);
  const __m256 b = _mm256_set1_ps(0.999f), c = _mm256_set1_ps(0.001f);
  for (int i = 0; i < kSteps; ++i)
#pragma GCC unroll 12
    for (auto& v : a) v = _mm256_fmadd_ps(v, b, c);
  for (int k = 1; k < 12; ++k) a[0] = _mm256_add_ps(a[0], a[k]);
  sink = _mm256_cvtss_f32(a[0]);
  return 12.0 * 16 * kSteps;
}
#endif
double run_base() {
  typedef float Quad __attribute__((vector_size(16)));
  Quad a[12], b = {0.999f, 0.999f, 0.999f, 0.999f}, c = {0.001f, 0.001f, 0.001f, 0.001f};
  for (auto& v : a) v = c;
  for (int i = 0; i < kSteps; ++i)
#pragma GCC unroll 12
    for (auto& v : a) v = v * b + c;
  for (int k = 1; k < 12; ++k) a[0] += a[k];
  sink = a[0][0];
  return 12.0 * 8 * kSteps;
}

double run() {
#if defined(__x86_64__)
  if (cpu_isa() == CpuIsa::avx512) return run_avx512();
  if (cpu_isa() == CpuIsa::avx2) return run_avx2();
#endif
  return run_base();
}

}  // namespace

double fma_peak() {
  static std::map<std::pair<CpuIsa, int>, double> known;
  double& peak = known[{cpu_isa(), thread_count()}];
  if (peak > 0) return peak;
  const int threads = thread_count();
  double operations = run();
  const double s = best(5, [&] { parallel_for(threads * 4, [&](int64_t) { run(); }); });
  return peak = operations * threads * 4 / s;
}

double copy_bandwidth(double bytes) {
  const auto n = static_cast<int64_t>(bytes / 4);
  Tensor a = Tensor::full({n}, 1), b = Tensor::full({n}, 2);
  const double s = best(7, [&] {
    parallel_ranges(n, 16384, [&](int64_t begin, int64_t end) {
      std::memcpy(b.mutable_data<float>() + begin, a.data<float>() + begin,
                  static_cast<size_t>(end - begin) * 4);
    });
  });
  return 2 * bytes / s;
}

}  // namespace voxgrad::bench
