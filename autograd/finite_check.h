// Checks every output and gradient of ops, to find the op that made the first value that is not finite. It
// reads every tensor once more, so it is used only to repeat a step that failed.
#pragma once
#include <functional>

#include "autograd/op.h"

namespace voxgrad {

/// While this object exists, an output or gradient of an op on its thread that is not finite gives
/// ErrorCode::diverged, naming the op, the tensor and the inputs.
class FiniteCheck {
 public:
  /// Returns the name of a tensor that an op reads, or "" if it has none.
  using Name = std::function<std::string(const Tensor&)>;
  explicit FiniteCheck(Name name = {});
  ~FiniteCheck();
  FiniteCheck(const FiniteCheck&) = delete;
  FiniteCheck& operator=(const FiniteCheck&) = delete;

  /// The check that is active on this thread; null: none.
  static const FiniteCheck* current();
  void forward(const Op& op, std::span<const Tensor> in, const Tensor& out) const;
  /// `in`: an input that was not kept is undefined.
  void backward(const Op& op, std::span<const Tensor> in, std::span<const Tensor> grad_in) const;

 private:
  std::string describe(const Tensor& input) const;
  Name name_;
  const FiniteCheck* outer_;
};

}  // namespace voxgrad
