// The residual process, windows, the random numbers of a step and input, on the device. All have the
// bits of the CPU. What they read of a step lies in device memory. So a graph that holds them replays
// with other constants.
#include "tensor/process/process.h"

#include "autograd/ops.h"
#include "diffusion/residual.h"
#include "tensor/core/graph.h"
#include "tensor/core/input_queue.h"
#include "tensor/elementwise/elementwise.h"
#include "tensor/layout/layout.h"
#include "tensor/layout/window.h"
#include "tests/gpu/gpu_check.h"

namespace voxgrad {
namespace {

using test::emulated;
using test::expect_same_bits;
using test::gpu;
using test::noise;

class GpuProcess : public test::OnGpu {};

const NoiseSchedule& cosine() {
  static const NoiseSchedule s("cosine", 1000, false);
  return s;
}

Tensor labels(const Shape& shape, int classes) {
  std::vector<int32_t> v(static_cast<size_t>(shape.numel()));
  for (size_t i = 0; i < v.size(); ++i) v[i] = static_cast<int32_t>(i * i % 7) % classes;
  return Tensor::from(shape, v);
}

// Runs f on the device on copies of the tensors too. Afterwards all of them must have the bits of the CPU.
template <class F>
void expect_same(std::vector<Tensor> t, F&& f) {
  std::vector<Tensor> there;
  for (const Tensor& one : t) there.push_back(gpu(one.clone()));
  f(t);
  f(there);
  for (size_t i = 0; i < t.size(); ++i) expect_same_bits(there[i], t[i]);
}

TEST_F(GpuProcess, NoisingEstimatesAndReverseStepsHaveTheBitsOfTheCpu) {
  const Shape s{2, 5, 6, 7, 3}, one{1, 5, 6, 7, 3};
  const auto zeros = [&] { return Tensor::zeros(s); };
  const Tensor constants = process_constants(cosine(), {20, 990}, 0.3);
  expect_same({constants, labels({2, 5, 6, 7}, 3), noise(s, 1), noise(s, 2), zeros(), zeros(), zeros()},
              [](std::vector<Tensor>& t) { noise_residual(t[0], t[1], t[2], t[3], t[4], t[5], t[6]); });
  expect_same({constants, noise(s, 1), zeros()},
              [](std::vector<Tensor>& t) { precondition_state(t[0], t[1], t[2]); });
  for (const Shape& prior : {s, one})
    expect_same({constants, noise(s, 1), noise(prior, 2), noise(s, 3), zeros()},
                [](std::vector<Tensor>& t) { estimate_clean(t[0], t[1], t[2], t[3], t[4]); });
  for (const ReverseStep& step :
       {ReverseStep{500, 400, 0.7, 0.2, 0, 0}, ReverseStep{500, 400, 0.7, 0.2, -0.3, 0.1}})
    for (const Shape& prior : {s, one})
      expect_same({process_constants(cosine(), {500, 500}, 0.3, step), noise(s, 1), noise(prior, 2),
                   noise(s, 3), noise(s, 4), noise(s, 5)},
                  [](std::vector<Tensor>& t) { reverse_residual(t[0], t[1], t[2], t[3], t[4], t[5]); });
  expect_same({noise(s, 1), zeros()}, [](std::vector<Tensor>& t) { clip_to_probabilities(t[0], t[1]); });
}

// Where a step lacks a term, it reads nothing of it, so the memory may hold anything. (A term whose tensor is
// undefined is left out, because the host does not see its factor.)
TEST_F(GpuProcess, TermsWithoutAFactorAreNotRead) {
  const Shape s{1, 2, 2, 2, 2};
  const Tensor nan = Tensor::full(s, std::nan("")), none;
  const Tensor constants = process_constants(cosine(), {500}, 0.3, {500, 400, 0.5, 0.5, 0, 0});
  Tensor state = gpu(noise(s, 1)), previous = gpu(nan), want = gpu(noise(s, 1)), unused;
  reverse_residual(gpu(constants), gpu(noise(s, 2)), gpu(noise(s, 3)), gpu(nan), state, previous);
  reverse_residual(gpu(constants), gpu(noise(s, 2)), gpu(noise(s, 3)), none, want, unused);
  expect_same_bits(state, want);
  const Tensor both = gpu(process_constants(cosine(), {500}, 0.3, {500, 400, 0.5, 0.5, 0.1, 0.1}));
  want = gpu(noise(s, 1));
  reverse_residual(both, gpu(noise(s, 2)), gpu(noise(s, 3)), none, want, unused);
  expect_same_bits(state, want);
}

TEST_F(GpuProcess, WindowsHaveTheBitsOfTheCpu) {
  const Tensor weight = noise({4, 5, 6}, 1);
  for (const int64_t n : {1, 3})
    for (const Triple& corner : {Triple{0, 0, 0}, Triple{3, 2, 5}, Triple{-2, -1, 4}})
      expect_same({noise({n, 4, 5, 6, 2}, 2), weight, noise({n, 6, 7, 9, 2}, 3)},
                  [&](std::vector<Tensor>& t) { add_window(t[0], t[1], corner, t[2]); });
  expect_same({noise({3, 4, 5, 6, 2}, 2), weight}, [](std::vector<Tensor>& t) { divide_places(t[0], t[1]); });
  for (const Triple& factor : {Triple{2, 2, 2}, Triple{1, 2, 4}})
    expect_same({labels({2, 4, 6, 8, 1}, 3),
                 Tensor::zeros({2, 4 / factor[0], 6 / factor[1], 8 / factor[2], 1}, DType::i32)},
                [&](std::vector<Tensor>& t) { subsample(t[0], factor, t[1]); });
}

TEST_F(GpuProcess, AGraphOfRandomNumbersReadsSeedAndDraw) {
  const Shape s{1003};
  const Philox g{7, Stream::noise, 2};
  Tensor y = Tensor::empty_on(Device::cuda(), s), offset = Tensor::empty_on(Device::cuda(), {2}, DType::i64);
  ReplayedWork work(
      Device::cuda(), [&] { fill_normal(y, g, offset); }, 4);
  for (const int64_t k : {0, 1, 2, 3}) {
    offset.copy_from(Tensor::from<int64_t>({2}, {5 * k, k}));
    work.run();
    const Philox shifted{7 + 5 * static_cast<uint64_t>(k), Stream::noise, 2 + static_cast<uint32_t>(k)};
    expect_same_bits(y, random_normal(s, shifted));
    Tensor host = Tensor::empty(s);
    fill_normal(host, g, Tensor::from<int64_t>({2}, {5 * k, k}));
    expect_same_bits(y, host);
  }
  EXPECT_TRUE(work.recorded());
}

// All that a step draws on the device, recorded once. After set(), a replay draws the numbers of the new
// step, and they are those of the CPU.
TEST_F(GpuProcess, AGraphDrawsTheNumbersOfItsStep) {
  const Shape s{1003};
  const Tensor table = noise({3, 50}, 1), table_there = gpu(table);
  StepRandom random, there(Device::cuda());
  EXPECT_EQ(there.device(), Device::cuda());
  Tensor y = Tensor::empty_on(Device::cuda(), s), z = y.clone();
  const Tensor columns = Tensor::empty_on(Device::cuda(), {3, 700});
  ReplayedWork work(
      Device::cuda(),
      [&] {
        fill_normal(y, there, Stream::noise);
        fill_normal(z, there, Stream::noise, 77);
        columns.copy_from(random_columns(table_there, there, Stream::time_step, 700));
      },
      4);
  std::vector<std::vector<float>> drawn;
  for (const int64_t step : {0, 1, 2, 3}) {
    for (StepRandom* r : {&random, &there}) r->set(~uint64_t{0} - static_cast<uint64_t>(step / 2), step);
    work.run();
    Tensor host = Tensor::empty(s);
    fill_normal(host, random, Stream::noise);
    expect_same_bits(y, host);
    fill_normal(host, random, Stream::noise, 77);
    expect_same_bits(z, host);
    expect_same_bits(columns, random_columns(table, random, Stream::time_step, 700));
    drawn.push_back(columns.to_vector<float>());
    for (size_t k = 0; k + 1 < drawn.size(); ++k) EXPECT_NE(drawn[k], drawn.back()) << step;
  }
  EXPECT_TRUE(work.recorded());
  Tensor here = Tensor::empty(s);
  EXPECT_THROW(fill_normal(here, there, Stream::noise), Error);
  EXPECT_THROW(random_columns(table, there, Stream::time_step, 3), Error);
}

// y = dropout(2 x), loss <y, r>: a step recorded as one graph. At every replay the mask is that of the step
// on the CPU. The gradient has the same mask as the output, whether it is kept or recomputed.
TEST_F(GpuProcess, AGraphWithDropoutHasANewMaskAtEveryStep) {
  const Shape s{2, 3, 5, 7, 9};  // 1890 elements: not a multiple of 4
  const Tensor r = noise(s, 2);
  for (const DType type : {DType::f32, DType::bf16})
    for (const bool recompute : {false, true}) {
      SCOPED_TRACE(cat(type, " recompute ", recompute));
      const auto step = [&](const Tensor& x, const StepRandom& random, const Tensor& seed, Tensor& y,
                            Tensor& dx) {
        Tape tape;
        tape.set_recompute(recompute);
        const Var leaf = Var::leaf(x);
        const Var dropped = ops::dropout(ops::cast(ops::scale(leaf, 2), type), 0.4, random, 3);
        // Its backward pass reads the dropped values, which recomputation computes again.
        const Var squared = ops::mul(ops::cast(dropped, DType::f32), ops::cast(dropped, DType::f32));
        y.copy_from(squared.value());
        tape.backward(squared, seed);
        dx.copy_from(leaf.grad());
      };
      const Tensor x = noise(s, 1), x_there = gpu(x), r_there = gpu(r);
      StepRandom random, there(Device::cuda());
      Tensor y = Tensor::empty(s), dx = Tensor::empty(s), y_there = gpu(y), dx_there = gpu(dx);
      ReplayedWork work(
          Device::cuda(), [&] { step(x_there, there, r_there, y_there, dx_there); }, 5);
      std::vector<std::vector<bool>> masks;
      for (const int64_t k : {0, 1, 2, 3, 4}) {
        for (StepRandom* each : {&random, &there}) each->set(11 + static_cast<uint64_t>(k / 3), k);
        work.run();
        step(x, random, r, y, dx);
        expect_same_bits(y_there, y);
        expect_same_bits(dx_there, dx);
        const std::vector<float> values = y_there.to_vector<float>(), gradient = dx_there.to_vector<float>();
        std::vector<bool> mask;
        for (size_t i = 0; i < values.size(); ++i) {
          mask.push_back(values[i] != 0);
          ASSERT_EQ(gradient[i] != 0, mask.back()) << "step " << k << " element " << i;
        }
        for (size_t before = 0; before < masks.size(); ++before) EXPECT_NE(masks[before], mask) << k;
        masks.push_back(std::move(mask));
      }
      EXPECT_TRUE(work.recorded()) << work.refusal();
    }
}

TEST_F(GpuProcess, WorkThatCannotBeRecordedRunsAsItIs) {
  Tensor x = gpu(noise({8}, 1));
  int runs = 0;
  ReplayedWork reads(
      Device::cuda(), [&] { (void)x.rows(0, 1).item(), ++runs; }, 9);
  for (int k = 0; k < 3; ++k) reads.run();
  EXPECT_EQ(runs, 3);
  EXPECT_FALSE(reads.recorded());
  EXPECT_NE(reads.refusal().find("capture"), std::string::npos) << reads.refusal();
  ReplayedWork few(
      Device::cuda(), [&] { ++runs; }, 2);
  device_options().graphs = false;
  ReplayedWork off(
      Device::cuda(), [&] { ++runs; }, 9);
  device_options().graphs = true;
  for (int k = 0; k < 3; ++k) few.run(), off.run();
  EXPECT_EQ(runs, 9);
  EXPECT_FALSE(few.recorded() || off.recorded());
}

TEST_F(GpuProcess, ARecordingWithoutMemoryIsTriedOnceMore) {
  Tensor y = gpu(noise({8}, 1));
  int runs = 0, fail_until = 0;
  const auto work = [&] {
    if (++runs > 1 && runs <= fail_until) fail(ErrorCode::memory, "no memory");
    scale(y, 1.5, 0, y);
  };
  const Tensor start = y.to(Device::cpu());
  fail_until = 2;  // the first recording
  ReplayedWork again(Device::cuda(), work, 9);
  for (int k = 0; k < 3; ++k) again.run();
  EXPECT_TRUE(again.recorded());
  EXPECT_EQ(again.nodes(), 1u);
  EXPECT_EQ(runs, 3);
  runs = 0;
  fail_until = 3;  // the second one too
  ReplayedWork never(Device::cuda(), work, 9);
  for (int k = 0; k < 3; ++k) never.run();
  EXPECT_FALSE(never.recorded());
  EXPECT_EQ(never.nodes(), 0u);
  EXPECT_NE(never.refusal().find("no memory"), std::string::npos);
  Tensor want = start.clone();
  for (int k = 0; k < 6; ++k) scale(want, 1.5, 0, want);
  expect_same_bits(y, want);
}

// Inputs that take as long to send as in a training, while the device is behind the host (work) or ahead of
// it (none). Nothing is compared before the last step, because comparing would wait.
TEST_F(GpuProcess, InputsArriveInTheirPlaceInOrder) {
  constexpr int kSteps = 48, kKinds = 4;  // inputs that take turns
  const Shape image_shape{1 << 20}, label_shape{1 << 19};
  const std::vector<Tensor> places{Tensor::empty_on(Device::cuda(), image_shape),
                                   Tensor::empty_on(Device::cuda(), label_shape, DType::i32)};
  std::vector<std::vector<Tensor>> inputs;
  for (int kind = 0; kind < kKinds; ++kind)
    inputs.push_back({Tensor::full(image_shape, kind + 1),
                      Tensor::from(label_shape, std::vector<int32_t>(1 << 19, kind + 1))});
  const auto input = [&](int step) { return inputs[static_cast<size_t>(step % kKinds)]; };
  const Tensor images = Tensor::empty_on(Device::cuda(), {kSteps, 1 << 20}),
               labels = Tensor::empty_on(Device::cuda(), {kSteps, 1 << 19}, DType::i32);
  const int copies = emulated() ? 1 : 100;  // of 32 MiB: milliseconds
  const Tensor from = Tensor::empty_on(Device::cuda(), {8 << 20}), to = from.clone();
  InputQueue queue(places);
  queue.push(input(0));
  EXPECT_THROW(queue.push(input(1)), Error);
  for (int step = 0; step < kSteps; ++step) {
    queue.pop();
    if (step + 1 < kSteps) queue.push(input(step + 1));
    if (step % 8 < 4)
      for (int k = 0; k < copies; ++k) to.copy_from(from);
    images.rows(step, 1).reshape(image_shape).copy_from(places[0]);
    labels.rows(step, 1).reshape(label_shape).copy_from(places[1]);
  }
  EXPECT_FALSE(queue.waiting());
  EXPECT_THROW(queue.pop(), Error);
  for (int step = 0; step < kSteps; ++step) {
    expect_same_bits(images.rows(step, 1).reshape(image_shape), input(step)[0]);
    expect_same_bits(labels.rows(step, 1).reshape(label_shape), input(step)[1]);
  }
}

// A queue that ends while a step is on its way leaves nothing behind that writes into later memory.
TEST_F(GpuProcess, AQueueMayEndWithAStepOnItsWay) {
  const Shape shape{1 << 20};
  const Tensor place = Tensor::full(shape, 1).to(Device::cuda()), input = Tensor::full(shape, 2);
  std::vector<Tensor> after;
  for (int k = 0; k < 8; ++k) {
    {
      InputQueue queue(std::vector<Tensor>{place});
      queue.push({input});
      if (k % 2 == 1) {
        queue.pop();
        queue.push({input});
      }
    }
    after.push_back(Tensor::empty_on(Device::cuda(), shape));
    after.back().copy_from(place);
  }
  for (size_t k = 0; k < after.size(); ++k) expect_same_bits(after[k], Tensor::full(shape, k == 0 ? 1 : 2));
}

}  // namespace
}  // namespace voxgrad
