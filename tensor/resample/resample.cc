#include "tensor/resample/resample.h"

#include <algorithm>
#include <cstring>

#include "tensor/core/cpu/ranges.h"
#include "tensor/core/kernel.h"
#include "tensor/resample/calls.h"
#include "tensor/resample/ref/resample.h"

namespace voxgrad {
namespace {

// A volume seen along one axis, [outer, n, inner]. The axis has n_in voxels before the pass and n_out after.
struct Axis {
  int64_t outer, n_in, n_out, inner;
};

// What the outputs of an axis read, `count` inputs each, with weights in f32.
struct FloatTaps {
  size_t count;
  std::vector<int64_t> index;
  std::vector<float> weight;
  FloatTaps(const Axis& a, Interpolation mode) : count(tap_count(mode)) {
    for (const Taps& t : axis_taps(a.n_in, a.n_out, mode))
      for (size_t k = 0; k < count; ++k) {
        index.push_back(t.index[k]);
        weight.push_back(static_cast<float>(t.weight[k]));
      }
  }
};

// Inner rows longer than this are cut. So a pass along an axis with one outer row is parallel too.
constexpr int64_t kInner = 1 << 12;

// y[o, i, :] = sum over its inputs of weight x[o, index, :].
void axis_forward(const Axis& a, Interpolation mode, const float* x, float* y) {
  const FloatTaps taps(a, mode);
  if (a.inner >= 16) {  // long enough for vectors along the inner row
    const int64_t cuts = (a.inner + kInner - 1) / kInner;
    const int64_t items = a.outer * a.n_out * cuts, grain = cpu::row_grain(std::min(a.inner, kInner));
    parallel_ranges(items, grain, [&](int64_t begin, int64_t end) {
      for (int64_t item = begin; item < end; ++item) {
        const int64_t cut = item % cuts * kInner, i = item / cuts % a.n_out, o = item / cuts / a.n_out;
        const int64_t n = std::min(kInner, a.inner - cut);
        const float* const row = x + o * a.n_in * a.inner + cut;
        const int64_t* const at = &taps.index[static_cast<size_t>(i) * taps.count];
        const float* const w = &taps.weight[static_cast<size_t>(i) * taps.count];
        float* __restrict const out = y + (o * a.n_out + i) * a.inner + cut;
        const auto tap = [&](size_t k) { return row + at[k] * a.inner; };
        if (taps.count == 1) {
          std::copy(tap(0), tap(0) + n, out);
        } else if (taps.count == 2) {
          const float *const p = tap(0), *const q = tap(1), u = w[0], v = w[1];
          for (int64_t k = 0; k < n; ++k) out[k] = u * p[k] + v * q[k];
        } else {
          const float *const p = tap(0), *const q = tap(1), *const r = tap(2), *const s = tap(3);
          const float u0 = w[0], u1 = w[1], u2 = w[2], u3 = w[3];
          for (int64_t k = 0; k < n; ++k) out[k] = (u0 * p[k] + u1 * q[k]) + (u2 * r[k] + u3 * s[k]);
        }
      }
    });
    return;
  }
  parallel_ranges(a.outer, cpu::row_grain(a.n_out * a.inner), [&](int64_t begin, int64_t end) {
    for (int64_t o = begin; o < end; ++o) {
      const float* const row = x + o * a.n_in * a.inner;
      float* __restrict out = y + o * a.n_out * a.inner;
      for (size_t i = 0; i < static_cast<size_t>(a.n_out); ++i)
        for (int64_t k = 0; k < a.inner; ++k) {
          float sum = 0;
          for (size_t t = 0; t < taps.count; ++t)
            sum += taps.weight[i * taps.count + t] * row[taps.index[i * taps.count + t] * a.inner + k];
          *out++ = sum;
        }
    }
  });
}

// dx[o, index, :] += weight dy[o, i, :]. A task owns a part of the inner rows of one outer row, so that no
// two tasks add to one place.
void axis_backward(const Axis& a, Interpolation mode, const float* dy, float* dx) {
  const FloatTaps taps(a, mode);
  const int64_t cut = a.outer > 64 ? a.inner : std::min<int64_t>(a.inner, 512),
                cuts = (a.inner + cut - 1) / cut;
  parallel_ranges(
      a.outer * cuts, cpu::row_grain(std::max(a.n_in, a.n_out) * cut), [&](int64_t begin, int64_t end) {
        for (int64_t item = begin; item < end; ++item) {
          const int64_t first = item % cuts * cut, o = item / cuts, n = std::min(cut, a.inner - first);
          float* const out = dx + o * a.n_in * a.inner + first;
          const float* const g = dy + o * a.n_out * a.inner + first;
          for (int64_t j = 0; j < a.n_in; ++j) std::fill(out + j * a.inner, out + j * a.inner + n, 0.0f);
          for (size_t i = 0; i < static_cast<size_t>(a.n_out); ++i)
            for (size_t t = 0; t < taps.count; ++t) {
              float* __restrict const to = out + taps.index[i * taps.count + t] * a.inner;
              const float* const from = g + static_cast<int64_t>(i) * a.inner;
              const float w = taps.weight[i * taps.count + t];
              for (int64_t k = 0; k < n; ++k) to[k] += w * from[k];
            }
        }
      });
}

// The volume before each pass and after the last one. The passes go along D, H, W in this order, so that a
// volume that grows, grows last along W.
std::array<Volume, 4> stages(const Volume& in, const Volume& out) {
  return {in, Volume{in.n, out.d, in.h, in.w, in.c}, Volume{in.n, out.d, out.h, in.w, in.c}, out};
}

Axis axis_of(size_t a, const Volume& in, const Volume& out) {
  if (a == 0) return {in.n, in.d, out.d, in.h * in.w * in.c};
  if (a == 1) return {in.n * in.d, in.h, out.h, in.w * in.c};
  return {in.n * in.d * in.h, in.w, out.w, in.c};
}

// Calls pass(axis, interpolation, from, to) for the axes whose extent changes, in order or in reverse. The
// other axes need no pass: each output reads its own voxel with weight 1.
template <class Call, class Pass>
void passes(const Call& c, bool reverse, const float* from, float* to, Pass&& pass) {
  const auto stage = stages(c.in, c.out);
  std::vector<size_t> axes;
  for (size_t a = 0; a < 3; ++a)
    if (c.in.size()[a] != c.out.size()[a]) axes.push_back(a);
  if (reverse) std::reverse(axes.begin(), axes.end());
  Tensor held;  // what the pass before wrote
  for (size_t k = 0; k < axes.size(); ++k) {
    const size_t a = axes[k];
    Tensor next;
    if (k + 1 < axes.size())
      next = Tensor::empty_on(Device::cpu(), {stage[reverse ? a : a + 1].numel()}, DType::f32);
    float* const written = next.defined() ? next.mutable_data<float>() : to;
    pass(axis_of(a, stage[a], stage[a + 1]), c.along[a], from, written);
    from = written;
    held = next;
  }
}

template <class Call>
const char* copy_declines(const Call& c) {
  if (c.in.size() != c.out.size()) return "the size changes";
  return c.type == DType::f64 ? "f64 is computed by the plain loops" : nullptr;
}

template <class Call>
const char* axes_decline(const Call& c) {
  return c.in.size() == c.out.size() ? "the size does not change" : f32_declines(c);
}

template <class Call>
void copy(const Call& c, const void* from, void* to) {
  if (c.in.numel() > 0) std::memcpy(to, from, static_cast<size_t>(c.in.numel()) * size_of(c.type));
}
void copy_forward(const ResampleForward& c) { copy(c, c.x, c.y); }
void copy_backward(const ResampleBackward& c) { copy(c, c.dy, c.dx); }

void axes_forward(const ResampleForward& c) {
  passes(c, false, as<float>(c.x), as<float>(c.y), axis_forward);
}

void axes_backward(const ResampleBackward& c) {
  passes(c, true, as<float>(c.dy), as<float>(c.dx), axis_backward);
}

void plain_forward(const ResampleForward& c) {
  visit_float(c.type, c.kOp,
              [&]<class T>(T) { ref::resample_forward(c.in, c.out, c.along, as<T>(c.x), as<T>(c.y)); });
}

void plain_backward(const ResampleBackward& c) {
  visit_float(c.type, c.kOp,
              [&]<class T>(T) { ref::resample_backward(c.in, c.out, c.along, as<T>(c.dy), as<T>(c.dx)); });
}

constexpr Implementation<ResampleForward> kForward[] = {
    kCuda<ResampleForward>,
    {"copy", copy_declines, copy_forward},
    {"axis by axis", axes_decline, axes_forward},
    {"ref", nullptr, plain_forward},
};
constexpr Implementation<ResampleBackward> kBackward[] = {
    kCuda<ResampleBackward>,
    {"copy", copy_declines, copy_backward},
    {"axis by axis", axes_decline, axes_backward},
    {"ref", nullptr, plain_backward},
};

std::pair<Volume, Volume> check(const Tensor& x, const Tensor& y) {
  const Volume in = volume_of("resample", x.shape()), out = volume_of("resample", y.shape());
  require(in.n == out.n && in.c == out.c && x.dtype() == y.dtype() && std::min({in.d, in.h, in.w}) >= 1,
          "[resample] expected equal N and C and no empty axis, got ", x.shape(), " and ", y.shape());
  return {in, out};
}

}  // namespace

void resample_forward(const Tensor& x, const Interpolations& along, Tensor& y) {
  const auto [in, out] = check(x, y);
  run(kForward, {.device = device_of(x, y),
                 .type = x.dtype(),
                 .in = in,
                 .out = out,
                 .along = along,
                 .x = x.raw(),
                 .y = y.raw()});
}

void resample_backward(const Tensor& dy, const Interpolations& along, Tensor& dx) {
  const auto [in, out] = check(dx, dy);
  run(kBackward, {.device = device_of(dy, dx),
                  .type = dy.dtype(),
                  .in = in,
                  .out = out,
                  .along = along,
                  .dy = dy.raw(),
                  .dx = dx.raw()});
}

}  // namespace voxgrad
