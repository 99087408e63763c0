// Matrix products with every implementation against the plain loop in double precision.
#include "tensor/gemm/gemm.h"

#include "tensor/core/kernel.h"
#include "tests/tensor/gemm_case.h"

namespace voxgrad {
namespace {

using test::Setting;

// Which implementation computed, as the trace says.
std::string chosen(const Tensor& a, const Tensor& b, Tensor& c) {
  std::string text;
  const TraceSink before = set_trace_sink([&](const TraceEvent& e) { text += e.text; });
  gemm(a, false, b, false, c);
  set_trace_sink(before);
  const size_t at = text.find("; ") + 2;
  return text.substr(at, text.find(' ', at) - at);
}

// Prefers an implementation for the length of a scope.
struct Preferred {
  explicit Preferred(const std::string& name) { prefer_implementation("gemm", name); }
  ~Preferred() { prefer_implementation("gemm", "auto"); }
};

TEST(Gemm, TheFirstImplementationThatDoesNotDeclineComputesUnlessAnotherIsPreferred) {
  if (cpu_isa() == CpuIsa::ref) GTEST_SKIP() << "limited to ref";
  const auto of_depth = [](int64_t depth, DType type = DType::f32) {
    Tensor c = Tensor::empty({2, 3}, type);
    return chosen(Tensor::zeros({2, depth}, type), Tensor::zeros({depth, 3}, type), c);
  };
  EXPECT_EQ(of_depth(4096), "rows");
  EXPECT_EQ(of_depth(4097), "openblas");
  EXPECT_EQ(of_depth(8, DType::f64), "ref");
  {
    const Preferred openblas("openblas");
    EXPECT_EQ(of_depth(8), "openblas");
    EXPECT_EQ(of_depth(8, DType::f64), "ref") << "the preferred one declines";
  }
  {
    const Preferred rows("rows");
    EXPECT_EQ(of_depth(4097), "openblas") << "the preferred one declines";
  }
  const Setting setting(CpuIsa::ref);
  EXPECT_EQ(of_depth(8), "ref");
}

// Every implementation is tested. Depth 5000 goes to OpenBLAS in any case; the others are preferred by name.
class GemmBy : public testing::TestWithParam<const char*> {};

TEST_P(GemmBy, MatchesF64) {
  const Preferred preferred(GetParam());
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

INSTANTIATE_TEST_SUITE_P(Implementations, GemmBy, testing::Values("auto", "openblas"),
                         [](const testing::TestParamInfo<const char*>& i) { return std::string(i.param); });

}  // namespace
}  // namespace voxgrad
