// Losses of segmentations on logits [..., K], channels last, and i32 labels [...]; f32 or f64. Outputs are
// allocated by the caller. A label outside [0, K) is an error of code data. Definitions: tensor/ref/losses.h.
#pragma once
#include "tensor/tensor.h"

namespace voxgrad {

/// Sum over all rows of -log softmax(logits)[label].
double cross_entropy_sum(const Tensor& logits, const Tensor& label);
/// dlogits = g (softmax(logits) - onehot(label))
void cross_entropy_backward(const Tensor& logits, const Tensor& label, double g, Tensor& dlogits);

/// p = softmax(logits), and sums (f64 [3, K]) of p y, p and y over all rows, y the one-hot label.
void soft_dice_sums(const Tensor& logits, const Tensor& label, Tensor& p, Tensor& sums);
/// dlogits where d loss / d p[r, k] = hit[k] y[r, k] + all[k] (f64 [K]).
void soft_dice_backward(const Tensor& p, const Tensor& label, const Tensor& hit, const Tensor& all,
                        Tensor& dlogits);

/// Sum over elements of KL(N(mq, e^{2 sq}) || N(mp, e^{2 sp})); all tensors of one shape.
double kl_gaussian_sum(const Tensor& mq, const Tensor& sq, const Tensor& mp, const Tensor& sp);
/// Its gradients times g; undefined ones are not wanted.
void kl_gaussian_backward(const Tensor& mq, const Tensor& sq, const Tensor& mp, const Tensor& sp, double g,
                          Tensor& dmq, Tensor& dsq, Tensor& dmp, Tensor& dsp);

/// dx = g (x - y)
void scaled_difference(const Tensor& x, const Tensor& y, double g, Tensor& dx);

}  // namespace voxgrad
