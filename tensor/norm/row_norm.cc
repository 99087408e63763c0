#include "tensor/norm/row_norm.h"

#include <vector>

#include "tensor/core/cpu/ranges.h"
#include "tensor/core/kernel.h"
#include "tensor/norm/calls.h"
#include "tensor/norm/ref/row_norm.h"

namespace voxgrad {
namespace {

void forward(const RowNormForward& c) {
  visit_float(c.type, c.kOp, [&]<class T>(T) {
    cpu::for_ranges<T>(
        c.rows,
        [&](int64_t begin, int64_t end) {
          ref::row_norm_forward(end - begin, c.width, as<T>(c.x) + begin * c.width, as<T>(c.gamma),
                                as<T>(c.beta), c.beta != nullptr, c.eps, as<T>(c.mean) + begin,
                                as<T>(c.rstd) + begin, as<T>(c.y) + begin * c.width);
        },
        cpu::row_grain(c.width));
  });
}

void backward(const RowNormBackward& c) {
  const int64_t rows = c.rows, width = c.width;
  const auto columns = static_cast<size_t>(width);
  visit_float(c.type, c.kOp, [&]<class T>(T) {
    // Each tile of rows has its own sums for gamma and beta. They are added in the order of the tiles.
    const int64_t grain = std::is_same_v<T, double> ? rows : 4 * cpu::row_grain(width);
    const int64_t tiles = grain ? (rows + grain - 1) / grain : 0;
    std::vector<double> parts(static_cast<size_t>(tiles) * 2 * columns);
    parallel_for(tiles, [&](int64_t t) {
      const int64_t begin = t * grain, end = begin + grain < rows ? begin + grain : rows;
      double* const sums = parts.data() + static_cast<size_t>(t) * 2 * columns;
      ref::row_norm_backward(end - begin, width, as<T>(c.x) + begin * width, as<T>(c.gamma), c.centred,
                             as<T>(c.mean) + begin, as<T>(c.rstd) + begin, as<T>(c.dy) + begin * width,
                             as<T>(c.dx) + begin * width, sums, c.dbeta ? sums + width : nullptr);
    });
    T *const dgamma = as<T>(c.dgamma), *const dbeta = as<T>(c.dbeta);
    for (size_t k = 0; k < columns; ++k) {
      double a = 0, b = 0;
      for (size_t t = 0; t < static_cast<size_t>(tiles); ++t) {
        a += parts[2 * t * columns + k];
        b += parts[(2 * t + 1) * columns + k];
      }
      dgamma[k] = static_cast<T>(a);
      if (dbeta) dbeta[k] = static_cast<T>(b);
    }
  });
}

// There are no vector kernels: the compiler makes vector code of the plain loops.
constexpr Implementation<RowNormForward> kForward[] = {kCuda<RowNormForward>, {"ref", nullptr, forward}};
constexpr Implementation<RowNormBackward> kBackward[] = {kCuda<RowNormBackward>, {"ref", nullptr, backward}};

}  // namespace

void row_norm_forward(const Tensor& x, const Tensor& gamma, const Tensor& beta, double eps, Tensor& mean,
                      Tensor& rstd, Tensor& y) {
  const DType type = x.dtype(), parameters = parameter_dtype(type);
  run(kForward, {.device = device_of(x, gamma, beta, mean, rstd, y),
                 .type = type,
                 .rows = x.dim(-1) ? x.numel() / x.dim(-1) : 0,
                 .width = x.dim(-1),
                 .x = x.raw(),
                 .gamma = elements(gamma, parameters),
                 .beta = elements(beta, parameters),
                 .eps = eps,
                 .mean = elements(mean, parameters),
                 .rstd = elements(rstd, parameters),
                 .y = elements(y, type)});
}

void row_norm_backward(const Tensor& x, const Tensor& gamma, bool centred, const Tensor& mean,
                       const Tensor& rstd, const Tensor& dy, Tensor& dx, Tensor& dgamma, Tensor& dbeta) {
  const DType type = x.dtype(), parameters = parameter_dtype(type);
  run(kBackward, {.device = device_of(x, gamma, mean, rstd, dy, dx, dgamma, dbeta),
                  .type = type,
                  .rows = x.dim(-1) ? x.numel() / x.dim(-1) : 0,
                  .width = x.dim(-1),
                  .x = x.raw(),
                  .gamma = elements(gamma, parameters),
                  .centred = centred,
                  .mean = elements(mean, parameters),
                  .rstd = elements(rstd, parameters),
                  .dy = elements(dy, type),
                  .dx = elements(dx, type),
                  .dgamma = elements(dgamma, parameters),
                  .dbeta = elements(dbeta, parameters)});
}

}  // namespace voxgrad
