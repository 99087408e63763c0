// docs/adding-an-op.md shows files that compile and pass what the op tests ask of a record.
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <sstream>

#include "autograd/gradcheck.h"
#include "tests/autograd/example/softplus.cc"
#include "tests/autograd/example/softplus_kernel.cc"

namespace voxgrad {
namespace {

std::string read(const std::string& path) {
  std::ifstream file(cat(VOXGRAD_SOURCE_DIR, "/", path));
  EXPECT_TRUE(file) << path;
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

TEST(AddingAnOp, ThePageShowsTheFilesThatAreCompiled) {
  const std::string page = read("docs/adding-an-op.md");
  for (const char* name : {"softplus_ref.h", "softplus_calls.h", "softplus_kernel.h", "softplus_kernel.cc",
                           "softplus.cu", "softplus.cc"})
    EXPECT_NE(page.find(cat("```cpp\n", read(cat("tests/autograd/example/", name)), "```\n")),
              std::string::npos)
        << "docs/adding-an-op.md does not show tests/autograd/example/" << name << " word for word";
}

TEST(AddingAnOp, TheExampleIsRight) {
  for (const OpSample& sample : ops::softplus_op.samples()) {
    const GradCheck c = check_gradient(ops::softplus_op, sample);
    EXPECT_LE(c.worst, sample.tolerance) << sample.name << " " << c.where;
    const Tensor x = sample.inputs[0], y = ops::softplus(Var(x)).value(),
                 fast = ops::softplus(Var(x.to(DType::f32))).value();
    for (int64_t i = 0; i < x.numel(); ++i) {
      EXPECT_NEAR(y.data<double>()[i], std::log1p(std::exp(x.data<double>()[i])), 1e-14);
      EXPECT_NEAR(fast.data<float>()[i], y.data<double>()[i], 2e-6);
    }
  }
}

// The page names these.
TEST(AddingAnOp, ThePageNamesThingsThatExist) {
  for (const char* path :
       {"autograd/ops/list.h", "autograd/ops/list.cc", "autograd/ops.h", "autograd/ops/add.cc",
        "autograd/ops/element.h", "tensor/core/cpu/ranges.h", "tensor/core/math.h",
        "tensor/core/cuda/kernels.h", "tensor/core/cuda/module.cc", "tensor/elementwise/calls.h",
        "tensor/elementwise/ref/functions.h", "tensor/elementwise/elementwise.h",
        "tensor/elementwise/elementwise.cc", "tensor/elementwise/cuda/elementwise.cu", "tensor/conv/conv.cc",
        "tensor/norm/calls.h", "tests/autograd/large_ops_test.cc", "tests/golden/make_goldens.py",
        "docs/ops.md"})
    EXPECT_FALSE(read(path).empty()) << path;
}

}  // namespace
}  // namespace voxgrad
