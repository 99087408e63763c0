#include "tensor/elementwise/embedding.h"

#include "tensor/core/kernel.h"
#include "tensor/elementwise/calls.h"
#include "tensor/elementwise/ref/embedding.h"

namespace voxgrad {
namespace {

void plain(const TimeEmbedding& c) {
  visit_float(c.type, c.kOp,
              [&]<class T>(T) { ref::time_embedding(c.n, c.size, c.max_period, as<T>(c.t), as<T>(c.y)); });
}

constexpr Implementation<TimeEmbedding> kEmbedding[] = {kCuda<TimeEmbedding>, {"ref", nullptr, plain}};

}  // namespace

void time_embedding(const Tensor& t, double max_period, Tensor& y) {
  require(t.rank() == 1 && y.rank() == 2 && y.dim(0) == t.dim(0),
          "[time_embedding] expected t [N] and y [N, size], got ", t.shape(), " and ", y.shape());
  run(kEmbedding, {.device = device_of(y, t),
                   .type = y.dtype(),
                   .n = y.dim(0),
                   .size = y.dim(1),
                   .max_period = max_period,
                   .t = elements(t, y.dtype()),
                   .y = y.raw()});
}

}  // namespace voxgrad
