// The constants of one optimizer step in the form that its elements need. Vector kernels are compiled for
// several instruction sets and see this header, so it has plain structs and no functions
// (tensor/core/cpu/kernels.h says why). tensor/optimizer/ref/optimizer.h makes the factors from the options
// of a step and uses them.
#pragma once

namespace voxgrad {

/// T is the element type. adam_element (tensor/optimizer/ref/optimizer.h) shows what each factor multiplies.
template <class T>
struct AdamFactors {
  T beta1, beta2, rest1, rest2;  ///< of the moments; rest = 1 - beta
  T scale;                       ///< of the gradient
  T l2;                          ///< of the parameter, added to the gradient
  T keep;                        ///< of the parameter, where the decay is decoupled
  T rate, inverse, eps;          ///< step length, and factor and offset of the root below it
  T average;                     ///< how far the average moves towards the parameter
};

template <class T>
struct SgdFactors {
  T lr, momentum;
  T scale;    ///< of the gradient
  T decay;    ///< of the parameter, added to the gradient
  T average;  ///< how far the average moves towards the parameter
  bool nesterov;
};

}  // namespace voxgrad
