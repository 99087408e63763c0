// Gradients of the weights of 3x3x3 (or 1x3x3) convolutions of stride 1 in bf16 on tensor cores (mma.sync
// m16n8k16, f32 sums). They are made for the full-resolution layers with 16 or 32 channels. All 27 matrices
// of 32 x 32 weights are sums over millions of places. So a block keeps them in registers and lets the
// places stream by.
//
// A block has 32 (or 16) input channels and 32 (or 16) output channels. It walks down columns of 8 x 16
// places (H, W), one plane at a time. Shared memory holds the planes of x, with their halo, that the taps
// along D reach, and one plane of dy. Meanwhile the next plane of each is on its way. A row of 16 places is
// the depth of one product: the gradient of a tap is the transpose of x, shifted by the tap, times dy. A warp
// has 16 of the input channels and every fourth tap, or every eighth.
//
// ldmatrix reads eight rows of a matrix at a time. Rows of shared memory are padded to 80 (48) bytes, so that
// these eight lie in different banks.
#include <cuda_pipeline.h>

#include "tensor/conv/cuda/chunks.cuh"
#include "tensor/conv/cuda/plans.h"
#include "tensor/gemm/cuda/mma.cuh"

namespace voxgrad::cuda {
namespace {

constexpr int kY = 8, kX = 16;  // places of a plane of a column
constexpr int kHaloY = kY + 2, kHaloX = kX + 2, kHalo = kHaloY * kHaloX;
constexpr int kPad = 8;     // elements by which a row of shared memory is longer than its channels
constexpr int kPlanes = 4;  // of x: three that are read and one on its way
constexpr int kBlock = 256;
constexpr int64_t kBlocks = 264;   // two, one after the other, for each of 132 processors
constexpr int64_t kMinPlanes = 4;  // of a block: its work must be worth what it writes at the end

struct Problem {
  int extent[3];
  int tiles_y, tiles_x;
  int64_t planes, chunk;  // planes of all columns; planes of a block
  const bf16* in[kMaxParts];
  int in_channels[kMaxParts];
  const bf16* dy;
  int cin, cout;
};

// A plane of an array. It begins at the channels of the block. Outside of it are zeros.
struct Plane {
  const bf16* begin;
  int channels, height, width;
  bool exists;
};

// Brings kChannels channels of kHeight x kWidth places, from (y0, x0) on, to shared memory.
template <int kHeight, int kWidth, int kChannels>
__device__ void bring(bf16* to, const Plane& p, int y0, int x0) {
  constexpr int kPieces = kChannels / 8;
  for (int i = static_cast<int>(threadIdx.x); i < kHeight * kWidth * kPieces; i += kBlock) {
    const int place = i / kPieces, eight = i % kPieces * 8, y = y0 + place / kWidth, x = x0 + place % kWidth;
    const bool inside = p.exists && y >= 0 && y < p.height && x >= 0 && x < p.width;
    const int64_t from = (static_cast<int64_t>(y) * p.width + x) * p.channels + eight;
    __pipeline_memcpy_async(to + place * (kChannels + kPad) + eight, p.begin + (inside ? from : 0), 16,
                            inside ? 0 : 16);
  }
}

// What a block has: taps along D, input and output channels.
template <int kTapsD, int kInputs, int kOutputs>
struct Cut {
  static constexpr int kDepth = kTapsD, kIn = kInputs, kOut = kOutputs;
  static constexpr int kInStep = kIn + kPad, kOutStep = kOut + kPad;  // a place in shared memory, in elements
  static constexpr int kHalves = kIn / 16, kTapStep = kBlock / 32 / kHalves;
  static constexpr int kTaps = kDepth * 9, kMine = (kTaps + kTapStep - 1) / kTapStep;
  static constexpr size_t kShared =
      static_cast<size_t>(kPlanes * kHalo * kInStep + 2 * kY * kX * kOutStep) * sizeof(bf16);
};

// parts [blocks][taps * cin][cout]
template <class S>
__global__ void __launch_bounds__(kBlock) weights_kernel(const __grid_constant__ Problem p, float* parts) {
  constexpr int kDepth = S::kDepth, kTaps = S::kTaps, kMine = S::kMine, kProducts = S::kOut / 8;
  extern __shared__ uint4 shared[];
  bf16* const xs = reinterpret_cast<bf16*>(shared);    // [kPlanes][kHalo][S::kInStep]
  bf16* const ds = xs + kPlanes * kHalo * S::kInStep;  // [2][kY * kX][S::kOutStep]
  const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
  const int half = warp % S::kHalves * 16, first_tap = warp / S::kHalves;  // of the warp
  const int c0 = static_cast<int>(blockIdx.y) * S::kIn, o0 = static_cast<int>(blockIdx.z) * S::kOut;
  int part = 0, channel = c0;
  while (channel >= p.in_channels[part]) channel -= p.in_channels[part++];
  const int channels = p.in_channels[part];
  const bf16* const in = p.in[part] + channel;
  const bf16* const dy = p.dy + o0;
  const int depth = p.extent[0], height = p.extent[1], width = p.extent[2], cout = p.cout;

  // The element of shared memory that a lane reads first. It begins row `lane % 8` of one of four matrices of
  // 8 places and 8 channels. Read transposed, those of x are the quarters of 16 channels x 16 places, and
  // those of dy the quarters of 16 places x 16 channels.
  const int x_lane = (lane % 8 + lane / 16 * 8) * S::kInStep + lane / 8 % 2 * 8 + half;
  const int d_lane = lane % 16 * S::kOutStep + lane / 16 * 8;

  float sum[kMine][kProducts][4] = {};
  const int64_t first = blockIdx.x * p.chunk, last = first + p.chunk < p.planes ? first + p.chunk : p.planes;
  for (int64_t k = first; k < last;) {
    // The planes of one column from here on.
    const int64_t column = k / depth;
    const int z0 = static_cast<int>(k % depth);
    const int z1 = static_cast<int>(last - k < depth - z0 ? z0 + (last - k) : depth);
    const int x0 = static_cast<int>(column % p.tiles_x) * kX;
    const int y0 = static_cast<int>(column / p.tiles_x % p.tiles_y) * kY;
    const int64_t n = column / p.tiles_x / p.tiles_y;
    const auto bring_x = [&](int z) {
      const bool exists = z >= 0 && z < depth;
      const bf16* const begin = in + (exists ? (n * depth + z) * height * width * channels : 0);
      bring<kHaloY, kHaloX, S::kIn>(xs + (z + kPlanes) % kPlanes * kHalo * S::kInStep,
                                    {begin, channels, height, width, exists}, y0 - 1, x0 - 1);
    };
    const auto bring_dy = [&](int z) {
      bring<kY, kX, S::kOut>(ds + z % 2 * kY * kX * S::kOutStep,
                             {dy + (n * depth + z) * height * width * cout, cout, height, width, true}, y0,
                             x0);
    };
    for (int dz = -(kDepth / 2); dz <= kDepth / 2; ++dz) bring_x(z0 + dz);
    bring_dy(z0);
    __pipeline_commit();
    __pipeline_wait_prior(0);
    __syncthreads();
    for (int z = z0; z < z1; ++z) {
      if (z + 1 < z1) {
        bring_x(z + 1 + kDepth / 2);
        bring_dy(z + 1);
        __pipeline_commit();
      }
      const bf16* x_tap[kMine];
#pragma unroll
      for (int i = 0; i < kMine; ++i) {
        // The last tap of some warps does not exist. They add up the last tap again, and nobody writes that.
        const int mine = first_tap + i * S::kTapStep, tap = mine < kTaps ? mine : kTaps - 1,
                  dz = tap / 9 - kDepth / 2;
        x_tap[i] = xs + ((z + dz + kPlanes) % kPlanes * kHalo + tap / 3 % 3 * kHaloX + tap % 3) * S::kInStep +
                   x_lane;
      }
      const bf16* const d_plane = ds + z % 2 * kY * kX * S::kOutStep + d_lane;
#pragma unroll
      for (int row = 0; row < kY; ++row) {
        uint32_t b[kProducts / 2][4];
#pragma unroll
        for (int j = 0; j < kProducts / 2; ++j)
          load_matrices_transposed(b[j], d_plane + row * kX * S::kOutStep + 16 * j);
#pragma unroll
        for (int i = 0; i < kMine; ++i) {
          uint32_t a[4];
          load_matrices_transposed(a, x_tap[i] + row * kHaloX * S::kInStep);
#pragma unroll
          for (int j = 0; j < kProducts; ++j)
            multiply_add(sum[i][j], a, b[j / 2][j % 2 * 2], b[j / 2][j % 2 * 2 + 1]);
        }
      }
      __pipeline_wait_prior(0);
      __syncthreads();
    }
    k += z1 - z0;
  }

  float* const out = parts + static_cast<int64_t>(blockIdx.x) * kTaps * p.cin * p.cout;
#pragma unroll
  for (int i = 0; i < kMine; ++i) {
    const int tap = first_tap + i * S::kTapStep;
    if (tap >= kTaps) continue;
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      const int c = c0 + half + r * 8 + lane / 4;
      float* const line = out + (static_cast<int64_t>(tap) * p.cin + c) * p.cout + o0 + lane % 4 * 2;
#pragma unroll
      for (int j = 0; j < kProducts; ++j)
        *reinterpret_cast<float2*>(line + 8 * j) = make_float2(sum[i][j][2 * r], sum[i][j][2 * r + 1]);
    }
  }
}

template <int kDepth, int kIn, int kOut>
void run(Context& c, const ConvPlanProblem& q, const ConvArrays& a) {
  using S = Cut<kDepth, kIn, kOut>;
  Problem p{};
  for (int k = 0; k < 3; ++k) p.extent[k] = static_cast<int>(q.shape.in[k]);
  p.tiles_y = static_cast<int>(ceil_div(p.extent[1], kY));
  p.tiles_x = static_cast<int>(ceil_div(p.extent[2], kX));
  p.planes = q.shape.n * p.tiles_y * p.tiles_x * p.extent[0];
  for (int k = 0; k < q.parts; ++k) {
    p.in[k] = static_cast<const bf16*>(a.x[k].data);
    p.in_channels[k] = static_cast<int>(a.x[k].channels);
  }
  p.dy = static_cast<const bf16*>(a.y);
  p.cin = static_cast<int>(q.shape.cin);
  p.cout = static_cast<int>(q.shape.cout);
  const int64_t pairs = int64_t{p.cin / kIn} * (p.cout / kOut);
  p.chunk = std::max(kMinPlanes, ceil_div(p.planes, std::max<int64_t>(1, kBlocks / pairs)));
  const int64_t blocks = ceil_div(p.planes, p.chunk);
  const Scratch parts(c, static_cast<uint64_t>(blocks * q.weights()) * sizeof(float));
  check(cudaFuncSetAttribute(weights_kernel<S>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                             static_cast<int>(S::kShared)),
        "cudaFuncSetAttribute");
  const dim3 grid(static_cast<unsigned>(blocks), static_cast<unsigned>(p.cin / kIn),
                  static_cast<unsigned>(p.cout / kOut));
  weights_kernel<S><<<grid, kBlock, S::kShared, c.stream>>>(p, parts.as<float>());
  check_launch(c.op);
  join_chunks(c, q, blocks, parts.as<float>(), a.dw);
}

}  // namespace

void offer_conv_mma_weights(Context&, const ConvPlanProblem& p, ConvOffer& o) {
  if (p.pass != Pass::backward_weights || !mma_kind(p)) return;
  const std::string why = mma_misfit(p);
  if (!why.empty()) return o.decline("tensor-core kernel", why);
  using Run = void (*)(Context&, const ConvPlanProblem&, const ConvArrays&);
  constexpr Run kRun[2][2][2] = {{{run<1, 16, 16>, run<1, 16, 32>}, {run<1, 32, 16>, run<1, 32, 32>}},
                                 {{run<3, 16, 16>, run<3, 16, 32>}, {run<3, 32, 16>, run<3, 32, 32>}}};
  o.offer("tensor-core kernel", kRun[p.shape.kernel[0] == 3][wide_inputs(p)][p.shape.cout % 32 == 0]);
}

}  // namespace voxgrad::cuda
