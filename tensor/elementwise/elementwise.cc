#include "tensor/elementwise/elementwise.h"

#include "tensor/core/cpu/philox.h"
#include "tensor/core/cpu/ranges.h"
#include "tensor/core/kernel.h"
#include "tensor/elementwise/calls.h"
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

// The plain loops over ranges, in parallel. The compiler turns them into vector code.
void unary(const UnaryForward& c) {
  visit_unary(c.function, [&]<class F>(F) {
    visit_float(c.type, c.kOp, [&]<class T>(T) {
      const T* const x = as<T>(c.x);
      T* const y = as<T>(c.y);
      const T parameter = static_cast<T>(c.parameter);
      cpu::for_ranges<T>(
          c.n, [=](int64_t i, int64_t end) { ref::unary_forward<F>(end - i, x + i, parameter, y + i); });
    });
  });
}

void unary_gradient(const UnaryBackward& c) {
  visit_unary(c.function, [&]<class F>(F) {
    visit_float(c.type, c.kOp, [&]<class T>(T) {
      const T *const value = as<T>(c.value), *const dy = as<T>(c.dy);
      T* const dx = as<T>(c.dx);
      const T parameter = static_cast<T>(c.parameter);
      cpu::for_ranges<T>(c.n, [=](int64_t i, int64_t end) {
        ref::unary_backward<F>(end - i, value + i, parameter, dy + i, dx + i);
      });
    });
  });
}

void binary(const BinaryForward& c) {
  visit_float(c.type, c.kOp, [&]<class T>(T) {
    const T *const a = as<T>(c.a), *const b = as<T>(c.b);
    T* const y = as<T>(c.y);
    cpu::for_ranges<T>(c.n, [=, f = c.function](int64_t i, int64_t end) {
      if (f == Binary::add)
        ref::add(end - i, a + i, b + i, y + i);
      else if (f == Binary::sub)
        ref::sub(end - i, a + i, b + i, y + i);
      else
        ref::mul(end - i, a + i, b + i, y + i);
    });
  });
}

void scale_ranges(const Scale& c) {
  visit_float(c.type, c.kOp, [&]<class T>(T) {
    const T* const x = as<T>(c.x);
    T* const y = as<T>(c.y);
    const T factor = static_cast<T>(c.factor), offset = static_cast<T>(c.offset);
    cpu::for_ranges<T>(c.n,
                       [=](int64_t i, int64_t end) { ref::scale(end - i, x + i, factor, offset, y + i); });
  });
}

void axpby_ranges(const Axpby& c) {
  visit_float(c.type, c.kOp, [&]<class T>(T) {
    const T *const a = as<T>(c.a), *const b = as<T>(c.b), *const p = as<T>(c.p), *const q = as<T>(c.q);
    T* const y = as<T>(c.y);
    for (int64_t r = 0; r < c.rows; ++r)
      cpu::for_ranges<T>(c.width, [=, first = r * c.width](int64_t begin, int64_t end) {
        const int64_t i = first + begin;
        if (b)
          ref::combine(end - begin, p[r], a + i, q[r], b + i, y + i);
        else
          ref::scale(end - begin, a + i, p[r], T(0), y + i);
      });
  });
}

// The same bits as ref::dropout. It computes sixteen Philox blocks at a time, one in each lane.
void dropout_f32(uint64_t first, int64_t n, const float* x, const Philox& random, uint32_t threshold,
                 float keep, float* __restrict y) {
  constexpr int kBlocks = cpu::kPhiloxBlocks;
  int64_t i = 0;
  for (; i + 4 * kBlocks <= n; i += 4 * kBlocks) {
    uint32_t words[4][kBlocks];
    cpu::philox_blocks(random, (first + static_cast<uint64_t>(i)) / 4, words);
    uint32_t mask[4 * kBlocks];  // a mask has no branches, which the CPU would predict badly
    for (int w = 0; w < 4; ++w)
      for (int b = 0; b < kBlocks; ++b)
        mask[4 * b + w] = 0u - static_cast<uint32_t>(words[w][b] >= threshold);
    for (int k = 0; k < 4 * kBlocks; ++k)
      y[i + k] = std::bit_cast<float>(std::bit_cast<uint32_t>(x[i + k] * keep) & mask[k]);
  }
  ref::dropout(first + static_cast<uint64_t>(i), n - i, x + i, random, threshold, keep, y + i);
}

template <class T, class Factor>
void dropout_ranges(const Dropout& c) {
  const Philox random{static_cast<uint64_t>(c.key[0]), Stream::dropout, static_cast<uint32_t>(c.key[1])};
  const T* const x = as<T>(c.x);
  T* const y = as<T>(c.y);
  const Factor keep = static_cast<Factor>(c.keep);
  cpu::for_ranges<T>(c.n, [=, first = c.first, threshold = c.threshold](int64_t i, int64_t end) {
    const uint64_t element = first + static_cast<uint64_t>(i);
    if constexpr (std::is_same_v<T, float>)
      dropout_f32(element, end - i, x + i, random, threshold, keep, y + i);
    else
      ref::dropout(element, end - i, x + i, random, threshold, keep, y + i);
  });
}

void dropout_any(const Dropout& c) {
  if (c.type == DType::bf16) return dropout_ranges<bf16, float>(c);
  visit_float(c.type, c.kOp, [&]<class T>(T) { dropout_ranges<T, T>(c); });
}

constexpr Implementation<UnaryForward> kUnary[] = {kCuda<UnaryForward>, {"ref", nullptr, unary}};
constexpr Implementation<UnaryBackward> kUnaryBackward[] = {kCuda<UnaryBackward>,
                                                            {"ref", nullptr, unary_gradient}};
constexpr Implementation<BinaryForward> kBinary[] = {kCuda<BinaryForward>, {"ref", nullptr, binary}};
constexpr Implementation<Scale> kScale[] = {kCuda<Scale>, {"ref", nullptr, scale_ranges}};
constexpr Implementation<Axpby> kAxpby[] = {kCuda<Axpby>, {"ref", nullptr, axpby_ranges}};
constexpr Implementation<Dropout> kDropout[] = {kCuda<Dropout>, {"ref", nullptr, dropout_any}};

void run_binary(const char* op, Binary f, const Tensor& a, const Tensor& b, Tensor& y) {
  expect_like(op, b, a);
  expect_like(op, y, a);
  run(kBinary, {.device = device_of(a, b, y),
                .type = a.dtype(),
                .function = f,
                .n = a.numel(),
                .a = a.raw(),
                .b = b.raw(),
                .y = y.raw()});
}

}  // namespace

void unary_forward(Unary f, const Tensor& x, double parameter, Tensor& y) {
  expect_like("unary", y, x);
  run(kUnary, {.device = device_of(x, y),
               .type = x.dtype(),
               .function = f,
               .parameter = parameter,
               .n = x.numel(),
               .x = x.raw(),
               .y = y.raw()});
}

bool backward_from_output(Unary f) {
  bool from_output = false;
  visit_unary(f, [&]<class F>(F) { from_output = F::kFromOutput; });
  return from_output;
}

void unary_backward(Unary f, const Tensor& value, double parameter, const Tensor& dy, Tensor& dx) {
  expect_like("unary", dy, value);
  expect_like("unary", dx, value);
  run(kUnaryBackward, {.device = device_of(value, dy, dx),
                       .type = value.dtype(),
                       .function = f,
                       .parameter = parameter,
                       .n = value.numel(),
                       .value = value.raw(),
                       .dy = dy.raw(),
                       .dx = dx.raw()});
}

void add(const Tensor& a, const Tensor& b, Tensor& y) { run_binary("add", Binary::add, a, b, y); }
void sub(const Tensor& a, const Tensor& b, Tensor& y) { run_binary("sub", Binary::sub, a, b, y); }
void mul(const Tensor& a, const Tensor& b, Tensor& y) { run_binary("mul", Binary::mul, a, b, y); }

void scale(const Tensor& x, double factor, double offset, Tensor& y) {
  expect_like("scale", y, x);
  run(kScale, {.device = device_of(x, y),
               .type = x.dtype(),
               .n = x.numel(),
               .x = x.raw(),
               .factor = factor,
               .offset = offset,
               .y = y.raw()});
}

void axpby(const Tensor& p, const Tensor& a, const Tensor& q, const Tensor& b, Tensor& y) {
  expect_like("axpby", y, a);
  require(a.rank() >= 1 && p.shape() == Shape{a.dim(0)}, "[axpby] expected a factor for each of ", a.shape(),
          ", got ", p.shape());
  if (b.defined()) {
    expect_like("axpby", b, a);
    expect_like("axpby", q, p);
  }
  const DType factors = parameter_dtype(a.dtype());
  run(kAxpby, {.device = device_of(a, p, q, b, y),
               .type = a.dtype(),
               .rows = a.dim(0),
               .width = a.dim(0) ? a.numel() / a.dim(0) : 0,
               .p = elements(p, factors),
               .a = a.raw(),
               .q = elements(q, factors),
               .b = elements(b, a.dtype()),
               .y = y.raw()});
}

void dropout(const Tensor& x, double p, const Tensor& key, uint32_t site, Tensor& y) {
  const OpScope scope("dropout");
  expect_like("dropout", y, x);
  require(p >= 0 && p < 1, "[dropout] expected a probability in [0, 1), got ", p);
  require(key.shape() == Shape{2}, "[dropout] expected a key of seed and step, got ", key.shape());
  run(kDropout, {.device = device_of(x, key, y),
                 .type = x.dtype(),
                 .key = elements<int64_t>(key),
                 .first = first_of_site(site, x.numel()),
                 .n = x.numel(),
                 .threshold = static_cast<uint32_t>(p * 0x1p32),
                 .keep = 1 / (1 - p),
                 .x = x.raw(),
                 .y = y.raw()});
}

}  // namespace voxgrad
