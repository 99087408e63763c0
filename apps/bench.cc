// `voxgrad bench`: measures the time of a training step of a 3-D U-Net on this machine. By default the
// network has four levels with two blocks (convolution, instance norm, leaky ReLU) each, strided convolutions
// down, transposed convolutions up, one input channel and three classes. The loss is the cross-entropy, the
// optimizer Adam.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <iostream>
#include <nlohmann/json.hpp>

#include "apps/commands.h"
#include "apps/numbers.h"
#include "apps/train_options.h"
#include "nn/losses.h"
#include "nn/unet.h"
#include "optim/optimizer.h"
#include "tensor/allocator.h"
#include "tensor/cpu/isa.h"
#include "tensor/graph.h"
#include "tensor/parallel.h"
#include "tensor/peak.h"
#include "tensor/random.h"

namespace voxgrad::apps {
namespace {

constexpr int64_t kClasses = 3;

struct Arguments {
  int64_t base = 16, size = 64, batch = 2, levels = 4, repeats = 4;
  bool json = false, recompute = true;
  std::string precision = "fp32";
  DeviceChoice device;
};

template <class F>
double best_of(int64_t repeats, const Device& device, F&& f) {
  for (int warm = 0; warm < (device.is_cuda() ? 2 : 1); ++warm) f();
  double best = 1e9;
  for (int64_t i = 0; i < repeats; ++i) {
    synchronize(device);
    const auto start = std::chrono::steady_clock::now();
    f();
    synchronize(device);
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return best;
}

size_t memory_in_use(const Device& d) { return d.is_cuda() ? device_memory(d).live : memory_stats().current; }
size_t peak_memory(const Device& d) { return d.is_cuda() ? device_memory(d).peak : memory_stats().peak; }
void reset_peak(const Device& d) {
  if (d.is_cuda())
    reset_peak_memory(d);
  else
    reset_memory_peak();
}

// Floating-point operations of the forward pass; a multiply-add counts as two. The backward pass costs twice
// as many.
double forward_operations(const UNetConfig& c, const Arguments& a) {
  double total = 0;
  for (size_t i = 0; i < c.features.size(); ++i) {
    const double voxels = static_cast<double>(a.batch) * std::pow(static_cast<double>(a.size >> i), 3);
    const double f = static_cast<double>(c.features[i]),
                 in = i == 0 ? 1 : static_cast<double>(c.features[i - 1]);
    total += 2 * 27 * voxels * (in * f + f * f);
    if (i + 1 < c.features.size())  // the transposed convolution from the level below and the decoder's block
      total +=
          2 * voxels * static_cast<double>(c.features[i + 1]) * f + 2 * 27 * voxels * (2 * f * f + f * f);
    if (i == 0) total += 2 * voxels * f * kClasses;
  }
  return total;
}

void run(const Arguments& a) {
  const Runtime runtime = a.device.start({.precision = a.precision});
  const Device device = runtime.device();
  (void)a.device.memory_limit(runtime);
  UNetConfig c;
  for (int64_t i = 0; i < a.levels; ++i) {
    c.features.push_back(std::min<int64_t>(a.base << i, 320));
    const int64_t s = i == 0 ? 1 : 2;
    c.strides.push_back({s, s, s});
    c.kernels.push_back({3, 3, 3});
  }
  c.precision = runtime.activations();
  if (a.size % (int64_t{1} << (a.levels - 1)) != 0)
    fail(ErrorCode::usage, "bench: expected --size to be a multiple of ", int64_t{1} << (a.levels - 1),
         ", got ", a.size);
  Parameters p;
  const UNet net(p, "net", c);
  const Heads head(p, "net.head", c.features, 1, kClasses);
  p.allocate(0);
  p.move_to(device);
  const Tensor x = random_normal({a.batch, a.size, a.size, a.size, 1}, {0, Stream::test, 0}).to(device);
  Tensor label = Tensor::zeros({a.batch, a.size, a.size, a.size}, DType::i32);
  const Philox labels{0, Stream::test, 1};
  for (int64_t i = 0; i < label.numel(); ++i)
    label.mutable_data<int32_t>()[i] = static_cast<int32_t>(labels.below(static_cast<uint64_t>(i), kClasses));
  label = label.to(device);
  Tensor values = p.values();
  const size_t before = memory_in_use(device);
  reset_peak(device);
  Optimizer optimizer({}, values);
  // On a CUDA device each kind of step is one graph, as in training. The first two runs make plans and graph.
  const int64_t runs = a.repeats + 2;
  ReplayedWork step_work(
      device,
      [&] {
        p.zero_grads();
        {
          Tape tape;
          tape.set_recompute(a.recompute);
          const Var logits =
              head.finest(net({Var(x)}));  // no variable keeps the pyramid during the backward pass
          tape.backward(ops::cross_entropy(logits, label));
        }
        optimizer.update(values, p.grads());
      },
      runs);
  const double step = best_of(a.repeats, device, [&] {
    optimizer.prepare(1e-3);
    step_work.run();
  });
  const size_t peak = peak_memory(device) - before;
  ReplayedWork forward_work(
      device, [&] { head.finest(net({Var(x)})); }, runs);
  const double forward = best_of(a.repeats, device, [&] { forward_work.run(); });
  const double operations = forward_operations(c, a);
  nlohmann::ordered_json result = {
      {"forward_s", forward}, {"step_s", step}, {"peak_bytes", peak}, {"parameters", p.count()}};
  if (device.is_cuda()) {
    result["gflops"] = 3 * operations / step / 1e9;
    result["forward_gflops"] = operations / forward / 1e9;
    result["graph_nodes"] = step_work.nodes();
  } else {
    // A CPU without bf16 instructions computes bf16 in f32.
    const double fp32 = fma_peak(), bf16 = c.precision == DType::bf16 ? bf16_peak() : 0;
    const double machine = bf16 > 0 ? bf16 : fp32;
    result["fma_peak_gflops"] = fp32 / 1e9;
    result["bf16_peak_gflops"] = bf16 / 1e9;
    result["fraction_of_peak"] = 3 * operations / step / machine;
    result["forward_fraction_of_peak"] = operations / forward / machine;
  }
  result["device"] = device.str();
  result["threads"] = thread_count();
  result["isa"] = std::string(name_of(cpu_isa()));
  result["precision"] = a.precision;
  if (a.json) {
    std::cout << result.dump() << "\n";
    return;
  }
  for (const auto& [key, value] : result.items()) std::cout << key << " " << value << "\n";
}

}  // namespace

void add_bench(CLI::App& app) {
  auto a = std::make_shared<Arguments>();
  CLI::App* c = app.add_subcommand("bench", "Time a training step of a 3-D U-Net on this machine");
  c->add_option("--base", a->base, "Channels of the first level")
      ->capture_default_str()
      ->check(whole_number(1, 512));
  c->add_option("--size", a->size, "Voxels an edge")->capture_default_str()->check(whole_number(8, 512));
  c->add_option("--batch", a->batch, "Volumes a step")->capture_default_str()->check(whole_number(1, 1024));
  c->add_option("--repeat", a->repeats, "Number of repeats; the fastest one is shown")
      ->capture_default_str()
      ->check(whole_number(1, 1000));
  c->add_option("--precision", a->precision,
                "fp32, bf16 for activations and products, or tf32 on a CUDA device")
      ->capture_default_str()
      ->check(CLI::IsMember({"fp32", "tf32", "bf16"}));
  a->device.add_to(*c);
  c->add_flag(
      "--recompute,!--no-recompute", a->recompute,
      "Compute activations again in the backward pass instead of keeping them, as training does (default)");
  c->add_flag("--json", a->json, "One line of JSON");
  c->callback([a] { run(*a); });
}

}  // namespace voxgrad::apps
