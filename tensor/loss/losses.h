// A loss measures how far a prediction is from its target, as one number. This family has the losses of
// segmentations (cross-entropy and soft Dice, on logits and labels), the divergence between two Gaussians of
// a latent variable, the gradient of the squared error, and softmax.
//
// Read this file first, then tensor/loss/ref/losses.h and tensor/loss/ref/softmax.h, which define the results
// as plain loops. A .cc file computes each loss; tensor/loss/softmax.h has softmax and its logarithm.
//
// Logits are [..., K], channels last, for K classes. Labels are i32 [...], in [0, K). A label outside is an
// error of code data on the CPU; on a CUDA device, where nobody reads labels, it makes the result NaN.
//
// Types: f32 or f64 on the CPU, f32 or bf16 on CUDA devices. Tensors with one number for each logit have the
// type of the logits. `value` and `upstream` have it too, but f32 beside bf16. The caller allocates the
// outputs.
//
// A function with an argument `value` [1] writes the loss there. A function with an argument `upstream` [1]
// takes the gradient of that value there. Both stay on the device of the data, so a training step waits for
// nothing.
#pragma once
#include "tensor/core/tensor.h"

namespace voxgrad {

/// The sum over all rows of -log softmax(logits)[label].
double cross_entropy_sum(const Tensor& logits, const Tensor& label);
/// value = that sum / divisor.
void cross_entropy_sum(const Tensor& logits, const Tensor& label, double divisor, Tensor& value);
/// dlogits = upstream / divisor (softmax(logits) - onehot(label)), the gradient of that value.
void cross_entropy_backward(const Tensor& logits, const Tensor& label, double divisor, const Tensor& upstream,
                            Tensor& dlogits);

// Soft Dice (Milletari et al. 2016; over a batch as Isensee et al. 2021) takes four steps, because its
// gradient needs sums over all rows. y is the one-hot label.

/// p = softmax(logits), and sums (f64 [3, K]): the sums over all rows of p y, p and y for each class.
void soft_dice_sums(const Tensor& logits, const Tensor& label, Tensor& p, Tensor& sums);
/// value = 1 - the mean over the classes k >= first of (2 I_k + smooth) / (P_k + Y_k + smooth), with the sums
/// I, P, Y.
void soft_dice_value(const Tensor& sums, int64_t first, double smooth, Tensor& value);
/// The gradient of that value with respect to p, times upstream: d loss / d p[r, k] = hit[k] y[r, k] +
/// all[k]. hit and all are f64 [K].
void soft_dice_slopes(const Tensor& sums, int64_t first, double smooth, const Tensor& upstream, Tensor& hit,
                      Tensor& all);
/// dlogits from hit and all, through the softmax p.
void soft_dice_backward(const Tensor& p, const Tensor& label, const Tensor& hit, const Tensor& all,
                        Tensor& dlogits);

// The Kullback-Leibler divergence of two Gaussians with independent elements (Kingma and Welling 2014). They
// are given by mean and log of the standard deviation: q by mq and sq, p by mp and sp. All have one shape.
// f32 or f64, f32 on CUDA devices.

/// The sum over all elements of KL(N(mq, e^{2 sq}) || N(mp, e^{2 sp})).
double kl_gaussian_sum(const Tensor& mq, const Tensor& sq, const Tensor& mp, const Tensor& sp);
/// value = that sum / divisor.
void kl_gaussian_sum(const Tensor& mq, const Tensor& sq, const Tensor& mp, const Tensor& sp, double divisor,
                     Tensor& value);
/// The gradients of that value, times upstream. An undefined output is not wanted.
void kl_gaussian_backward(const Tensor& mq, const Tensor& sq, const Tensor& mp, const Tensor& sp,
                          double divisor, const Tensor& upstream, Tensor& dmq, Tensor& dsq, Tensor& dmp,
                          Tensor& dsp);

/// dx = upstream / divisor (x - y), of tensors of one shape: the gradient of a squared error
/// (squared_distance, tensor/core/reduce.h, has its value).
void scaled_difference(const Tensor& x, const Tensor& y, double divisor, const Tensor& upstream, Tensor& dx);

}  // namespace voxgrad
