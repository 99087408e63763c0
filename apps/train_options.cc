#include "apps/train_options.h"

#include <spdlog/spdlog.h>

#include <cstdlib>
#include <filesystem>

#include "io/file.h"
#include "io/system_info.h"
#include "run/folder.h"
#include "run/manifest.h"
#include "tensor/core/allocator.h"

namespace voxgrad::apps {

void ConfigArguments::add_short(CLI::App& c, const std::string& flag, const std::string& key,
                                const std::string& text) {
  c.add_option_function<std::string>(
       flag, [this, key](const std::string& value) { short_.push_back(key + "=" + value); },
       text + " (" + key + ")")
      ->type_name("VALUE");
}

void ConfigArguments::add_set(CLI::App& c) {
  c.add_option("--set", assignments_,
               "One KEY=VALUE of the configuration; may be given several times (docs/configuration.md)")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
}

void ConfigArguments::add_plan_options(CLI::App& c) {
  c.add_option("--config", file_, "TOML file; every key is in docs/configuration.md");
  add_set(c);
  add_short(c, "--fold", "train.fold", "Fold that is left out for validation");
  add_short(c, "--dims", "plan.dims", "2 or 3: plan for slices or volumes");
}

void ConfigArguments::add_training_options(CLI::App& c) {
  add_plan_options(c);
  add_short(c, "--max-steps", "train.max_steps", "Most steps of each stage");
  add_short(c, "--checkpoint-every", "train.checkpoint_every", "Steps between checkpoints");
  add_short(c, "--precision", "runtime.precision", "auto, fp32, bf16, or tf32 on a CUDA device");
}

void ConfigArguments::add_prediction_options(CLI::App& c) {
  add_set(c);
  add_short(c, "--samples", "sampling.samples", "M, samples per case; default: as trained");
  add_short(c, "--steps", "sampling.steps", "S, evaluations of the network per sample; default: as trained");
  add_short(c, "--sampler", "sampling.sampler", "Reverse process; default: as trained");
  add_short(c, "--precision", "runtime.precision", "auto, fp32, bf16, or tf32 on a CUDA device");
}

void ConfigArguments::apply(Config& config) const {
  if (!file_.empty()) config.read_toml(read_text(file_), file_);
  for (const auto* all : {&short_, &assignments_})
    for (const std::string& assignment : *all) config.set(assignment);
}

std::string ConfigArguments::plan_key(const Config& config) const {
  const std::string table = "plan.";
  for (const auto* all : {&short_, &assignments_})
    for (const std::string& assignment : *all)
      if (assignment.starts_with(table)) return assignment.substr(0, assignment.find('='));
  for (const Option& o : config.options().all())
    if (o.key.starts_with(table) && !config.is_default(o.key)) return o.key;
  return "";
}

void say_no_effect(const std::string& key, const std::string& method) {
  spdlog::warn("{} has no effect for {}", key, method);
}

std::unique_ptr<Method> configured_method(const std::string& name, const ConfigArguments& arguments) {
  std::unique_ptr<Method> method = make_method(name);
  Config config = method->config([&](const std::string& key) { say_no_effect(key, name); });
  arguments.apply(config);
  return method;
}

namespace {

/// Describes the first key that differs, for example "got train.max_steps = 5, the run has max_steps = 4000";
/// empty if none differs. Both texts are configurations of one method, so they have the same keys in the same
/// lines.
std::string first_difference(const std::string& before, const std::string& now) {
  std::istringstream a(before), b(now);
  std::string table, old_line, new_line;
  while (std::getline(a, old_line) && std::getline(b, new_line)) {
    if (old_line != new_line) return cat("got ", table, new_line, ", the run has ", old_line);
    if (new_line.starts_with("[")) table = new_line.substr(1, new_line.find(']') - 1) + ".";
  }
  return "";
}

}  // namespace

std::unique_ptr<Method> resumed_method(const std::string& name, const ConfigArguments& arguments,
                                       const std::string& run) {
  const RunFolder folder{run};
  const std::string saved = folder.config();
  if (!file_exists(saved)) return configured_method(name, arguments);
  std::unique_ptr<Method> method = make_method(name);
  Config config = method->config([&](const std::string& key) { say_no_effect(key, name); });
  // A run of format 1 has other keys. Reading its checkpoint reports that it cannot be resumed.
  const bool old = !file_exists(folder.manifest()) || read_manifest(folder.manifest()).format < kRunFormat;
  config.read_toml(read_text(saved), saved, old ? Config::Unknown::ignore : Config::Unknown::refuse);
  const std::string before = config.to_toml(Config::Print::model);
  arguments.apply(config);
  if (const std::string other = first_difference(before, config.to_toml(Config::Print::model));
      !other.empty())
    fail(ErrorCode::usage, "[train] ", saved, ": expected the configuration that the run was started with, ",
         other, "; leave the option out");
  return method;
}

void DeviceChoice::add_to(CLI::App& c) {
  c.add_option("--device", device, "Where networks compute: cpu, cuda or cuda:INDEX (default: cpu)")
      ->type_name("DEVICE");
  c.add_option("--device-memory", memory,
               "Most memory of a CUDA device that the program may take: 40G, 500M (default: all it has)");
  c.add_flag("--nondeterministic", nondeterministic,
             "Allow convolutions of a CUDA device whose bits differ from run to run");
}

namespace {

int64_t parse_bytes(const char* option, const std::string& text, int64_t least_mebibytes = 64) {
  size_t used = 0;
  double value = 0;
  try {
    value = std::stod(text, &used);
  } catch (const std::exception&) {
    used = 0;
  }
  const std::string unit = text.substr(used);
  const double factor = unit == "T" || unit == "TiB"   ? 0x1p40
                        : unit == "G" || unit == "GiB" ? 1 << 30
                        : unit == "M" || unit == "MiB" ? 1 << 20
                        : unit.empty()                 ? 1
                                                       : 0;
  const double least = static_cast<double>(least_mebibytes << 20);
  if (used == 0 || factor == 0 || !(value * factor >= least && value * factor < 0x1p62))
    fail(ErrorCode::usage, option, ": expected at least ", least_mebibytes, "M, as in 8G or 500M, got ",
         text);
  return static_cast<int64_t>(value * factor);
}

std::string environment(const char* name) {
  const char* const value = std::getenv(name);
  return value ? value : "";
}

}  // namespace

void CacheChoice::add_folder(CLI::App& command) {
  command
      .add_option("--cache", folder_,
                  "Folder of prepared data, made if missing; off: cases are prepared for this run and "
                  "kept in memory (default: $VOXGRAD_CACHE, else voxgrad in the user's cache folder)")
      ->type_name("DIR|off")
      ->check([](const std::string& text) {
        return text.empty() ? std::string("--cache: expected a folder or off, got an empty word") : "";
      });
}

void CacheChoice::add_to(CLI::App& command) {
  add_folder(command);
  command.add_option(
      "--cache-size", size_,
      "Limit of the prepared data in that folder: 50G, 500M; files with the oldest last use are removed "
      "first (default: half the sum of the folder's size and the free space)");
}

std::string CacheChoice::folder() const {
  std::string folder = folder_.empty() ? environment("VOXGRAD_CACHE") : folder_;
  if (folder.empty()) {
    const std::string caches = environment("XDG_CACHE_HOME"), home = environment("HOME");
    folder = !caches.empty() ? caches + "/voxgrad" : !home.empty() ? home + "/.cache/voxgrad" : "off";
  }
  if (CLI::detail::to_lower(folder) == "off") return "";
  return std::filesystem::absolute(folder).lexically_normal();
}

CacheOptions CacheChoice::options() const {
  CacheOptions o{folder(), size_.empty() ? 0 : parse_bytes("--cache-size", size_, 1)};
  if (named() || !environment("VOXGRAD_CACHE").empty()) return o;
  try {
    if (o.folder.empty()) fail(ErrorCode::system, "no home folder for prepared data ($HOME)");
    make_folders(o.folder, 0700);
    FileWriter(o.folder + "/try");  // checks that this user may write there
  } catch (const Error& e) {
    spdlog::warn("{}: the prepared cases stay in memory; --cache names a folder for them", e.what());
    o.folder.clear();
  }
  return o;
}

int64_t DeviceChoice::memory_limit(const Runtime& runtime) const {
  const Device& d = runtime.device();
  if (!d.is_cuda()) {
    if (!memory.empty())
      fail(ErrorCode::usage,
           "--device-memory: expected with --device cuda; for the memory of the CPU use --memory");
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
  return bytes / 2;  // groups of samples may take half of it; states and blended volumes need the rest
}

}  // namespace voxgrad::apps
