// The first layer: few input channels, in one array or side by side in several (state, image and prior of a
// denoiser). Tensor cores would mostly work on padding here, so these kernels do not use them.
//
// Forward. A thread computes four places along W times eight output channels. The weights lie in shared
// memory, and x is read through the cache.
//
// Backward weights. A block walks over tiles of 4 x 32 places (H, W). A thread has four output channels, one
// input channel, and the three taps along W of one pair of taps along D and H. Then eight places of x and dy
// along W serve 96 products. Where a block has room for more threads, several groups of them share the rows
// of a tile.
#include "tensor/conv/cuda/chunks.cuh"
#include "tensor/conv/cuda/plans.h"

namespace voxgrad::cuda {
namespace {

constexpr int kPlaces = 4, kOut = 8;
constexpr int64_t kMaxIn = 8, kMaxOut = 64;
constexpr size_t kMaxShared = 48 << 10;

struct Weights {
  int taps, cin, cout;
  int64_t in_step, out_step;
};

template <class T>
struct Inputs {
  int parts, channels[kMaxParts];
  const T* x[kMaxParts];
  Inputs(const ConvPlanProblem& p, const ConvArrays& a) : parts(p.parts), channels{}, x{} {
    for (int k = 0; k < parts; ++k) {
      channels[k] = static_cast<int>(p.channels[k]);
      x[k] = static_cast<const T*>(a.x[k].data);
    }
  }
};

template <int kTaps, class T, class W>
__global__ void __launch_bounds__(kThreads)
    forward_kernel(ConvShape s, Weights k, int64_t quads, const __grid_constant__ Inputs<T> in, const W* w,
                   const W* bias, T* y) {
  extern __shared__ float4 shared[];  // [taps][cin][cout]
  float* const weights = reinterpret_cast<float*>(shared);
  for (int i = static_cast<int>(threadIdx.x); i < k.taps * k.cin * k.cout; i += kThreads) {
    const int o = i % k.cout, c = i / k.cout % k.cin, t = i / k.cout / k.cin;
    weights[i] = to_float(w[static_cast<int64_t>(t) * k.cin * k.cout + c * k.in_step + o * k.out_step]);
  }
  __syncthreads();
  const int groups = k.cout / kOut, depth = static_cast<int>(s.in[0]), height = static_cast<int>(s.in[1]),
            width = static_cast<int>(s.in[2]), row_quads = static_cast<int>(ceil_div(s.out[2], kPlaces));
  const int64_t step = static_cast<int64_t>(gridDim.x) * kThreads;
  for (int64_t item = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x; item < quads * groups;
       item += step) {
    const int o = static_cast<int>(item % groups) * kOut;
    const int64_t quad = item / groups, row = quad / row_quads, plane = row / s.out[1];
    const int ox = static_cast<int>(quad % row_quads) * kPlaces, oy = static_cast<int>(row % s.out[1]);
    const int oz = static_cast<int>(plane % s.out[0]);
    const int64_t n = plane / s.out[0];
    float sum[kPlaces][kOut];
#pragma unroll
    for (int p = 0; p < kPlaces; ++p)
#pragma unroll
      for (int j = 0; j < kOut; ++j) sum[p][j] = bias ? to_float(bias[o + j]) : 0.0f;
    for (int a = 0; a < s.kernel[0]; ++a) {
      const int z = oz - static_cast<int>(s.pad[0]) + a;
      if (z < 0 || z >= depth) continue;
      for (int b = 0; b < s.kernel[1]; ++b) {
        const int yy = oy - static_cast<int>(s.pad[1]) + b;
        if (yy < 0 || yy >= height) continue;
        int part = 0, inside = 0;  // channel c is channel `inside` of part `part`
        for (int c = 0; c < k.cin; ++c, ++inside) {
          if (inside == in.channels[part]) ++part, inside = 0;
          const int channels = in.channels[part];
          const T* const line = in.x[part] + ((n * depth + z) * height + yy) * width * channels + inside;
          float v[kPlaces + kTaps - 1];
#pragma unroll
          for (int i = 0; i < kPlaces + kTaps - 1; ++i) {
            const int xx = ox - static_cast<int>(s.pad[2]) + i;
            v[i] = xx >= 0 && xx < width ? to_float(line[xx * channels]) : 0.0f;
          }
          const float* const at =
              weights + ((a * static_cast<int>(s.kernel[1]) + b) * kTaps * k.cin + c) * k.cout + o;
#pragma unroll
          for (int t = 0; t < kTaps; ++t) {
            const float4* const four = reinterpret_cast<const float4*>(at + t * k.cin * k.cout);
            const float4 f = four[0], g = four[1];
            const float u[kOut] = {f.x, f.y, f.z, f.w, g.x, g.y, g.z, g.w};
#pragma unroll
            for (int p = 0; p < kPlaces; ++p)
#pragma unroll
              for (int j = 0; j < kOut; ++j) sum[p][j] = fmaf(v[p + t], u[j], sum[p][j]);
          }
        }
      }
    }
#pragma unroll
    for (int p = 0; p < kPlaces; ++p)
      if (ox + p < s.out[2]) store<kOut>(y + (row * s.out[2] + ox + p) * k.cout + o, sum[p]);
  }
}

template <int kTaps, class T, class W>
void run_typed(Context& c, const ConvPlanProblem& p, const ConvArrays& a) {
  const Weights k{static_cast<int>(p.taps()), static_cast<int>(p.shape.cin), static_cast<int>(p.shape.cout),
                  p.in_step(), p.out_step()};
  const int64_t quads = p.shape.n * p.shape.out[0] * p.shape.out[1] * ceil_div(p.shape.out[2], kPlaces);
  const size_t shared = static_cast<size_t>(p.weights()) * sizeof(float);
  forward_kernel<kTaps><<<grid_for(quads * (k.cout / kOut)), kThreads, shared, c.stream>>>(
      p.shape, k, quads, Inputs<T>(p, a), static_cast<const W*>(a.w), static_cast<const W*>(a.bias),
      static_cast<T*>(a.y));
  check_launch(c.op);
}

constexpr int kTileH = 4, kTileW = 32, kAlong = 8, kQuad = 4;
constexpr int kMaxJobs = 576;

// The threads of a block of the weights' pass. `jobs` threads have all products of a place, and there are
// `groups` times as many.
struct WeightsBlock {
  int cin, cout, lines, jobs, groups;  // lines: taps along D and H
  explicit WeightsBlock(const ConvShape& s)
      : cin(static_cast<int>(s.cin)),
        cout(static_cast<int>(s.cout)),
        lines(static_cast<int>(s.kernel[0] * s.kernel[1])),
        jobs(cout / kQuad * lines * cin),
        groups(std::clamp(kThreads / jobs, 1, kTileH)) {}
  // Numbers in shared memory: the tile of x with its halo, and the tile of dy. At the end the sums of the
  // groups take their place.
  int x_size(const ConvShape& s) const {
    return static_cast<int>(s.kernel[0]) * (kTileH + static_cast<int>(s.kernel[1]) - 1) * (kTileW + 2) * cin;
  }
  int dy_offset(const ConvShape& s) const { return (x_size(s) + 3) / 4 * 4; }
  int shared(const ConvShape& s) const {
    return std::max(dy_offset(s) + kTileH * kTileW * cout, groups * jobs * 3 * kQuad);
  }
};

// parts [blocks][taps * cin][cout]. A block sums over `chunk` tiles.
template <class T>
__global__ void __launch_bounds__(kMaxJobs)
    weights_kernel(ConvShape s, WeightsBlock k, int dy_offset, int64_t tiles, int64_t chunk,
                   const __grid_constant__ Inputs<T> in, const T* dy, float* parts) {
  extern __shared__ float4 shared[];
  float *const xs = reinterpret_cast<float*>(shared), *const ds = xs + dy_offset;
  const int id = static_cast<int>(threadIdx.x), threads = static_cast<int>(blockDim.x);
  const int kh = static_cast<int>(s.kernel[1]), kd = static_cast<int>(s.kernel[0]);
  const int job = id % k.jobs, group = id / k.jobs, quads = k.cout / kQuad;
  const int quad = job % quads, line = job / quads % k.lines, channel = job / quads / k.lines;
  const int halo_h = kTileH + kh - 1, halo_w = kTileW + 2;
  const int64_t tiles_w = ceil_div(s.out[2], kTileW), tiles_h = ceil_div(s.out[1], kTileH);
  const int64_t first = blockIdx.x * chunk, last = first + chunk < tiles ? first + chunk : tiles;
  float sum[3][kQuad] = {};
  for (int64_t tile = first; tile < last; ++tile) {
    const int64_t w0 = tile % tiles_w * kTileW, h0 = tile / tiles_w % tiles_h * kTileH;
    const int64_t plane = tile / tiles_w / tiles_h, z0 = plane % s.out[0], n = plane / s.out[0];
    __syncthreads();
    for (int part = 0, before = 0; part < in.parts; before += in.channels[part++]) {
      const int channels = in.channels[part];
      const T* const x = in.x[part];
      for (int i = id; i < kd * halo_h * halo_w * channels; i += threads) {
        const int c = i % channels, place = i / channels;
        const int64_t xx = w0 - s.pad[2] + place % halo_w, y = h0 - s.pad[1] + place / halo_w % halo_h,
                      z = z0 - s.pad[0] + place / halo_w / halo_h;
        const bool inside = xx >= 0 && xx < s.in[2] && y >= 0 && y < s.in[1] && z >= 0 && z < s.in[0];
        xs[place * k.cin + before + c] =
            inside ? to_float(x[(((n * s.in[0] + z) * s.in[1] + y) * s.in[2] + xx) * channels + c]) : 0.0f;
      }
    }
    for (int i = id; i < kTileH * kTileW * quads; i += threads) {
      const int o = i % quads * kQuad, place = i / quads;
      const int64_t w = w0 + place % kTileW, h = h0 + place / kTileW;
      float v[kQuad] = {};
      if (w < s.out[2] && h < s.out[1])
        load<kQuad>(dy + ((plane * s.out[1] + h) * s.out[2] + w) * k.cout + o, v);
      reinterpret_cast<float4*>(ds)[i] = make_float4(v[0], v[1], v[2], v[3]);
    }
    __syncthreads();
    for (int r = group; r < kTileH; r += k.groups) {
      const float* const x_row = xs + ((line / kh * halo_h + r + line % kh) * halo_w) * k.cin + channel;
      const float4* const dy_row = reinterpret_cast<const float4*>(ds) + r * kTileW * quads + quad;
#pragma unroll
      for (int w = 0; w < kTileW; w += kAlong) {
        float v[kAlong + 2];
#pragma unroll
        for (int i = 0; i < kAlong + 2; ++i) v[i] = x_row[(w + i) * k.cin];
#pragma unroll
        for (int i = 0; i < kAlong; ++i) {
          const float4 g = dy_row[(w + i) * quads];
          const float u[kQuad] = {g.x, g.y, g.z, g.w};
#pragma unroll
          for (int t = 0; t < 3; ++t)
#pragma unroll
            for (int j = 0; j < kQuad; ++j) sum[t][j] = fmaf(v[i + t], u[j], sum[t][j]);
        }
      }
    }
  }
  // Adds the sums of the groups in order.
  __syncthreads();
#pragma unroll
  for (int t = 0; t < 3; ++t)
#pragma unroll
    for (int j = 0; j < kQuad; ++j) xs[(t * kQuad + j) * threads + id] = sum[t][j];
  __syncthreads();
  if (group != 0) return;
  float* const out = parts + blockIdx.x * static_cast<int64_t>(3 * k.lines * k.cin * k.cout);
  for (int t = 0; t < 3; ++t)
    for (int j = 0; j < kQuad; ++j) {
      float total = 0;
      for (int g = 0; g < k.groups; ++g) total += xs[(t * kQuad + j) * threads + g * k.jobs + job];
      out[((line * 3 + t) * k.cin + channel) * k.cout + quad * kQuad + j] = total;
    }
}

void run_weights(Context& c, const ConvPlanProblem& p, const ConvArrays& a) {
  const ConvShape& s = p.shape;
  const WeightsBlock k(s);
  const int64_t tiles = s.n * s.out[0] * ceil_div(s.out[1], kTileH) * ceil_div(s.out[2], kTileW);
  const int64_t chunk =
      ceil_div(tiles, std::min<int64_t>(tiles, 1056));  // eight blocks for each of 132 processors
  const int64_t blocks = ceil_div(tiles, chunk), size = p.weights();
  const Scratch parts(c, static_cast<uint64_t>(blocks * size) * sizeof(float));
  const size_t shared = static_cast<size_t>(k.shared(s)) * sizeof(float);
  visit_type(p.type, [&]<class T>(T) {
    weights_kernel<<<static_cast<unsigned>(blocks), static_cast<unsigned>(k.jobs * k.groups), shared,
                     c.stream>>>(s, k, k.dy_offset(s), tiles, chunk, Inputs<T>(p, a),
                                 static_cast<const T*>(a.y), parts.as<float>());
    check_launch(c.op);
  });
  join_chunks(c, p, blocks, parts.as<float>(), a.dw);
}

void run(Context& c, const ConvPlanProblem& p, const ConvArrays& a) {
  visit_type(p.type, [&]<class T>(T) {
    visit_type(p.weight_type, [&]<class W>(W) {
      if (p.shape.kernel[2] == 1)
        run_typed<1, T, W>(c, p, a);
      else
        run_typed<3, T, W>(c, p, a);
    });
  });
}

}  // namespace

void offer_conv_first(Context&, const ConvPlanProblem& p, ConvOffer& o) {
  const ConvShape& s = p.shape;
  bool fits = s.cin <= kMaxIn && s.cout % kOut == 0 && s.cout <= kMaxOut && p.taps() <= 27;
  for (int k = 0; k < 3; ++k) fits = fits && s.stride[k] == 1;
  if (!fits) return;  // not its kind, so there is nothing to say
  const auto words = [&](int64_t n) { return static_cast<size_t>(n) * sizeof(float); };
  if (p.pass == Pass::forward && (s.kernel[2] == 1 || s.kernel[2] == 3) && words(p.weights()) <= kMaxShared)
    o.offer("first-layer kernel", run, true);
  if (p.pass == Pass::backward_weights && s.kernel[2] == 3)
    if (const WeightsBlock k(s); k.jobs <= kMaxJobs && words(k.shared(s)) <= kMaxShared)
      o.offer("first-layer kernel", run_weights);
}

}  // namespace voxgrad::cuda
