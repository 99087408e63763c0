// The runtime: what a caller asks for, what the environment overrides, and what the process
// then computes with.
#include "tensor/core/runtime.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "tensor/core/error.h"
#include "tensor/core/kernel.h"

namespace voxgrad {
namespace {

class RuntimeTest : public testing::Test {
 protected:
  void TearDown() override {
    unsetenv("VOXGRAD_CPU_ISA");
    unsetenv("VOXGRAD_WINOGRAD");
    unsetenv("VOXGRAD_GEMM");
    prefer_implementation("gemm", "auto");
    set_cpu_isa(isa_);
    allow_winograd(winograd_);
    device_options() = options_;
  }
  const CpuIsa isa_ = cpu_isa();
  const bool winograd_ = winograd_allowed();
  const DeviceOptions options_ = device_options();
};

TEST_F(RuntimeTest, ComputesAsAsked) {
  const Runtime r({.instruction_set = "portable", .winograd = "off", .precision = "bf16", .graphs = "off"},
                  Device::cpu(), false);
  EXPECT_EQ(cpu_isa(), CpuIsa::portable);
  EXPECT_EQ(r.instruction_set(), CpuIsa::portable);
  EXPECT_FALSE(winograd_allowed());
  EXPECT_FALSE(r.winograd());
  EXPECT_EQ(r.activations(), DType::bf16);
  EXPECT_FALSE(device_options().graphs);
  // auto leaves all of it as it is, except for the precision, which belongs to the object.
  const Runtime same({}, Device::cpu(), false);
  EXPECT_EQ(same.instruction_set(), CpuIsa::portable);
  EXPECT_EQ(same.precision(), Precision::fp32);
}

TEST_F(RuntimeTest, MatrixProductsTakeThePreferredImplementation) {
  EXPECT_EQ(Runtime({}, Device::cpu(), false).gemm(), "auto");
  EXPECT_EQ(Runtime({.gemm = "openblas"}, Device::cpu(), false).gemm(), "openblas");
  EXPECT_EQ(Runtime({}, Device::cpu(), false).gemm(), "openblas") << "auto leaves it as it is";
  setenv("VOXGRAD_GEMM", "auto", 1);
  EXPECT_EQ(Runtime({.gemm = "openblas"}, Device::cpu(), false).gemm(), "auto");
  setenv("VOXGRAD_GEMM", "fast", 1);
  EXPECT_THROW(Runtime({}, Device::cpu(), false), Error);
}

TEST_F(RuntimeTest, TheEnvironmentOverrides) {
  set_cpu_isa(CpuIsa::portable);
  allow_winograd(true);
  setenv("VOXGRAD_CPU_ISA", "portable", 1);
  setenv("VOXGRAD_WINOGRAD", "1", 1);
  const Runtime r({.instruction_set = "ref", .winograd = "off"}, Device::cpu(), false);
  EXPECT_EQ(r.instruction_set(), CpuIsa::portable);
  EXPECT_TRUE(r.winograd());
}

TEST_F(RuntimeTest, WhatTheDeviceDoesNotOfferIsRefused) {
  const auto code = [](const RuntimeOptions& o, bool nondeterministic) {
    try {
      const Runtime r(o, Device::cpu(), nondeterministic);
    } catch (const Error& e) {
      return e.code();
    }
    return ErrorCode::internal;
  };
  EXPECT_EQ(code({.precision = "tf32"}, false), ErrorCode::usage);
  EXPECT_EQ(code({}, true), ErrorCode::usage);
}

TEST_F(RuntimeTest, ItsKeysAreOfTheRuntime) {
  RuntimeOptions o;
  OptionList list;
  o.declare(list);
  EXPECT_EQ(list.all().size(), 5u);
  for (const Option& each : list.all()) {
    EXPECT_EQ(each.use, OptionUse::runtime) << each.key;
    EXPECT_TRUE(each.key.starts_with("runtime.")) << each.key;
  }
}

}  // namespace
}  // namespace voxgrad
