// nn/: parameters.h (named parameters in one flat buffer), layers.h, unet.h (the trunk and its
// heads), latent.h (the Probabilistic U-Net), coordinates.h, losses.h.
#pragma once
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "autograd/tape.h"

namespace voxgrad {

/// How a parameter starts.
struct Init {
  enum Kind { constant, normal } kind = constant;
  double value = 0;  ///< the constant, or the standard deviation
  static Init zeros() { return {constant, 0}; }
  static Init ones() { return {constant, 1}; }
  /// He et al. 2015 for a leaky ReLU of negative slope `slope` after `fan_in` inputs.
  static Init kaiming(int64_t fan_in, double slope = 0.01);
};

/// The parameters of a network as slices of one flat buffer (values and gradients apart), so that optimizer,
/// EMA and clipping are one pass. Modules add their parameters by dotted name, then allocate() makes the
/// buffers.
class Parameters {
 public:
  /// Returns the id of the new parameter. Throws on a name twice, or after allocate().
  size_t add(const std::string& name, const Shape& shape, const Init& init);
  /// Makes the buffers; every parameter's numbers depend on (seed, its name's position) only.
  void allocate(uint64_t seed, DType dtype = DType::f32);
  bool allocated() const { return values_.defined(); }
  /// Moves values and gradients to a device. What was handed out before (values(), Vars) stays where it was.
  void move_to(const Device& device);

  const Var& operator[](size_t id) const { return vars_[id]; }
  /// The module that a parameter belongs to: its name without the last part.
  std::string_view module(size_t id) const {
    const std::string_view name = slots_[id].name;
    return name.substr(0, name.rfind('.'));
  }
  const Tensor& values() const { return values_; }  ///< flat, padded with zeros between parameters
  const Tensor& grads() const { return grads_; }    ///< flat, same layout
  void zero_grads();
  /// Number of parameters (padding not counted).
  int64_t count() const;

  /// Named slices of a flat buffer with this layout (values(), an EMA, a moment).
  std::map<std::string, Tensor> named(const Tensor& flat) const;
  /// Whether named tensors (prefix + name) fit, before anything is allocated for them. Missing names, other
  /// shapes and types: ErrorCode::data, naming `where`.
  void expect(const std::map<std::string, Tensor>& from, const std::string& prefix, const std::string& where,
              DType dtype = DType::f32) const;
  /// Copies named tensors into a flat buffer. Errors as expect().
  void read(const Tensor& flat, const std::map<std::string, Tensor>& from, const std::string& prefix,
            const std::string& where) const;
  /// The network computes with `flat` (EMA weights, say) from now on; gradients keep their buffer.
  void use(const Tensor& flat);

 private:
  struct Slot {
    std::string name;
    Shape shape;
    Init init;
    int64_t offset;
  };
  std::vector<Slot> slots_;
  std::vector<Var> vars_;
  Tensor values_, grads_;
  int64_t size_ = 0;
};

}  // namespace voxgrad
