#include "apps/train_options.h"

#include "io/file.h"
#include "io/system_info.h"
#include "tensor/allocator.h"

namespace voxgrad::apps {

void ConfigArguments::add_plan_options(CLI::App& c) {
  c.add_option("--config", file, "TOML file; every key is in docs/configuration.md");
  c.add_option("--set", assignments, "One KEY=VALUE of the configuration; may be given several times");
  c.add_option("--fold", fold, "Fold that is left out for validation (train.fold)")
      ->check(CLI::NonNegativeNumber);
  c.add_option("--dims", dims, "2 or 3: plan for slices or volumes (plan.dims)")
      ->check(CLI::IsMember({2, 3}));
}

void ConfigArguments::add_to(CLI::App& c) {
  add_plan_options(c);
  c.add_option("--max-steps", max_steps, "Most steps of each stage (train.max_steps)")
      ->check(CLI::PositiveNumber);
  c.add_option("--checkpoint-every", checkpoint_every, "Steps between checkpoints (train.checkpoint_every)")
      ->check(CLI::PositiveNumber);
  c.add_option("--precision", precision, "fp32, bf16, or tf32 on a CUDA device (train.precision)")
      ->check(CLI::IsMember({"fp32", "tf32", "bf16"}));
}

Config ConfigArguments::make(const std::string& resumed_run) const {
  const auto apply = [&](Config& config) {
    if (!file.empty()) config.read_toml(read_text(file), file);
    if (fold >= 0) config.set("train.fold", fold);
    if (max_steps > 0) config.set("train.max_steps", max_steps);
    if (checkpoint_every > 0) config.set("train.checkpoint_every", checkpoint_every);
    if (dims > 0) config.set("plan.dims", int64_t{dims});
    if (!precision.empty()) config.set("train.precision", precision);
    for (const std::string& a : assignments) config.set(a);
  };
  Config config = default_config();
  const std::string saved = resumed_run + "/config.toml";
  const bool resuming = !resumed_run.empty() && file_exists(saved);
  if (resuming) config.read_toml(read_text(saved), saved);
  const std::string before = config.to_toml();
  apply(config);
  if (resuming && config.to_toml() != before)
    fail(ErrorCode::usage, "[train] ", saved,
         ": the configuration given differs from the one the run was started with; resume without it");
  return config;
}

void DeviceChoice::add_to(CLI::App& c) {
  c.add_option("--device", device, "Where networks compute: cpu, cuda or cuda:INDEX (default: cpu)")
      ->type_name("DEVICE");
  c.add_option("--device-memory", memory,
               "Memory of a CUDA device to stay under: 40G, 500M (default: all it has)");
  c.add_flag("--nondeterministic", nondeterministic,
             "Allow convolutions of a CUDA device whose bits differ from run to run");
}

Device DeviceChoice::open() const {
  const Device d = parse_device(device);
  require_device(d);
  return d;
}

void DeviceChoice::use(const std::string& precision) const {
  const Precision p = parse_precision(precision);
  const Device d = parse_device(device);
  require_precision(d, p);
  if (nondeterministic && !d.is_cuda())
    fail(ErrorCode::usage, "--nondeterministic: expected with --device cuda; the CPU has one way");
  device_options().tf32 = p == Precision::tf32;
  device_options().nondeterministic = nondeterministic;
}

namespace {

int64_t parse_bytes(const char* option, const std::string& text) {
  size_t used = 0;
  double value = 0;
  try {
    value = std::stod(text, &used);
  } catch (const std::exception&) {
    used = 0;
  }
  const std::string unit = text.substr(used);
  const double factor = unit == "G" || unit == "GiB"   ? 1 << 30
                        : unit == "M" || unit == "MiB" ? 1 << 20
                        : unit.empty()                 ? 1
                                                       : 0;
  if (used == 0 || factor == 0 || !(value * factor >= 1 << 26))
    fail(ErrorCode::usage, option, ": expected at least 64M, as in 8G or 500M, got ", text);
  return static_cast<int64_t>(value * factor);
}

}  // namespace

int64_t DeviceChoice::memory_limit() const {
  const Device d = open();
  if (!d.is_cuda()) {
    if (!memory.empty())
      fail(ErrorCode::usage, "--device-memory: expected with --device cuda; --memory bounds the CPU's");
    return 0;
  }
  if (memory.empty()) return static_cast<int64_t>(total_device_memory(d) / 2);
  const int64_t bytes = parse_bytes("--device-memory", memory);
  cap_device_memory(d, static_cast<uint64_t>(bytes));
  return bytes / 2;
}

int64_t memory_limit(const std::string& text) {
  const int64_t bytes =
      text.empty() ? static_cast<int64_t>(system_info().memory_bytes / 2) : parse_bytes("--memory", text);
  set_memory_cap(static_cast<size_t>(bytes));
  return bytes / 2;  // groups of samples take at most half of it: states and blends stand beside them
}

}  // namespace voxgrad::apps
