// The precision that `voxgrad info` recommends: the rule of docs/precision.md.
#include "apps/precision_advice.h"

#include <gtest/gtest.h>

namespace voxgrad {
namespace {

using apps::precision_advice;

TEST(PrecisionAdvice, IsBf16OnlyWhereItIsFaster) {
  for (const bool fast_dot : {false, true}) {
    for (const CpuIsa isa : {CpuIsa::ref, CpuIsa::portable, CpuIsa::avx2, CpuIsa::avx512}) {
      EXPECT_EQ(precision_advice(isa, fast_dot).precision, "fp32") << name_of(isa);
      EXPECT_NE(precision_advice(isa, fast_dot).reason.find(name_of(isa)), std::string::npos);
    }
    EXPECT_EQ(precision_advice(CpuIsa::amx, fast_dot).precision, "bf16");
  }
  EXPECT_EQ(precision_advice(CpuIsa::avx512bf16, false).precision, "fp32");
  EXPECT_EQ(precision_advice(CpuIsa::avx512bf16, true).precision, "bf16");
}

TEST(PrecisionAdvice, FollowsTheKernelsInUse) {
  const CpuIsa before = cpu_isa();
  set_cpu_isa(CpuIsa::portable);
  EXPECT_EQ(precision_advice().precision, "fp32");
  EXPECT_NE(precision_advice().reason.find("portable"), std::string::npos);
  set_cpu_isa(before);
}

}  // namespace
}  // namespace voxgrad
