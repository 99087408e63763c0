// Kernels on the device at sizes that cross blocks and chunks, in f32 and bf16, against f32 on the CPU.
// Philox must match to the bit. Also memory, graphs and pinned input.
#include "tensor/attention/attention.h"
#include "tensor/core/gpu.h"
#include "tensor/core/graph.h"
#include "tensor/core/reduce.h"
#include "tensor/elementwise/elementwise.h"
#include "tensor/elementwise/embedding.h"
#include "tensor/loss/losses.h"
#include "tensor/loss/softmax.h"
#include "tensor/norm/norm.h"
#include "tensor/optimizer/optimizer.h"
#include "tests/gpu/gpu_check.h"

namespace voxgrad {
namespace {

using test::gpu;
using test::noise;

constexpr double kF32 = 3e-6, kBf16 = 4e-3;  // rms: a few roundings of 2^-24; one rounding of 2^-9

class GpuKernels : public test::OnGpu {};

TEST_F(GpuKernels, NormForwardAndBackward) {
  const Device device = Device::cuda();
  for (const DType t : {DType::f32, DType::bf16})
    for (const int64_t channels : {int64_t{32}, int64_t{3}, int64_t{320}})
      for (const int64_t groups : {channels, int64_t{1}})
        for (const Act act : {Act::none, Act::leaky_relu, Act::silu, Act::gelu}) {
          SCOPED_TRACE(cat(t, " channels ", channels, " groups ", groups, " act ", static_cast<int>(act)));
          const Shape s{2, 9, 17, 15, channels}, ng{2, groups}, nc{2, channels};
          Tensor x = noise(s, 1);
          for (int64_t i = 0; i < x.numel(); ++i) x.mutable_data<float>()[i] += 5;  // a mean that is not 0
          x = x.to(t).to(DType::f32);
          const Tensor dy = noise(s, 2).to(t).to(DType::f32), scale = noise(nc, 3), shift = noise(nc, 4);
          Tensor mean = Tensor::empty(ng), rstd = Tensor::empty(ng), y = Tensor::empty(s),
                 dx = Tensor::empty(s);
          Tensor ds = Tensor::empty(nc), db = Tensor::empty(nc);
          norm_stats(x, groups, 1e-5, mean, rstd);
          norm_act_forward(x, mean, rstd, scale, shift, act, 0.01, y);
          norm_act_backward(x, mean, rstd, scale, shift, act, 0.01, dy, dx, ds, db);
          const auto on = [&](const Shape& shape, DType type) {
            return Tensor::empty_on(device, shape, type);
          };
          const Tensor xg = gpu(x.to(t)), dyg = gpu(dy.to(t)), sg = gpu(scale), bg = gpu(shift);
          Tensor mg = on(ng, DType::f32), rg = on(ng, DType::f32), yg = on(s, t), dxg = on(s, t);
          Tensor dsg = on(nc, DType::f32), dbg = on(nc, DType::f32);
          norm_stats(xg, groups, 1e-5, mg, rg);
          norm_act_forward(xg, mg, rg, sg, bg, act, 0.01, yg);
          norm_act_backward(xg, mg, rg, sg, bg, act, 0.01, dyg, dxg, dsg, dbg);
          const double bound = t == DType::f32 ? kF32 : kBf16;
          EXPECT_LE(test::relative_error(mg, mean), 1e-6);
          EXPECT_LE(test::relative_error(rg, rstd), 1e-6);
          EXPECT_LE(test::relative_error(yg, y), bound);
          EXPECT_LE(test::relative_error(dxg, dx), 2 * bound);
          EXPECT_LE(test::relative_error(dsg, ds), 1e-4);  // a slope at 0 may fall to the other side
          EXPECT_LE(test::relative_error(dbg, db), 1e-4);
        }
}

TEST_F(GpuKernels, RandomNumbersHaveTheBitsOfTheCpu) {
  const Philox g{12345, Stream::noise, 7};
  for (const uint64_t first : {uint64_t{0}, uint64_t{3}, uint64_t{1} << 33}) {
    const Shape s{100003};
    const Tensor normal = random_normal(s, g, first), uniform = random_uniform(s, g, first);
    const DeviceScope scope(Device::cuda());
    test::expect_same_bits(random_normal(s, g, first), normal);
    test::expect_same_bits(random_uniform(s, g, first), uniform);
  }
}

TEST_F(GpuKernels, ElementFunctionsHaveTheBitsOfTheCpu) {
  const Tensor x = noise({100001}, 5);
  for (const Unary f :
       {Unary::relu, Unary::leaky_relu, Unary::silu, Unary::gelu, Unary::sigmoid, Unary::exp}) {
    Tensor y = Tensor::empty(x.shape()), yg = Tensor::empty_on(Device::cuda(), x.shape());
    unary_forward(f, x, 0.01, y);
    unary_forward(f, gpu(x), 0.01, yg);
    test::expect_same_bits(yg, y);
  }
}

TEST_F(GpuKernels, OptimizerStepsHaveTheBitsOfTheReference) {
  const Shape s{100001};
  Tensor p = noise(s, 1), m = Tensor::zeros(s), v = Tensor::zeros(s), e = p.clone();
  Tensor pg = gpu(p), mg = gpu(m), vg = gpu(v), eg = gpu(e);
  AdamStep o;
  o.weight_decay = 0.01;
  o.ema_decay = 0.99;
  for (o.step = 1; o.step <= 3; ++o.step) {
    const Tensor g = noise(s, 10 + static_cast<uint32_t>(o.step));
    adam_step(p, g, m, v, e, o);
    adam_step(pg, gpu(g), mg, vg, eg, o);
  }
  EXPECT_LE(test::relative_error(pg, p), 1e-6);
  EXPECT_LE(test::relative_error(vg, v), 1e-6);
  EXPECT_LE(test::relative_error(eg, e), 1e-6);
}

TEST_F(GpuKernels, LossesAndSoftmaxOverManyRows) {
  for (const int64_t classes : {int64_t{2}, int64_t{4}, int64_t{40}}) {
    const Shape s{5, 11, 13, 17, classes}, l{5, 11, 13, 17};
    const Tensor z = noise(s, 1);
    std::vector<int32_t> labels(static_cast<size_t>(l.numel()));
    for (size_t i = 0; i < labels.size(); ++i)
      labels[i] = static_cast<int32_t>(i % static_cast<size_t>(classes));
    const Tensor y = Tensor::from(l, labels);
    EXPECT_NEAR(cross_entropy_sum(gpu(z), gpu(y)) / cross_entropy_sum(z, y), 1, 1e-6);
    Tensor p = Tensor::empty(s), sums = Tensor::empty({3, classes}, DType::f64);
    soft_dice_sums(z, y, p, sums);
    Tensor pg = Tensor::empty_on(Device::cuda(), s),
           sg = Tensor::empty_on(Device::cuda(), {3, classes}, DType::f64);
    soft_dice_sums(gpu(z), gpu(y), pg, sg);
    EXPECT_LE(test::relative_error(pg, p), kF32);
    EXPECT_LE(test::relative_error(sg, sums), kF32);
  }
  const Tensor z = gpu(noise({4, 3}, 1)), bad = gpu(Tensor::from<int32_t>({4}, {0, 1, 3, 2}));
  EXPECT_TRUE(std::isnan(cross_entropy_sum(z, bad)));  // a label outside of the classes
}

// Several tiles in each direction, with rests. In bf16, heads of a multiple of 8 channels run on the tensor
// cores; wider and odd ones do not.
TEST_F(GpuKernels, AttentionForwardAndBackward) {
  struct Case {
    int64_t n, queries, keys, heads, width, values;
    double scale;
    // Factors of the bounds. The rounding of scores of up to some 80 is a relative error of the
    // probabilities. Few of these are large, so differences of dy.v and dy.y cancel.
    double room = 1;
  };
  for (const Case& s : {Case{2, 200, 200, 2, 32, 32, 0.18},
                        {1, 130, 70, 3, 64, 40, 0.125},
                        {1, 65, 193, 1, 16, 56, -0.3},
                        {1, 70, 130, 2, 48, 8, 3, 2},
                        {1, 67, 131, 2, 20, 7, 0.2},
                        {1, 40, 75, 1, 100, 128, 0.1},
                        {2, 1, 90, 2, 32, 32, 0.2}})
    for (const DType t : {DType::f32, DType::bf16}) {
      SCOPED_TRACE(
          cat(t, " queries ", s.queries, " keys ", s.keys, " width ", s.width, " values ", s.values));
      const Shape sq{s.n, s.queries, s.heads, s.width}, sk{s.n, s.keys, s.heads, s.width},
          sv{s.n, s.keys, s.heads, s.values}, sy{s.n, s.queries, s.heads, s.values},
          sl{s.n, s.heads, s.queries};
      const auto rounded = [&](const Shape& shape, uint32_t which) {
        return noise(shape, which).to(t).to(DType::f32);
      };
      const Tensor q = rounded(sq, 1), k = rounded(sk, 2), v = rounded(sv, 3), dy = rounded(sy, 4);
      Tensor y = Tensor::empty(sy), log_sum = Tensor::empty(sl), dq = Tensor::empty(sq),
             dk = Tensor::empty(sk), dv = Tensor::empty(sv);
      attention_forward(q, k, v, s.scale, y, log_sum);
      attention_backward(q, k, v, s.scale, y, log_sum, dy, dq, dk, dv);
      const auto on = [&](const Shape& shape, DType type) {
        return Tensor::empty_on(Device::cuda(), shape, type);
      };
      const Tensor qg = gpu(q.to(t)), kg = gpu(k.to(t)), vg = gpu(v.to(t)), dyg = gpu(dy.to(t));
      Tensor yg = on(sy, t), lg = on(sl, DType::f32), dqg = on(sq, t), dkg = on(sk, t), dvg = on(sv, t);
      attention_forward(qg, kg, vg, s.scale, yg, lg);
      attention_backward(qg, kg, vg, s.scale, yg, lg, dyg, dqg, dkg, dvg);
      // In bf16 the output is rounded, and before that the probabilities are.
      const double bound = s.room * (t == DType::f32 ? kF32 : kBf16);
      EXPECT_LE(test::relative_error(lg, log_sum), kF32);
      EXPECT_LE(test::relative_error(yg, y), bound);
      EXPECT_LE(test::relative_error(dqg, dq), 2 * bound);
      EXPECT_LE(test::relative_error(dkg, dk), 2 * bound);
      EXPECT_LE(test::relative_error(dvg, dv), bound);
    }
}

// A view may begin anywhere. The 16-byte copies of the tensor-core kernels may not.
TEST_F(GpuKernels, AttentionOfAViewThatIsNotAligned) {
  const Shape s{1, 6, 2, 16}, sl{1, 2, 6};
  for (uint32_t odd = 0; odd < 8; ++odd) {
    SCOPED_TRACE(odd);
    const auto view = [&](uint32_t which) {
      return gpu(noise({1 + s.numel()}, which).to(DType::bf16)).view(which == odd ? 1 : 0, s);
    };
    const auto host = [](const Tensor& t) { return t.to(Device::cpu()).to(DType::f32); };
    const Tensor q = view(0), k = view(1), v = view(2), dy = view(3);
    Tensor y = Tensor::empty(s), log_sum = Tensor::empty(sl), yg = view(4), lg = gpu(log_sum);
    attention_forward(host(q), host(k), host(v), 0.25, y, log_sum);
    attention_forward(q, k, v, 0.25, yg, lg);
    EXPECT_LE(test::relative_error(yg, y), kBf16);
    Tensor dq = Tensor::empty(s), dk = Tensor::empty(s), dv = Tensor::empty(s);
    Tensor dqg = view(5), dkg = view(6), dvg = view(7);
    attention_backward(host(q), host(k), host(v), 0.25, y, log_sum, host(dy), dq, dk, dv);
    attention_backward(q, k, v, 0.25, yg, lg, dy, dqg, dkg, dvg);
    EXPECT_LE(test::relative_error(dqg, dq), 2 * kBf16);
    EXPECT_LE(test::relative_error(dkg, dk), 2 * kBf16);
    EXPECT_LE(test::relative_error(dvg, dv), kBf16);
  }
}

TEST_F(GpuKernels, AttentionOfWiderHeadsIsRefused) {
  const Tensor q = gpu(noise({1, 2, 1, 129}, 1)), v = gpu(noise({1, 2, 1, 4}, 2));
  Tensor y = Tensor::empty_on(Device::cuda(), v.shape()),
         log_sum = Tensor::empty_on(Device::cuda(), {1, 1, 2});
  try {
    attention_forward(q, q, v, 1, y, log_sum);
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("expected heads of at most 128 channels"), std::string::npos)
        << e.what();
  }
}

// Tables that a step reads are uploaded without a wait. None may change before the device has it.
TEST_F(GpuKernels, SmallUploadsArriveAsTheyWere) {
  constexpr int kUploads = 200;
  const int64_t width = 1023;
  const Tensor all = Tensor::empty_on(Device::cuda(), {kUploads, width});
  Tensor host = Tensor::empty({1, width});
  for (int k = 0; k < kUploads; ++k) {
    fill(host, k);
    all.rows(k, 1).copy_from(host);
  }
  const Tensor back = all.to(Device::cpu());
  for (int k = 0; k < kUploads; ++k)
    for (const int64_t i : {int64_t{0}, width - 1}) EXPECT_EQ(back.data<float>()[k * width + i], k);
}

// These kernels know f32 alone: a call in f64 must not be read as f32.
TEST_F(GpuKernels, KernelsInF32RefuseF64) {
  const auto on_gpu = [](const Shape& shape) { return gpu(Tensor::zeros(shape, DType::f64)); };
  Tensor factor = on_gpu({2, 4}), offset = on_gpu({2, 4}), dgamma = on_gpu({4}), dbeta = on_gpu({4}), none,
         embedding = on_gpu({3, 8}), value = on_gpu({1});
  EXPECT_THROW(norm_modulation(on_gpu({4}), on_gpu({4}), {}, {}, factor, offset), Error);
  EXPECT_THROW(norm_modulation_backward(on_gpu({4}), on_gpu({4}), {}, factor, offset, dgamma, dbeta, none),
               Error);
  EXPECT_THROW(time_embedding(on_gpu({3}), 100, embedding), Error);
  EXPECT_THROW(sum_all(gpu(noise({5}, 1)), 2, value), Error);
}

TEST_F(GpuKernels, MemoryRunsOutWithAnErrorAndRecovers) {
  const auto& memory = gpu::module().memory;
  cuda::Context* const c = gpu::context(Device::cuda());
  cuda::PoolStats stats{};
  gpu::check(memory.stats(c, &stats));
  gpu::check(memory.set_cap(c, stats.reserved + (uint64_t{64} << 20)));
  try {
    Tensor::empty_on(Device::cuda(), {int64_t{1} << 28});  // 1 GiB
    ADD_FAILURE() << "expected an error";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::memory);
    EXPECT_NE(std::string(e.what()).find("peak"), std::string::npos) << e.what();
  }
  gpu::check(memory.set_cap(c, 0));
  EXPECT_NO_THROW(Tensor::empty_on(Device::cuda(), {int64_t{1} << 28}));
}

// A captured sequence gives the bits of the eager one, replays on new input, and reads `draw` from memory.
TEST_F(GpuKernels, AGraphReplays) {
  const auto& module = gpu::module();
  cuda::Context* const c = gpu::context(Device::cuda());
  const Shape s{4, 1000};
  Tensor x = gpu(noise(s, 1)), y = Tensor::empty_on(Device::cuda(), s),
         z = Tensor::empty_on(Device::cuda(), s);
  const auto step = [&] {
    Tensor half = Tensor::empty_on(Device::cuda(), s);
    scale(x, 0.5, 1, half);
    unary_forward(Unary::silu, half, 0, y);
    softmax_forward(y, 2, z);
  };
  step();
  const Tensor eager = z.to(Device::cpu());
  cuda::Graph* graph = nullptr;
  gpu::check(module.graph.begin(c));
  step();
  gpu::check(module.graph.end(c, &graph));
  uint64_t nodes = 0;
  gpu::check(module.graph.nodes(graph, &nodes));
  EXPECT_EQ(nodes, 3u);
  fill(z, 0);
  gpu::check(module.graph.launch(c, graph));
  test::expect_same_bits(z, eager);
  gpu::copy(noise(s, 2), x);
  gpu::check(module.graph.launch(c, graph));
  const Tensor replayed = z.to(Device::cpu());
  step();
  test::expect_same_bits(z, replayed);
  gpu::check(module.graph.destroy(c, graph));
}

TEST_F(GpuKernels, AWaitInsideACaptureIsRefused) {
  const auto& module = gpu::module();
  cuda::Context* const c = gpu::context(Device::cuda());
  gpu::check(module.graph.begin(c));
  EXPECT_NE(module.device.wait(c), 0);
  EXPECT_NE(std::string(module.last_error()).find("capture"), std::string::npos);
  gpu::check(module.graph.abandon(c));
  EXPECT_EQ(module.device.wait(c), 0);
}

}  // namespace
}  // namespace voxgrad
