// What the CUDA backend decides without a device: which versions of cuDNN it refuses, where it looks for
// libraries, the keys of plans, and convolutions computed as adjoints.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "tensor/conv/cuda/problem.h"
#include "tensor/core/cuda/library.h"

namespace voxgrad::cuda {
namespace {

TEST(CudaRules, KnownBadVersionsOfCudnn) {
  EXPECT_NE(cudnn_refusal(80907, ConvMode::fp32), nullptr);
  for (const size_t v : {90000u, 90702u, 91500u, 91900u})
    EXPECT_EQ(cudnn_refusal(v, ConvMode::bf16), nullptr) << v;
  for (const size_t v : {90800u, 91002u, 91400u, 91401u})
    EXPECT_NE(cudnn_refusal(v, ConvMode::bf16), nullptr) << v;
  for (const size_t v : {91001u, 91600u}) EXPECT_EQ(cudnn_refusal(v, ConvMode::tf32), nullptr) << v;
  for (const size_t v : {91002u, 91501u}) EXPECT_NE(cudnn_refusal(v, ConvMode::tf32), nullptr) << v;
  EXPECT_EQ(cudnn_refusal(91002, ConvMode::fp32), nullptr);
}

// Sets a variable of the environment for the length of a scope.
class Variable {
 public:
  Variable(const char* name, const std::string& value) : name_(name) {
    if (const char* const old = std::getenv(name)) old_ = old, had_ = true;
    setenv(name, value.c_str(), 1);
  }
  ~Variable() { had_ ? setenv(name_, old_.c_str(), 1) : unsetenv(name_); }

 private:
  const char* name_;
  std::string old_;
  bool had_ = false;
};

TEST(CudaRules, LibrariesOfAPythonAreFound) {
  namespace fs = std::filesystem;
  const fs::path root = fs::temp_directory_path() / "voxgrad_library_test";
  const fs::path lib = root / "lib/python3.12/site-packages/nvidia/cudnn/lib";
  fs::create_directories(lib);
  const Variable python("VIRTUAL_ENV", root.string());
  const auto folders = library_folders();
  EXPECT_NE(std::find(folders.begin(), folders.end(), lib.string()), folders.end());
  fs::remove_all(root);
}

TEST(CudaRules, ALibraryThatIsNotThereSaysWhatWasTried) {
  const Library none = Library::open("libvoxgrad_does_not_exist.so.7", nullptr);
  EXPECT_FALSE(none);
  EXPECT_NE(none.trail().find("libvoxgrad_does_not_exist.so.7"), std::string::npos);
  const Variable named("VOXGRAD_TEST_LIBRARY", "/nowhere/libc.so.6");
  EXPECT_FALSE(Library::open("libc.so.6", "VOXGRAD_TEST_LIBRARY")) << "only the named file may be tried";
  const Library c = Library::open("libc.so.6", nullptr);
  ASSERT_TRUE(c);
  EXPECT_NE(c.symbol("malloc"), nullptr);
  EXPECT_THROW(c.symbol("voxgrad_does_not_exist"), Error);
}

ConvPlanProblem problem() {
  ConvPlanProblem p{};
  p.pass = Pass::forward;
  p.shape = {2, {8, 8, 8}, {8, 8, 8}, {3, 3, 3}, {1, 1, 1}, {1, 1, 1}, 32, 16};
  p.parts = 1;
  p.channels[0] = 32;
  p.type = p.weight_type = DType::f32;
  p.deterministic = true;
  return p;
}

// A plan must never be used for a problem that differs in anything it may depend on.
TEST(CudaRules, PlanKeysDifferWhereProblemsDo) {
  std::vector<ConvPlanProblem> all{problem()};
  const auto changed = [&](auto change) {
    all.push_back(problem());
    change(all.back());
  };
  changed([](auto& p) { p.pass = Pass::backward_data; });
  changed([](auto& p) { p.pass = Pass::backward_weights; });
  changed([](auto& p) { p.shape.n = 1; });
  for (size_t k = 0; k < 3; ++k) {
    changed([=](auto& p) { p.shape.in[k] = 9; });
    changed([=](auto& p) { p.shape.out[k] = 9; });
    changed([=](auto& p) { p.shape.kernel[k] = 1; });
    changed([=](auto& p) { p.shape.stride[k] = 2; });
    changed([=](auto& p) { p.shape.pad[k] = 0; });
  }
  changed([](auto& p) { p.shape.cout = 32; });
  changed([](auto& p) { p.channels[0] = 31; });
  changed([](auto& p) { p.parts = 2, p.channels[0] = p.channels[1] = 16; });
  changed([](auto& p) { p.parts = 2, p.channels[0] = 8, p.channels[1] = 24; });
  changed([](auto& p) { p.type = DType::bf16; });
  changed([](auto& p) { p.type = p.weight_type = DType::bf16; });
  changed([](auto& p) { p.tf32 = true; });
  changed([](auto& p) { p.deterministic = false; });
  changed([](auto& p) { p.swapped = true; });
  for (size_t i = 0; i < all.size(); ++i)
    for (size_t j = 0; j < i; ++j) EXPECT_NE(plan_key(all[i]), plan_key(all[j])) << i << " and " << j;
  EXPECT_EQ(plan_key(problem()), plan_key(problem()));
}

TEST(CudaRules, ATransposedConvolutionIsTheAdjointOfAnother) {
  const ConvShape t{1, {4, 5, 6}, {8, 10, 12}, {2, 2, 2}, {2, 2, 2}, {0, 0, 0}, 64, 32};
  const ConvShape s = adjoint_shape(t);
  EXPECT_EQ(s.cin, 32);
  EXPECT_EQ(s.cout, 64);
  for (int k = 0; k < 3; ++k) {
    EXPECT_EQ(s.in[k], t.out[k]);
    EXPECT_EQ((s.in[k] - s.kernel[k]) / s.stride[k] + 1, s.out[k]);
  }
}

TEST(CudaRules, TheBoundOfF32RefusesTf32) {
  ConvPlanProblem p = problem();
  constexpr double kTf32Rounding = 2.8e-4;  // relative rms of a product of two numbers rounded to 11 bits
  for (const Pass pass : {Pass::forward, Pass::backward_data, Pass::backward_weights}) {
    p.pass = pass;
    p.tf32 = false;
    EXPECT_LT(allowed_error(p), kTf32Rounding);
    p.tf32 = true;
    EXPECT_GT(allowed_error(p), kTf32Rounding);
  }
}

}  // namespace
}  // namespace voxgrad::cuda
