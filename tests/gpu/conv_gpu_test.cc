// Convolutions on the device at the shapes of a U-Net: f32, TF32 and bf16 against f32 on the CPU, inputs in
// parts, weights of both precisions, and the plans that were chosen.
#include <iostream>
#include <sstream>

#include "tensor/conv/conv.h"
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
  std::string own{};     // the kernel that is made for the case, in bf16
  std::string passes{};  // the passes it is made for: f, d, w
};

const std::vector<Case>& cases() {
  constexpr const char *kFirst = "first-layer kernel", *kMma = "tensor-core kernel", *kHead = "head kernel";
  const Triple three{3, 3, 3}, flat{1, 3, 3}, one{1, 1, 1}, two{2, 2, 2};
  static const std::vector<Case> all{
      {"first layer", {1}, 32, 24, 2, three, one, kFirst, "fw"},
      {"first layer, four inputs", {4}, 32, 17, 1, three, one, kFirst, "fw"},
      {"a denoiser's first layer", {3, 1, 3}, 32, 17, 1, three, one, kFirst, "fw"},
      {"32 to 32", {32}, 32, 24, 2, three, one, kMma, "fdw"},
      {"odd extents", {32}, 32, 19, 1, three, one, kMma, "fdw"},
      {"decoder 32 + 32", {32, 32}, 32, 20, 1, three, one, kMma, "fdw"},
      {"decoder 64 + 32", {64, 32}, 64, 12, 1},
      {"stride 2", {32}, 64, 16, 2, three, two},
      {"deep", {256}, 320, 6, 2},
      {"deepest", {320}, 320, 4, 2},
      {"head", {32}, 3, 24, 2, one, one, kHead, "fdw"},
      {"1x1x1", {48}, 24, 9, 1, one},
      {"16 to 16", {16}, 16, 18, 1, three, one, kMma, "fdw"},
      {"decoder 16 + 32", {16, 32}, 48, 9, 1, three, one, kMma, "fdw"},
      {"2-D", {16}, 32, 20, 1, flat, one, kMma, "fdw"},
      {"2-D, 32 to 16", {32}, 16, 20, 1, flat, one, kMma, "fdw"},
      {"2-D, 32 to 64", {32}, 64, 35, 5, flat, one, kMma, "fdw"},
      {"odd channels", {5, 3}, 7, 9, 1}};
  return all;
}

enum class Mode { f32, tf32, bf16, bf16_weights };

const char* name_of(Mode m) {
  constexpr const char* kNames[] = {"f32", "tf32", "bf16", "bf16_weights"};
  return kNames[static_cast<int>(m)];
}
void PrintTo(Mode m, std::ostream* out) { *out << name_of(m); }

// The error that a sum of products may have in each mode: relative rms over all elements. A plan is
// held to it.
double bound(Mode m) { return m == Mode::f32 ? 2e-5 : m == Mode::tf32 ? 2e-3 : 6e-3; }

Tensor to_mode(const Tensor& t, bool weights, Mode m) {
  if (m == Mode::bf16_weights || (m == Mode::bf16 && !weights)) return t.to(DType::bf16);
  return t;
}

// What the device gets, widened to f32: the rounding of inputs is not an error of the convolution.
Tensor seen(const Tensor& t, bool weights, Mode m) { return to_mode(t, weights, m).to(DType::f32); }

class GpuConv : public test::OnGpu, public testing::WithParamInterface<Mode> {
 protected:
  void SetUp() override {
    OnGpu::SetUp();
    device_options().tf32 = GetParam() == Mode::tf32;
  }
  void TearDown() override { device_options() = {}; }
  // For the reader of the output (scripts/gpu-check).
  static void TearDownTestSuite() {
    if (test::no_device().empty()) std::cout << convolution_report(Device::cuda());
  }
};

DType output_type(Mode m) { return m == Mode::bf16 || m == Mode::bf16_weights ? DType::bf16 : DType::f32; }
DType weight_type(Mode m) { return m == Mode::bf16_weights ? DType::bf16 : DType::f32; }

// The implementation that the report names for a pass of a case, or "" where there is no such plan.
std::string plan_of(const Case& k, const std::string& pass, const ConvProblem& p, Mode mode) {
  std::string channels;
  for (const int64_t c : k.channels) channels.append(channels.empty() ? "" : "+").append(std::to_string(c));
  const std::string extents = cat(" n", k.n, " in ", p.in[0], "x", p.in[1], "x", p.in[2], " ");
  const std::string end = cat(" channels ", channels, " -> ", k.cout, ": ");
  std::istringstream report(convolution_report(Device::cuda()));
  for (std::string line; std::getline(report, line);)
    if (line.starts_with(cat(pass, " bf16 w ", weight_type(mode), " ")) && line.find(extents) != line.npos &&
        line.find(end) != line.npos) {
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
    conv3d_forward(p, x_gpu, gpu(to_mode(w, true, mode)), gpu(to_mode(b, true, mode)), y_gpu);
    EXPECT_LE(test::relative_error(y_gpu, y), bound(mode)) << "forward";

    conv3d_backward_data(p, seen(dy, false, mode), seen(w, true, mode), dx);
    conv3d_backward_data(p, gpu(to_mode(dy, false, mode)), gpu(to_mode(w, true, mode)), dx_gpu, {});
    for (size_t i = 0; i < dx.size(); ++i)
      EXPECT_LE(test::relative_error(dx_gpu[i], dx[i]), bound(mode)) << "backward data, input " << i;

    Tensor dw = Tensor::empty(ws), db = Tensor::empty({k.cout});
    Tensor dw_gpu = Tensor::empty_on(device, ws, weight_type(mode));
    Tensor db_gpu = Tensor::empty_on(device, {k.cout}, weight_type(mode));
    conv3d_backward_weights(p, x, seen(dy, false, mode), dw, &db);
    conv3d_backward_weights(p, x_gpu, gpu(to_mode(dy, false, mode)), dw_gpu, &db_gpu);
    EXPECT_LE(test::relative_error(dw_gpu, dw), std::max(bound(mode), 1e-4)) << "backward weights";
    EXPECT_LE(test::relative_error(db_gpu, db), std::max(bound(mode), 1e-5)) << "bias";

    if (mode == Mode::f32 || mode == Mode::tf32) continue;
    for (const auto& [letter, pass] :
         {std::pair{'f', "forward"}, {'d', "backward-data"}, {'w', "backward-weights"}}) {
      if (k.passes.find(letter) != k.passes.npos) {
        EXPECT_EQ(plan_of(k, pass, p, mode), k.own) << pass;
      }
    }
  }
  // Where the check refuses one of the project's own kernels, another implementation replaces it
  // without a word.
  EXPECT_EQ(convolution_report(Device::cuda()).find("kernel: wrong"), std::string::npos);
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
    conv_transpose3d_forward(p, xg, wg, gpu(to_mode(b, true, mode)), yg);
    EXPECT_LE(test::relative_error(yg, y), bound(mode));
    conv_transpose3d_backward_data(p, dyf, wf, dx);
    conv_transpose3d_backward_data(p, dyg, wg, dxg);
    EXPECT_LE(test::relative_error(dxg, dx), bound(mode));
    conv_transpose3d_backward_weights(p, xf, dyf, dw, &db);
    conv_transpose3d_backward_weights(p, xg, dyg, dwg, &dbg);
    EXPECT_LE(test::relative_error(dwg, dw), std::max(bound(mode), 1e-4));
    EXPECT_LE(test::relative_error(dbg, db), std::max(bound(mode), 1e-5));
  }
}

INSTANTIATE_TEST_SUITE_P(Modes, GpuConv,
                         testing::Values(Mode::f32, Mode::tf32, Mode::bf16, Mode::bf16_weights),
                         [](const auto& mode) { return name_of(mode.param); });

class GpuPlans : public test::OnGpu {};

// The same arrays many times. Every engine that is used must give the same bits.
TEST_F(GpuPlans, RunsAreTheSameToTheBit) {
  const Shape xs{2, 16, 16, 16, 32}, ws{3, 3, 3, 32, 32};
  const ConvProblem p = make_conv_problem(xs, 32, ws, {1, 1, 1}, {1, 1, 1});
  for (const DType t : {DType::f32, DType::bf16}) {
    const std::vector<Tensor> x{gpu(noise(xs, 1).to(t))};
    const Tensor w = gpu(noise(ws, 2)), dy = gpu(noise(xs, 3).to(t));
    Tensor first;
    Tensor y = Tensor::empty_on(Device::cuda(), xs, t);
    std::vector<Tensor> dx{Tensor::empty_on(Device::cuda(), xs, t)};
    conv3d_forward(p, x, w, Tensor(), y);
    conv3d_backward_data(p, dy, w, dx, {});
    for (int run = 0; run < (test::emulated() ? 3 : 20); ++run) {
      Tensor dw = Tensor::empty_on(Device::cuda(), ws);
      conv3d_backward_weights(p, x, dy, dw, nullptr);
      if (run == 0)
        first = dw;
      else
        test::expect_same_bits(dw, first);
    }
    std::cout << "bits " << t << ' ' << test::checksum(y) << ' ' << test::checksum(dx[0]) << ' '
              << test::checksum(first) << '\n';
  }
}

TEST_F(GpuPlans, TheReportNamesWhatDoesAConvolution) {
  const Shape xs{1, 6, 6, 6, 8}, ws{3, 3, 3, 8, 8};
  const Device device = Device::cuda();
  const std::vector<Tensor> x{gpu(noise(xs, 1))};
  Tensor y = Tensor::empty_on(device, xs);
  conv3d_forward(make_conv_problem(xs, 8, ws, {1, 1, 1}, {1, 1, 1}), x, gpu(noise(ws, 2)), Tensor(), y);
  const std::string report = convolution_report(device);
  const size_t line = report.find("forward f32 w f32 n1 in 6x6x6 ");
  ASSERT_NE(line, std::string::npos) << report;
  EXPECT_NE(report.find(" channels 8 -> 8: ", line), std::string::npos) << report;
}

// Which proposals of a library are taken. It runs only with the library of tests/gpu/emulation, whose
// engines are known.
class GpuLibrary : public test::OnGpu {
 protected:
  void SetUp() override {
    OnGpu::SetUp();
    if (!IsSkipped() && !test::emulated()) GTEST_SKIP() << "a device whose engines are not known";
  }
  void TearDown() override { device_options() = {}; }
};

TEST_F(GpuLibrary, TheFirstEngineThatIsExactRepeatableAndRightIsTaken) {
  ASSERT_NE(describe_device(Device::cuda()).find("cuDNN 9.19.0"), std::string::npos);
  const auto plan = [](const std::string& pass, const std::vector<int64_t>& channels, DType t) {
    const Case k{"", channels, 7, 5, 1};
    std::vector<Tensor> x, dx;
    int64_t cin = 0;
    for (const int64_t c : channels) {
      x.push_back(gpu(noise({1, 5, 5, 5, c}, 1).to(t)));
      dx.push_back(Tensor::empty_on(Device::cuda(), x.back().shape(), t));
      cin += c;
    }
    const Shape ws{3, 3, 3, cin, 7}, ys{1, 5, 5, 5, 7};
    const ConvProblem p = make_conv_problem(x, ws, {1, 1, 1}, {1, 1, 1});
    const Tensor w = gpu(noise(ws, 2)), dy = gpu(noise(ys, 3).to(t));
    Tensor y = Tensor::empty_on(Device::cuda(), ys, t), dw = Tensor::empty_on(Device::cuda(), ws);
    if (pass == "forward") conv3d_forward(p, x, w, Tensor(), y);
    if (pass == "backward-data") conv3d_backward_data(p, dy, w, dx, {});
    if (pass == "backward-weights") conv3d_backward_weights(p, x, dy, dw, nullptr);
    std::istringstream report(convolution_report(Device::cuda()));
    const std::string begin = cat(pass, " ", t, " "), flags = device_options().tf32 ? " tf32 " : " w f32 n";
    std::string parts;
    for (const int64_t c : channels) parts.append(parts.empty() ? "" : "+").append(std::to_string(c));
    for (std::string line; std::getline(report, line);)
      if (line.starts_with(begin) && line.find(flags) != line.npos &&
          line.find(device_options().nondeterministic ? " nondeterministic " : " n1 ") != line.npos &&
          line.find(" channels " + parts + " -> 7: ") != line.npos)
        return line.substr(line.find(" -> 7: ") + 7);
    return std::string();
  };
  const std::string right = "cuDNN 91900 engine 6 workspace 0 KiB, error ";
  for (const std::string pass : {"forward", "backward-data", "backward-weights"})
    for (const DType t : {DType::f32, DType::bf16}) {
      const std::string text = plan(pass, {6}, t);
      EXPECT_EQ(text.substr(0, right.size()), right) << pass << ' ' << t;
      // An engine before it was built and run, and is wrong.
      EXPECT_NE(text.find("engine 5 workspace 0 KiB: wrong, error "), std::string::npos) << text;
    }
  // Parts add to what is there. Where no engine does that, they are copied side by side.
  EXPECT_EQ(plan("forward", {2, 4}, DType::f32).substr(0, 45),
            "cuDNN 91900 engine 5 workspace 0 KiB engine 5");
  EXPECT_EQ(plan("forward", {2, 3}, DType::f32).substr(0, 37), "cuDNN 91900 on copied inputs engine 5");
  EXPECT_EQ(plan("backward-data", {2, 3}, DType::f32).substr(0, 20), "cuDNN 91900 engine 5");
  // Only where it was asked for.
  device_options().tf32 = true;
  EXPECT_EQ(plan("forward", {6}, DType::f32).substr(0, 22), "cuDNN 91900 engine 100");
  device_options().tf32 = false;
  device_options().nondeterministic = true;
  EXPECT_EQ(plan("forward", {6}, DType::f32).substr(0, 20), "cuDNN 91900 engine 1");
}

}  // namespace
}  // namespace voxgrad
