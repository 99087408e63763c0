// Options that several subcommands share: the configuration, --memory, --device.
#pragma once
#include <CLI/CLI.hpp>

#include "methods/configuration.h"
#include "tensor/device.h"

namespace voxgrad::apps {

/// --config, --set and the short options that stand for single keys.
struct ConfigArguments {
  std::string file, precision;
  std::vector<std::string> assignments;
  int64_t fold = -1, max_steps = 0, checkpoint_every = 0;
  int dims = 0;

  /// The options that decide the plan.
  void add_plan_options(CLI::App& command);
  /// These and those of training.
  void add_to(CLI::App& command);
  /// Defaults, then (on resume) RUN/config.toml, then --config, then the single options. On resume a key that
  /// differs from the run's is ErrorCode::usage.
  Config make(const std::string& resumed_run) const;
};

/// Bytes of "8G", "500M", "1000000"; half of the RAM where it is empty. Also caps the allocator.
int64_t memory_limit(const std::string& text);

/// --device, --device-memory and --nondeterministic.
struct DeviceChoice {
  std::string device = "cpu", memory;
  bool nondeterministic = false;
  void add_to(CLI::App& c);
  /// Opens the device. Throws ErrorCode::device with the reason.
  Device open() const;
  /// Sets what a precision (a name of train.precision) means for it, and which engines it may use. Throws
  /// ErrorCode::usage where the device does not offer it.
  void use(const std::string& precision) const;
  /// Bytes that groups of samples may take on a CUDA device, half of what it may be asked for. Caps its pool
  /// where a bound is given. 0 on the CPU.
  int64_t memory_limit() const;
};

}  // namespace voxgrad::apps
