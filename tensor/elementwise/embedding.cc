#include "tensor/elementwise/embedding.h"

#include "tensor/core/gpu.h"
#include "tensor/elementwise/ref/embedding.h"

namespace voxgrad {

void time_embedding(const Tensor& t, double max_period, Tensor& y) {
  require(t.rank() == 1 && y.rank() == 2 && y.dim(0) == t.dim(0),
          "[time_embedding] expected t [N] and y [N, size], got ", t.shape(), " and ", y.shape());
  if (gpu::runs_on(y, t)) return gpu::time_embedding(t, max_period, y);
  visit_float(y.dtype(), "time_embedding", [&]<class T>(T) {
    ref::time_embedding(t.dim(0), y.dim(1), max_period, t.data<T>(), y.mutable_data<T>());
  });
}

}  // namespace voxgrad
