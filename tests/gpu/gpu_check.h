// What the tests on a CUDA device share. Without a device they are skipped, and say why.
#pragma once
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "tensor/core/gpu.h"
#include "tensor/core/random.h"

namespace voxgrad::test {

/// Why there is no device, or empty where there is one.
inline const std::string& no_device() {
  static const std::string why = [] {
    try {
      require_device(Device::cuda());
    } catch (const Error& e) {
      return std::string(e.what());
    }
    return std::string();
  }();
  return why;
}

/// Whether the device is the one of tests/gpu/emulation, where large work takes long.
inline bool emulated() {
  return describe_device(Device::cuda()).find("emulation on the host") != std::string::npos;
}

class OnGpu : public testing::Test {
 protected:
  void SetUp() override {
    if (!no_device().empty()) GTEST_SKIP() << "no CUDA device\n" << no_device();
  }
};

inline Tensor noise(const Shape& shape, uint32_t which) {
  return random_normal(shape, {99, Stream::test, which});
}
inline Tensor gpu(const Tensor& t) { return t.to(Device::cuda()); }

/// The root mean square of a - b over that of b, or NaN where any element is not finite.
inline double relative_error(const Tensor& a, const Tensor& b) {
  const Tensor u = a.to(Device::cpu()).to(DType::f64), v = b.to(Device::cpu()).to(DType::f64);
  double errors = 0, values = 0;
  for (int64_t i = 0; i < v.numel(); ++i) {
    const double d = u.data<double>()[i] - v.data<double>()[i];
    errors += d * d;
    values += v.data<double>()[i] * v.data<double>()[i];
  }
  return std::sqrt(errors / std::max(values, 1e-30));
}

/// FNV-1a over the bytes of a tensor. What processes print of it can be compared.
inline uint64_t checksum(const Tensor& t) {
  const Tensor host = t.to(Device::cpu());
  const auto* const bytes = static_cast<const unsigned char*>(host.raw());
  uint64_t h = 14695981039346656037u;
  for (size_t i = 0; i < host.nbytes(); ++i) h = (h ^ bytes[i]) * 1099511628211u;
  return h;
}

inline void expect_same_bits(const Tensor& a, const Tensor& b) {
  const Tensor u = a.to(Device::cpu()), v = b.to(Device::cpu());
  ASSERT_EQ(u.shape(), v.shape());
  EXPECT_EQ(std::memcmp(u.raw(), v.raw(), u.nbytes()), 0);
}

}  // namespace voxgrad::test
