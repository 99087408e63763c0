// A look at every value that ops give, to find out which op made the first one that is not finite. It costs a
// pass over each value: for the replay of a step that is known to be broken.
#pragma once
#include <functional>

#include "autograd/op.h"

namespace voxgrad {

/// While it lives (on the thread that made it), the first output or gradient of an op that is not finite is
/// ErrorCode::diverged, naming the op, the tensor and the inputs.
class FiniteCheck {
 public:
  /// Gives the name of a tensor that an op reads, or "" for one without a name.
  using Name = std::function<std::string(const Tensor&)>;
  explicit FiniteCheck(Name name = {});
  ~FiniteCheck();
  FiniteCheck(const FiniteCheck&) = delete;
  FiniteCheck& operator=(const FiniteCheck&) = delete;

  /// The one that lives on this thread; null: none.
  static const FiniteCheck* current();
  void forward(const Op& op, std::span<const Tensor> in, const Tensor& out) const;
  /// `in`: undefined for an input that was not kept.
  void backward(const Op& op, std::span<const Tensor> in, std::span<const Tensor> grad_in) const;

 private:
  std::string describe(const Tensor& input) const;
  Name name_;
  const FiniteCheck* outer_;
};

}  // namespace voxgrad
