// nn/ has the modules of networks.
//
// parameters.h (this file): named parameters in one flat buffer. layers.h: layers. unet.h: the U-Net and its
// heads; read it next. latent.h: the Probabilistic U-Net. coordinates.h: positions as input. losses.h:
// segmentation losses.
#pragma once
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "autograd/tape.h"

namespace voxgrad {

/// The initial values of a parameter.
struct Init {
  enum Kind { constant, normal } kind = constant;
  double value = 0;  ///< the constant, or the standard deviation
  static Init zeros() { return {constant, 0}; }
  static Init ones() { return {constant, 1}; }
  /// The initialisation of He et al. 2015 for `fan_in` inputs before a leaky ReLU with negative slope
  /// `slope`.
  static Init kaiming(int64_t fan_in, double slope = 0.01);
};

/// The parameters of a network. They are slices of one flat buffer of values and one of gradients, so that
/// optimizer, EMA and clipping are one pass. Modules add their parameters by dotted name, then allocate()
/// makes the buffers.
class Parameters {
 public:
  /// Adds a parameter and returns its id. Throws for a name that exists, and after allocate().
  size_t add(const std::string& name, const Shape& shape, const Init& init);
  /// Makes the buffers with initial values. The values of a parameter depend only on the seed and on its
  /// position in the order of add().
  void allocate(uint64_t seed, DType dtype = DType::f32);
  bool allocated() const { return values_.defined(); }
  /// Moves values and gradients to a device. Tensors and Vars that were returned before stay on the old
  /// device.
  void move_to(const Device& device);

  const Var& operator[](size_t id) const { return vars_[id]; }
  /// The name of the module of a parameter: the parameter's name without the last part.
  std::string_view module(size_t id) const {
    const std::string_view name = slots_[id].name;
    return name.substr(0, name.rfind('.'));
  }
  const Tensor& values() const { return values_; }  ///< flat, padded with zeros between parameters
  const Tensor& grads() const { return grads_; }    ///< flat, same layout
  void zero_grads();
  /// The number of parameters, without padding.
  int64_t count() const;

  /// Named slices of a flat buffer with this layout (values(), an EMA, a moment).
  std::map<std::string, Tensor> named(const Tensor& flat) const;
  /// Checks that named tensors (prefix + name) fit the parameters. It can be called before allocate().
  /// ErrorCode::data, naming `where`, for missing names and for other shapes or types.
  void expect(const std::map<std::string, Tensor>& from, const std::string& prefix, const std::string& where,
              DType dtype = DType::f32) const;
  /// Copies named tensors into a flat buffer. Errors like expect().
  void read(const Tensor& flat, const std::map<std::string, Tensor>& from, const std::string& prefix,
            const std::string& where) const;
  /// Makes the network compute with the values in `flat`, for example EMA weights. The buffer of gradients
  /// stays.
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
