// Devices without a real device: their names, the reasons why a CUDA device cannot be used, and tensors on a
// fake device whose memory is the host's (fake_module.cc). The order of the tests matters where the whole
// program runs as one process, because the module that is opened first stays.
#include "tensor/core/device.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "autograd/ops.h"
#include "tensor/core/gpu.h"
#include "tensor/elementwise/elementwise.h"

namespace voxgrad {
namespace {

template <class F>
Error error_of(F&& f) {
  try {
    f();
  } catch (const Error& e) {
    return e;
  }
  ADD_FAILURE() << "expected an error";
  return {ErrorCode::internal, ""};
}

TEST(Device, Names) {
  EXPECT_EQ(parse_device("cpu"), Device::cpu());
  EXPECT_EQ(parse_device("cuda"), Device::cuda(0));
  EXPECT_EQ(parse_device("cuda:3"), Device::cuda(3));
  EXPECT_EQ(Device::cuda(3).str(), "cuda:3");
  for (const char* text : {"", "gpu", "cuda:", "cuda:x", "cuda:-1", "cuda:123", "CPU"})
    EXPECT_EQ(error_of([&] { parse_device(text); }).code(), ErrorCode::usage) << text;
  EXPECT_EQ(parse_precision("bf16"), Precision::bf16);
  EXPECT_EQ(error_of([] { parse_precision("fp16"); }).code(), ErrorCode::usage);
  EXPECT_EQ(error_of([] { require_precision(Device::cpu(), Precision::tf32); }).code(), ErrorCode::usage);
  EXPECT_NO_THROW(require_precision(Device::cuda(), Precision::tf32));
  EXPECT_NO_THROW(require_device(Device::cpu()));
}

TEST(Device, NoModuleSaysWhereItWasLookedFor) {
  setenv("VOXGRAD_CUDA_MODULE", "/nowhere/voxgrad_cuda.so", 1);
  const Error e = error_of([] { require_device(Device::cuda()); });
  EXPECT_EQ(e.code(), ErrorCode::device);
  EXPECT_NE(std::string(e.what()).find("/nowhere/voxgrad_cuda.so"), std::string::npos) << e.what();
}

TEST(Device, AModuleOfAnotherBuildIsRefused) {
  setenv("VOXGRAD_CUDA_MODULE", VOXGRAD_OLD_MODULE, 1);
  const Error e = error_of([] { require_device(Device::cuda()); });
  EXPECT_EQ(e.code(), ErrorCode::device);
  EXPECT_NE(std::string(e.what()).find("another build"), std::string::npos) << e.what();
}

// From here on the fake module is open. Device 0 works; device 1 has no driver.
class FakeDevice : public testing::Test {
 protected:
  void SetUp() override { setenv("VOXGRAD_CUDA_MODULE", VOXGRAD_FAKE_MODULE, 1); }
};

TEST_F(FakeDevice, TheModulesReasonIsTheError) {
  const Error e = error_of([] { require_device(Device::cuda(1)); });
  EXPECT_EQ(e.code(), ErrorCode::device);
  EXPECT_EQ(std::string(e.what()), "[device] cuda: no NVIDIA driver");
}

TEST_F(FakeDevice, TensorsMoveAndKeepTheirBits) {
  const Tensor a = Tensor::from<float>({2, 3}, {1, 2, 3, 4, 5, 6});
  const Tensor b = a.to(Device::cuda());
  EXPECT_EQ(b.device(), Device::cuda());
  EXPECT_EQ(b.to(Device::cuda()).raw(), b.raw());
  EXPECT_EQ(b.to_vector<float>(), a.to_vector<float>());
  EXPECT_EQ(b.clone().device(), Device::cuda());
  EXPECT_EQ(b.rows(1, 1).to(Device::cpu()).to_vector<float>(), (std::vector<float>{4, 5, 6}));
  EXPECT_EQ(b.view(2, {1}).item(), 3.0);
}

TEST_F(FakeDevice, ScopesSayWhereNewTensorsGo) {
  EXPECT_EQ(Tensor::empty({1}).device(), Device::cpu());
  {
    const DeviceScope scope(Device::cuda());
    EXPECT_EQ(Tensor::zeros({1}).device(), Device::cuda());
    EXPECT_EQ(Tensor::from<float>({1}, {1}).device(), Device::cpu());
  }
  EXPECT_EQ(Tensor::empty({1}).device(), Device::cpu());
}

// There is no silent fallback: what would read device memory on the CPU names the operation and the device.
TEST_F(FakeDevice, TheCpuDoesNotReadDeviceMemory) {
  const Tensor t = Tensor::from<float>({1}, {1}).to(Device::cuda());
  const OpScope scope("softplus");
  const Error e = error_of([&] { (void)t.data<float>(); });
  EXPECT_EQ(e.code(), ErrorCode::device);
  EXPECT_NE(std::string(e.what()).find("[softplus] has no implementation for cuda:0"), std::string::npos)
      << e.what();
}

TEST_F(FakeDevice, TensorsOfTwoDevicesAreRefused) {
  const Tensor a = Tensor::from<float>({1}, {1}), b = a.to(Device::cuda());
  Tensor y = Tensor::empty({1});
  EXPECT_THROW(add(a, b, y), Error);
  const Error e = error_of([&] { ops::add(Var(b), Var(a)); });
  EXPECT_NE(std::string(e.what()).find("expected all tensors on"), std::string::npos) << e.what();
}

TEST_F(FakeDevice, OutOfMemoryNamesTheOp) {
  const Tensor x = Tensor::from<float>({1}, {1}).to(Device::cuda());
  const OpScope scope("conv3d");
  const Error e = error_of([] { Tensor::empty_on(Device::cuda(), {int64_t{1} << 40}); });
  EXPECT_EQ(e.code(), ErrorCode::memory);
  EXPECT_NE(std::string(e.what()).find("[conv3d]"), std::string::npos) << e.what();
  EXPECT_NO_THROW(Tensor::empty_on(Device::cuda(), {4}));
}

}  // namespace
}  // namespace voxgrad
