#include <vector>

#include "tensor/core/gpu.h"
#include "tensor/core/trace.h"

namespace voxgrad::gpu {
namespace {

void copy3(const Triple& from, int64_t (&to)[3]) {
  for (size_t k = 0; k < 3; ++k) to[k] = from[k];
}

cuda::ConvCall make_call(const ConvProblem& p, DType type, DType weight_type) {
  cuda::ConvCall c{};
  c.shape.n = p.n;
  copy3(p.in, c.shape.in);
  copy3(p.out, c.shape.out);
  copy3(p.kernel, c.shape.kernel);
  copy3(p.stride, c.shape.stride);
  copy3(p.pad, c.shape.pad);
  c.shape.cin = p.cin;
  c.shape.cout = p.cout;
  c.type = type;
  c.weight_type = weight_type;
  c.tf32 = device_options().tf32;
  c.deterministic = !device_options().nondeterministic;
  return c;
}

std::vector<cuda::Part> parts_of(std::span<const Tensor> x) {
  std::vector<cuda::Part> parts;
  for (const Tensor& t : x) parts.push_back({t.raw(), t.dim(4)});
  return parts;
}

int32_t count(const std::vector<cuda::Part>& parts) { return static_cast<int32_t>(parts.size()); }
void* raw(const Tensor& t) { return t.defined() ? t.raw() : nullptr; }
void* raw(const Tensor* t) { return t ? raw(*t) : nullptr; }

void report(const char* op, const ConvProblem& p, const Tensor& t) {
  if (tracing()) trace({"kernel", op, cat(p.str(), " ", t.device().str()), 0, p.flops()});
}

}  // namespace

void conv3d_forward(const ConvProblem& p, std::span<const Tensor> x, const Tensor& w, const Tensor& bias,
                    Tensor& y) {
  report("conv3d_forward", p, y);
  const auto parts = parts_of(x);
  const cuda::ConvCall c = make_call(p, y.dtype(), w.dtype());
  check(module().conv.forward(context(y.device()), &c, parts.data(), count(parts), w.raw(), raw(bias),
                              y.raw()));
}

void conv3d_backward_data(const ConvProblem& p, const Tensor& dy, const Tensor& w, std::span<Tensor> dx,
                          std::span<const int64_t> channels) {
  report("conv3d_backward_data", p, dy);
  std::vector<cuda::Part> parts;
  int64_t known = 0;
  for (size_t i = 0; i < dx.size(); ++i) {
    parts.push_back({raw(dx[i]), dx[i].defined() ? dx[i].dim(4) : channels.empty() ? 0 : channels[i]});
    known += parts.back().channels;
  }
  for (cuda::Part& part : parts)
    if (part.channels == 0) part.channels = p.cin - known, known = p.cin;
  const cuda::ConvCall c = make_call(p, dy.dtype(), w.dtype());
  check(module().conv.backward_data(context(dy.device()), &c, dy.raw(), w.raw(), parts.data(), count(parts)));
}

void conv3d_backward_weights(const ConvProblem& p, std::span<const Tensor> x, const Tensor& dy, Tensor& dw,
                             Tensor* dbias) {
  report("conv3d_backward_weights", p, dy);
  const auto parts = parts_of(x);
  const cuda::ConvCall c = make_call(p, dy.dtype(), dw.dtype());
  check(module().conv.backward_weights(context(dy.device()), &c, parts.data(), count(parts), dy.raw(),
                                       dw.raw(), raw(dbias)));
}

void conv_transpose3d_forward(const ConvProblem& p, const Tensor& x, const Tensor& w, const Tensor& bias,
                              Tensor& y) {
  report("conv_transpose3d_forward", p, y);
  const cuda::ConvCall c = make_call(p, y.dtype(), w.dtype());
  check(module().conv.transpose_forward(context(y.device()), &c, x.raw(), w.raw(), raw(bias), y.raw()));
}

void conv_transpose3d_backward_data(const ConvProblem& p, const Tensor& dy, const Tensor& w, Tensor& dx) {
  report("conv_transpose3d_backward_data", p, dy);
  const cuda::ConvCall c = make_call(p, dy.dtype(), w.dtype());
  check(module().conv.transpose_backward_data(context(dy.device()), &c, dy.raw(), w.raw(), dx.raw()));
}

void conv_transpose3d_backward_weights(const ConvProblem& p, const Tensor& x, const Tensor& dy, Tensor& dw,
                                       Tensor* dbias) {
  report("conv_transpose3d_backward_weights", p, dy);
  const cuda::ConvCall c = make_call(p, dy.dtype(), dw.dtype());
  check(module().conv.transpose_backward_weights(context(dy.device()), &c, x.raw(), dy.raw(), dw.raw(),
                                                 raw(dbias)));
}

std::string conv_report(const Device& device) {
  uint64_t size = 0;
  check(module().conv.report(context(device), nullptr, 0, &size));
  std::string text(size + 1, '\0');
  check(module().conv.report(context(device), text.data(), text.size(), &size));
  text.resize(size);
  return text;
}

}  // namespace voxgrad::gpu
