#include "tensor/conv/cpu/passes.h"

#include <algorithm>

#include "tensor/conv/cpu/direct.h"
#include "tensor/conv/cpu/tiles.h"
#include "tensor/conv/cpu/winograd.h"

namespace voxgrad::cpu {
namespace {

using ref::Part;

template <class T>
const ConvBf16Kernels* bf16_of(const ConvTables& k) {
  return std::is_same_v<T, float> ? nullptr : k.bf16;
}

void compute(ConvAlgorithm how, const ConvTables& k, std::span<const DirectConv> passes) {
  if (how == ConvAlgorithm::tiles) return tile_conv(*k.tiles, passes);
  if (how == ConvAlgorithm::winograd) return winograd_conv(k, passes[0]);
  direct_conv(k, passes);
}

// The inputs of a pass as the kernels need them. In bf16 the direct kernels read pairs of channels, so an
// input with an odd number of channels is copied with one more channel of zeros. Winograd's kernels and those
// on tiles read numbers and need no copy. (Few inputs have an odd number of channels: images, and gradients
// of the heads.)
template <class T>
struct Inputs {
  std::vector<DirectInput> list;
  std::vector<Tensor> copies;

  Inputs(const std::vector<Part<const T>>& x, int64_t places, bool numbers = false) {
    for (const auto& part : x) {
      const T* data = part.data;
      if constexpr (!std::is_same_v<T, float>)
        if (part.channels % 2 && !numbers) data = even(part, places);
      constexpr int64_t kNumbers = sizeof(float) / sizeof(T);  // of an element
      list.push_back(
          {reinterpret_cast<const float*>(data), (part.channels + kNumbers - 1) / kNumbers, part.channels});
    }
  }

 private:
  const T* even(const Part<const T>& part, int64_t places) {
    const int64_t from = part.channels, to = from + 1;
    copies.push_back(Tensor::empty({places, to}, dtype_of<T>()));
    T* const out = copies.back().template mutable_data<T>();
    parallel_ranges(places, 16384, [&](int64_t begin, int64_t end) {
      const T* in = part.data + begin * from;
      for (T* o = out + begin * to; o != out + end * to; o += to, in += from) {
        for (int64_t c = 0; c < from; ++c) o[c] = in[c];
        o[from] = T();
      }
    });
    return out;
  }
};

int64_t places(int64_t n, const Triple& t) { return n * t[0] * t[1] * t[2]; }

template <class T>
void set_outputs(DirectConv& c, const std::vector<Part<T>>& y) {
  for (const auto& part : y) c.y.push_back({part.data, part.channels});
}

// The taps of one axis for the gradient with respect to the places i = stride * j + parity. These are
// the taps t for which (i + pad - t) is a multiple of the stride. They read dy at j + (parity + pad -
// t) / stride.
AxisTaps backward_taps(int64_t kernel, int64_t stride, int64_t pad, int64_t parity) {
  AxisTaps taps;
  for (int64_t t = kernel - 1; t >= 0; --t) {
    const int64_t d = parity + pad - t;
    if (((d % stride) + stride) % stride != 0) continue;
    taps.offset[static_cast<size_t>(taps.count)] = d / stride;
    taps.source[static_cast<size_t>(taps.count++)] = t;
  }
  return taps;
}

// Calls f(parity along D, H, W) for each class of places of a grid that has this stride.
template <class F>
void for_each_parity(const Triple& stride, F&& f) {
  for (int64_t a = 0; a < stride[0]; ++a)
    for (int64_t b = 0; b < stride[1]; ++b)
      for (int64_t c = 0; c < stride[2]; ++c) f(Triple{a, b, c});
}

}  // namespace

AxisTaps forward_taps(int64_t kernel, int64_t pad) {
  AxisTaps taps;
  for (int64_t t = 0; t < kernel; ++t) {
    taps.offset[static_cast<size_t>(t)] = t - pad;
    taps.source[static_cast<size_t>(t)] = t;
  }
  taps.count = static_cast<int>(kernel);
  return taps;
}

const char* direct_conv_declines(const ConvProblem& p) {
  for (size_t i = 0; i < 3; ++i) {
    if (p.kernel[i] > 3) return "kernel above 3";
    if (p.stride[i] > 2) return "stride above 2";
  }
  if (p.cin == 0 || p.cout == 0 || p.n == 0) return "empty";
  return nullptr;
}

template <class T>
void conv3d_forward(ConvAlgorithm how, const ConvTables& k, const ConvProblem& p,
                    const std::vector<Part<const T>>& x, const float* w, const float* bias, T* y) {
  const Inputs<T> inputs(x, places(p.n, p.in), how != ConvAlgorithm::direct);
  DirectConv c{};
  c.bf16 = bf16_of<T>(k);
  c.n = p.n;
  c.grid = c.out = p.out;
  c.stride = p.stride;
  c.in = p.in;
  for (size_t i = 0; i < 3; ++i) c.taps[i] = forward_taps(p.kernel[i], p.pad[i]);
  c.x = inputs.list;
  set_outputs<T>(c, {{y, p.cout}});
  c.out_step = {1, 1, 1};
  c.bias = bias;
  c.w = w;
  c.kernel = p.kernel;
  c.w_tap = p.cin * p.cout;
  c.w_channel_in = p.cout;
  c.w_channel_out = 1;
  compute(how, k, {&c, 1});
}

template <class T>
void conv3d_backward_data(ConvAlgorithm how, const ConvTables& k, const ConvProblem& p, const T* dy,
                          const float* w, const std::vector<Part<T>>& dx) {
  const Inputs<T> inputs({{dy, p.cout}}, places(p.n, p.out), how != ConvAlgorithm::direct);
  std::vector<DirectConv> classes;
  for_each_parity(p.stride, [&](const Triple& parity) {
    DirectConv c{};
    c.bf16 = bf16_of<T>(k);
    c.n = p.n;
    c.stride = {1, 1, 1};
    c.in = p.out;
    for (size_t i = 0; i < 3; ++i) {
      c.grid[i] = (p.in[i] - parity[i] + p.stride[i] - 1) / p.stride[i];
      c.taps[i] = backward_taps(p.kernel[i], p.stride[i], p.pad[i], parity[i]);
    }
    c.x = inputs.list;
    set_outputs(c, dx);
    c.out = p.in;
    c.out_step = p.stride;
    c.out_first = parity;
    c.w = w;
    c.kernel = p.kernel;
    c.w_tap = p.cin * p.cout;
    c.w_channel_in = 1;
    c.w_channel_out = p.cout;
    classes.push_back(c);
  });
  compute(how, k, classes);
}

template <class T>
void conv_transpose3d_forward(ConvAlgorithm how, const ConvTables& k, const ConvProblem& p, const T* x,
                              const float* w, const float* bias, T* y) {
  const Inputs<T> inputs({{x, p.cin}}, places(p.n, p.in), how != ConvAlgorithm::direct);
  std::vector<DirectConv> classes;
  for_each_parity(p.stride, [&](const Triple& parity) {
    DirectConv c{};
    c.bf16 = bf16_of<T>(k);
    c.n = p.n;
    c.stride = {1, 1, 1};
    c.grid = c.in = p.in;
    for (size_t i = 0; i < 3; ++i) c.taps[i] = {1, {}, {parity[i]}};
    c.x = inputs.list;
    set_outputs<T>(c, {{y, p.cout}});
    c.out = p.out;
    c.out_step = p.stride;
    c.out_first = parity;
    c.bias = bias;
    c.w = w;
    c.kernel = p.kernel;
    c.w_tap = p.cin * p.cout;
    c.w_channel_in = p.cout;
    c.w_channel_out = 1;
    classes.push_back(c);
  });
  compute(how, k, classes);
}

template <class T>
void conv_transpose3d_backward_data(ConvAlgorithm how, const ConvTables& k, const ConvProblem& p, const T* dy,
                                    const float* w, T* dx) {
  const Inputs<T> inputs({{dy, p.cout}}, places(p.n, p.out), how != ConvAlgorithm::direct);
  DirectConv c{};
  c.bf16 = bf16_of<T>(k);
  c.n = p.n;
  c.grid = c.out = p.in;
  c.stride = p.stride;
  c.in = p.out;
  for (size_t i = 0; i < 3; ++i) c.taps[i] = forward_taps(p.kernel[i], 0);
  c.x = inputs.list;
  set_outputs<T>(c, {{dx, p.cin}});
  c.out_step = {1, 1, 1};
  c.w = w;
  c.kernel = p.kernel;
  c.w_tap = p.cin * p.cout;
  c.w_channel_in = 1;
  c.w_channel_out = p.cout;
  compute(how, k, {&c, 1});
}

#define VOXGRAD_PASSES(T)                                                                                \
  template void conv3d_forward(ConvAlgorithm, const ConvTables&, const ConvProblem&,                     \
                               const std::vector<Part<const T>>&, const float*, const float*, T*);       \
  template void conv3d_backward_data(ConvAlgorithm, const ConvTables&, const ConvProblem&, const T*,     \
                                     const float*, const std::vector<Part<T>>&);                         \
  template void conv_transpose3d_forward(ConvAlgorithm, const ConvTables&, const ConvProblem&, const T*, \
                                         const float*, const float*, T*);                                \
  template void conv_transpose3d_backward_data(ConvAlgorithm, const ConvTables&, const ConvProblem&,     \
                                               const T*, const float*, T*);
VOXGRAD_PASSES(float)
VOXGRAD_PASSES(bf16)
#undef VOXGRAD_PASSES

}  // namespace voxgrad::cpu
