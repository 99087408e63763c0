// Helpers of the kernel tests: random tensors, every instruction set of this CPU, and comparison with f64.
#pragma once
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "tensor/conv/conv.h"
#include "tensor/core/cpu/isa.h"
#include "tensor/core/parallel.h"
#include "tensor/core/random.h"
#include "tensor/core/runtime.h"
#include "tensor/core/tensor.h"

namespace voxgrad::test {

inline Tensor random(const Shape& shape, uint64_t seed) {
  return random_normal(shape, {seed, Stream::test, 0});
}

inline Tensor magnitude(const Tensor& t) {
  Tensor a = t.clone();
  for (int64_t i = 0; i < a.numel(); ++i) a.mutable_data<float>()[i] = std::abs(a.data<float>()[i]);
  return a;
}

/// A tensor full of NaN, so that what a kernel forgets to write shows.
inline Tensor unwritten(const Shape& shape, DType dtype = DType::f32) {
  return Tensor::full(shape, NAN, dtype);
}

inline std::vector<CpuIsa> instruction_sets() {
  std::vector<CpuIsa> sets;
  for (CpuIsa i : {CpuIsa::ref, CpuIsa::portable, CpuIsa::avx2, CpuIsa::avx512})
    if (cpu_has(i)) sets.push_back(i);
  return sets;
}

/// Sets an instruction set and a number of threads for the rest of a scope, then restores both.
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

/// Allows or forbids Winograd's algorithm for the rest of a scope.
class AllowWinograd {
 public:
  explicit AllowWinograd(bool yes) : before_(winograd_allowed()) { allow_winograd(yes); }
  ~AllowWinograd() { allow_winograd(before_); }

 private:
  bool before_;
};

/// Checks |got - want| <= bound[i] * relative for every element. NaN fails.
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

/// Checks that the tensors of the list results() do not depend on the number of threads.
template <class F>
void expect_same_bits_with_any_threads(CpuIsa isa, F&& results) {
  std::vector<Tensor> one;
  for (const int threads : {1, 2, 3, 8}) {
    const Setting setting(isa, threads);
    const std::vector<Tensor> now = results();
    if (one.empty()) one = now;
    ASSERT_EQ(now.size(), one.size());
    for (size_t i = 0; i < now.size(); ++i) expect_same_bits(now[i], one[i]);
  }
}

/// Checks that they do not depend on which of two instruction sets computes them either.
template <class F>
void expect_same_bits_with(CpuIsa a, CpuIsa b, F&& results) {
  const auto with = [&](CpuIsa isa) {
    const Setting setting(isa);
    return results();
  };
  const std::vector<Tensor> first = with(a), second = with(b);
  ASSERT_EQ(first.size(), second.size());
  for (size_t i = 0; i < first.size(); ++i) expect_same_bits(first[i], second[i]);
}

/// The relative error of a float sum of k products, against the sum of their magnitudes. It is a random walk
/// of k roundings of at most 2^-24 each. The 4 is for the ends (bias, order, the final store) and for luck.
inline double sum_tolerance(int64_t k) { return (4 + std::sqrt(static_cast<double>(k))) * 0x1p-23; }

}  // namespace voxgrad::test
