#include "tensor/conv/conv.h"

#include "tensor/conv/cpu/passes.h"
#include "tensor/conv/cpu/weights.h"
#include "tensor/conv/cpu/winograd.h"
#include "tensor/conv/ref/conv.h"
#include "tensor/core/convert.h"
#include "tensor/core/cpu/dispatch.h"
#include "tensor/core/gpu.h"

namespace voxgrad {
namespace {

using ref::Part;

void expect(const Tensor& t, const Shape& shape, DType dtype, const char* op, const char* what) {
  require(t.defined() && t.shape() == shape && t.dtype() == dtype, "[", op, "] expected ", what, " ", dtype,
          " ", shape, ", got ", t.defined() ? cat(t.dtype(), " ", t.shape()) : "an undefined tensor");
}

Shape volume(int64_t n, const Triple& extent, int64_t channels) {
  return {n, extent[0], extent[1], extent[2], channels};
}
Shape weights(const ConvProblem& p) { return {p.kernel[0], p.kernel[1], p.kernel[2], p.cin, p.cout}; }

void expect_inputs(const ConvProblem& p, std::span<const Tensor> x, DType dtype, const char* op) {
  int64_t channels = 0;
  for (const Tensor& t : x) {
    require(t.defined() && t.rank() == 5, "[", op, "] expected inputs of rank 5");
    expect(t, volume(p.n, p.in, t.dim(4)), dtype, op, "an input");
    channels += t.dim(4);
  }
  require(channels == p.cin, "[", op, "] expected inputs with ", p.cin, " channels in all, got ", channels);
}

void expect_bias(const ConvProblem& p, const Tensor& bias, DType dtype, const char* op) {
  if (bias.defined()) expect(bias, {p.cout}, dtype, op, "bias");
}

template <class T>
std::vector<Part<const T>> parts_of(std::span<const Tensor> x) {
  std::vector<Part<const T>> parts;
  for (const Tensor& t : x) parts.push_back({t.data<T>(), t.dim(4)});
  return parts;
}

// Widths of the inputs from the wanted gradients, `channels`, and cin.
template <class T>
std::vector<Part<T>> gradient_parts(const ConvProblem& p, std::span<Tensor> dx,
                                    std::span<const int64_t> channels, DType dtype) {
  const char* const op = "conv3d_backward_data";
  require(channels.empty() || channels.size() == dx.size(), "[", op, "] expected ", dx.size(),
          " channel counts, got ", channels.size());
  std::vector<Part<T>> parts;
  int64_t known = 0, unknown = 0;
  for (size_t i = 0; i < dx.size(); ++i) {
    Part<T> part{nullptr, channels.empty() ? 0 : channels[i]};
    if (dx[i].defined()) {
      require(dx[i].rank() == 5, "[", op, "] expected gradients of rank 5, got ", dx[i].shape());
      const int64_t width = channels.empty() ? dx[i].dim(4) : channels[i];
      expect(dx[i], volume(p.n, p.in, width), dtype, op, "dx");
      part = {dx[i].mutable_data<T>(), width};
    }
    known += part.channels;
    unknown += part.channels == 0;
    parts.push_back(part);
  }
  require(unknown <= 1, "[", op,
          "] expected the channels of each input, because more than one dx is not wanted");
  for (auto& part : parts)
    if (part.channels == 0) part.channels = p.cin - known, known = p.cin;
  require(known == p.cin, "[", op, "] expected gradients with ", p.cin, " channels in all, got ", known);
  return parts;
}

// Problems in bf16 that no bf16 kernel takes are computed in f32: the activations widened (exact), the
// weights rounded as a bf16 kernel rounds them, the results rounded. The same numbers but for the order of
// sums.
std::vector<Tensor> widened(std::span<const Tensor> x) {
  std::vector<Tensor> out;
  for (const Tensor& t : x) out.push_back(converted(t, DType::f32));
  return out;
}

// The problem for the trace, with the algorithm.
template <class T>
std::string described(const ConvProblem& p) {
  const cpu::KernelTable* const table = cpu::kernel_table(cpu_isa());
  const bool tiles = std::is_same_v<T, bf16> && table && table->tiles;
  const bool winograd = !std::is_same_v<T, double> && table && !tiles && cpu::winograd_takes(p);
  return p.str() + (winograd ? " Winograd" : "");
}

template <class T>
T* optional_data(const Tensor* t) {
  return t && t->defined() ? t->mutable_data<T>() : nullptr;
}

}  // namespace

double ConvProblem::flops() const {
  const Triple& places = out[0] * out[1] * out[2] > in[0] * in[1] * in[2] && kernel == stride ? in : out;
  return 2.0 * static_cast<double>(n * places[0] * places[1] * places[2]) *
         static_cast<double>(kernel[0] * kernel[1] * kernel[2]) * static_cast<double>(cin * cout);
}

std::string ConvProblem::str() const {
  const auto triple = [](const Triple& t) { return cat(t[0], "x", t[1], "x", t[2]); };
  return cat("n", n, " ", triple(in), " -> ", triple(out), " kernel ", triple(kernel), " stride ",
             triple(stride), " pad ", triple(pad), " channels ", cin, " -> ", cout);
}

ConvProblem make_conv_problem(const Shape& x, int64_t cin, const Shape& w, const Triple& stride,
                              const Triple& pad) {
  require(x.rank() == 5, "[conv3d] expected x [N, D, H, W, C], got ", x);
  require(w.rank() == 5, "[conv3d] expected weights [kD, kH, kW, Cin, Cout], got ", w);
  require(w[3] == cin, "[conv3d] expected weights for ", cin, " input channels, got ", w);
  ConvProblem p;
  p.n = x[0];
  p.cin = cin;
  p.cout = w[4];
  p.stride = stride;
  p.pad = pad;
  for (int i = 0; i < 3; ++i) {
    const auto u = static_cast<size_t>(i);
    p.in[u] = x[i + 1];
    p.kernel[u] = w[i];
    require(stride[u] >= 1 && pad[u] >= 0 && p.kernel[u] >= 1,
            "[conv3d] expected strides of at least 1 and paddings of at least 0, got ", p.str());
    require(p.in[u] + 2 * pad[u] >= p.kernel[u],
            "[conv3d] expected a volume not smaller than the kernel, got ", p.str());
    p.out[u] = (p.in[u] + 2 * pad[u] - p.kernel[u]) / stride[u] + 1;
  }
  return p;
}

ConvProblem make_conv_problem(std::span<const Tensor> x, const Shape& w, const Triple& stride,
                              const Triple& pad) {
  require(!x.empty() && x[0].defined() && x[0].rank() == 5, "[conv3d] expected at least one input of rank 5");
  int64_t cin = 0;
  for (const Tensor& t : x) cin += t.dim(-1);
  return make_conv_problem(x[0].shape(), cin, w, stride, pad);
}

ConvProblem make_conv_transpose_problem(const Shape& x, const Shape& w) {
  require(x.rank() == 5 && w.rank() == 5 && x[4] == w[3],
          "[conv_transpose3d] expected x [N, D, H, W, Cin] and weights [kD, kH, kW, Cin, Cout], got ", x,
          " and ", w);
  ConvProblem p;
  p.n = x[0];
  p.cin = w[3];
  p.cout = w[4];
  for (int i = 0; i < 3; ++i) {
    const auto u = static_cast<size_t>(i);
    require(w[i] == 1 || w[i] == 2, "[conv_transpose3d] expected a kernel of 1 or 2 along each axis, got ",
            w);
    p.in[u] = x[i + 1];
    p.kernel[u] = p.stride[u] = w[i];
    p.out[u] = p.in[u] * w[i];
  }
  return p;
}

void conv3d_forward(const ConvProblem& p, std::span<const Tensor> x, const Tensor& w, const Tensor& bias,
                    Tensor& y) {
  const char* const op = "conv3d_forward";
  const DType t = y.dtype(), tw = parameter_dtype(t);
  expect(w, weights(p), tw, op, "weights");
  expect_inputs(p, x, t, op);
  expect_bias(p, bias, tw, op);
  expect(y, volume(p.n, p.out, p.cout), t, op, "y");
  if (gpu::runs_on(y, w, bias, x[0], x.back())) return gpu::conv3d_forward(p, x, w, bias, y);
  if (t == DType::bf16) {
    return cpu::dispatch_bf16(
        op, cpu::direct_conv_declines(p), p.flops(), [&] { return described<bf16>(p); },
        [&](const auto& k) {
          cpu::conv3d_forward(k, p, parts_of<bf16>(x), w.data<float>(), optional_data<float>(&bias),
                              y.mutable_data<bf16>());
        },
        [&] {
          Tensor y32 = Tensor::empty(y.shape());
          conv3d_forward(p, widened(x), rounded_to_bf16(w), bias, y32);
          convert(y32, y);
        },
        true);
  }
  visit_float(t, op, [&]<class T>(T) {
    cpu::dispatch<T>(
        op, cpu::direct_conv_declines(p), p.flops(), [&] { return described<T>(p); },
        [&](const auto& k) {
          return cpu::conv3d_forward(k, p, parts_of<T>(x), w.data<T>(), optional_data<T>(&bias),
                                     y.mutable_data<T>());
        },
        [&] {
          ref::conv3d_forward(p, parts_of<T>(x), w.data<T>(), optional_data<T>(&bias), y.mutable_data<T>());
        });
  });
}

void conv3d_backward_data(const ConvProblem& p, const Tensor& dy, const Tensor& w, std::span<Tensor> dx,
                          std::span<const int64_t> channels) {
  const char* const op = "conv3d_backward_data";
  const DType t = dy.dtype(), tw = parameter_dtype(t);
  expect(w, weights(p), tw, op, "weights");
  expect(dy, volume(p.n, p.out, p.cout), t, op, "dy");
  if (gpu::runs_on(dy, w)) return gpu::conv3d_backward_data(p, dy, w, dx, channels);
  if (t == DType::bf16) {
    const auto parts = gradient_parts<bf16>(p, dx, channels, t);
    return cpu::dispatch_bf16(
        op, cpu::direct_conv_declines(p), p.flops(), [&] { return described<bf16>(p); },
        [&](const auto& k) { cpu::conv3d_backward_data(k, p, dy.data<bf16>(), w.data<float>(), parts); },
        [&] {
          std::vector<Tensor> dx32;
          std::vector<int64_t> widths;
          for (size_t i = 0; i < parts.size(); ++i) {
            widths.push_back(parts[i].channels);
            dx32.push_back(dx[i].defined() ? Tensor::empty(dx[i].shape()) : Tensor());
          }
          conv3d_backward_data(p, converted(dy, DType::f32), rounded_to_bf16(w), dx32, widths);
          for (size_t i = 0; i < parts.size(); ++i)
            if (dx[i].defined()) convert(dx32[i], dx[i]);
        },
        true);
  }
  visit_float(t, op, [&]<class T>(T) {
    const auto parts = gradient_parts<T>(p, dx, channels, t);
    cpu::dispatch<T>(
        op, cpu::direct_conv_declines(p), p.flops(), [&] { return described<T>(p); },
        [&](const auto& k) { return cpu::conv3d_backward_data(k, p, dy.data<T>(), w.data<T>(), parts); },
        [&] { ref::conv3d_backward_data(p, dy.data<T>(), w.data<T>(), parts); });
  });
}

void conv3d_backward_weights(const ConvProblem& p, std::span<const Tensor> x, const Tensor& dy, Tensor& dw,
                             Tensor* dbias) {
  const char* const op = "conv3d_backward_weights";
  const DType t = dy.dtype();
  expect(dy, volume(p.n, p.out, p.cout), t, op, "dy");
  expect_inputs(p, x, t, op);
  expect(dw, weights(p), parameter_dtype(t), op, "dw");
  if (dbias) expect(*dbias, {p.cout}, parameter_dtype(t), op, "dbias");
  if (gpu::runs_on(dy, dw, x[0], x.back())) return gpu::conv3d_backward_weights(p, x, dy, dw, dbias);
  if (t == DType::bf16)
    return cpu::dispatch_bf16(
        op, cpu::direct_conv_declines(p), p.flops(), [&] { return described<bf16>(p); },
        [&](const auto& k) {
          cpu::conv3d_backward_weights(k, p, parts_of<bf16>(x), dy.data<bf16>(), dw.mutable_data<float>(),
                                       optional_data<float>(dbias));
        },
        [&] { conv3d_backward_weights(p, widened(x), converted(dy, DType::f32), dw, dbias); }, true);
  visit_float(t, op, [&]<class T>(T) {
    cpu::dispatch<T>(
        op, cpu::direct_conv_declines(p), p.flops(), [&] { return described<T>(p); },
        [&](const auto& k) {
          return cpu::conv3d_backward_weights(k, p, parts_of<T>(x), dy.data<T>(), dw.mutable_data<T>(),
                                              optional_data<T>(dbias));
        },
        [&] {
          ref::conv3d_backward_weights(p, parts_of<T>(x), dy.data<T>(), dw.mutable_data<T>(),
                                       optional_data<T>(dbias));
        });
  });
}

void conv_transpose3d_forward(const ConvProblem& p, const Tensor& x, const Tensor& w, const Tensor& bias,
                              Tensor& y) {
  const char* const op = "conv_transpose3d_forward";
  const DType t = x.dtype(), tw = parameter_dtype(t);
  expect(w, weights(p), tw, op, "weights");
  expect(x, volume(p.n, p.in, p.cin), t, op, "x");
  expect_bias(p, bias, tw, op);
  expect(y, volume(p.n, p.out, p.cout), t, op, "y");
  if (gpu::runs_on(x, w, bias, y)) return gpu::conv_transpose3d_forward(p, x, w, bias, y);
  if (t == DType::bf16)
    return cpu::dispatch_bf16(
        op, cpu::direct_conv_declines(p), p.flops(), [&] { return p.str(); },
        [&](const auto& k) {
          cpu::conv_transpose3d_forward(k, p, x.data<bf16>(), w.data<float>(), optional_data<float>(&bias),
                                        y.mutable_data<bf16>());
        },
        [&] {
          Tensor y32 = Tensor::empty(y.shape());
          conv_transpose3d_forward(p, converted(x, DType::f32), rounded_to_bf16(w), bias, y32);
          convert(y32, y);
        },
        true);
  visit_float(t, op, [&]<class T>(T) {
    cpu::dispatch<T>(
        op, cpu::direct_conv_declines(p), p.flops(), [&] { return p.str(); },
        [&](const auto& k) {
          return cpu::conv_transpose3d_forward(k, p, x.data<T>(), w.data<T>(), optional_data<T>(&bias),
                                               y.mutable_data<T>());
        },
        [&] {
          ref::conv_transpose3d_forward(p, x.data<T>(), w.data<T>(), optional_data<T>(&bias),
                                        y.mutable_data<T>());
        });
  });
}

void conv_transpose3d_backward_data(const ConvProblem& p, const Tensor& dy, const Tensor& w, Tensor& dx) {
  const char* const op = "conv_transpose3d_backward_data";
  const DType t = dy.dtype(), tw = parameter_dtype(t);
  expect(w, weights(p), tw, op, "weights");
  expect(dy, volume(p.n, p.out, p.cout), t, op, "dy");
  expect(dx, volume(p.n, p.in, p.cin), t, op, "dx");
  if (gpu::runs_on(dy, w, dx)) return gpu::conv_transpose3d_backward_data(p, dy, w, dx);
  if (t == DType::bf16)
    return cpu::dispatch_bf16(
        op, cpu::direct_conv_declines(p), p.flops(), [&] { return p.str(); },
        [&](const auto& k) {
          cpu::conv_transpose3d_backward_data(k, p, dy.data<bf16>(), w.data<float>(),
                                              dx.mutable_data<bf16>());
        },
        [&] {
          Tensor dx32 = Tensor::empty(dx.shape());
          conv_transpose3d_backward_data(p, converted(dy, DType::f32), rounded_to_bf16(w), dx32);
          convert(dx32, dx);
        },
        true);
  visit_float(t, op, [&]<class T>(T) {
    cpu::dispatch<T>(
        op, cpu::direct_conv_declines(p), p.flops(), [&] { return p.str(); },
        [&](const auto& k) {
          return cpu::conv_transpose3d_backward_data(k, p, dy.data<T>(), w.data<T>(), dx.mutable_data<T>());
        },
        [&] { ref::conv_transpose3d_backward_data(p, dy.data<T>(), w.data<T>(), dx.mutable_data<T>()); });
  });
}

void conv_transpose3d_backward_weights(const ConvProblem& p, const Tensor& x, const Tensor& dy, Tensor& dw,
                                       Tensor* dbias) {
  const char* const op = "conv_transpose3d_backward_weights";
  const DType t = dy.dtype();
  expect(dy, volume(p.n, p.out, p.cout), t, op, "dy");
  expect(x, volume(p.n, p.in, p.cin), t, op, "x");
  expect(dw, weights(p), parameter_dtype(t), op, "dw");
  if (dbias) expect(*dbias, {p.cout}, parameter_dtype(t), op, "dbias");
  if (gpu::runs_on(x, dy, dw)) return gpu::conv_transpose3d_backward_weights(p, x, dy, dw, dbias);
  if (t == DType::bf16)
    return cpu::dispatch_bf16(
        op, cpu::direct_conv_declines(p), p.flops(), [&] { return p.str(); },
        [&](const auto& k) {
          cpu::conv_transpose3d_backward_weights(k, p, x.data<bf16>(), dy.data<bf16>(),
                                                 dw.mutable_data<float>(), optional_data<float>(dbias));
        },
        [&] {
          conv_transpose3d_backward_weights(p, converted(x, DType::f32), converted(dy, DType::f32), dw,
                                            dbias);
        },
        true);
  visit_float(t, op, [&]<class T>(T) {
    cpu::dispatch<T>(
        op, cpu::direct_conv_declines(p), p.flops(), [&] { return p.str(); },
        [&](const auto& k) {
          return cpu::conv_transpose3d_backward_weights(k, p, x.data<T>(), dy.data<T>(), dw.mutable_data<T>(),
                                                        optional_data<T>(dbias));
        },
        [&] {
          ref::conv_transpose3d_backward_weights(p, x.data<T>(), dy.data<T>(), dw.mutable_data<T>(),
                                                 optional_data<T>(dbias));
        });
  });
}

}  // namespace voxgrad
