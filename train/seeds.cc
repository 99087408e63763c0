#include "train/seeds.h"

namespace voxgrad {

uint64_t weights_seed(uint64_t run, size_t stage) { return run + stage; }
uint64_t steps_seed(uint64_t run, size_t stage) { return run + 1000003 * stage; }

}  // namespace voxgrad
