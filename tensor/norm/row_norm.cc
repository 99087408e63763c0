#include "tensor/norm/row_norm.h"

#include "tensor/core/cpu/ranges.h"
#include "tensor/core/gpu.h"
#include "tensor/norm/ref/row_norm.h"

namespace voxgrad {

void row_norm_forward(const Tensor& x, const Tensor& gamma, const Tensor& beta, double eps, Tensor& mean,
                      Tensor& rstd, Tensor& y) {
  const int64_t width = x.dim(-1), rows = x.numel() / width;
  if (gpu::runs_on(x, gamma, beta, mean, rstd, y))
    return gpu::row_norm_forward(x, gamma, beta, eps, mean, rstd, y);
  visit_float(x.dtype(), "row_norm", [&]<class T>(T) {
    const T *const px = x.data<T>(), *const pg = gamma.data<T>(),
                   *const pb = beta.defined() ? beta.data<T>() : nullptr;
    T *const pm = mean.mutable_data<T>(), *const ps = rstd.mutable_data<T>(), *const py = y.mutable_data<T>();
    cpu::for_ranges<T>(
        rows,
        [=](int64_t begin, int64_t end) {
          ref::row_norm_forward(end - begin, width, px + begin * width, pg, pb, pb != nullptr, eps,
                                pm + begin, ps + begin, py + begin * width);
        },
        cpu::row_grain(width));
  });
}

void row_norm_backward(const Tensor& x, const Tensor& gamma, bool centred, const Tensor& mean,
                       const Tensor& rstd, const Tensor& dy, Tensor& dx, Tensor& dgamma, Tensor& dbeta) {
  const int64_t width = x.dim(-1), rows = x.numel() / width;
  const auto columns = static_cast<size_t>(width);
  if (gpu::runs_on(x, gamma, mean, rstd, dy, dx, dgamma, dbeta))
    return gpu::row_norm_backward(x, gamma, centred, mean, rstd, dy, dx, dgamma, dbeta);
  visit_float(x.dtype(), "row_norm", [&]<class T>(T) {
    const T *const px = x.data<T>(), *const pg = gamma.data<T>(), *const pdy = dy.data<T>();
    const T *const pm = mean.data<T>(), *const ps = rstd.data<T>();
    T* const pdx = dx.mutable_data<T>();
    // Each tile has its own sums for gamma and beta; they are added in tile order.
    const int64_t grain = std::is_same_v<T, double> ? rows : 4 * cpu::row_grain(width);
    const int64_t tiles = grain ? (rows + grain - 1) / grain : 0;
    std::vector<double> parts(static_cast<size_t>(tiles) * 2 * columns);
    parallel_for(tiles, [&](int64_t t) {
      const int64_t begin = t * grain, end = begin + grain < rows ? begin + grain : rows;
      double* const sums = parts.data() + static_cast<size_t>(t) * 2 * columns;
      ref::row_norm_backward(end - begin, width, px + begin * width, pg, centred, pm + begin, ps + begin,
                             pdy + begin * width, pdx + begin * width, sums,
                             dbeta.defined() ? sums + width : nullptr);
    });
    T *const dg = dgamma.mutable_data<T>(), *const db = dbeta.defined() ? dbeta.mutable_data<T>() : nullptr;
    for (size_t k = 0; k < columns; ++k) {
      double a = 0, b = 0;
      for (size_t t = 0; t < static_cast<size_t>(tiles); ++t) {
        a += parts[2 * t * columns + k];
        b += parts[(2 * t + 1) * columns + k];
      }
      dg[k] = static_cast<T>(a);
      if (db) db[k] = static_cast<T>(b);
    }
  });
}

}  // namespace voxgrad
