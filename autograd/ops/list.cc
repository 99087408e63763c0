#include "autograd/ops/list.h"

namespace voxgrad {
namespace {

const Op* const kOps[] = {
    // Convolution and matrix products.
    &ops::conv3d_op,
    &ops::conv_transpose3d_op,
    &ops::linear_op,
    &ops::matmul_op,
    &ops::attention_op,
    // Normalisation.
    &ops::norm_act_op,
    &ops::layer_norm_op,
    &ops::rms_norm_op,
    // Element functions.
    &ops::relu_op,
    &ops::leaky_relu_op,
    &ops::silu_op,
    &ops::gelu_op,
    &ops::sigmoid_op,
    &ops::exp_op,
    &ops::add_op,
    &ops::sub_op,
    &ops::mul_op,
    &ops::scale_op,
    &ops::add_bias_op,
    &ops::modulate_op,
    &ops::axpby_op,
    &ops::dropout_op,
    &ops::cast_op,
    &ops::softmax_op,
    &ops::log_softmax_op,
    // Shape.
    &ops::reshape_op,
    &ops::concat_op,
    &ops::slice_channels_op,
    &ops::pad_op,
    &ops::crop_op,
    &ops::broadcast_volume_op,
    &ops::transpose_last_op,
    // Pooling, resampling, reductions.
    &ops::max_pool_op,
    &ops::avg_pool_op,
    &ops::resample_op,
    &ops::sum_op,
    &ops::mean_op,
    &ops::mean_volume_op,
    // Embedding.
    &ops::time_embedding_op,
    // Losses.
    &ops::cross_entropy_op,
    &ops::soft_dice_op,
    &ops::mse_op,
    &ops::kl_gaussian_op,
};

}  // namespace

std::span<const Op* const> all_ops() { return kOps; }

}  // namespace voxgrad
