// Declares the records of all operations. list.cc puts them into one explicit list.
#pragma once
#include "autograd/op.h"

namespace voxgrad::ops {

extern const Op conv3d_op, conv_transpose3d_op, linear_op, matmul_op, attention_op;
extern const Op norm_act_op, layer_norm_op, rms_norm_op;
extern const Op relu_op, leaky_relu_op, silu_op, gelu_op, sigmoid_op, exp_op, add_op, sub_op, mul_op,
    scale_op, add_bias_op, modulate_op, axpby_op, dropout_op, cast_op, softmax_op, log_softmax_op;
extern const Op reshape_op, concat_op, slice_channels_op, pad_op, crop_op, broadcast_volume_op,
    transpose_last_op;
extern const Op max_pool_op, avg_pool_op, resample_op, sum_op, mean_op, mean_volume_op;
extern const Op time_embedding_op;
extern const Op cross_entropy_op, soft_dice_op, mse_op, kl_gaussian_op;

}  // namespace voxgrad::ops
