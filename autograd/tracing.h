// What the trace (tensor/trace.h) shows of ops beside their shapes: the module that runs them, and their
// values on request.
#pragma once
#include <string>
#include <string_view>

#include "tensor/tensor.h"

namespace voxgrad {

/// While it lives, ops on this thread run for a module ("prior.encoder.0.conv1"). The name outlives it.
class ModuleScope {
 public:
  explicit ModuleScope(std::string_view name);
  ~ModuleScope();
  ModuleScope(const ModuleScope&) = delete;
  ModuleScope& operator=(const ModuleScope&) = delete;
  /// Of the innermost one; empty: none.
  static std::string_view current();

 private:
  std::string_view outer_;
};

/// Whether lines of ops have values_text of their outputs.
void set_trace_values(bool on);
bool trace_values();
/// "min -1.5, mean 0.2, max 3" of a tensor of floats on the CPU; nothing for others: reading one of a device
/// would disturb the recording of its graph.
std::string values_text(const Tensor& t);

}  // namespace voxgrad
