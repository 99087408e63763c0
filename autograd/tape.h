// Variables, and the tape that records ops and computes gradients. Ops are computed immediately and appended
// to the tape. The backward pass visits them in reverse order, so that sums of gradients have a fixed order.
// Only first derivatives are supported.
#pragma once
#include <memory>
#include <string>

#include "autograd/op.h"

namespace voxgrad {

namespace detail {
/// Accumulates the gradient of a variable.
struct GradNode {
  Tensor grad;
  bool buffer = false;  ///< grad was given with the leaf; gradients are added to it in place, even if other
                        ///< code shares it
};
struct Recompute;
}  // namespace detail

/// A tensor that may take part in differentiation. Copies share value and gradient.
class Var {
 public:
  Var() = default;
  /// A constant. No gradient flows into it.
  explicit Var(Tensor value) : value_(std::move(value)) {}
  /// A leaf with a gradient. `grad`: a zeroed buffer of the same shape, to which gradients are added. If it
  /// is undefined, the backward pass allocates the gradient.
  static Var leaf(Tensor value, Tensor grad = {});

  bool defined() const { return value_.defined(); }
  const Tensor& value() const { return value_; }
  const Shape& shape() const { return value_.shape(); }
  int64_t dim(int axis) const { return value_.dim(axis); }
  bool requires_grad() const { return node_ != nullptr; }
  /// The gradient after Tape::backward; undefined if no gradient reached the variable.
  Tensor grad() const { return node_ ? node_->grad : Tensor(); }
  /// The same value as a constant.
  Var detach() const { return Var(value_); }

 private:
  friend class Tape;
  friend Var apply(const Op&, Attrs, std::vector<Var>);
  Tensor value_;
  std::shared_ptr<detail::GradNode> node_;
  std::shared_ptr<const detail::Recompute> recompute_;
};

class Tape;

/// While this object exists, ops on its thread are not recorded. Use it for networks that need no gradients.
class NoTape {
 public:
  NoTape();
  ~NoTape();
  NoTape(const NoTape&) = delete;
  NoTape& operator=(const NoTape&) = delete;

 private:
  Tape* outer_;
};

/// Records the ops on its thread while it exists. Its backward pass can run once.
class Tape {
 public:
  Tape();
  ~Tape();
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;

  /// Adds d loss / d leaf to the gradient of every leaf. `grad` is the gradient with respect to `loss`. It
  /// may be undefined if `loss` has one element; then it is 1. Saved values are freed during the pass. It can
  /// be called once.
  void backward(const Var& loss, Tensor grad = {});
  size_t size() const { return entries_.size(); }
  /// Whether cheap values are recomputed instead of kept. This needs less memory and somewhat more time.
  void set_recompute(bool on) { recompute_ = on; }

 private:
  friend Var apply(const Op&, Attrs, std::vector<Var>);
  struct Saved {
    Tensor tensor;
    std::shared_ptr<const detail::Recompute> recompute;
  };
  struct Entry {
    const Op* op;
    Attrs attrs;
    std::vector<Shape> shapes;
    std::vector<std::shared_ptr<detail::GradNode>> inputs;  // null: the input needs no gradient
    std::vector<Saved> in;
    Tensor out;
    std::vector<Tensor> saved;
    std::shared_ptr<detail::GradNode> output;
    std::string module;  // the module that ran it; empty unless tracing
  };
  std::vector<Entry> entries_;
  Tape* outer_;
  bool recompute_ = false;
  bool walked_ = false;
};

/// Runs an op. It is recorded if a tape is active and an input requires a gradient.
Var apply(const Op& op, Attrs attrs, std::vector<Var> inputs);

/// sum += g, for tensors of equal shape (f32, f64 or bf16).
void accumulate(Tensor& sum, const Tensor& g);

}  // namespace voxgrad
