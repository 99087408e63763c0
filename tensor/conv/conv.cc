#include "tensor/conv/conv.h"

#include <vector>

#include "tensor/conv/calls.h"
#include "tensor/conv/cpu/passes.h"
#include "tensor/conv/cpu/weights.h"
#include "tensor/conv/cpu/winograd.h"
#include "tensor/conv/ref/conv.h"
#include "tensor/core/convert.h"
#include "tensor/core/kernel.h"

namespace voxgrad {
namespace {

using cpu::ConvAlgorithm;

void widened(const Conv3dForward& call);
void widened(const Conv3dBackwardData& call);
void widened(const Conv3dBackwardWeights& call);
void widened(const ConvTranspose3dForward& call);
void widened(const ConvTranspose3dBackwardData& call);
void widened(const ConvTranspose3dBackwardWeights& call);

template <class T>
std::vector<ref::Part<const T>> inputs(const ConvPart* x, int64_t parts) {
  std::vector<ref::Part<const T>> list;
  for (int64_t i = 0; i < parts; ++i) list.push_back({as<T>(x[i].data), x[i].channels});
  return list;
}
template <class T>
std::vector<ref::Part<T>> outputs(const ConvPart* x, int64_t parts) {
  std::vector<ref::Part<T>> list;
  for (int64_t i = 0; i < parts; ++i) list.push_back({as<T>(x[i].data), x[i].channels});
  return list;
}

// The kernels of the CPU, by algorithm. T is float or bf16. The weights are f32.
template <class T>
void compute(ConvAlgorithm how, const Conv3dForward& c) {
  cpu::conv3d_forward(how, cpu::conv_tables(cpu_isa()), c.problem, inputs<T>(c.x, c.parts), as<float>(c.w),
                      as<float>(c.bias), as<T>(c.y));
}
template <class T>
void compute(ConvAlgorithm how, const Conv3dBackwardData& c) {
  cpu::conv3d_backward_data(how, cpu::conv_tables(cpu_isa()), c.problem, as<T>(c.dy), as<float>(c.w),
                            outputs<T>(c.dx, c.parts));
}
template <class T>
void compute(ConvAlgorithm how, const Conv3dBackwardWeights& c) {
  cpu::conv3d_backward_weights(how, cpu::conv_tables(cpu_isa()), c.problem, inputs<T>(c.x, c.parts),
                               as<T>(c.dy), as<float>(c.dw), as<float>(c.dbias));
}
template <class T>
void compute(ConvAlgorithm how, const ConvTranspose3dForward& c) {
  cpu::conv_transpose3d_forward(how, cpu::conv_tables(cpu_isa()), c.problem, as<T>(c.x), as<float>(c.w),
                                as<float>(c.bias), as<T>(c.y));
}
template <class T>
void compute(ConvAlgorithm how, const ConvTranspose3dBackwardData& c) {
  cpu::conv_transpose3d_backward_data(how, cpu::conv_tables(cpu_isa()), c.problem, as<T>(c.dy),
                                      as<float>(c.w), as<T>(c.dx));
}
template <class T>
void compute(ConvAlgorithm how, const ConvTranspose3dBackwardWeights& c) {
  cpu::conv_transpose3d_backward_weights(how, cpu::conv_tables(cpu_isa()), c.problem, as<T>(c.x), as<T>(c.dy),
                                         as<float>(c.dw), as<float>(c.dbias));
}

template <ConvAlgorithm kHow, class Call>
void kernels(const Call& c) {
  if (c.type == DType::bf16)
    compute<bf16>(kHow, c);
  else
    compute<float>(kHow, c);
}

// The plain loops.
template <class T>
void plain_loop(const Conv3dForward& c) {
  ref::conv3d_forward(c.problem, inputs<T>(c.x, c.parts), as<T>(c.w), as<T>(c.bias), as<T>(c.y));
}
template <class T>
void plain_loop(const Conv3dBackwardData& c) {
  ref::conv3d_backward_data(c.problem, as<T>(c.dy), as<T>(c.w), outputs<T>(c.dx, c.parts));
}
template <class T>
void plain_loop(const Conv3dBackwardWeights& c) {
  ref::conv3d_backward_weights(c.problem, inputs<T>(c.x, c.parts), as<T>(c.dy), as<T>(c.dw), as<T>(c.dbias));
}
template <class T>
void plain_loop(const ConvTranspose3dForward& c) {
  ref::conv_transpose3d_forward(c.problem, as<T>(c.x), as<T>(c.w), as<T>(c.bias), as<T>(c.y));
}
template <class T>
void plain_loop(const ConvTranspose3dBackwardData& c) {
  ref::conv_transpose3d_backward_data(c.problem, as<T>(c.dy), as<T>(c.w), as<T>(c.dx));
}
template <class T>
void plain_loop(const ConvTranspose3dBackwardWeights& c) {
  ref::conv_transpose3d_backward_weights(c.problem, as<T>(c.x), as<T>(c.dy), as<T>(c.dw), as<T>(c.dbias));
}
template <class Call>
void plain(const Call& c) {
  visit_float(c.type, c.kOp, [&]<class T>(T) { plain_loop<T>(c); });
}

template <class Call>
const char* tiles_decline(const Call& c) {
  if (c.type != DType::bf16) return kOtherType;
  if (cpu_isa() < CpuIsa::amx) return "no AMX";
  return cpu::direct_conv_declines(c.problem);
}
template <class Call>
const char* winograd_declines(const Call& c) {
  const char* const why = simd_declines(c);
  return why ? why : cpu::winograd_declines(c.problem);
}
template <class Call>
const char* direct_declines(const Call& c) {
  const char* const why = simd_declines(c);
  return why ? why : cpu::direct_conv_declines(c.problem);
}

// The implementations of a pass. The preferred one comes first.
template <class Call>
constexpr Implementation<Call> kConv[] = {
    kCuda<Call>,
    {"tiles", tiles_decline, kernels<ConvAlgorithm::tiles>},
    {"Winograd", winograd_declines, kernels<ConvAlgorithm::winograd>},
    {"direct", direct_declines, kernels<ConvAlgorithm::direct>},
    {"widened to f32", widened_declines, widened},
    {"ref", nullptr, plain},
};
template <class Call>
constexpr Implementation<Call> kConvTranspose[] = {
    kCuda<Call>,
    {"tiles", tiles_decline, kernels<ConvAlgorithm::tiles>},
    {"direct", direct_declines, kernels<ConvAlgorithm::direct>},
    {"widened to f32", widened_declines, widened},
    {"ref", nullptr, plain},
};

// bf16 where no bf16 kernel takes a problem. The activations are widened to f32, which is exact. The weights
// are rounded as a bf16 kernel rounds them. The sums are computed in f32, and the results are rounded. So the
// numbers are those of a bf16 kernel except for the order of the sums.
int64_t places(const ConvProblem& p, const Triple& extent) { return p.n * extent[0] * extent[1] * extent[2]; }
int64_t in_places(const ConvProblem& p) { return places(p, p.in); }
int64_t out_places(const ConvProblem& p) { return places(p, p.out); }
int64_t weight_count(const ConvProblem& p) {
  return p.kernel[0] * p.kernel[1] * p.kernel[2] * p.cin * p.cout;
}

// f32 copies of parts. Where the data of a part is null, it stays null.
struct WidenedParts {
  std::vector<Widened> values;
  std::vector<ConvPart> parts;

  WidenedParts(const ConvProblem& p, const ConvPart* x, int64_t count, bool inputs) {
    for (int64_t i = 0; i < count; ++i) {
      const int64_t n = in_places(p) * x[i].channels;
      values.push_back(inputs || !x[i].data ? Widened(x[i].data, n) : Widened(n));
      parts.push_back({values.back().data(), x[i].channels});
    }
  }
};

void widened(const Conv3dForward& c) {
  const WidenedParts x(c.problem, c.x, c.parts, true);
  const Tensor w = rounded_to_bf16(as<float>(c.w), weight_count(c.problem));
  const Widened y(out_places(c.problem) * c.problem.cout);
  Conv3dForward f = c;
  f.type = DType::f32;
  f.x = x.parts.data();
  f.w = w.raw();
  f.y = y.data();
  run(kConv<Conv3dForward>, f);
  y.round_to(c.y);
}

void widened(const Conv3dBackwardData& c) {
  const Widened dy(c.dy, out_places(c.problem) * c.problem.cout);
  const Tensor w = rounded_to_bf16(as<float>(c.w), weight_count(c.problem));
  const WidenedParts dx(c.problem, c.dx, c.parts, false);
  Conv3dBackwardData f = c;
  f.type = DType::f32;
  f.dy = dy.data();
  f.w = w.raw();
  f.dx = dx.parts.data();
  run(kConv<Conv3dBackwardData>, f);
  for (int64_t i = 0; i < c.parts; ++i) dx.values[static_cast<size_t>(i)].round_to(c.dx[i].data);
}

void widened(const Conv3dBackwardWeights& c) {
  const WidenedParts x(c.problem, c.x, c.parts, true);
  const Widened dy(c.dy, out_places(c.problem) * c.problem.cout);
  Conv3dBackwardWeights f = c;
  f.type = DType::f32;
  f.x = x.parts.data();
  f.dy = dy.data();
  run(kConv<Conv3dBackwardWeights>, f);
}

void widened(const ConvTranspose3dForward& c) {
  const Widened x(c.x, in_places(c.problem) * c.problem.cin), y(out_places(c.problem) * c.problem.cout);
  const Tensor w = rounded_to_bf16(as<float>(c.w), weight_count(c.problem));
  ConvTranspose3dForward f = c;
  f.type = DType::f32;
  f.x = x.data();
  f.w = w.raw();
  f.y = y.data();
  run(kConvTranspose<ConvTranspose3dForward>, f);
  y.round_to(c.y);
}

void widened(const ConvTranspose3dBackwardData& c) {
  const Widened dy(c.dy, out_places(c.problem) * c.problem.cout), dx(in_places(c.problem) * c.problem.cin);
  const Tensor w = rounded_to_bf16(as<float>(c.w), weight_count(c.problem));
  ConvTranspose3dBackwardData f = c;
  f.type = DType::f32;
  f.dy = dy.data();
  f.w = w.raw();
  f.dx = dx.data();
  run(kConvTranspose<ConvTranspose3dBackwardData>, f);
  dx.round_to(c.dx);
}

void widened(const ConvTranspose3dBackwardWeights& c) {
  const Widened x(c.x, in_places(c.problem) * c.problem.cin),
      dy(c.dy, out_places(c.problem) * c.problem.cout);
  ConvTranspose3dBackwardWeights f = c;
  f.type = DType::f32;
  f.x = x.data();
  f.dy = dy.data();
  run(kConvTranspose<ConvTranspose3dBackwardWeights>, f);
}

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

// Weights have the type that parameters have beside these activations. On a CUDA device they may be bf16 too.
DType weight_type(const Tensor& activations, const Tensor& w) {
  const bool in_bf16 = activations.device().is_cuda() && activations.dtype() == DType::bf16 && w.defined() &&
                       w.dtype() == DType::bf16;
  return in_bf16 ? DType::bf16 : parameter_dtype(activations.dtype());
}

ConvMode mode() { return {device_options().tf32, !device_options().nondeterministic}; }

void expect_bias(const ConvProblem& p, const Tensor& bias, DType dtype, const char* op) {
  if (bias.defined()) expect(bias, {p.cout}, dtype, op, "bias");
}

std::vector<ConvPart> parts_of(std::span<const Tensor> x) {
  std::vector<ConvPart> parts;
  for (const Tensor& t : x) parts.push_back({t.raw(), t.dim(4)});
  return parts;
}

// The wanted gradients with the width of each input, which follows from the tensors, `channels`, and cin.
std::vector<ConvPart> gradient_parts(const ConvProblem& p, std::span<Tensor> dx,
                                     std::span<const int64_t> channels, DType dtype) {
  const char* const op = Conv3dBackwardData::kOp;
  require(channels.empty() || channels.size() == dx.size(), "[", op, "] expected ", dx.size(),
          " channel counts, got ", channels.size());
  std::vector<ConvPart> parts;
  int64_t known = 0, unknown = 0;
  for (size_t i = 0; i < dx.size(); ++i) {
    ConvPart part{nullptr, channels.empty() ? 0 : channels[i]};
    if (dx[i].defined()) {
      require(dx[i].rank() == 5, "[", op, "] expected gradients of rank 5, got ", dx[i].shape());
      const int64_t width = channels.empty() ? dx[i].dim(4) : channels[i];
      expect(dx[i], volume(p.n, p.in, width), dtype, op, "dx");
      part = {dx[i].raw(), width};
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

void* optional(const Tensor* t) { return t && t->defined() ? t->raw() : nullptr; }

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
  const char* const op = Conv3dForward::kOp;
  const DType t = y.dtype(), tw = weight_type(y, w);
  expect(w, weights(p), tw, op, "weights");
  expect_inputs(p, x, t, op);
  expect_bias(p, bias, tw, op);
  expect(y, volume(p.n, p.out, p.cout), t, op, "y");
  const auto parts = parts_of(x);
  run(kConv<Conv3dForward>, {.device = device_of(y, w, bias, x[0], x.back()),
                             .type = t,
                             .weight_type = tw,
                             .mode = mode(),
                             .problem = p,
                             .x = parts.data(),
                             .parts = static_cast<int64_t>(parts.size()),
                             .w = w.raw(),
                             .bias = optional(&bias),
                             .y = y.raw()});
}

void conv3d_backward_data(const ConvProblem& p, const Tensor& dy, const Tensor& w, std::span<Tensor> dx,
                          std::span<const int64_t> channels) {
  const char* const op = Conv3dBackwardData::kOp;
  const DType t = dy.dtype(), tw = weight_type(dy, w);
  expect(w, weights(p), tw, op, "weights");
  expect(dy, volume(p.n, p.out, p.cout), t, op, "dy");
  const auto parts = gradient_parts(p, dx, channels, t);
  run(kConv<Conv3dBackwardData>, {.device = device_of(dy, w),
                                  .type = t,
                                  .weight_type = tw,
                                  .mode = mode(),
                                  .problem = p,
                                  .dy = dy.raw(),
                                  .w = w.raw(),
                                  .dx = parts.data(),
                                  .parts = static_cast<int64_t>(parts.size())});
}

void conv3d_backward_weights(const ConvProblem& p, std::span<const Tensor> x, const Tensor& dy, Tensor& dw,
                             Tensor* dbias) {
  const char* const op = Conv3dBackwardWeights::kOp;
  const DType t = dy.dtype(), tw = weight_type(dy, dw);
  expect(dy, volume(p.n, p.out, p.cout), t, op, "dy");
  expect_inputs(p, x, t, op);
  expect(dw, weights(p), tw, op, "dw");
  if (dbias) expect(*dbias, {p.cout}, tw, op, "dbias");
  const auto parts = parts_of(x);
  run(kConv<Conv3dBackwardWeights>, {.device = device_of(dy, dw, x[0], x.back()),
                                     .type = t,
                                     .weight_type = tw,
                                     .mode = mode(),
                                     .problem = p,
                                     .x = parts.data(),
                                     .parts = static_cast<int64_t>(parts.size()),
                                     .dy = dy.raw(),
                                     .dw = dw.raw(),
                                     .dbias = optional(dbias)});
}

void conv_transpose3d_forward(const ConvProblem& p, const Tensor& x, const Tensor& w, const Tensor& bias,
                              Tensor& y) {
  const char* const op = ConvTranspose3dForward::kOp;
  const DType t = x.dtype(), tw = weight_type(x, w);
  expect(w, weights(p), tw, op, "weights");
  expect(x, volume(p.n, p.in, p.cin), t, op, "x");
  expect_bias(p, bias, tw, op);
  expect(y, volume(p.n, p.out, p.cout), t, op, "y");
  run(kConvTranspose<ConvTranspose3dForward>, {.device = device_of(x, w, bias, y),
                                               .type = t,
                                               .weight_type = tw,
                                               .mode = mode(),
                                               .problem = p,
                                               .x = x.raw(),
                                               .w = w.raw(),
                                               .bias = optional(&bias),
                                               .y = y.raw()});
}

void conv_transpose3d_backward_data(const ConvProblem& p, const Tensor& dy, const Tensor& w, Tensor& dx) {
  const char* const op = ConvTranspose3dBackwardData::kOp;
  const DType t = dy.dtype(), tw = weight_type(dy, w);
  expect(w, weights(p), tw, op, "weights");
  expect(dy, volume(p.n, p.out, p.cout), t, op, "dy");
  expect(dx, volume(p.n, p.in, p.cin), t, op, "dx");
  run(kConvTranspose<ConvTranspose3dBackwardData>, {.device = device_of(dy, w, dx),
                                                    .type = t,
                                                    .weight_type = tw,
                                                    .mode = mode(),
                                                    .problem = p,
                                                    .dy = dy.raw(),
                                                    .w = w.raw(),
                                                    .dx = dx.raw()});
}

void conv_transpose3d_backward_weights(const ConvProblem& p, const Tensor& x, const Tensor& dy, Tensor& dw,
                                       Tensor* dbias) {
  const char* const op = ConvTranspose3dBackwardWeights::kOp;
  const DType t = dy.dtype(), tw = weight_type(dy, dw);
  expect(dy, volume(p.n, p.out, p.cout), t, op, "dy");
  expect(x, volume(p.n, p.in, p.cin), t, op, "x");
  expect(dw, weights(p), tw, op, "dw");
  if (dbias) expect(*dbias, {p.cout}, tw, op, "dbias");
  run(kConvTranspose<ConvTranspose3dBackwardWeights>, {.device = device_of(x, dy, dw),
                                                       .type = t,
                                                       .weight_type = tw,
                                                       .mode = mode(),
                                                       .problem = p,
                                                       .x = x.raw(),
                                                       .dy = dy.raw(),
                                                       .dw = dw.raw(),
                                                       .dbias = optional(dbias)});
}

std::string convolution_report(const Device& device) {
  if (!device.is_cuda()) return {};
  uint64_t size = 0;
  run_on_cuda(ConvReport{device, nullptr, 0, &size});
  std::string text(size + 1, '\0');
  run_on_cuda(ConvReport{device, text.data(), text.size(), &size});
  text.resize(size);
  return text;
}

}  // namespace voxgrad
