// Speeds of kernels on a CUDA device at the shapes of a U-Net with 128^3 patches: a table for
// scripts/gpu-check. It is the wall time of many calls between two waits, so the queue stays full. The first
// call, which makes plans, is not counted.
// usage: gpu_speed [EXTENT] [BATCH] [plans]
// plans: no times; each convolution of the whole U-Net once, and what computes it.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>

#include "tensor/conv/conv.h"
#include "tensor/core/random.h"
#include "tensor/core/reduce.h"
#include "tensor/norm/norm.h"
#include "tensor/optimizer/optimizer.h"

namespace voxgrad {
namespace {

const Device kDevice = Device::cuda();

double seconds(const std::function<void()>& f) {
  using Clock = std::chrono::steady_clock;
  f();
  f();
  synchronize(kDevice);
  int calls = 1;
  for (;; calls *= 4) {
    const auto start = Clock::now();
    for (int i = 0; i < calls; ++i) f();
    synchronize(kDevice);
    const double all = std::chrono::duration<double>(Clock::now() - start).count();
    if (all > 0.2 || calls > 4096) return all / calls;
  }
}

Tensor noise(const Shape& s, DType t) {
  const DeviceScope scope(kDevice);
  const Tensor x = random_normal(s, {7, Stream::test, 1});
  return t == DType::f32 ? x : x.to(t);
}
Tensor empty(const Shape& s, DType t) { return Tensor::empty_on(kDevice, s, t); }

void row(const std::string& name, double s, double work, const char* unit) {
  std::printf("%-58s %10.3f ms %9.1f %s\n", name.c_str(), s * 1e3, work / s / 1e9, unit);
  std::fflush(stdout);
}

void memory_speed(int64_t n, int64_t e) {
  const Shape s{n, e, e, e, 32};
  const auto bytes = [&](DType t) {
    return static_cast<double>(s.numel()) * static_cast<double>(size_of(t));
  };
  for (const DType t : {DType::f32, DType::bf16}) {
    const Tensor x = noise(s, t), dy = noise(s, t);
    Tensor y = empty(s, t), mean = empty({n, 32}, DType::f32), rstd = empty({n, 32}, DType::f32);
    const Tensor scale = noise({n, 32}, DType::f32), shift = noise({n, 32}, DType::f32);
    Tensor ds = empty({n, 32}, DType::f32), db = empty({n, 32}, DType::f32);
    const auto statistics = [&] { norm_stats(x, 32, 1e-5, mean, rstd); };
    const auto elements = [&] { norm_act_forward(x, mean, rstd, scale, shift, Act::leaky_relu, 0.01, y); };
    row(cat("copy ", t), seconds([&] { y.copy_from(x); }), 2 * bytes(t), "GB/s");
    row(cat("norm statistics ", t), seconds(statistics), bytes(t), "GB/s");
    row(cat("norm + leaky relu, elements ", t), seconds(elements), 2 * bytes(t), "GB/s");
    // What has to move where a tensor is larger than the cache. Sums over a whole sample come before its
    // first result, so the tensors that they sum are read twice.
    row(cat("norm + activation forward ", t, ", reads x twice, writes y"), seconds([&] {
          statistics();
          elements();
        }),
        3 * bytes(t), "GB/s");
    row(cat("norm + activation backward ", t, ", reads x, dy twice, writes dx"), seconds([&] {
          norm_act_backward(x, mean, rstd, scale, shift, Act::leaky_relu, 0.01, dy, y, ds, db);
        }),
        5 * bytes(t), "GB/s");
  }
  const Shape flat{int64_t{1} << 25};
  Tensor p = noise(flat, DType::f32), m = empty(flat, DType::f32), v = empty(flat, DType::f32),
         ema = p.clone();
  fill(m, 0);
  fill(v, 0);
  const Tensor g = noise(flat, DType::f32);
  row("Adam + average, 32 M parameters", seconds([&] { adam_step(p, g, m, v, ema, {}); }),
      9.0 * 4 * static_cast<double>(flat.numel()), "GB/s");
}

struct Layer {
  std::vector<int64_t> in;
  int64_t out, extent, kernel, stride;
};

// The layers whose times tell most.
std::vector<Layer> some_layers(int64_t e) {
  return {{{1}, 32, e, 3, 1},          {{32}, 32, e, 3, 1},       {{32, 32}, 32, e, 3, 1},
          {{32}, 3, e, 1, 1},          {{32}, 64, e, 3, 2},       {{64}, 64, e / 2, 3, 1},
          {{64, 64}, 64, e / 2, 3, 1}, {{128}, 128, e / 4, 3, 1}, {{256}, 256, e / 8, 3, 1},
          {{320}, 320, e / 16, 3, 1}};
}

const std::vector<int64_t> kFeatures{32, 64, 128, 256, 320, 320};

// All layers except the transposed ones.
std::vector<Layer> all_layers(int64_t e) {
  std::vector<Layer> layers{{{kFeatures[0]}, 3, e, 1, 1}};
  for (size_t i = 0; i < kFeatures.size(); ++i) {
    const int64_t f = kFeatures[i], here = e >> i;
    layers.push_back(i == 0 ? Layer{{1}, f, e, 3, 1} : Layer{{kFeatures[i - 1]}, f, 2 * here, 3, 2});
    layers.push_back({{f}, f, here, 3, 1});
    if (i + 1 < kFeatures.size()) layers.push_back({{f, f}, f, here, 3, 1});
  }
  return layers;
}

// What is done with one pass of one layer.
using OnPass = std::function<void(const std::string& name, double flops, const std::function<void()>& run)>;

void convolutions(int64_t n, DType t, const std::vector<Layer>& layers, const OnPass& pass) {
  for (const Layer& l : layers) {
    std::vector<Tensor> x, dx;
    int64_t cin = 0;
    std::string name;
    for (const int64_t c : l.in) {
      x.push_back(noise({n, l.extent, l.extent, l.extent, c}, t));
      dx.push_back(empty(x.back().shape(), t));
      cin += c;
      name.append(name.empty() ? "" : "+").append(std::to_string(c));
    }
    const Shape ws{l.kernel, l.kernel, l.kernel, cin, l.out};
    const int64_t pad = l.kernel / 2;
    const ConvProblem p =
        make_conv_problem(x[0].shape(), cin, ws, {l.stride, l.stride, l.stride}, {pad, pad, pad});
    const Shape ys{n, p.out[0], p.out[1], p.out[2], l.out};
    const Tensor w = noise(ws, DType::f32), dy = noise(ys, t);
    Tensor y = empty(ys, t), dw = empty(ws, DType::f32);
    name = cat(t, " ", name, " -> ", l.out, " at ", l.extent, "^3 kernel ", l.kernel, " stride ", l.stride);
    pass(name + " forward", p.flops(), [&] { conv3d_forward(p, x, w, Tensor(), y); });
    if (cin > 1)  // the image needs no gradient
      pass(name + " data", p.flops(), [&] { conv3d_backward_data(p, dy, w, dx, {}); });
    pass(name + " weights", p.flops(), [&] { conv3d_backward_weights(p, x, dy, dw, nullptr); });
  }
}

void conv_speed(int64_t n, int64_t e, DType t) {
  convolutions(n, t, some_layers(e), [](const std::string& name, double flops, const auto& run) {
    row(name, seconds(run), flops / 1e3, "TFLOP/s");
  });
}

void make_plans(int64_t n, int64_t e, DType t) {
  convolutions(n, t, all_layers(e), [](const std::string&, double, const auto& run) { run(); });
  for (size_t i = 0; i + 1 < kFeatures.size(); ++i) {
    const int64_t cin = kFeatures[i + 1], cout = kFeatures[i], in = e >> (i + 1);
    const Shape xs{n, in, in, in, cin}, ws{2, 2, 2, cin, cout}, ys{n, 2 * in, 2 * in, 2 * in, cout};
    const ConvProblem p = make_conv_transpose_problem(xs, ws);
    const Tensor x = noise(xs, t), w = noise(ws, DType::f32), dy = noise(ys, t);
    Tensor y = empty(ys, t), dx = empty(xs, t), dw = empty(ws, DType::f32);
    conv_transpose3d_forward(p, x, w, Tensor(), y);
    conv_transpose3d_backward_data(p, dy, w, dx);
    conv_transpose3d_backward_weights(p, x, dy, dw, nullptr);
  }
  synchronize(kDevice);
}

}  // namespace
}  // namespace voxgrad

int main(int argc, char** argv) {
  using namespace voxgrad;
  const bool plans = argc > 1 && std::string(argv[1]) == "plans";
  const char* const* const given = argv + plans;
  const int numbers = argc - plans;
  const int64_t extent = numbers > 1 ? std::atoll(given[1]) : 128,
                batch = numbers > 2 ? std::atoll(given[2]) : 2;
  try {
    if (plans) {
      make_plans(batch, extent, DType::bf16);
      for (const bool tf32 : {false, true}) {
        device_options().tf32 = tf32;
        make_plans(batch, extent, DType::f32);
      }
    } else {
      std::printf("%s", describe_device(kDevice).c_str());
      memory_speed(batch, extent);
      conv_speed(batch, extent, DType::bf16);
      conv_speed(batch, extent / 2, DType::f32);
    }
    std::printf("%s", convolution_report(kDevice).c_str());
  } catch (const Error& e) {
    std::fprintf(stderr, "gpu_speed: %s\n", e.what());
    return static_cast<int>(e.code());
  }
  return 0;
}
