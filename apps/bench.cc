// `voxgrad bench`: measures the time of a training step of a 3-D U-Net on this machine. By default the
// network has four levels with two blocks (convolution, instance norm, leaky ReLU) each, strided convolutions
// down, transposed convolutions up, one input channel and three classes. The loss is the cross-entropy, the
// optimizer Adam. With --all it also measures the
// rates of this CPU, and the network in every precision that a CPU computes in.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <iomanip>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "apps/commands.h"
#include "apps/numbers.h"
#include "apps/precision_advice.h"
#include "apps/train_options.h"
#include "io/system_info.h"
#include "nn/losses.h"
#include "nn/unet.h"
#include "optim/optimizer.h"
#include "tensor/core/allocator.h"
#include "tensor/core/cpu/isa.h"
#include "tensor/core/graph.h"
#include "tensor/core/parallel.h"
#include "tensor/core/random.h"
#include "tensor/gemm/peak.h"

namespace voxgrad::apps {
namespace {

constexpr int64_t kClasses = 3;

struct Arguments {
  int64_t base = 16, size = 64, batch = 2, levels = 4, repeats = 4;
  bool json = false, recompute = true, all = false;
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

/// Times and memory of the network.
struct Speed {
  double step = 0, forward = 0;  ///< seconds
  double operations = 0;         ///< of a forward pass
  size_t peak = 0;               ///< bytes of a training step above what it starts with
  int64_t parameters = 0;
  uint64_t graph_nodes = 0;  ///< of a training step on a CUDA device
};

Speed measure(const Arguments& a, const Device& device, DType activations) {
  UNetConfig c;
  for (int64_t i = 0; i < a.levels; ++i) {
    c.features.push_back(std::min<int64_t>(a.base << i, 320));
    const int64_t s = i == 0 ? 1 : 2;
    c.strides.push_back({s, s, s});
    c.kernels.push_back({3, 3, 3});
  }
  c.precision = activations;
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
  Speed speed;
  speed.step = best_of(a.repeats, device, [&] {
    optimizer.prepare(1e-3);
    step_work.run();
  });
  speed.peak = peak_memory(device) - before;
  ReplayedWork forward_work(
      device, [&] { head.finest(net({Var(x)})); }, runs);
  speed.forward = best_of(a.repeats, device, [&] { forward_work.run(); });
  speed.operations = forward_operations(c, a);
  speed.parameters = p.count();
  speed.graph_nodes = step_work.nodes();
  return speed;
}

void run(const Arguments& a) {
  const Runtime runtime = a.device.start({.precision = a.precision});
  const Device device = runtime.device();
  (void)a.device.memory_limit(runtime);
  const Speed speed = measure(a, device, runtime.activations());
  nlohmann::ordered_json result = {{"forward_s", speed.forward},
                                   {"step_s", speed.step},
                                   {"peak_bytes", speed.peak},
                                   {"parameters", speed.parameters}};
  if (device.is_cuda()) {
    result["gflops"] = 3 * speed.operations / speed.step / 1e9;
    result["forward_gflops"] = speed.operations / speed.forward / 1e9;
    result["graph_nodes"] = speed.graph_nodes;
  } else {
    // A CPU without bf16 instructions computes bf16 in f32.
    const double fp32 = fma_peak(), bf16 = runtime.activations() == DType::bf16 ? bf16_peak() : 0;
    const double machine = bf16 > 0 ? bf16 : fp32;
    result["fma_peak_gflops"] = fp32 / 1e9;
    result["bf16_peak_gflops"] = bf16 / 1e9;
    result["fraction_of_peak"] = 3 * speed.operations / speed.step / machine;
    result["forward_fraction_of_peak"] = speed.operations / speed.forward / machine;
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

constexpr double kCopyBytes = 0x1p28;

/// A rate of the CPU; 0: the kernels in use have no such instruction.
struct Rate {
  const char *key, *name, *unit;
  double (*measure)();
  double one = 0, all = 0;  ///< with one thread, and with all threads together; in units of 10^9
};

std::vector<Rate> rates() {
  std::vector<Rate> all{
      {"fma_f32", "fp32 multiply-adds", "GFLOP/s", fma_peak},
      {"dot_bf16", "bf16 products of pairs", "GFLOP/s", bf16_peak},
      {"tiles_bf16", "bf16 products of tiles", "GFLOP/s", tile_peak},
      {"copy", "copy of 256 MiB", "GB/s", [] { return copy_bandwidth(kCopyBytes); }},
  };
  const int threads = thread_count();
  for (Rate& r : all) {
    set_thread_count(1);
    r.one = r.measure() / 1e9;
    set_thread_count(threads);
    r.all = threads == 1 ? r.one : r.measure() / 1e9;
  }
  return all;
}

void run_all(const Arguments& a) {
  if (parse_device(a.device.device).is_cuda())
    fail(ErrorCode::usage, "bench: --all measures the CPU: expected --device cpu, got ", a.device.device);
  const Runtime runtime = a.device.start({});
  (void)a.device.memory_limit(runtime);
  const std::vector<Rate> found = rates();
  // Twice in turn, the better time of each counts: what else runs on the machine disturbs both alike.
  Speed fp32, bf16;
  for (int round = 0; round < 2; ++round)
    for (const auto& [best, dtype] : {std::pair{&fp32, DType::f32}, std::pair{&bf16, DType::bf16}}) {
      Speed s = measure(a, runtime.device(), dtype);
      if (round > 0) {
        s.step = std::min(s.step, best->step);
        s.forward = std::min(s.forward, best->forward);
      }
      *best = s;
    }
  const bool widened = found[1].one == 0;
  const PrecisionAdvice advice = precision_advice();
  const int threads = thread_count();
  const std::string isa(name_of(cpu_isa())), cpu = system_info().cpu_model;
  if (a.json) {
    nlohmann::ordered_json j = {{"cpu", cpu}, {"isa", isa}, {"threads", threads}};
    for (const Rate& r : found)
      j["rates"][r.key] = {{"one_thread", r.one}, {"all_threads", r.all}, {"unit", r.unit}};
    for (const auto& [name, s] : {std::pair{"fp32", fp32}, std::pair{"bf16", bf16}})
      j["precisions"][name] = {{"step_s", s.step},
                               {"forward_s", s.forward},
                               {"peak_bytes", s.peak},
                               {"step_speedup", fp32.step / s.step},
                               {"forward_speedup", fp32.forward / s.forward}};
    j["bf16_computed_in_fp32"] = widened;
    j["recommended"] = {{"precision", advice.precision}, {"reason", advice.reason}};
    std::cout << j.dump() << "\n";
    return;
  }
  const auto columns = [](const std::string& name, const std::string& x, const std::string& y,
                          const std::string& rest) {
    std::cout << std::left << std::setw(24) << name << std::right << std::setw(12) << x << std::setw(12) << y
              << "  " << rest << "\n";
  };
  const auto digits = [](double x, int precision) {
    std::ostringstream text;
    text << std::fixed << std::setprecision(precision) << x;
    return text.str();
  };
  std::cout << cpu << ", kernels " << isa << "\n\n";
  columns("", "1 thread", cat(threads, threads == 1 ? " thread" : " threads"), "");
  for (const Rate& r : found)
    columns(r.name, r.one == 0 ? "none" : digits(r.one, 1), r.all == 0 ? "none" : digits(r.all, 1), r.unit);
  std::cout << "\n3-D U-Net, " << a.levels << " levels from " << a.base << " channels, batch " << a.batch
            << ", " << a.size << "^3, all threads\n";
  columns("", "fp32", "bf16", "fp32 / bf16");
  columns("training step, s", digits(fp32.step, 3), digits(bf16.step, 3), digits(fp32.step / bf16.step, 2));
  columns("forward pass, s", digits(fp32.forward, 3), digits(bf16.forward, 3),
          digits(fp32.forward / bf16.forward, 2));
  const auto mebibytes = [](const Speed& s) { return static_cast<double>(s.peak) / 0x1p20; };
  columns("peak memory, MiB", digits(mebibytes(fp32), 0), digits(mebibytes(bf16), 0),
          digits(mebibytes(fp32) / mebibytes(bf16), 2));
  if (widened) std::cout << "These kernels compute bf16 in fp32.\n";
  std::cout << "\nrecommended by the instruction set: " << advice.precision << " (" << advice.reason << ")\n";
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
  CLI::Option* const precision =
      c->add_option("--precision", a->precision,
                    "fp32, bf16 for activations and products, or tf32 on a CUDA device")
          ->capture_default_str()
          ->check(CLI::IsMember({"fp32", "tf32", "bf16"}));
  a->device.add_to(*c);
  c->add_flag(
      "--recompute,!--no-recompute", a->recompute,
      "Compute activations again in the backward pass instead of keeping them, as training does (default)");
  c->add_flag(
       "--all", a->all,
       "Everything about this CPU: its rates with one thread and with all, and the network in fp32 and bf16")
      ->excludes(precision);
  c->add_flag("--json", a->json, "One line of JSON");
  c->callback([a] { a->all ? run_all(*a) : run(*a); });
}

}  // namespace voxgrad::apps
