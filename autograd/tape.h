// Variables, the tape and the walk back. The tape is eager and append-only; the walk goes in reverse order,
// so sums of gradients have one order. Derivatives are first order only.
#pragma once
#include <memory>
#include <string>

#include "autograd/op.h"

namespace voxgrad {

namespace detail {
/// Where the gradient of a variable is gathered.
struct GradNode {
  Tensor grad;
  bool buffer = false;  ///< grad was given with the leaf: gradients are added to it, whoever else sees it
};
struct Recompute;
}  // namespace detail

/// A tensor that may take part in differentiation. Copies share value and gradient.
class Var {
 public:
  Var() = default;
  /// A constant: no gradient flows into it.
  explicit Var(Tensor value) : value_(std::move(value)) {}
  /// A leaf with a gradient. `grad`: a zeroed buffer of the same shape that gradients are added to; where it
  /// is undefined the gradient is allocated by the walk.
  static Var leaf(Tensor value, Tensor grad = {});

  bool defined() const { return value_.defined(); }
  const Tensor& value() const { return value_; }
  const Shape& shape() const { return value_.shape(); }
  int64_t dim(int axis) const { return value_.dim(axis); }
  bool requires_grad() const { return node_ != nullptr; }
  /// The gradient after Tape::backward; undefined where none reached it.
  Tensor grad() const { return node_ ? node_->grad : Tensor(); }
  /// The same value, cut off from differentiation.
  Var detach() const { return Var(value_); }

 private:
  friend class Tape;
  friend Var apply(const Op&, Attrs, std::vector<Var>);
  Tensor value_;
  std::shared_ptr<detail::GradNode> node_;
  std::shared_ptr<const detail::Recompute> recompute_;
};

class Tape;

/// Nothing is recorded while it lives (on the thread that made it): for what has parameters but needs no
/// gradients.
class NoTape {
 public:
  NoTape();
  ~NoTape();
  NoTape(const NoTape&) = delete;
  NoTape& operator=(const NoTape&) = delete;

 private:
  Tape* outer_;
};

/// Records what is applied while it lives (on the thread that made it) and walks back once.
class Tape {
 public:
  Tape();
  ~Tape();
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;

  /// Adds d loss / d leaf to the gradient of every leaf. `loss` has one element, or `grad` gives d/d loss.
  /// What was saved is freed as the walk passes; a tape walks once.
  void backward(const Var& loss, Tensor grad = {});
  size_t size() const { return entries_.size(); }
  /// Keep cheap values as recomputations: less memory, some more time.
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
    std::vector<std::shared_ptr<detail::GradNode>> inputs;  // null: no gradient wanted
    std::vector<Saved> in;
    Tensor out;
    std::vector<Tensor> saved;
    std::shared_ptr<detail::GradNode> output;
    std::string module;  // that ran it; empty unless it is traced
  };
  std::vector<Entry> entries_;
  Tape* outer_;
  bool recompute_ = false;
  bool walked_ = false;
};

/// Runs an op; recorded when a tape lives and an input requires a gradient.
Var apply(const Op& op, Attrs attrs, std::vector<Var> inputs);

/// sum += g for tensors of one shape (f32, f64 or bf16).
void accumulate(Tensor& sum, const Tensor& g);

}  // namespace voxgrad
