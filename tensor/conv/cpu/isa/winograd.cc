// Winograd's F(2, 3) in f32, and the transforms of the weights. Those are in f32 for bf16 too.
#include "tensor/conv/cpu/isa/winograd.h"

namespace voxgrad::VOXGRAD_ISA {
namespace {

using cpu::WinogradTaps;
using cpu::WinogradWeights;

struct Three {
  Vec v[3];
};

VOXGRAD_INLINE Four weight_points(Vec w0, Vec w1, Vec w2) {  // G w
  const Vec half = broadcast(0.5f), even = half * (w0 + w2), odd = half * w1;
  return {{w0, even + odd, even - odd, w2}};
}
VOXGRAD_INLINE Three taps_of(Vec u0, Vec u1, Vec u2, Vec u3) {  // G^T u
  const Vec half = broadcast(0.5f), even = half * (u1 + u2);
  return {{u0 + even, half * (u1 - u2), even + u3}};
}

void weights(const WinogradWeights& p) {
  for (int64_t l = 0; l < p.width; l += cpu::kLanes) {
    float plane[3][cpu::kPlanePoints][cpu::kLanes] __attribute__((aligned(64)));
    for (int d = 0; d < p.depth; ++d) {
      Four r[3];
#pragma GCC unroll 3
      for (int h = 0; h < 3; ++h) {
        const float* const w = p.w + (d * 9 + h * 3) * p.width + l;
        r[h] = weight_points(load(w), load(w + p.width), load(w + 2 * p.width));
      }
#pragma GCC unroll 4
      for (int w = 0; w < 4; ++w) {
        const Four k = weight_points(r[0].v[w], r[1].v[w], r[2].v[w]);
#pragma GCC unroll 4
        for (int h = 0; h < 4; ++h) store(plane[d][h * 4 + w], k.v[h]);
      }
    }
    for (int q = 0; q < cpu::kPlanePoints; ++q) {
      float* const u = p.u + q * p.point_step + l;
      if (p.depth == 1) {
        store(u, load(plane[0][q]));
        continue;
      }
      const Four k = weight_points(load(plane[0][q]), load(plane[1][q]), load(plane[2][q]));
#pragma GCC unroll 4
      for (int d = 0; d < 4; ++d) store(u + d * cpu::kPlanePoints * p.point_step, k.v[d]);
    }
  }
}

void taps(const WinogradTaps& p) {
  float plane[3][cpu::kPlanePoints][cpu::kLanes] __attribute__((aligned(64)));
  const auto sum = [&](int point) __attribute__((always_inline)) {
    const float* u = p.u + point * p.point_step;
    Vec s = load(u);
    for (int64_t i = 1; i < p.partitions; ++i) s = s + load(u += p.partition_step);
    return s;
  };
  for (int q = 0; q < cpu::kPlanePoints; ++q) {
    if (p.depth == 1) {
      store(plane[0][q], sum(q));
      continue;
    }
    const Three k = taps_of(sum(q), sum(q + 16), sum(q + 32), sum(q + 48));
#pragma GCC unroll 3
    for (int d = 0; d < 3; ++d) store(plane[d][q], k.v[d]);
  }
  for (int d = 0; d < p.depth; ++d) {
    Three r[4];
#pragma GCC unroll 4
    for (int h = 0; h < 4; ++h)
      r[h] = taps_of(load(plane[d][4 * h]), load(plane[d][4 * h + 1]), load(plane[d][4 * h + 2]),
                     load(plane[d][4 * h + 3]));
#pragma GCC unroll 3
    for (int w = 0; w < 3; ++w) {
      const Three k = taps_of(r[0].v[w], r[1].v[w], r[2].v[w], r[3].v[w]);
#pragma GCC unroll 3
      for (int h = 0; h < 3; ++h) store_first(p.dw + ((d * 3 + h) * 3 + w) * p.tap_step, k.v[h], p.lanes);
    }
  }
}

}  // namespace

void fill_winograd(cpu::WinogradKernels<float>& t) { fill_winograd_kernels<float, Single>(t); }
void fill_winograd_weights(cpu::WinogradWeightsKernels& t) { t = {weights, taps}; }

}  // namespace voxgrad::VOXGRAD_ISA
