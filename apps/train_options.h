// Options that several subcommands share: the configuration, --memory, --cache, --device.
#pragma once
#include <CLI/CLI.hpp>

#include "data/case_store.h"
#include "methods/registry.h"

namespace voxgrad::apps {

/// The default method of `train` and `demo`.
constexpr const char* kDefaultMethod = "pgrd";

/// --config, --set and the options that set single keys.
class ConfigArguments {
 public:
  /// Adds the options of the plan.
  void add_plan_options(CLI::App& command);
  /// Adds the options of the plan and of training.
  void add_training_options(CLI::App& command);
  /// Adds --set and the options for keys that a prediction may change.
  void add_prediction_options(CLI::App& command);
  /// Sets the given values: first --config, then the options for single keys, then --set.
  void apply(Config& config) const;
  /// The first key of the table `plan` that was given on the command line or in --config; empty: none.
  std::string plan_key(const Config& config) const;

 private:
  /// Adds an option: `flag` VALUE means --set KEY=VALUE.
  void add_short(CLI::App& command, const std::string& flag, const std::string& key, const std::string& text);
  void add_set(CLI::App& command);
  std::string file_;
  std::vector<std::string> short_, assignments_;  // KEY=VALUE
};

/// A method with the options of a new run: the defaults, changed by the given values. Warns about keys
/// without effect.
std::unique_ptr<Method> configured_method(const std::string& name, const ConfigArguments& arguments);
/// The same for a resumed run, with the options in RUN/config.toml. ErrorCode::usage if a given value differs
/// from the run's, unless the key is a runtime key.
std::unique_ptr<Method> resumed_method(const std::string& name, const ConfigArguments& arguments,
                                       const std::string& run);
/// Warns about a key without effect.
void say_no_effect(const std::string& key, const std::string& method);

/// Parses a memory size such as "8G", "500M" or "1000000"; empty: half of the RAM. Returns bytes, and sets
/// the limit of the allocator.
int64_t memory_limit(const std::string& text);

/// --cache and --cache-size: the folder of prepared data (data/case_store.h).
class CacheChoice {
 public:
  /// Adds --cache alone.
  void add_folder(CLI::App& command);
  /// Adds both options.
  void add_to(CLI::App& command);
  /// The folder is the value of --cache, else $VOXGRAD_CACHE, else `voxgrad` in the user's cache folder. If
  /// that default folder cannot be made, it warns, and nothing is stored.
  CacheOptions options() const;
  /// The folder as an absolute path; empty: off.
  std::string folder() const;
  bool named() const { return !folder_.empty(); }

 private:
  std::string folder_, size_;
};

/// --device, --device-memory and --nondeterministic.
struct DeviceChoice {
  std::string device = "cpu", memory;
  bool nondeterministic = false;
  void add_to(CLI::App& c);
  /// Opens the device. Call it before a command reads anything. ErrorCode::device, with the reason, if it
  /// fails.
  void open() const { require_device(parse_device(device)); }
  /// Makes the runtime of a command. ErrorCode::device if the device cannot be opened. ErrorCode::usage if
  /// the device does not support the options.
  Runtime start(const RuntimeOptions& options) const {
    return {options, parse_device(device), nondeterministic};
  }
  /// The bytes that groups of samples may take on a CUDA device: half of its memory limit. If --device-memory
  /// is given, it also limits the device's pool. 0 on the CPU.
  int64_t memory_limit(const Runtime& runtime) const;
};

}  // namespace voxgrad::apps
