// Convolutions on the device at the shapes of a U-Net: f32, TF32 and bf16 against f32 on the CPU, inputs in
// parts, both precisions of weights, and the plans that were chosen.
#include <iostream>
#include <sstream>

#include "tensor/conv.h"
#include "tests/gpu/gpu_check.h"

namespace voxgrad {
namespace {

using test::gpu;
using test::noise;

struct Case {
  std::string name;
  std::vector<int64_t> channels;
  int64_t cout, extent, n;
  Triple kernel{3, 3, 3}, stride{1, 1, 1};
  std::string own{};     // the kernel that is made for it, in bf16
  std::string passes{};  // and for which passes: f, d, w
};

const std::vector<Case>& cases() {
  constexpr const char *kFirst = "first-layer kernel", *kMma = "tensor-core kernel", *kHead = "head kernel";
  const Triple three{3, 3, 3}, flat{1, 3, 3}, one{1, 1, 1}, two{2, 2, 2};
  static const std::vector<Case> all{{"first layer", {1}, 32, 24, 2, three, one, kFirst, "fw"},
                                     {"first layer, four inputs", {4}, 32, 17, 1, three, one, kFirst, "fw"},
                                     {"32 to 32", {32}, 32, 24, 2, three, one, kMma, "fdw"},
                                     {"odd extents", {32}, 32, 19, 1, three, one, kMma, "fdw"},
                                     {"decoder 32 + 32", {32, 32}, 32, 20, 1, three, one, kMma, "fdw"},
                                     {"decoder 64 + 32", {64, 32}, 64, 12, 1},
                                     {"stride 2", {32}, 64, 16, 2, three, two},
                                     {"deep", {256}, 320, 6, 2},
                                     {"deepest", {320}, 320, 4, 2},
                                     {"head", {32}, 3, 24, 2, one, one, kHead, "fdw"},
                                     {"1x1x1", {48}, 24, 9, 1, one},
                                     {"2-D", {16}, 32, 20, 1, flat, one, kMma, "f"},
                                     {"2-D, 32 to 64", {32}, 64, 35, 5, flat, one, kMma, "fdw"},
                                     {"odd channels", {5, 3}, 7, 9, 1}};
  return all;
}

enum class Mode { f32, tf32, bf16, bf16_weights };

// The error of a sum of products in each mode, relative; rms over all elements.
double bound(Mode m) { return m == Mode::f32 ? 1e-5 : m == Mode::tf32 ? 2e-3 : 6e-3; }

Tensor to_mode(const Tensor& t, bool weights, Mode m) {
  if (m == Mode::bf16_weights || (m == Mode::bf16 && !weights)) return t.to(DType::bf16);
  return t;
}

// What the device gets, as f32: the rounding of inputs is not an error of the convolution.
Tensor seen(const Tensor& t, bool weights, Mode m) { return to_mode(t, weights, m).to(DType::f32); }

class GpuConv : public test::OnGpu, public testing::WithParamInterface<Mode> {
 protected:
  void SetUp() override {
    OnGpu::SetUp();
    device_options().tf32 = GetParam() == Mode::tf32;
  }
  void TearDown() override { device_options() = {}; }
};

DType output_type(Mode m) { return m == Mode::bf16 || m == Mode::bf16_weights ? DType::bf16 : DType::f32; }
DType weight_type(Mode m) { return m == Mode::bf16_weights ? DType::bf16 : DType::f32; }

// The implementation that the report names for a pass of a case; "" where there is no such plan.
std::string plan_of(const Case& k, const std::string& pass, const ConvProblem& p) {
  std::string channels;
  for (const int64_t c : k.channels) channels.append(channels.empty() ? "" : "+").append(std::to_string(c));
  const std::string extents = cat(" n", k.n, " in ", p.in[0], "x", p.in[1], "x", p.in[2], " ");
  const std::string end = cat(" channels ", channels, " -> ", k.cout, ": ");
  std::istringstream report(gpu::conv_report(Device::cuda()));
  for (std::string line; std::getline(report, line);)
    if (line.starts_with(pass + " bf16") && line.find(extents) != line.npos && line.find(end) != line.npos) {
      const std::string text = line.substr(line.find(end) + end.size());
      return text.substr(0, text.find(", error"));
    }
  return "";
}

TEST_P(GpuConv, AllPassesAgreeWithTheCpu) {
  const Mode mode = GetParam();
  const Device device = Device::cuda();
  for (const Case& k : cases()) {
    SCOPED_TRACE(k.name);
    std::vector<Tensor> x, x_gpu, dx, dx_gpu;
    int64_t cin = 0;
    const int64_t depth = k.kernel[0] == 1 && k.kernel[2] == 3 ? 1 : k.extent;
    for (size_t i = 0; i < k.channels.size(); ++i) {
      const Tensor t = noise({k.n, depth, k.extent, k.extent, k.channels[i]}, static_cast<uint32_t>(i));
      x.push_back(seen(t, false, mode));
      x_gpu.push_back(gpu(to_mode(t, false, mode)));
      dx.push_back(Tensor::empty(t.shape()));
      dx_gpu.push_back(Tensor::empty_on(device, t.shape(), output_type(mode)));
      cin += k.channels[i];
    }
    const Shape ws{k.kernel[0], k.kernel[1], k.kernel[2], cin, k.cout};
    const Tensor w = noise(ws, 10), b = noise({k.cout}, 11);
    const Triple pad{(k.kernel[0] - 1) / 2, (k.kernel[1] - 1) / 2, (k.kernel[2] - 1) / 2};
    const ConvProblem p = make_conv_problem(x, ws, k.stride, pad);
    const Shape ys{k.n, p.out[0], p.out[1], p.out[2], k.cout};
    const Tensor dy = noise(ys, 12);

    Tensor y = Tensor::empty(ys), y_gpu = Tensor::empty_on(device, ys, output_type(mode));
    conv3d_forward(p, x, seen(w, true, mode), seen(b, true, mode), y);
    gpu::conv3d_forward(p, x_gpu, gpu(to_mode(w, true, mode)), gpu(to_mode(b, true, mode)), y_gpu);
    EXPECT_LE(test::relative_error(y_gpu, y), bound(mode)) << "forward";

    conv3d_backward_data(p, seen(dy, false, mode), seen(w, true, mode), dx);
    gpu::conv3d_backward_data(p, gpu(to_mode(dy, false, mode)), gpu(to_mode(w, true, mode)), dx_gpu, {});
    for (size_t i = 0; i < dx.size(); ++i)
      EXPECT_LE(test::relative_error(dx_gpu[i], dx[i]), bound(mode)) << "backward data, input " << i;

    Tensor dw = Tensor::empty(ws), db = Tensor::empty({k.cout});
    Tensor dw_gpu = Tensor::empty_on(device, ws, weight_type(mode));
    Tensor db_gpu = Tensor::empty_on(device, {k.cout}, weight_type(mode));
    conv3d_backward_weights(p, x, seen(dy, false, mode), dw, &db);
    gpu::conv3d_backward_weights(p, x_gpu, gpu(to_mode(dy, false, mode)), dw_gpu, &db_gpu);
    EXPECT_LE(test::relative_error(dw_gpu, dw), std::max(bound(mode), 1e-4)) << "backward weights";
    EXPECT_LE(test::relative_error(db_gpu, db), std::max(bound(mode), 1e-5)) << "bias";

    if (mode == Mode::f32 || mode == Mode::tf32) continue;
    for (const auto& [letter, pass] :
         {std::pair{'f', "forward"}, {'d', "backward-data"}, {'w', "backward-weights"}}) {
      if (k.passes.find(letter) != k.passes.npos) {
        EXPECT_EQ(plan_of(k, pass, p), k.own) << pass;
      }
    }
  }
  // A kernel of our own that its check refused would be replaced without a word.
  EXPECT_EQ(gpu::conv_report(Device::cuda()).find("kernel: wrong"), std::string::npos);
}

TEST_P(GpuConv, TransposedAgreesWithTheCpu) {
  const Mode mode = GetParam();
  const Device device = Device::cuda();
  for (const Triple kernel : {Triple{2, 2, 2}, Triple{1, 2, 2}}) {
    const Shape xs{2, 5, 6, 7, 64}, ws{kernel[0], kernel[1], kernel[2], 64, 32};
    const Tensor x = noise(xs, 1), w = noise(ws, 2), b = noise({32}, 3);
    const ConvProblem p = make_conv_transpose_problem(xs, ws);
    const Shape ys{2, p.out[0], p.out[1], p.out[2], 32};
    const Tensor dy = noise(ys, 4);
    const Tensor xg = gpu(to_mode(x, false, mode)), wg = gpu(to_mode(w, true, mode)),
                 dyg = gpu(to_mode(dy, false, mode));
    Tensor y = Tensor::empty(ys), dx = Tensor::empty(xs), dw = Tensor::empty(ws), db = Tensor::empty({32});
    Tensor yg = Tensor::empty_on(device, ys, output_type(mode)),
           dxg = Tensor::empty_on(device, xs, output_type(mode));
    Tensor dwg = Tensor::empty_on(device, ws, weight_type(mode)),
           dbg = Tensor::empty_on(device, {32}, weight_type(mode));
    const Tensor xf = seen(x, false, mode), wf = seen(w, true, mode), dyf = seen(dy, false, mode);
    conv_transpose3d_forward(p, xf, wf, seen(b, true, mode), y);
    gpu::conv_transpose3d_forward(p, xg, wg, gpu(to_mode(b, true, mode)), yg);
    EXPECT_LE(test::relative_error(yg, y), bound(mode));
    conv_transpose3d_backward_data(p, dyf, wf, dx);
    gpu::conv_transpose3d_backward_data(p, dyg, wg, dxg);
    EXPECT_LE(test::relative_error(dxg, dx), bound(mode));
    conv_transpose3d_backward_weights(p, xf, dyf, dw, &db);
    gpu::conv_transpose3d_backward_weights(p, xg, dyg, dwg, &dbg);
    EXPECT_LE(test::relative_error(dwg, dw), std::max(bound(mode), 1e-4));
    EXPECT_LE(test::relative_error(dbg, db), std::max(bound(mode), 1e-5));
  }
}

std::string mode_name(const testing::TestParamInfo<Mode>& info) {
  constexpr const char* kNames[] = {"f32", "tf32", "bf16", "bf16_weights"};
  return kNames[static_cast<int>(info.param)];
}

INSTANTIATE_TEST_SUITE_P(Modes, GpuConv,
                         testing::Values(Mode::f32, Mode::tf32, Mode::bf16, Mode::bf16_weights), mode_name);

class GpuPlans : public test::OnGpu {};

// FNV-1a over the bytes of a tensor, printed: scripts/gpu-check compares it between processes.
uint64_t checksum(const Tensor& t) {
  const Tensor host = t.to(Device::cpu());
  const auto* const bytes = static_cast<const unsigned char*>(host.raw());
  uint64_t h = 14695981039346656037u;
  for (size_t i = 0; i < host.nbytes(); ++i) h = (h ^ bytes[i]) * 1099511628211u;
  return h;
}

// The same arrays many times: every engine that is used gives the same bits.
TEST_F(GpuPlans, RunsAreTheSameToTheBit) {
  const Shape xs{2, 16, 16, 16, 32}, ws{3, 3, 3, 32, 32};
  const ConvProblem p = make_conv_problem(xs, 32, ws, {1, 1, 1}, {1, 1, 1});
  for (const DType t : {DType::f32, DType::bf16}) {
    const std::vector<Tensor> x{gpu(noise(xs, 1).to(t))};
    const Tensor w = gpu(noise(ws, 2)), dy = gpu(noise(xs, 3).to(t));
    Tensor first;
    Tensor y = Tensor::empty_on(Device::cuda(), xs, t);
    std::vector<Tensor> dx{Tensor::empty_on(Device::cuda(), xs, t)};
    gpu::conv3d_forward(p, x, w, Tensor(), y);
    gpu::conv3d_backward_data(p, dy, w, dx, {});
    for (int run = 0; run < (test::emulated() ? 3 : 20); ++run) {
      Tensor dw = Tensor::empty_on(Device::cuda(), ws);
      gpu::conv3d_backward_weights(p, x, dy, dw, nullptr);
      if (run == 0)
        first = dw;
      else
        test::expect_same_bits(dw, first);
    }
    std::cout << "bits " << t << ' ' << checksum(y) << ' ' << checksum(dx[0]) << ' ' << checksum(first)
              << '\n';
  }
}

TEST_F(GpuPlans, TheReportNamesWhatDoesAConvolution) {
  const Shape xs{1, 6, 6, 6, 8}, ws{3, 3, 3, 8, 8};
  const Device device = Device::cuda();
  const std::vector<Tensor> x{gpu(noise(xs, 1))};
  Tensor y = Tensor::empty_on(device, xs);
  gpu::conv3d_forward(make_conv_problem(xs, 8, ws, {1, 1, 1}, {1, 1, 1}), x, gpu(noise(ws, 2)), Tensor(), y);
  const std::string report = gpu::conv_report(device);
  const size_t line = report.find("forward f32 w f32 n1 in 6x6x6 ");
  ASSERT_NE(line, std::string::npos) << report;
  EXPECT_NE(report.find(" channels 8 -> 8: ", line), std::string::npos) << report;
}

}  // namespace
}  // namespace voxgrad
