// Convolutions as plain loops. They are the definition, the reference of the tests, and the kernels for f64.
// Read conv3d_forward first. The two backward passes visit the same pairs of an output place and a tap.
#pragma once
#include <algorithm>
#include <vector>

#include "tensor/conv/conv.h"
#include "tensor/core/parallel.h"

namespace voxgrad::ref {

/// A convolution may have several inputs, which count as if they were concatenated along the channels. A part
/// is one of them: element (place, c) is data[place * channels + c].
template <class T>
struct Part {
  T* data;  ///< null: not wanted
  int64_t channels;
};

/// The flat index of place (z, y, x) of sample n in a volume of these extents.
inline int64_t place(const Triple& extent, int64_t n, int64_t z, int64_t y, int64_t x) {
  return ((n * extent[0] + z) * extent[1] + y) * extent[2] + x;
}

/// Calls f(tap, input place) for each tap of output place (z, y, x) that lies inside the input volume.
template <class F>
void for_each_tap(const ConvProblem& p, int64_t n, int64_t z, int64_t y, int64_t x, F&& f) {
  for (int64_t a = 0; a < p.kernel[0]; ++a)
    for (int64_t b = 0; b < p.kernel[1]; ++b)
      for (int64_t c = 0; c < p.kernel[2]; ++c) {
        const int64_t iz = z * p.stride[0] - p.pad[0] + a;
        const int64_t iy = y * p.stride[1] - p.pad[1] + b;
        const int64_t ix = x * p.stride[2] - p.pad[2] + c;
        if (iz < 0 || iz >= p.in[0] || iy < 0 || iy >= p.in[1] || ix < 0 || ix >= p.in[2]) continue;
        f((a * p.kernel[1] + b) * p.kernel[2] + c, place(p.in, n, iz, iy, ix));
      }
}

/// y = bias + x * w. `bias` may be null.
template <class T>
void conv3d_forward(const ConvProblem& p, const std::vector<Part<const T>>& x, const T* w, const T* bias,
                    T* y) {
  parallel_for(p.n * p.out[0], [&](int64_t plane) {
    const int64_t n = plane / p.out[0], z = plane % p.out[0];
    for (int64_t yy = 0; yy < p.out[1]; ++yy)
      for (int64_t xx = 0; xx < p.out[2]; ++xx) {
        T* const out = y + place(p.out, n, z, yy, xx) * p.cout;
        for (int64_t o = 0; o < p.cout; ++o) out[o] = bias ? bias[o] : T(0);
        for_each_tap(p, n, z, yy, xx, [&](int64_t tap, int64_t from) {
          const T* row = w + tap * p.cin * p.cout;  // weights of this tap, one row of Cout per input channel
          for (const auto& part : x)
            for (int64_t c = 0; c < part.channels; ++c, row += p.cout) {
              const T v = part.data[from * part.channels + c];
              for (int64_t o = 0; o < p.cout; ++o) out[o] += v * row[o];
            }
        });
      }
  });
}

/// dx[n, z * stride - pad + t, c] += sum over o of dy[n, z, o] * w[t, c, o].
template <class T>
void conv3d_backward_data(const ConvProblem& p, const T* dy, const T* w, const std::vector<Part<T>>& dx) {
  for (const auto& part : dx)
    if (part.data) std::fill_n(part.data, p.n * p.in[0] * p.in[1] * p.in[2] * part.channels, T(0));
  parallel_for(p.n, [&](int64_t n) {
    for (int64_t z = 0; z < p.out[0]; ++z)
      for (int64_t yy = 0; yy < p.out[1]; ++yy)
        for (int64_t xx = 0; xx < p.out[2]; ++xx) {
          const T* const g = dy + place(p.out, n, z, yy, xx) * p.cout;
          for_each_tap(p, n, z, yy, xx, [&](int64_t tap, int64_t to) {
            const T* row = w + tap * p.cin * p.cout;
            for (const auto& part : dx)
              for (int64_t c = 0; c < part.channels; ++c, row += p.cout) {
                if (!part.data) continue;
                T sum = 0;
                for (int64_t o = 0; o < p.cout; ++o) sum += g[o] * row[o];
                part.data[to * part.channels + c] += sum;
              }
          });
        }
  });
}

/// dw[t, c, o] = sum over n, z of x[n, z * stride - pad + t, c] * dy[n, z, o]; dbias[o] = sum of dy[n, z, o].
/// There is one task for each tap, so no two threads write the same weight.
template <class T>
void conv3d_backward_weights(const ConvProblem& p, const std::vector<Part<const T>>& x, const T* dy, T* dw,
                             T* dbias) {
  const int64_t taps = p.kernel[0] * p.kernel[1] * p.kernel[2];
  std::fill_n(dw, taps * p.cin * p.cout, T(0));
  parallel_for(taps, [&](int64_t tap) {
    for (int64_t n = 0; n < p.n; ++n)
      for (int64_t z = 0; z < p.out[0]; ++z)
        for (int64_t yy = 0; yy < p.out[1]; ++yy)
          for (int64_t xx = 0; xx < p.out[2]; ++xx) {
            const T* const g = dy + place(p.out, n, z, yy, xx) * p.cout;
            for_each_tap(p, n, z, yy, xx, [&](int64_t t, int64_t from) {
              if (t != tap) return;
              T* row = dw + tap * p.cin * p.cout;
              for (const auto& part : x)
                for (int64_t c = 0; c < part.channels; ++c, row += p.cout) {
                  const T v = part.data[from * part.channels + c];
                  for (int64_t o = 0; o < p.cout; ++o) row[o] += v * g[o];
                }
            });
          }
  });
  if (!dbias) return;
  std::fill_n(dbias, p.cout, T(0));
  for (int64_t v = 0; v < p.n * p.out[0] * p.out[1] * p.out[2]; ++v)
    for (int64_t o = 0; o < p.cout; ++o) dbias[o] += dy[v * p.cout + o];
}

/// Calls f(tap, output place) for each output that input place (z, y, x) of a transposed convolution adds to.
/// These outputs are a block that belongs to this input place alone.
template <class F>
void for_each_output(const ConvProblem& p, int64_t n, int64_t z, int64_t y, int64_t x, F&& f) {
  for (int64_t a = 0; a < p.kernel[0]; ++a)
    for (int64_t b = 0; b < p.kernel[1]; ++b)
      for (int64_t c = 0; c < p.kernel[2]; ++c)
        f((a * p.kernel[1] + b) * p.kernel[2] + c,
          place(p.out, n, z * p.stride[0] + a, y * p.stride[1] + b, x * p.stride[2] + c));
}

template <class F>
void for_each_input(const ConvProblem& p, F&& f) {
  parallel_for(p.n * p.in[0], [&](int64_t plane) {
    for (int64_t y = 0; y < p.in[1]; ++y)
      for (int64_t x = 0; x < p.in[2]; ++x) f(plane / p.in[0], plane % p.in[0], y, x);
  });
}

template <class T>
void conv_transpose3d_forward(const ConvProblem& p, const T* x, const T* w, const T* bias, T* y) {
  for_each_input(p, [&](int64_t n, int64_t z, int64_t yy, int64_t xx) {
    const T* const in = x + place(p.in, n, z, yy, xx) * p.cin;
    for_each_output(p, n, z, yy, xx, [&](int64_t tap, int64_t to) {
      T* const out = y + to * p.cout;
      for (int64_t o = 0; o < p.cout; ++o) out[o] = bias ? bias[o] : T(0);
      for (int64_t c = 0; c < p.cin; ++c)
        for (int64_t o = 0; o < p.cout; ++o) out[o] += in[c] * w[(tap * p.cin + c) * p.cout + o];
    });
  });
}

template <class T>
void conv_transpose3d_backward_data(const ConvProblem& p, const T* dy, const T* w, T* dx) {
  for_each_input(p, [&](int64_t n, int64_t z, int64_t yy, int64_t xx) {
    T* const in = dx + place(p.in, n, z, yy, xx) * p.cin;
    for (int64_t c = 0; c < p.cin; ++c) in[c] = 0;
    for_each_output(p, n, z, yy, xx, [&](int64_t tap, int64_t to) {
      const T* const g = dy + to * p.cout;
      for (int64_t c = 0; c < p.cin; ++c)
        for (int64_t o = 0; o < p.cout; ++o) in[c] += g[o] * w[(tap * p.cin + c) * p.cout + o];
    });
  });
}

template <class T>
void conv_transpose3d_backward_weights(const ConvProblem& p, const T* x, const T* dy, T* dw, T* dbias) {
  const int64_t taps = p.kernel[0] * p.kernel[1] * p.kernel[2];
  std::fill_n(dw, taps * p.cin * p.cout, T(0));
  parallel_for(taps, [&](int64_t tap) {
    for (int64_t n = 0; n < p.n; ++n)
      for (int64_t z = 0; z < p.in[0]; ++z)
        for (int64_t yy = 0; yy < p.in[1]; ++yy)
          for (int64_t xx = 0; xx < p.in[2]; ++xx) {
            const T* const in = x + place(p.in, n, z, yy, xx) * p.cin;
            for_each_output(p, n, z, yy, xx, [&](int64_t t, int64_t to) {
              if (t != tap) return;
              for (int64_t c = 0; c < p.cin; ++c)
                for (int64_t o = 0; o < p.cout; ++o)
                  dw[(tap * p.cin + c) * p.cout + o] += in[c] * dy[to * p.cout + o];
            });
          }
  });
  if (!dbias) return;
  std::fill_n(dbias, p.cout, T(0));
  for (int64_t v = 0; v < p.n * p.out[0] * p.out[1] * p.out[2]; ++v)
    for (int64_t o = 0; o < p.cout; ++o) dbias[o] += dy[v * p.cout + o];
}

}  // namespace voxgrad::ref
