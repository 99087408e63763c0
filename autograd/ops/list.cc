#include "autograd/ops/list.h"

namespace voxgrad {
namespace {

const Op* const kOps[] = {
    &ops::conv3d_op,
    &ops::conv_transpose3d_op,
    &ops::norm_act_op,
};

}  // namespace

std::span<const Op* const> all_ops() { return kOps; }

const Op& find_op(std::string_view name) {
  for (const Op* op : kOps)
    if (op->name == name) return *op;
  fail(ErrorCode::internal, "[ops] no op ", name);
}

}  // namespace voxgrad
