// autograd/ has the operations of networks and their derivatives.
//
// op.h (this file): the record of an operation. tape.h: variables, and the tape that computes gradients; read
// it next. ops.h: all operations as functions. ops/: one file for each operation; list.cc names them all.
// gradcheck.h: comparison with finite differences. finite_check.h: finds the op that made a NaN. tracing.h:
// traces ops. catalogue.h: docs/ops.md.
//
// An op record is the whole definition of an operation. The gradient check, the parity test of every backend
// with the reference, the adjoint test of linear ops, the trace and the catalogue (docs/ops.md) are derived
// from it.
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
  std::string str() const;  ///< for example "stride=[1, 1, 1] slope=0.01"

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

/// Inputs and outputs of forward. The framework allocates `out` with the shape rule.
struct ForwardCall {
  const Attrs& attrs;
  std::span<const Tensor> in;
  Tensor out;
  std::vector<Tensor> saved;  ///< intermediate values for backward (statistics, masks)
};

/// Inputs and outputs of backward. An op may return grad_out itself as a gradient. It must not write its
/// inputs.
struct BackwardCall {
  const Attrs& attrs;
  std::span<const Shape> shapes;  ///< shapes of the inputs
  std::vector<Tensor> in;         ///< the inputs; undefined if the save rule does not keep them
  Tensor out;                     ///< the output; undefined unless the save rule keeps it
  std::vector<Tensor> saved;
  Tensor grad_out;
  std::vector<bool> wanted;     ///< which inputs need a gradient
  std::vector<Tensor> grad_in;  ///< filled by backward; undefined if not wanted
};

/// A use of an op that is small enough for finite differences, in f64.
struct OpSample {
  std::string name;
  Attrs attrs;
  std::vector<Tensor> inputs;
  std::vector<bool> differentiable = {};  ///< empty: all f64 inputs
  /// Tolerance of the gradient check, relative to the largest gradient. The error of central differences at h
  /// = 1e-5 is about h^2 times the third derivative, plus 1e-16 / h.
  double tolerance = 1e-6;
  /// Tolerance of f32 against the f64 reference, relative to the largest value: about 16 eps of f32 for the
  /// short sums of samples. Ops with longer sums say why they need more.
  double parity = 2e-6;
};

struct Op {
  std::string_view name;
  std::string_view equation;  ///< the formula or its source
  Shape (*shape)(const Attrs&, std::span<const Shape>);
  /// Which inputs may be bf16. If these inputs are bf16, then the output is bf16 too, and so are the
  /// gradients of both. The other inputs are f32. Null: the op works only in f32 and f64.
  bool (*bf16_input)(const Attrs&, size_t index, size_t count) = nullptr;
  /// The type of the output for a type of the inputs. Null: the same type.
  DType (*dtype)(const Attrs&, DType) = nullptr;
  void (*forward)(ForwardCall&);
  void (*backward)(BackwardCall&) = nullptr;  ///< null: not differentiable
  /// Which inputs backward reads. Null: none.
  bool (*saves_input)(const Attrs&, size_t index, size_t count) = nullptr;
  bool saves_output = false;
  /// Computes the output again from inputs and saved values. This saves memory and costs time. Null: it is
  /// not cheap, so the output is kept.
  Tensor (*recompute)(const Attrs&, std::span<const Tensor> in, std::span<const Tensor> saved) = nullptr;
  /// Floating-point operations of forward. Null: one for each output element.
  double (*flops)(const Attrs&, std::span<const Shape> in, const Shape& out) = nullptr;
  bool linear = false;  ///< linear in all differentiable inputs together; the test is <Ax, y> = <x, A'y>
  std::vector<OpSample> (*samples)() = nullptr;
  bool deterministic = true;
};

/// All ops, in the order of ops/list.cc.
std::span<const Op* const> all_ops();

inline bool save_all(const Attrs&, size_t, size_t) { return true; }
inline Shape same_shape(const Attrs&, std::span<const Shape> in) { return in[0]; }

}  // namespace voxgrad
