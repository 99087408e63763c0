// Adds to the trace of ops (tensor/core/trace.h) the module that runs them and, on request, their values.
#pragma once
#include <string>
#include <string_view>

#include "tensor/core/tensor.h"

namespace voxgrad {

/// While this object exists, ops on this thread belong to a module ("prior.encoder.0.conv1"). The name must
/// outlive it.
class ModuleScope {
 public:
  explicit ModuleScope(std::string_view name);
  ~ModuleScope();
  ModuleScope(const ModuleScope&) = delete;
  ModuleScope& operator=(const ModuleScope&) = delete;
  /// The name of the innermost scope; empty: none.
  static std::string_view current();

 private:
  std::string_view outer_;
};

/// Whether the trace lines of ops include values_text of their outputs.
void set_trace_values(bool on);
bool trace_values();
/// A text such as "min -1.5, mean 0.2, max 3" for a tensor of floats on the CPU. Empty for other tensors:
/// reading a tensor on a CUDA device would disturb the recording of its graph.
std::string values_text(const Tensor& t);

}  // namespace voxgrad
