// Helpers of the kernel tests: random tensors, every instruction set of this CPU, comparison with f64.
#pragma once
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "tensor/cpu/isa.h"
#include "tensor/parallel.h"
#include "tensor/random.h"
#include "tensor/tensor.h"

namespace voxgrad::test {

inline Tensor random(const Shape& shape, uint64_t seed) {
  return random_normal(shape, {seed, Stream::test, 0});
}

inline Tensor magnitude(const Tensor& t) {
  Tensor a = t.clone();
  for (int64_t i = 0; i < a.numel(); ++i) a.mutable_data<float>()[i] = std::abs(a.data<float>()[i]);
  return a;
}

/// A tensor full of NaN: what a kernel forgets to write shows.
inline Tensor unwritten(const Shape& shape, DType dtype = DType::f32) {
  return Tensor::full(shape, NAN, dtype);
}

inline std::vector<CpuIsa> instruction_sets() {
  std::vector<CpuIsa> sets;
  for (CpuIsa i : {CpuIsa::ref, CpuIsa::portable, CpuIsa::avx2, CpuIsa::avx512})
    if (cpu_has(i)) sets.push_back(i);
  return sets;
}

/// Runs the rest of a scope with an instruction set and a number of threads, then restores both.
class Setting {
 public:
  explicit Setting(CpuIsa isa, int threads = 2) : isa_(cpu_isa()), threads_(thread_count()) {
    set_cpu_isa(isa);
    set_thread_count(threads);
  }
  ~Setting() {
    set_cpu_isa(isa_);
    set_thread_count(threads_);
  }

 private:
  CpuIsa isa_;
  int threads_;
};

/// |got - want| <= bound[i] * relative for every element; NaN fails.
inline void expect_close(const Tensor& got, const Tensor& want, const Tensor& bound, double relative) {
  ASSERT_EQ(got.shape(), want.shape());
  const Tensor g = got.to(DType::f64), w = want.to(DType::f64), b = bound.to(DType::f64);
  int64_t bad = 0;
  for (int64_t i = 0; i < g.numel(); ++i) {
    const double error = std::abs(g.data<double>()[i] - w.data<double>()[i]);
    if (error <= b.data<double>()[i] * relative + 1e-30) continue;
    if (bad++ < 3)
      ADD_FAILURE() << "element " << i << " of " << g.shape() << ": got " << g.data<double>()[i]
                    << ", expected " << w.data<double>()[i] << " within " << b.data<double>()[i] * relative;
  }
  EXPECT_EQ(bad, 0) << "wrong elements of " << g.numel();
}

inline void expect_same_bits(const Tensor& a, const Tensor& b) {
  ASSERT_EQ(a.shape(), b.shape());
  EXPECT_EQ(std::memcmp(a.raw(), b.raw(), a.nbytes()), 0);
}

/// Relative error of a float sum of k products, against the sum of their magnitudes: k roundings of at most
/// 2^-24 each do a random walk; 4 for the ends (bias, order, the final store) and luck.
inline double sum_tolerance(int64_t k) { return (4 + std::sqrt(static_cast<double>(k))) * 0x1p-23; }

}  // namespace voxgrad::test
