// Losses of segmentations on logits [..., K], channels last, and i32 labels [...]; f32 or f64. Outputs are
// allocated by the caller. A label outside [0, K) is an error of code data; on a device, where nobody reads
// labels, it makes the result NaN. Definitions: tensor/loss/ref/losses.h.
//
// Functions that write `value` [1] and take `upstream` [1], the gradient of that value, leave both on the
// device of the data: a step waits for nothing.
#pragma once
#include "tensor/core/tensor.h"

namespace voxgrad {

/// Sum over all rows of -log softmax(logits)[label].
double cross_entropy_sum(const Tensor& logits, const Tensor& label);
/// value = that / divisor
void cross_entropy_sum(const Tensor& logits, const Tensor& label, double divisor, Tensor& value);
/// dlogits = upstream / divisor (softmax(logits) - onehot(label))
void cross_entropy_backward(const Tensor& logits, const Tensor& label, double divisor, const Tensor& upstream,
                            Tensor& dlogits);

/// p = softmax(logits), and sums (f64 [3, K]) of p y, p and y over all rows, y the one-hot label.
void soft_dice_sums(const Tensor& logits, const Tensor& label, Tensor& p, Tensor& sums);
/// value = 1 - mean over classes k >= first of (2 I_k + smooth) / (P_k + Y_k + smooth), of sums (I, P, Y).
void soft_dice_value(const Tensor& sums, int64_t first, double smooth, Tensor& value);
/// hit, all (f64 [K]): its gradient by a probability, as soft_dice_backward takes it.
void soft_dice_slopes(const Tensor& sums, int64_t first, double smooth, const Tensor& upstream, Tensor& hit,
                      Tensor& all);
/// dlogits where d loss / d p[r, k] = hit[k] y[r, k] + all[k] (f64 [K]).
void soft_dice_backward(const Tensor& p, const Tensor& label, const Tensor& hit, const Tensor& all,
                        Tensor& dlogits);

/// Sum over elements of KL(N(mq, e^{2 sq}) || N(mp, e^{2 sp})); all tensors of one shape.
double kl_gaussian_sum(const Tensor& mq, const Tensor& sq, const Tensor& mp, const Tensor& sp);
/// value = that / divisor
void kl_gaussian_sum(const Tensor& mq, const Tensor& sq, const Tensor& mp, const Tensor& sp, double divisor,
                     Tensor& value);
/// Its gradients times upstream / divisor; undefined ones are not wanted.
void kl_gaussian_backward(const Tensor& mq, const Tensor& sq, const Tensor& mp, const Tensor& sp,
                          double divisor, const Tensor& upstream, Tensor& dmq, Tensor& dsq, Tensor& dmp,
                          Tensor& dsp);

/// dx = upstream / divisor (x - y)
void scaled_difference(const Tensor& x, const Tensor& y, double divisor, const Tensor& upstream, Tensor& dx);

}  // namespace voxgrad
