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

}  // namespace
}  // namespace voxgrad
