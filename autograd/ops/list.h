// The records of all operations; list.cc puts them in one explicit list.
#pragma once
#include "autograd/op.h"

namespace voxgrad::ops {

extern const Op conv3d_op, conv_transpose3d_op;
extern const Op norm_act_op;

}  // namespace voxgrad::ops
