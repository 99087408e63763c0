// A convolution as a problem to plan: what an implementation needs to know before it sees data, and the key
// under which its plan is kept. This header needs no CUDA, so tests run it on the host.
#pragma once
#include <cstdio>
#include <string>

#include "tensor/conv/calls.h"
#include "tensor/core/cuda/module.h"

namespace voxgrad::cuda {

/// Extents along D, H, W, in the form that kernels take. For a transposed convolution kernel == stride,
/// pad == 0 and out == in * stride.
struct ConvShape {
  int64_t n, in[3], out[3], kernel[3], stride[3], pad[3], cin, cout;
};
using Part = ConvPart;

enum class Pass { forward, backward_data, backward_weights };
constexpr int kMaxParts = 4;

struct ConvPlanProblem {
  Pass pass;
  ConvShape shape;
  int parts;
  int64_t channels[kMaxParts];  ///< of each part of x
  DType type, weight_type;
  bool tf32, deterministic;
  bool swapped;  ///< weights are stored [taps, cout, cin]: a transposed convolution, computed as its adjoint

  int64_t taps() const { return shape.kernel[0] * shape.kernel[1] * shape.kernel[2]; }
  int64_t in_places() const { return shape.n * shape.in[0] * shape.in[1] * shape.in[2]; }
  int64_t out_places() const { return shape.n * shape.out[0] * shape.out[1] * shape.out[2]; }
  /// The distance in w between two input channels, and between two output channels.
  int64_t in_step() const { return swapped ? 1 : shape.cout; }
  int64_t out_step() const { return swapped ? shape.cin : 1; }
  int64_t weights() const { return taps() * shape.cin * shape.cout; }
};

inline const char* name_of(Pass p) {
  return p == Pass::forward ? "forward" : p == Pass::backward_data ? "backward-data" : "backward-weights";
}

/// All that a plan depends on, in readable form. It is the key of the cache and the line of the report.
inline std::string plan_key(const ConvPlanProblem& p) {
  const ConvShape& s = p.shape;
  char text[320];
  const auto i = [](int64_t v) { return static_cast<long long>(v); };
  int n =
      std::snprintf(text, sizeof text,
                    "%s%s %s w %s%s%s n%lld in %lldx%lldx%lld out %lldx%lldx%lld kernel %lldx%lldx%lld "
                    "stride %lldx%lldx%lld pad %lldx%lldx%lld channels ",
                    p.swapped ? "transposed " : "", name_of(p.pass), std::string(name_of(p.type)).c_str(),
                    std::string(name_of(p.weight_type)).c_str(), p.tf32 ? " tf32" : "",
                    p.deterministic ? "" : " nondeterministic", i(s.n), i(s.in[0]), i(s.in[1]), i(s.in[2]),
                    i(s.out[0]), i(s.out[1]), i(s.out[2]), i(s.kernel[0]), i(s.kernel[1]), i(s.kernel[2]),
                    i(s.stride[0]), i(s.stride[1]), i(s.stride[2]), i(s.pad[0]), i(s.pad[1]), i(s.pad[2]));
  std::string key(text, static_cast<size_t>(n));
  for (int k = 0; k < p.parts; ++k) key.append(k ? "+" : "").append(std::to_string(p.channels[k]));
  return key + " -> " + std::to_string(s.cout);
}

/// The convolution whose adjoint a transposed convolution is. The output of one is the input of the other.
inline ConvShape adjoint_shape(const ConvShape& t) {
  ConvShape s = t;
  for (int k = 0; k < 3; ++k) {
    s.in[k] = t.out[k];
    s.out[k] = t.in[k];
  }
  s.cin = t.cout;
  s.cout = t.cin;
  return s;
}

/// Whether a problem is of the kind that the project's own kernels for tensor cores are made for: bf16, 3x3x3
/// or 1x3x3, stride 1, the same extents of input and output.
inline bool mma_kind(const ConvPlanProblem& p) {
  const ConvShape& s = p.shape;
  bool fits = p.type == DType::bf16 && !p.swapped && (s.kernel[0] == 1 || s.kernel[0] == 3) &&
              s.kernel[1] == 3 && s.kernel[2] == 3;
  for (int k = 0; k < 3; ++k) fits = fits && s.stride[k] == 1 && s.pad[k] == s.kernel[k] / 2;
  return fits;
}
/// Why these kernels still do not take a problem, or nothing where they do. Deep layers have few places and
/// many channels. There the kernels of a library split the work better.
inline std::string mma_misfit(const ConvPlanProblem& p) {
  for (int k = 0; k < p.parts; ++k)
    if (p.channels[k] % 16 != 0) return "a part of " + std::to_string(p.channels[k]) + " channels";
  if (p.shape.cout % 16 != 0) return std::to_string(p.shape.cout) + " output channels";
  if (p.shape.cin > 64 || p.shape.cout > 64) return "made for at most 64 channels";
  return {};
}
/// Whether the channels of every part are a multiple of 32.
inline bool wide_inputs(const ConvPlanProblem& p) {
  bool wide = true;
  for (int k = 0; k < p.parts; ++k) wide = wide && p.channels[k] % 32 == 0;
  return wide;
}

/// The largest error a plan may show against the f32 reference. The error is the root mean square of the
/// difference, or an eighth of the largest difference where that is more, over the root mean square of the
/// values. The bounds leave room for this:
///   f32   sums of up to 1e7 products in another order; the bound must refuse TF32 inputs, which are rounded
///         to 11 bits (about 3e-4)
///   bf16  results are rounded to 8 bits, and twice where two parts add
inline double allowed_error(const ConvPlanProblem& p) {
  if (p.type == DType::bf16) return 6e-3;
  if (p.tf32) return 2e-3;
  return p.pass == Pass::backward_weights ? 1e-4 : 2e-5;
}

}  // namespace voxgrad::cuda
