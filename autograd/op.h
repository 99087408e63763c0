// autograd/: op.h (the record of an operation), tape.h (variables, the tape and the walk back), gradcheck.h
// (finite differences), finite_check.h (which op made a NaN), tracing.h, ops.h (all as functions), ops/
// (one file an operation, list.cc names them all).
//
// An op record is the whole definition of an operation. From it come the gradient check, the parity of every
// backend with the reference, the adjoint test of linear ops, the trace and the catalogue (docs/ops.md).
#pragma once
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "tensor/tensor.h"

namespace voxgrad {

using AttrValue = std::variant<int64_t, double, std::vector<int64_t>, std::string>;

/// The attributes of one use of an op: small named values that are not tensors.
class Attrs {
 public:
  Attrs() = default;
  Attrs(std::initializer_list<std::pair<std::string, AttrValue>> values) : values_(values) {}
  int64_t integer(std::string_view name) const { return get<int64_t>(name); }
  double number(std::string_view name) const { return get<double>(name); }
  const std::vector<int64_t>& list(std::string_view name) const { return get<std::vector<int64_t>>(name); }
  const std::string& text(std::string_view name) const { return get<std::string>(name); }
  std::string str() const;  ///< "stride=[1, 1, 1] slope=0.01"

 private:
  template <class T>
  const T& get(std::string_view name) const {
    for (const auto& [key, value] : values_)
      if (key == name) {
        require(std::holds_alternative<T>(value), "[attrs] ", name, " has another type");
        return std::get<T>(value);
      }
    fail(ErrorCode::internal, "[attrs] no attribute ", name);
  }
  std::vector<std::pair<std::string, AttrValue>> values_;
};

/// What forward gets and gives. `out` is allocated by the framework after the shape rule.
struct ForwardCall {
  const Attrs& attrs;
  std::span<const Tensor> in;
  Tensor out;
  std::vector<Tensor> saved;  ///< intermediate values that backward wants (statistics, masks)
};

/// What backward gets and gives. An op may hand grad_out itself on as a gradient; it never writes its inputs.
struct BackwardCall {
  const Attrs& attrs;
  std::span<const Shape> shapes;  ///< of the inputs
  std::vector<Tensor> in;         ///< the inputs; undefined where the save rule leaves them out
  Tensor out;                     ///< the output; undefined unless the save rule keeps it
  std::vector<Tensor> saved;
  Tensor grad_out;
  std::vector<bool> wanted;     ///< which inputs need a gradient
  std::vector<Tensor> grad_in;  ///< to be filled; stays undefined where not wanted
};

/// A use of an op small enough for finite differences, in f64.
struct OpSample {
  std::string name;
  Attrs attrs;
  std::vector<Tensor> inputs;
  std::vector<bool> differentiable = {};  ///< empty: all f64 inputs
  double tolerance = 1e-6;  ///< of the gradient check, relative to the largest gradient: central differences
                            ///< at h = 1e-5 are good to about h^2 times the third derivative, plus 1e-16 / h
  double parity = 2e-6;  ///< of f32 against f64 ref, relative to the largest value: about 16 eps of f32 for
                         ///< the short sums of samples; ops with longer sums say why they need more
};

struct Op {
  std::string_view name;
  std::string_view equation;  ///< the formula, or where it is from
  Shape (*shape)(const Attrs&, std::span<const Shape>);
  /// Which inputs may be bf16 (with the output, and the gradients of both); the others are f32 beside them.
  /// Null: none, the op works in f32 and f64.
  bool (*bf16_input)(const Attrs&, size_t index, size_t count) = nullptr;
  /// The type of the output, given that of the inputs; null: the same.
  DType (*dtype)(const Attrs&, DType) = nullptr;
  void (*forward)(ForwardCall&);
  void (*backward)(BackwardCall&) = nullptr;  ///< null: not differentiable
  /// Which inputs backward reads; null: none.
  bool (*saves_input)(const Attrs&, size_t index, size_t count) = nullptr;
  bool saves_output = false;
  /// The output again, from inputs and saved values, for trading time for memory; null: not cheap, it is
  /// kept.
  Tensor (*recompute)(const Attrs&, std::span<const Tensor> in, std::span<const Tensor> saved) = nullptr;
  /// Floating-point operations of forward; null: one an output element.
  double (*flops)(const Attrs&, std::span<const Shape> in, const Shape& out) = nullptr;
  bool linear = false;  ///< linear in all differentiable inputs together: <Ax, y> = <x, A'y> is tested
  std::vector<OpSample> (*samples)() = nullptr;
  bool deterministic = true;
};

/// Every op of the runtime, in the order of ops/list.cc.
std::span<const Op* const> all_ops();

inline bool save_all(const Attrs&, size_t, size_t) { return true; }
inline Shape same_shape(const Attrs&, std::span<const Shape> in) { return in[0]; }

}  // namespace voxgrad
