#include "tensor/elementwise/elementwise.h"

#include "tensor/core/cpu/philox.h"
#include "tensor/core/cpu/ranges.h"
#include "tensor/core/gpu.h"
#include "tensor/elementwise/ref/elementwise.h"

namespace voxgrad {
namespace {

void expect_like(std::string_view op, const Tensor& y, const Tensor& x) {
  require(x.defined() && y.defined() && x.shape() == y.shape() && x.dtype() == y.dtype(), "[", op,
          "] expected tensors of one shape and type, got ", x.dtype(), " ", x.shape(), " and ", y.dtype(),
          " ", y.shape());
}

template <class F>
void visit_unary(Unary f, F&& call) {
  switch (f) {
    case Unary::relu:
      return call(ref::Relu{});
    case Unary::leaky_relu:
      return call(ref::LeakyRelu{});
    case Unary::silu:
      return call(ref::Silu{});
    case Unary::gelu:
      return call(ref::Gelu{});
    case Unary::sigmoid:
      return call(ref::Sigmoid{});
    case Unary::exp:
      return call(ref::Exp{});
  }
}

// Runs loop(n, a, b, y) over ranges.
template <class Loop>
void binary(std::string_view op, const Tensor& a, const Tensor& b, Tensor& y, Loop&& loop) {
  expect_like(op, b, a);
  expect_like(op, y, a);
  visit_float(a.dtype(), op, [&]<class T>(T) {
    const T *pa = a.data<T>(), *pb = b.data<T>();
    T* const py = y.mutable_data<T>();
    cpu::for_ranges<T>(a.numel(), [&](int64_t i, int64_t end) { loop(end - i, pa + i, pb + i, py + i); });
  });
}

// ref::dropout with sixteen Philox blocks at a time, a block a lane; the same bits.
void dropout_f32(uint64_t first, int64_t n, const float* x, const Philox& random, uint32_t threshold,
                 float keep, float* __restrict y) {
  constexpr int kBlocks = cpu::kPhiloxBlocks;
  int64_t i = 0;
  for (; i + 4 * kBlocks <= n; i += 4 * kBlocks) {
    uint32_t words[4][kBlocks];
    cpu::philox_blocks(random, (first + static_cast<uint64_t>(i)) / 4, words);
    uint32_t mask[4 * kBlocks];  // without branches, which would be guessed wrong
    for (int w = 0; w < 4; ++w)
      for (int b = 0; b < kBlocks; ++b)
        mask[4 * b + w] = 0u - static_cast<uint32_t>(words[w][b] >= threshold);
    for (int k = 0; k < 4 * kBlocks; ++k)
      y[i + k] = std::bit_cast<float>(std::bit_cast<uint32_t>(x[i + k] * keep) & mask[k]);
  }
  ref::dropout(first + static_cast<uint64_t>(i), n - i, x + i, random, threshold, keep, y + i);
}

// Whether it ran on a CUDA device.
bool binary_on_gpu(const char* op, cuda::Binary f, const Tensor& a, const Tensor& b, Tensor& y) {
  if (!gpu::runs_on(a, b, y)) return false;
  expect_like(op, b, a);
  expect_like(op, y, a);
  gpu::binary(f, a, b, y);
  return true;
}

}  // namespace

void unary_forward(Unary f, const Tensor& x, double parameter, Tensor& y) {
  expect_like("unary", y, x);
  if (gpu::runs_on(x, y)) return gpu::unary_forward(f, x, parameter, y);
  visit_unary(f, [&]<class F>(F) {
    visit_float(x.dtype(), "unary", [&]<class T>(T) {
      const T* const px = x.data<T>();
      T* const py = y.mutable_data<T>();
      cpu::for_ranges<T>(x.numel(), [=](int64_t i, int64_t end) {
        ref::unary_forward<F>(end - i, px + i, static_cast<T>(parameter), py + i);
      });
    });
  });
}

bool backward_from_output(Unary f) {
  bool from_output = false;
  visit_unary(f, [&]<class F>(F) { from_output = F::kFromOutput; });
  return from_output;
}

void unary_backward(Unary f, const Tensor& value, double parameter, const Tensor& dy, Tensor& dx) {
  expect_like("unary", dy, value);
  expect_like("unary", dx, value);
  if (gpu::runs_on(value, dy, dx)) return gpu::unary_backward(f, value, parameter, dy, dx);
  visit_unary(f, [&]<class F>(F) {
    visit_float(value.dtype(), "unary", [&]<class T>(T) {
      const T *pv = value.data<T>(), *pdy = dy.data<T>();
      T* const pdx = dx.mutable_data<T>();
      cpu::for_ranges<T>(value.numel(), [=](int64_t i, int64_t end) {
        ref::unary_backward<F>(end - i, pv + i, static_cast<T>(parameter), pdy + i, pdx + i);
      });
    });
  });
}

void add(const Tensor& a, const Tensor& b, Tensor& y) {
  if (binary_on_gpu("add", cuda::Binary::add, a, b, y)) return;
  binary("add", a, b, y,
         [](int64_t n, const auto* pa, const auto* pb, auto* py) { ref::add(n, pa, pb, py); });
}
void sub(const Tensor& a, const Tensor& b, Tensor& y) {
  if (binary_on_gpu("sub", cuda::Binary::sub, a, b, y)) return;
  binary("sub", a, b, y,
         [](int64_t n, const auto* pa, const auto* pb, auto* py) { ref::sub(n, pa, pb, py); });
}
void mul(const Tensor& a, const Tensor& b, Tensor& y) {
  if (binary_on_gpu("mul", cuda::Binary::mul, a, b, y)) return;
  binary("mul", a, b, y,
         [](int64_t n, const auto* pa, const auto* pb, auto* py) { ref::mul(n, pa, pb, py); });
}

void scale(const Tensor& x, double factor, double offset, Tensor& y) {
  expect_like("scale", y, x);
  if (gpu::runs_on(x, y)) return gpu::scale(x, factor, offset, y);
  visit_float(x.dtype(), "scale", [&]<class T>(T) {
    const T* const px = x.data<T>();
    T* const py = y.mutable_data<T>();
    cpu::for_ranges<T>(x.numel(), [=](int64_t i, int64_t end) {
      ref::scale(end - i, px + i, static_cast<T>(factor), static_cast<T>(offset), py + i);
    });
  });
}

void axpby(const Tensor& p, const Tensor& a, const Tensor& q, const Tensor& b, Tensor& y) {
  expect_like("axpby", y, a);
  require(a.rank() >= 1 && p.shape() == Shape{a.dim(0)}, "[axpby] expected a factor for each of ", a.shape(),
          ", got ", p.shape());
  if (b.defined()) {
    expect_like("axpby", b, a);
    expect_like("axpby", q, p);
  }
  if (gpu::runs_on(a, p, q, b, y)) return gpu::axpby(p, a, q, b, y);
  visit_float(a.dtype(), "axpby", [&]<class T>(T) {
    const T *pa = a.data<T>(), *pp = p.data<T>();
    const T *pb = b.defined() ? b.data<T>() : nullptr, *pq = b.defined() ? q.data<T>() : nullptr;
    T* const py = y.mutable_data<T>();
    const int64_t each = a.dim(0) ? a.numel() / a.dim(0) : 0;
    for (int64_t n = 0; n < a.dim(0); ++n)
      cpu::for_ranges<T>(each, [=](int64_t begin, int64_t end) {
        const int64_t i = n * each + begin;
        if (pb)
          ref::combine(end - begin, pp[n], pa + i, pq[n], pb + i, py + i);
        else
          ref::scale(end - begin, pa + i, pp[n], T(0), py + i);
      });
  });
}

void dropout(const Tensor& x, double p, const Tensor& key, uint32_t site, Tensor& y) {
  const OpScope scope("dropout");
  expect_like("dropout", y, x);
  require(p >= 0 && p < 1, "[dropout] expected a probability in [0, 1), got ", p);
  const auto threshold = static_cast<uint32_t>(p * 0x1p32);
  const uint64_t first = first_of_site(site, x.numel());
  if (gpu::runs_on(x, key, y)) return gpu::dropout(x, threshold, 1 / (1 - p), key, first, y);
  const Philox random = philox_of(key, Stream::dropout);
  const auto run = [&]<class T, class Factor>(T, Factor keep) {
    const T* const px = x.data<T>();
    T* const py = y.mutable_data<T>();
    cpu::for_ranges<T>(x.numel(), [=](int64_t i, int64_t end) {
      const uint64_t element = first + static_cast<uint64_t>(i);
      if constexpr (std::is_same_v<T, float>)
        dropout_f32(element, end - i, px + i, random, threshold, keep, py + i);
      else
        ref::dropout(element, end - i, px + i, random, threshold, keep, py + i);
    });
  };
  const double keep = 1 / (1 - p);
  if (x.dtype() == DType::bf16) return run(bf16{}, static_cast<float>(keep));
  visit_float(x.dtype(), "dropout", [&]<class T>(T type) { run(type, static_cast<T>(keep)); });
}

}  // namespace voxgrad
