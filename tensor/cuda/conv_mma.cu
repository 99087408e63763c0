// 3x3x3 (or 1x3x3) convolutions of stride 1 in bf16 on tensor cores (mma.sync m16n8k16, f32 sums), made for
// the full-resolution layers with 32 channels. The backward pass of the data is the same with flipped taps.
//
// A block computes a tile of 4 x 4 x 16 places (D, H, W) times 32 output channels, with four warps of 64
// places. For each 16 input channels it brings the tile with its halo and the weights of all taps to shared
// memory; a tap is then an offset into the halo. Rows of shared memory are padded so that the eight rows of a
// matrix that ldmatrix reads lie in different banks: 48 bytes a place, 80 bytes an input channel's 32
// weights.
#include <cuda_pipeline.h>

#include "tensor/cuda/conv_plans.h"
#include "tensor/cuda/device.cuh"
#include "tensor/cuda/mma.cuh"

namespace voxgrad::cuda {
namespace {

constexpr int kZ = 4, kY = 4, kX = 16;         // places of a tile
constexpr int kDepth = 16, kColumns = 32;      // input channels at a time, output channels of a block
constexpr int kPlaceStep = 24, kRowStep = 40;  // padded, in elements
constexpr int kBlock = 128;

struct Problem {
  int n, extent[3];  // of input and output alike
  int kd;            // taps along D: 1 or 3
  int in_parts, out_parts;
  const bf16* in[kMaxParts];
  bf16* out[kMaxParts];
  int in_channels[kMaxParts], out_channels[kMaxParts];
  int out_total;
  int tiles[3];  // along D, H, W
};

// weights [taps][in][out] in bf16, bias f32 or null.
template <class B>
__global__ void __launch_bounds__(kBlock) mma_kernel(Problem p, const bf16* weights, const B* bias) {
  extern __shared__ uint4 shared[];
  const int halo_z = kZ + p.kd - 1, taps = p.kd * 9;
  constexpr int kHaloY = kY + 2, kHaloX = kX + 2;
  const int halo = halo_z * kHaloY * kHaloX;
  bf16* const places = reinterpret_cast<bf16*>(shared);  // [halo][kPlaceStep]
  bf16* const rows = places + halo * kPlaceStep;         // [taps][kDepth][kRowStep]

  int tile = static_cast<int>(blockIdx.x);
  const int x0 = tile % p.tiles[2] * kX;
  tile /= p.tiles[2];
  const int y0 = tile % p.tiles[1] * kY;
  tile /= p.tiles[1];
  const int z0 = tile % p.tiles[0] * kZ, n = tile / p.tiles[0];
  const int column = static_cast<int>(blockIdx.y) * kColumns;
  const int thread = static_cast<int>(threadIdx.x), warp = thread / 32, lane = thread % 32;

  float sum[4][4][4] = {};  // 16 places along W each, 8 output channels each
  int first = 0;            // input channel of all parts
  for (int part = 0; part < p.in_parts; ++part) {
    const int channels = p.in_channels[part];
    const bf16* const in = p.in[part];
    for (int c0 = 0; c0 < channels; c0 += kDepth, first += kDepth) {
      __syncthreads();
      for (int i = thread; i < halo * 2; i += kBlock) {
        const int place = i / 2, half = i % 2 * 8;
        const int x = x0 - 1 + place % kHaloX, y = y0 - 1 + place / kHaloX % kHaloY,
                  z = z0 - p.kd / 2 + place / (kHaloX * kHaloY);
        const bool inside =
            x >= 0 && x < p.extent[2] && y >= 0 && y < p.extent[1] && z >= 0 && z < p.extent[0];
        const int64_t from =
            ((static_cast<int64_t>(n) * p.extent[0] + z) * p.extent[1] + y) * p.extent[2] + x;
        __pipeline_memcpy_async(places + place * kPlaceStep + half,
                                in + (inside ? from * channels + c0 + half : 0), 16, inside ? 0 : 16);
      }
      const bf16* const from = weights + static_cast<int64_t>(first) * p.out_total + column;
      const int64_t tap_step =
          static_cast<int64_t>(p.out_total) *
          (p.in_channels[0] + (p.in_parts > 1 ? p.in_channels[1] : 0) +
           (p.in_parts > 2 ? p.in_channels[2] : 0) + (p.in_parts > 3 ? p.in_channels[3] : 0));
      for (int i = thread; i < taps * kDepth * 4; i += kBlock) {
        const int quarter = i % 4 * 8, k = i / 4 % kDepth, tap = i / 4 / kDepth;
        __pipeline_memcpy_async(rows + (tap * kDepth + k) * kRowStep + quarter,
                                from + tap * tap_step + static_cast<int64_t>(k) * p.out_total + quarter, 16);
      }
      __pipeline_commit();
      __pipeline_wait_prior(0);
      __syncthreads();

      // Warp w has the tile's plane w: rows y = 0 .. 3, each 16 places along W.
      const int a_row = lane % 16, a_column = lane / 16 * 8;
      for (int tap = 0; tap < taps; ++tap) {
        const int dz = tap / 9, dy = tap / 3 % 3, dx = tap % 3;
        uint32_t b[2][4];
        const bf16* const row = rows + (tap * kDepth + lane % 16) * kRowStep + lane / 16 * 8;
        load_matrices_transposed(b[0], row);
        load_matrices_transposed(b[1], row + 16);
#pragma unroll
        for (int m = 0; m < 4; ++m) {
          uint32_t a[4];
          const int place = ((warp + dz) * kHaloY + m + dy) * kHaloX + dx + a_row;
          load_matrices(a, places + place * kPlaceStep + a_column);
          multiply_add(sum[m][0], a, b[0][0], b[0][1]);
          multiply_add(sum[m][1], a, b[0][2], b[0][3]);
          multiply_add(sum[m][2], a, b[1][0], b[1][1]);
          multiply_add(sum[m][3], a, b[1][2], b[1][3]);
        }
      }
    }
  }

  int part = 0, c = column;
  while (c >= p.out_channels[part]) c -= p.out_channels[part++];
  bf16* const out = p.out[part];
  const int z = z0 + warp, step = p.out_channels[part];
  if (z >= p.extent[0]) return;
#pragma unroll
  for (int m = 0; m < 4; ++m) {
    const int y = y0 + m;
    if (y >= p.extent[1]) continue;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int x = x0 + lane / 4 + 8 * half;
      if (x >= p.extent[2]) continue;
      const int64_t at =
          (((static_cast<int64_t>(n) * p.extent[0] + z) * p.extent[1] + y) * p.extent[2] + x) * step + c;
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        const int o = 8 * j + 2 * (lane % 4);
        float v[2] = {sum[m][j][2 * half], sum[m][j][2 * half + 1]};
        if (bias) {
          v[0] += to_float(bias[column + o]);
          v[1] += to_float(bias[column + o + 1]);
        }
        store<2>(out + at + o, v);
      }
    }
  }
}

// Weights as the kernel reads them: [tap][in][out], for the backward pass with flipped taps and exchanged
// roles.
template <class W>
struct Arrange {
  int64_t taps, cin, cout;
  bool flip;
  const W* w;
  bf16* out;
  __device__ void operator()(int64_t i) const {
    const int64_t columns = flip ? cin : cout, depth = flip ? cout : cin;
    const int64_t o = i % columns, k = i / columns % depth, t = i / columns / depth;
    const int64_t from = flip ? ((taps - 1 - t) * cin + o) * cout + k : (t * cin + k) * cout + o;
    out[i] = from_float<bf16>(to_float(w[from]));
  }
};

template <class W>
void run_typed(Context& c, const ConvPlanProblem& q, const ConvArrays& a) {
  const bool flip = q.pass == Pass::backward_data;
  Problem p{};
  p.n = static_cast<int>(q.shape.n);
  for (int k = 0; k < 3; ++k) p.extent[k] = static_cast<int>(q.shape.in[k]);
  p.kd = static_cast<int>(q.shape.kernel[0]);
  const Part many[1] = {{a.y, q.shape.cout}};
  const Part* const in = flip ? many : a.x;
  const Part* const out = flip ? a.x : many;
  p.in_parts = flip ? 1 : q.parts;
  p.out_parts = flip ? q.parts : 1;
  for (int k = 0; k < p.in_parts; ++k) {
    p.in[k] = static_cast<const bf16*>(in[k].data);
    p.in_channels[k] = static_cast<int>(in[k].channels);
  }
  for (int k = 0; k < p.out_parts; ++k) {
    p.out[k] = static_cast<bf16*>(out[k].data);
    p.out_channels[k] = static_cast<int>(out[k].channels);
    p.out_total += p.out_channels[k];
  }
  const int size[3] = {kZ, kY, kX};
  for (int k = 0; k < 3; ++k) p.tiles[k] = static_cast<int>(ceil_div(p.extent[k], size[k]));
  const Scratch weights(c, static_cast<uint64_t>(q.weights()) * sizeof(bf16));
  for_each(
      c, q.weights(),
      Arrange<W>{q.taps(), q.shape.cin, q.shape.cout, flip, static_cast<const W*>(a.w), weights.as<bf16>()});
  const int halo = (kZ + p.kd - 1) * (kY + 2) * (kX + 2);
  const size_t shared = static_cast<size_t>(halo * kPlaceStep + p.kd * 9 * kDepth * kRowStep) * sizeof(bf16);
  check(cudaFuncSetAttribute(mma_kernel<W>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                             static_cast<int>(shared)),
        "cudaFuncSetAttribute");
  const dim3 grid(static_cast<unsigned>(p.n * p.tiles[0] * p.tiles[1] * p.tiles[2]),
                  static_cast<unsigned>(p.out_total / kColumns));
  mma_kernel<W><<<grid, kBlock, shared, c.stream>>>(p, weights.as<bf16>(), static_cast<const W*>(a.bias));
  check_launch(c.op);
}

void run(Context& c, const ConvPlanProblem& p, const ConvArrays& a) {
  visit_type(p.weight_type, [&]<class W>(W) { run_typed<W>(c, p, a); });
}

}  // namespace

void offer_conv_mma(Context&, const ConvPlanProblem& p, ConvOffer& o) {
  const ConvShape& s = p.shape;
  if (p.type != DType::bf16 || p.pass == Pass::backward_weights || p.swapped) return;
  bool fits = (s.kernel[0] == 1 || s.kernel[0] == 3) && s.kernel[1] == 3 && s.kernel[2] == 3;
  for (int k = 0; k < 3; ++k) fits = fits && s.stride[k] == 1 && s.pad[k] == s.kernel[k] / 2;
  if (!fits) return;  // not its kind: nothing to say
  const bool flip = p.pass == Pass::backward_data;
  const int64_t in_unit = flip ? kColumns : kDepth, out_unit = flip ? kDepth : kColumns;
  for (int k = 0; k < p.parts; ++k)
    if (p.channels[k] % in_unit != 0)
      return o.decline("tensor-core kernel", cat("a part of ", p.channels[k], " channels"));
  if (s.cout % out_unit != 0) return o.decline("tensor-core kernel", cat(s.cout, " output channels"));
  // Deep layers have few tiles and many channels: there a library's kernels split the work better.
  if (s.cin > 64 || s.cout > 64) return o.decline("tensor-core kernel", "made for at most 64 channels");
  o.offer("tensor-core kernel", run, true);
}

}  // namespace voxgrad::cuda
