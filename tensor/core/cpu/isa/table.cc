#include "tensor/core/cpu/isa/tables.h"

namespace voxgrad::VOXGRAD_ISA {

const cpu::KernelTable& kernel_table() {
  static const cpu::KernelTable table = [] {
    cpu::KernelTable t{};
    fill_optim(t.optim);
    return t;
  }();
  return table;
}

}  // namespace voxgrad::VOXGRAD_ISA
