// Inputs of the tests of matrix products.
#pragma once
#include "tests/tensor/kernel_check.h"

namespace voxgrad::test {

struct GemmCase {
  int64_t batch, m, n, k;
  bool shared_b = false;  ///< one right factor for the whole batch
};

struct GemmInputs {
  /// `ta`, `tb`: the factors are stored transposed. The output is read only where `beta` is not 0.
  GemmInputs(const GemmCase& c, bool ta, bool tb, double beta) {
    a = random(ta ? Shape{c.batch, c.k, c.m} : Shape{c.batch, c.m, c.k}, 1);
    Shape shape_b = tb ? Shape{c.batch, c.n, c.k} : Shape{c.batch, c.k, c.n};
    if (c.shared_b) shape_b = tb ? Shape{c.n, c.k} : Shape{c.k, c.n};
    b = random(shape_b, 2);
    start = beta == 0 ? unwritten({c.batch, c.m, c.n}) : random({c.batch, c.m, c.n}, 3);
  }
  Tensor a, b, start;
};

}  // namespace voxgrad::test
