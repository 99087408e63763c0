// Whole networks: training of the U-Net of `voxgrad bench`, and sampling with PGRD.
#include <limits>
#include <optional>

#include "bench/peers/worker.h"
#include "io/safetensors.h"
#include "methods/pgrd.h"
#include "optim/optimizer.h"
#include "tensor/core/graph.h"
#include "tensor/core/random.h"
#include "tensor/elementwise/elementwise.h"

namespace voxgrad::bench {
namespace {

constexpr int64_t kClasses = 3;

// No parameter stays at the 0 or 1 that it starts with, so every path through the network shows
// in the outputs.
void perturb(Parameters& p, uint32_t draw) {
  float* v = p.values().mutable_data<float>();
  const Tensor z = random_normal(p.values().shape(), {0, Stream::test, draw});
  for (int64_t i = 0; i < z.numel(); ++i) v[i] += 0.02f * z.data<float>()[i];
}

std::vector<int64_t> features(const Json& command) {
  std::vector<int64_t> f;
  for (int64_t i = 0; i < command.at("levels").get<int64_t>(); ++i)
    f.push_back(std::min<int64_t>(command.at("base").get<int64_t>() << i, 320));
  return f;
}

template <class Levels>
void set_levels(Levels& c, size_t levels) {
  for (size_t i = 0; i < levels; ++i) {
    const int64_t s = i == 0 ? 1 : 2;
    c.strides.push_back({s, s, s});
    c.kernels.push_back({3, 3, 3});
  }
}

UNetConfig unet_of(const Json& command) {
  UNetConfig c;
  c.features = features(command);
  set_levels(c, c.features.size());
  if (command.value("precision", "fp32") == "bf16") c.precision = DType::bf16;
  return c;
}

// Opens the device that a command names, and sets how products of f32 are computed there.
Device device_of(const Json& command) {
  const Device device = parse_device(command.value("device", "cpu"));
  require_device(device);
  device_options().tf32 = command.value("precision", "fp32") == "tf32";
  return device;
}

class UNetTask : public Task {
 public:
  explicit UNetTask(const Json& command)
      : net_(p_, "net", unet_of(command)), head_(p_, "net.head", net_.config().features, 1, kClasses) {
    p_.allocate(0);
    perturb(p_, 2);
    write_safetensors(command.at("weights"), {p_.named(p_.values()), {}});
    device = device_of(command);
    if (device.is_cuda()) p_.move_to(device);
    values_ = p_.values();
    const SafeTensors file = read_safetensors(command.at("file"));
    x_ = file.tensors.at("x").clone().to(device);
    label_ = file.tensors.at("label").clone().to(device);
    recompute_ = command.value("recompute", true);
    const int64_t runs = command.value("graph", false) ? std::numeric_limits<int64_t>::max() : 1;
    forward_.emplace(
        device, [this] { logits(); }, runs);
    step_.emplace(
        device, [this] { compute(); }, runs);
    reply["parameters"] = p_.count();
  }
  void run(const std::string& part) override {
    if (part == "forward") return replay(*forward_);
    if (part != "step" && part != "plain step") fail(ErrorCode::usage, "[unet] no part ", part);
    prepare();
    if (part == "plain step") return compute();  // without a graph, whose replay allocates nothing
    replay(*step_);
  }
  void wait() override {
    if (device.is_cuda()) synchronize(device);
  }
  // Logits and gradients at the start, then the losses of the first steps.
  std::map<std::string, Tensor> results() override {
    std::map<std::string, Tensor> r{{"logits", logits().value().to(Device::cpu())}};
    gradient();
    for (const auto& [name, g] : p_.named(p_.grads())) r["grad." + name] = g.to(Device::cpu()).clone();
    std::vector<float> losses;
    for (int i = 0; i < 3; ++i) {
      run("step");
      losses.push_back(static_cast<float>(loss_.item()));
    }
    r["losses"] = Tensor::from<float>({3}, losses);
    return r;
  }

 private:
  Var logits() const { return head_.finest(net_({Var(x_)})); }
  void prepare() {
    if (!optimizer_) optimizer_ = std::make_unique<Optimizer>(OptimizerOptions{}, values_);
    optimizer_->prepare(1e-3);
  }
  void compute() {
    gradient();
    optimizer_->update(values_, p_.grads());
  }
  // Where a graph is asked for and cannot be had, it ends. Otherwise it would only show as a slower row.
  static void replay(ReplayedWork& work) {
    work.run();
    if (!work.refusal().empty()) fail(ErrorCode::device, "[unet] not recorded: ", work.refusal());
  }
  void gradient() {
    p_.zero_grads();
    Tape tape;
    tape.set_recompute(recompute_);
    const Var loss = ops::cross_entropy(logits(), label_);
    tape.backward(loss);
    if (!loss_.defined()) loss_ = Tensor::empty_on(device, {1});
    loss_.copy_from(loss.value());
  }

  Parameters p_;
  UNet net_;
  Heads head_;
  Tensor values_, x_, label_, loss_;
  std::unique_ptr<Optimizer> optimizer_;
  std::optional<ReplayedWork> forward_, step_;
  bool recompute_ = true;
};

Plan plan_of(const Json& command, const Triple& patch) {
  Plan plan;
  plan.patch = patch;
  plan.channel_names = {"image"};
  plan.normalisation = {"zscore"};
  plan.label_names = {"background", "one", "two"};
  for (const int64_t f : features(command)) plan.features.push_back(static_cast<int>(f));
  set_levels(plan, plan.features.size());
  return plan;
}

class PgrdTask : public Task {
 public:
  explicit PgrdTask(const Json& command) {
    case_.name = "case";
    case_.image = read_safetensors(command.at("file")).tensors.at("x").clone();
    const Triple size{case_.image.dim(0), case_.image.dim(1), case_.image.dim(2)};
    SamplingOptions& sampling = method_->sampling;
    sampling.samples = command.at("samples");
    sampling.sampler.steps = command.at("steps");
    method_->build(plan_of(command, size),
                   Runtime({.precision = command.value("precision", "fp32")}, device_of(command), false));
    constexpr double sd = 0.3;
    method_->constants = {{"pi_temperature", 1}, {"residual_sd", sd}};
    SafeTensors weights;
    uint32_t stage = 0;
    for (const auto& [name, p] : method_->networks()) {
      p->allocate(stage);
      perturb(*p, 3 + stage++);
      weights.tensors.merge(p->named(p->values()));
    }
    write_safetensors(command.at("weights"), weights);
    device = device_of(command);
    method_->move_to_device();
    const NoiseSchedule schedule(method_->diffusion);
    for (const ReverseStep& s : reverse_steps(schedule, sampling.sampler)) {
      const Preconditioning c = precondition(schedule.alpha_bar(s.t), sd);
      reply["steps"].push_back({{"t", s.t},
                                {"last", s.s == 0},
                                {"state", s.state},
                                {"clean", s.clean},
                                {"in", c.in},
                                {"skip", c.skip},
                                {"out", c.out}});
    }
    reply["time_features"] = method_->denoiser.time_features;
  }
  void run(const std::string& part) override {
    if (part != "sample") fail(ErrorCode::usage, "[pgrd] no part ", part);
    samples_.clear();
    method_->draw(case_, method_->sampling, {}, [&](const Tensor& raw) { samples_.push_back(raw); });
  }
  // The samples, and the noise that they started from. The peer starts from the same noise.
  std::map<std::string, Tensor> results() override {
    run("sample");
    std::map<std::string, Tensor> r;
    for (size_t m = 0; m < samples_.size(); ++m) {
      r["sample." + std::to_string(m)] = samples_[m];
      r["start." + std::to_string(m)] =
          start_noise(case_.name, 0, static_cast<int64_t>(m), samples_[m].shape());
    }
    return r;
  }

 private:
  PreprocessedCase case_;
  std::unique_ptr<Pgrd> method_ = std::make_unique<Pgrd>();
  std::vector<Tensor> samples_;
};

}  // namespace

std::unique_ptr<Task> make_unet_task(const Json& command) { return std::make_unique<UNetTask>(command); }
std::unique_ptr<Task> make_pgrd_task(const Json& command) { return std::make_unique<PgrdTask>(command); }

}  // namespace voxgrad::bench
