#include "tensor/core/cpu/isa/tables.h"

namespace voxgrad::VOXGRAD_ISA {

const cpu::KernelTable& kernel_table() {
  static const cpu::KernelTable table = [] {
    cpu::KernelTable t{};
    fill_conv_rows(t.conv);
    fill_conv_few(t.conv);
    fill_conv_weights(t.weights);
    fill_winograd(t.winograd);
    fill_winograd_weights(t.winograd_weights);
    fill_peak(t);
    return t;
  }();
  return table;
}

}  // namespace voxgrad::VOXGRAD_ISA
