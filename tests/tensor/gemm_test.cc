// Matrix products on every implementation against the plain loop in double precision.
#include "tensor/gemm/gemm.h"

#include "tests/tensor/gemm_case.h"

namespace voxgrad {
namespace {

using test::Setting;

TEST(Gemm, MatchesF64) {
  for (const test::GemmCase& c : {test::GemmCase{1, 1, 1, 1},
                                  {1, 5, 3, 7},
                                  {1, 97, 33, 20},
                                  {2, 13, 40, 65},
                                  {3, 24, 16, 8, true},
                                  {1, 200, 128, 100},
                                  {2, 1, 50, 30},
                                  {1, 7, 5, 5000}})
    for (const bool ta : {false, true})
      for (const bool tb : {false, true})
        for (const double beta : {0.0, 0.5}) {
          const test::GemmInputs inputs(c, ta, tb, beta);
          const Tensor &a = inputs.a, &b = inputs.b, &start = inputs.start;
          const auto run = [&](const Tensor& left, const Tensor& right, const Tensor& init) {
            Tensor out = init.clone();
            gemm(left, ta, right, tb, out, 0.25, beta);
            return out;
          };
          const Tensor want = run(a.to(DType::f64), b.to(DType::f64), start.to(DType::f64));
          const Tensor bound = run(test::magnitude(a).to(DType::f64), test::magnitude(b).to(DType::f64),
                                   test::magnitude(start).to(DType::f64));
          Tensor fused;
          for (const CpuIsa isa : test::instruction_sets()) {
            SCOPED_TRACE(
                cat(name_of(isa), " ", c.batch, " x ", c.m, " ", c.n, " ", c.k, " ", ta, tb, " beta ", beta));
            Tensor one;
            for (const int threads : {1, 2, 3, 8}) {
              const Setting setting(isa, threads);
              const Tensor got = run(a, b, start);
              if (!one.defined()) one = got;
              test::expect_close(got, want, bound, test::sum_tolerance(c.k));
              test::expect_same_bits(got, one);
            }
            if (isa < CpuIsa::avx2) continue;
            if (!fused.defined()) fused = one;
            test::expect_same_bits(one, fused);
          }
        }
}

TEST(Gemm, ShapesThatDoNotFitAreRefused) {
  Tensor c = Tensor::empty({2, 3});
  EXPECT_THROW(gemm(Tensor::zeros({2, 4}), false, Tensor::zeros({5, 3}), false, c), Error);
  EXPECT_THROW(gemm(Tensor::zeros({2, 4}), false, Tensor::zeros({4, 3}, DType::f64), false, c), Error);
  gemm(Tensor::zeros({2, 4}), false, Tensor::zeros({3, 4}), true, c);
}

}  // namespace
}  // namespace voxgrad
