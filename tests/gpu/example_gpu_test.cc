// The example of docs/adding-an-op.md on a device whose backend has its kernels: the emulated device.
#include "tests/autograd/example/softplus_kernel.h"
#include "tests/gpu/gpu_check.h"

namespace voxgrad {
namespace {

class GpuExample : public test::OnGpu {
 protected:
  void SetUp() override {
    test::OnGpu::SetUp();
    if (!IsSkipped() && !test::emulated())
      GTEST_SKIP() << "only the emulated backend has the kernels of the example";
  }
};

TEST_F(GpuExample, ComputesWhatTheCpuComputes) {
  for (const int64_t n : {1, 1000, 4096}) {
    const Tensor x = test::noise({n}, 1), dy = test::noise({n}, 2);
    Tensor y = Tensor::empty({n}), dx = Tensor::empty({n});
    softplus_forward(x, y);
    softplus_backward(x, dy, dx);
    Tensor y_gpu = Tensor::empty_on(Device::cuda(), {n}), dx_gpu = Tensor::empty_on(Device::cuda(), {n});
    softplus_forward(x.to(Device::cuda()), y_gpu);
    softplus_backward(x.to(Device::cuda()), dy.to(Device::cuda()), dx_gpu);
    test::expect_same_bits(y_gpu, y);
    test::expect_same_bits(dx_gpu, dx);
  }
}

TEST_F(GpuExample, TensorsOfAnotherShapeAreRefused) {
  Tensor y = Tensor::empty({3});
  EXPECT_THROW(softplus_forward(test::noise({4}, 1), y), Error);
}

// bf16: the numbers of f32, rounded once.
TEST_F(GpuExample, ComputesBf16) {
  const Tensor x = test::noise({1000}, 1).to(DType::bf16), x32 = x.to(DType::f32);
  Tensor y = Tensor::empty_on(Device::cuda(), {1000}, DType::bf16), y32 = Tensor::empty({1000});
  softplus_forward(x.to(Device::cuda()), y);
  softplus_forward(x32, y32);
  test::expect_same_bits(y, y32.to(DType::bf16));
}

}  // namespace
}  // namespace voxgrad
