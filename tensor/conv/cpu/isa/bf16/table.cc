#include "tensor/conv/cpu/isa/tables.h"

namespace voxgrad::VOXGRAD_ISA {

const cpu::ConvBf16Kernels& conv_kernels_bf16() {
  static const cpu::ConvBf16Kernels table = [] {
    cpu::ConvBf16Kernels t{};
    fill_bf16_weights(t);
    fill_bf16_winograd(t.winograd);
    return t;
  }();
  return table;
}

}  // namespace voxgrad::VOXGRAD_ISA
