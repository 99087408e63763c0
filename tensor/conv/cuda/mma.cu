// 3x3x3 (or 1x3x3) convolutions of stride 1 in bf16 on tensor cores (mma.sync m16n8k16, f32 sums). They are
// made for the full-resolution layers with 16 or 32 channels. The gradient with respect to the input is the
// same computation with flipped taps.
//
// A block computes a tile of 8 x 4 x 16 places (D, H, W), or of 1 x 32 x 16 without taps along D, times 32
// (or 16) output channels. It has eight warps of 64 places each. For each 16 input channels it brings the
// tile with its halo and the weights of all taps to shared memory. Then a tap is an offset into the halo, and
// a row of 16 places is read once for the three taps along H.
//
// ldmatrix reads eight rows of a matrix at a time. Rows of shared memory are padded so that these eight lie
// in different banks: a place takes 48 bytes, and the weights of an input channel take 80 (48).
#include <cuda_pipeline.h>

#include "tensor/conv/cuda/plans.h"
#include "tensor/core/cuda/device.cuh"
#include "tensor/gemm/cuda/mma.cuh"

namespace voxgrad::cuda {
namespace {

constexpr int kBlock = 256, kRows = 4, kX = 16;  // a warp has kRows rows of kX places
constexpr int kDepth = 16;                       // input channels at a time
constexpr int kPad = 8;                          // elements by which a row is longer than its content
constexpr int kPlaceStep = kDepth + kPad;

// kColumns is the number of output channels of a block.
template <int kTapsD, int kColumns>
struct Tile {
  static constexpr int kWarps = kBlock / 32, kZ = kTapsD == 1 ? 1 : kWarps, kY = kRows * kWarps / kZ;
  static constexpr int kHaloY = kY + 2, kHaloX = kX + 2, kHalo = (kZ + kTapsD - 1) * kHaloY * kHaloX;
  static constexpr int kTaps = kTapsD * 9, kRowStep = kColumns + kPad;
  static constexpr size_t kShared =
      static_cast<size_t>(kHalo * kPlaceStep + kTaps * kDepth * kRowStep) * sizeof(bf16);
};

struct Problem {
  int n, extent[3];  // of input and output alike
  int in_parts, out_parts;
  const bf16* in[kMaxParts];
  bf16* out[kMaxParts];
  int in_channels[kMaxParts], out_channels[kMaxParts];
  int in_total, out_total;
  int tiles[3];  // along D, H, W
};

// A thread has the sums of columns 2 k and 2 k + 1 of each product, where k = lane % 4. Its channels shall be
// adjacent, so that it writes them with one store. So in a block of n columns, column 8 j + 2 k + e has the
// weights of channel n / 4 k + 2 j + e.
__host__ __device__ constexpr int64_t channel_of_column(int64_t column, int64_t n) {
  const int64_t in = column % n;
  return column - in + in % 8 / 2 * (n / 4) + in / 8 * 2 + in % 2;
}

// weights [taps][in][columns] in bf16. bias may be null.
template <int kTapsD, int kColumns, class B>
__global__ void __launch_bounds__(kBlock, 2)
    mma_kernel(const __grid_constant__ Problem p, const bf16* weights, const B* bias) {
  using T = Tile<kTapsD, kColumns>;
  constexpr int kProducts = kColumns / 8, kLoads = kColumns / 16, kMine = kColumns / 4;
  extern __shared__ uint4 shared[];
  bf16* const places = reinterpret_cast<bf16*>(shared);  // [kHalo][kPlaceStep]
  bf16* const rows = places + T::kHalo * kPlaceStep;     // [kTaps][kDepth][T::kRowStep]

  int tile = static_cast<int>(blockIdx.x);
  const int x0 = tile % p.tiles[2] * kX;
  tile /= p.tiles[2];
  const int y0 = tile % p.tiles[1] * T::kY;
  tile /= p.tiles[1];
  const int z0 = tile % p.tiles[0] * T::kZ, n = tile / p.tiles[0];
  const int column = static_cast<int>(blockIdx.y) * kColumns;
  const int thread = static_cast<int>(threadIdx.x), warp = thread / 32, lane = thread % 32;
  // Where the rows of the warp begin in the tile, and which row of a matrix a lane gives to ldmatrix.
  const int warp_z = warp % T::kZ, warp_y = warp / T::kZ * kRows;
  const bf16* const my_places =
      places + ((warp_z * T::kHaloY + warp_y) * T::kHaloX + lane % 16) * kPlaceStep + lane / 16 * 8;
  const bf16* const my_rows = rows + lane % 16 * T::kRowStep + lane / 16 * 8;

  float sum[kRows][kProducts][4] = {};  // each of 16 places along W and 8 output channels
  int first = 0;                        // first input channel, counted over all parts
  for (int part = 0; part < p.in_parts; ++part) {
    const int channels = p.in_channels[part];
    const bf16* const in = p.in[part];
    for (int c0 = 0; c0 < channels; c0 += kDepth, first += kDepth) {
      __syncthreads();
      for (int i = thread; i < T::kHalo * 2; i += kBlock) {
        const int place = i / 2, half = i % 2 * 8;
        const int x = x0 - 1 + place % T::kHaloX, y = y0 - 1 + place / T::kHaloX % T::kHaloY,
                  z = z0 - kTapsD / 2 + place / (T::kHaloX * T::kHaloY);
        const bool inside =
            x >= 0 && x < p.extent[2] && y >= 0 && y < p.extent[1] && z >= 0 && z < p.extent[0];
        const int64_t from =
            ((static_cast<int64_t>(n) * p.extent[0] + z) * p.extent[1] + y) * p.extent[2] + x;
        __pipeline_memcpy_async(places + place * kPlaceStep + half,
                                in + (inside ? from * channels + c0 + half : 0), 16, inside ? 0 : 16);
      }
      const bf16* const from = weights + static_cast<int64_t>(first) * p.out_total + column;
      const int64_t tap_step = static_cast<int64_t>(p.in_total) * p.out_total;
      for (int i = thread; i < T::kTaps * kDepth * kProducts; i += kBlock) {
        const int eight = i % kProducts * 8, k = i / kProducts % kDepth, tap = i / kProducts / kDepth;
        __pipeline_memcpy_async(rows + (tap * kDepth + k) * T::kRowStep + eight,
                                from + tap * tap_step + static_cast<int64_t>(k) * p.out_total + eight, 16);
      }
      __pipeline_commit();
      __pipeline_wait_prior(0);
      __syncthreads();

#pragma unroll 1
      for (int dz = 0; dz < kTapsD; ++dz) {
        const bf16* const plane = my_places + dz * T::kHaloY * T::kHaloX * kPlaceStep;
#pragma unroll
        for (int dx = 0; dx < 3; ++dx) {
          uint32_t b[3][kLoads][4];
#pragma unroll
          for (int dy = 0; dy < 3; ++dy) {
            const bf16* const row = my_rows + ((dz * 3 + dy) * 3 + dx) * kDepth * T::kRowStep;
#pragma unroll
            for (int j = 0; j < kLoads; ++j) load_matrices_transposed(b[dy][j], row + 16 * j);
          }
#pragma unroll
          for (int y = 0; y < kRows + 2; ++y) {
            uint32_t a[4];
            load_matrices(a, plane + (y * T::kHaloX + dx) * kPlaceStep);
#pragma unroll
            for (int dy = 0; dy < 3; ++dy) {
              const int m = y - dy;
              if (m < 0 || m >= kRows) continue;
#pragma unroll
              for (int j = 0; j < kProducts; ++j)
                multiply_add(sum[m][j], a, b[dy][j / 2][j % 2 * 2], b[dy][j / 2][j % 2 * 2 + 1]);
            }
          }
        }
      }
    }
  }

  const int channel = column + lane % 4 * kMine, z = z0 + warp_z;
  int part = 0, c = channel;
  while (c >= p.out_channels[part]) c -= p.out_channels[part++];
  bf16* const out = p.out[part] + c;
  const int step = p.out_channels[part];
  if (z >= p.extent[0]) return;
  float offset[kMine] = {};
  if (bias) {
#pragma unroll
    for (int k = 0; k < kMine; ++k) offset[k] = to_float(bias[channel + k]);
  }
#pragma unroll
  for (int m = 0; m < kRows; ++m) {
    const int y = y0 + warp_y + m;
    if (y >= p.extent[1]) continue;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int x = x0 + lane / 4 + 8 * half;
      if (x >= p.extent[2]) continue;
      float v[kMine];
#pragma unroll
      for (int k = 0; k < kMine; ++k) v[k] = sum[m][k / 2][2 * half + k % 2] + offset[k];
      store<kMine>(
          out + (((static_cast<int64_t>(n) * p.extent[0] + z) * p.extent[1] + y) * p.extent[2] + x) * step,
          v);
    }
  }
}

// Arranges the weights as the kernel reads them: [tap][in][column]. For the backward pass the taps are
// flipped and the roles of input and output channels exchanged.
template <class W>
struct Arrange {
  int64_t taps, cin, cout, block;
  bool flip;
  const W* w;
  bf16* out;
  __device__ void operator()(int64_t i) const {
    const int64_t columns = flip ? cin : cout, depth = flip ? cout : cin;
    const int64_t o = channel_of_column(i % columns, block), k = i / columns % depth, t = i / columns / depth;
    const int64_t from = flip ? ((taps - 1 - t) * cin + o) * cout + k : (t * cin + k) * cout + o;
    out[i] = from_float<bf16>(to_float(w[from]));
  }
};

template <int kTapsD, int kColumns, class W>
void launch(Context& c, const ConvPlanProblem& q, const ConvArrays& a, Problem p) {
  using T = Tile<kTapsD, kColumns>;
  const int size[3] = {T::kZ, T::kY, kX};
  for (int k = 0; k < 3; ++k) p.tiles[k] = static_cast<int>(ceil_div(p.extent[k], size[k]));
  const Scratch weights(c, static_cast<uint64_t>(q.weights()) * sizeof(bf16));
  for_each(c, q.weights(),
           Arrange<W>{q.taps(), q.shape.cin, q.shape.cout, kColumns, q.pass == Pass::backward_data,
                      static_cast<const W*>(a.w), weights.as<bf16>()});
  check(cudaFuncSetAttribute(mma_kernel<kTapsD, kColumns, W>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                             static_cast<int>(T::kShared)),
        "cudaFuncSetAttribute");
  const dim3 grid(static_cast<unsigned>(p.n * p.tiles[0] * p.tiles[1] * p.tiles[2]),
                  static_cast<unsigned>(p.out_total / kColumns));
  mma_kernel<kTapsD, kColumns>
      <<<grid, kBlock, T::kShared, c.stream>>>(p, weights.as<bf16>(), static_cast<const W*>(a.bias));
  check_launch(c.op);
}

template <int kColumns>
void run(Context& c, const ConvPlanProblem& q, const ConvArrays& a) {
  const bool flip = q.pass == Pass::backward_data;
  Problem p{};
  p.n = static_cast<int>(q.shape.n);
  for (int k = 0; k < 3; ++k) p.extent[k] = static_cast<int>(q.shape.in[k]);
  const Part many[1] = {{a.y, q.shape.cout}};
  const Part* const in = flip ? many : a.x;
  const Part* const out = flip ? a.x : many;
  p.in_parts = flip ? 1 : q.parts;
  p.out_parts = flip ? q.parts : 1;
  for (int k = 0; k < p.in_parts; ++k) {
    p.in[k] = static_cast<const bf16*>(in[k].data);
    p.in_total += p.in_channels[k] = static_cast<int>(in[k].channels);
  }
  for (int k = 0; k < p.out_parts; ++k) {
    p.out[k] = static_cast<bf16*>(out[k].data);
    p.out_total += p.out_channels[k] = static_cast<int>(out[k].channels);
  }
  visit_type(q.weight_type, [&]<class W>(W) {
    if (q.shape.kernel[0] == 1)
      launch<1, kColumns, W>(c, q, a, p);
    else
      launch<3, kColumns, W>(c, q, a, p);
  });
}

}  // namespace

void offer_conv_mma(Context&, const ConvPlanProblem& p, ConvOffer& o) {
  if (p.pass == Pass::backward_weights || !mma_kind(p)) return;
  const std::string why = mma_misfit(p);
  if (!why.empty()) return o.decline("tensor-core kernel", why);
  const bool wide = p.pass == Pass::backward_data ? wide_inputs(p) : p.shape.cout % 32 == 0;
  o.offer("tensor-core kernel", wide ? run<32> : run<16>, true);
}

}  // namespace voxgrad::cuda
