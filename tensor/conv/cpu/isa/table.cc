#include "tensor/conv/cpu/isa/tables.h"

namespace voxgrad::VOXGRAD_ISA {

const cpu::ConvKernels& conv_kernels() {
  static const cpu::ConvKernels table = [] {
    cpu::ConvKernels t{};
    fill_few(t);
    fill_weights(t.weights);
    fill_winograd(t.winograd);
    fill_winograd_weights(t.winograd_weights);
    return t;
  }();
  return table;
}

}  // namespace voxgrad::VOXGRAD_ISA
