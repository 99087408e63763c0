// Options that several subcommands share: the configuration, --memory, --cache, --device.
#pragma once
#include <CLI/CLI.hpp>

#include "data/case_store.h"
#include "methods/registry.h"

namespace voxgrad::apps {

/// The method of `train` and `demo` where none is named.
constexpr const char* kDefaultMethod = "pgrd";

/// --config, --set and the short options that stand for single keys.
class ConfigArguments {
 public:
  /// The options that decide the plan.
  void add_plan_options(CLI::App& command);
  /// These and those of training.
  void add_training_options(CLI::App& command);
  /// --set and the short options of keys that a prediction may change.
  void add_prediction_options(CLI::App& command);
  /// Sets what was given: --config first, then short options, then --set.
  void apply(Config& config) const;
  /// The first key of the table `plan` that was given, on the command line or by --config; empty: none.
  std::string plan_key(const Config& config) const;

 private:
  /// `flag` VALUE stands for --set KEY=VALUE.
  void add_short(CLI::App& command, const std::string& flag, const std::string& key, const std::string& text);
  void add_set(CLI::App& command);
  std::string file_;
  std::vector<std::string> short_, assignments_;  // KEY=VALUE
};

/// A method with the options of a new run: defaults, then what was given. Says which keys have no effect.
std::unique_ptr<Method> configured_method(const std::string& name, const ConfigArguments& arguments);
/// The same of a run that goes on: what RUN/config.toml has. Another value for a key that is not of the
/// runtime is ErrorCode::usage.
std::unique_ptr<Method> resumed_method(const std::string& name, const ConfigArguments& arguments,
                                       const std::string& run);
/// Tells the user of a key without effect.
void say_no_effect(const std::string& key, const std::string& method);

/// Bytes of "8G", "500M", "1000000"; half of the RAM where it is empty. Also caps the allocator.
int64_t memory_limit(const std::string& text);

/// --cache and --cache-size: where prepared data lie (data/case_store.h).
class CacheChoice {
 public:
  /// --cache alone.
  void add_folder(CLI::App& command);
  void add_to(CLI::App& command);
  /// The folder that was asked for; without a wish $VOXGRAD_CACHE, else voxgrad in the user's cache folder.
  /// Where that one cannot be made it warns and nothing is stored.
  CacheOptions options() const;
  /// The folder alone, as an absolute path; empty: off.
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
  /// Opens the device, before a command reads anything. Throws ErrorCode::device with the reason.
  void open() const { require_device(parse_device(device)); }
  /// The runtime of a command. Throws ErrorCode::device, or ErrorCode::usage where the device does not offer
  /// what is asked for.
  Runtime start(const RuntimeOptions& options) const {
    return {options, parse_device(device), nondeterministic};
  }
  /// Bytes that groups of samples may take on a CUDA device, half of what it may be asked for. Caps its pool
  /// where a bound is given. 0 on the CPU.
  int64_t memory_limit(const Runtime& runtime) const;
};

}  // namespace voxgrad::apps
