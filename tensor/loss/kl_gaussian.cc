// The divergence of two Gaussians. A latent vector is short, so the plain loops serve f32 too; they compute
// in double.
#include "tensor/core/reduce.h"
#include "tensor/loss/calls.h"
#include "tensor/loss/losses.h"
#include "tensor/loss/ref/losses.h"
#include "tensor/loss/rows.h"

namespace voxgrad {
namespace {

void plain_forward(const KlGaussian& c) {
  visit_float(c.type, c.kOp, [&]<class T>(T) {
    *c.sum = ref::kl_gaussian_sum(c.n, as<T>(c.mq), as<T>(c.sq), as<T>(c.mp), as<T>(c.sp));
  });
}

void plain_backward(const KlGaussianBackward& c) {
  visit_float(c.type, c.kOp, [&]<class T>(T) {
    const double gain = static_cast<double>(*as<T>(c.upstream)) / c.divisor;
    ref::kl_gaussian_backward(c.n, as<T>(c.mq), as<T>(c.sq), as<T>(c.mp), as<T>(c.sp), gain, as<T>(c.dmq),
                              as<T>(c.dsq), as<T>(c.dmp), as<T>(c.dsp));
  });
}

constexpr Implementation<KlGaussian> kForward[] = {kCuda<KlGaussian>, {"ref", nullptr, plain_forward}};
constexpr Implementation<KlGaussianBackward> kBackward[] = {kCuda<KlGaussianBackward>,
                                                            {"ref", nullptr, plain_backward}};

void expect_one_shape(const Tensor& mq, const Tensor& sq, const Tensor& mp, const Tensor& sp) {
  for (const Tensor* t : {&sq, &mp, &sp})
    expect_shape(KlGaussian::kOp, *t, mq.shape(), "tensors of one shape");
}

Result kl_gaussian(const Tensor& mq, const Tensor& sq, const Tensor& mp, const Tensor& sp) {
  expect_one_shape(mq, sq, mp, sp);
  const DType type = mq.dtype();
  const Result sum(mq.device());
  run(kForward, {.device = device_of(mq, sq, mp, sp),
                 .type = type,
                 .n = mq.numel(),
                 .mq = elements(mq, type),
                 .sq = elements(sq, type),
                 .mp = elements(mp, type),
                 .sp = elements(sp, type),
                 .sum = sum.data()});
  return sum;
}

}  // namespace

double kl_gaussian_sum(const Tensor& mq, const Tensor& sq, const Tensor& mp, const Tensor& sp) {
  return kl_gaussian(mq, sq, mp, sp).read();
}

void kl_gaussian_sum(const Tensor& mq, const Tensor& sq, const Tensor& mp, const Tensor& sp, double divisor,
                     Tensor& value) {
  kl_gaussian(mq, sq, mp, sp).divided(divisor, value);
}

void kl_gaussian_backward(const Tensor& mq, const Tensor& sq, const Tensor& mp, const Tensor& sp,
                          double divisor, const Tensor& upstream, Tensor& dmq, Tensor& dsq, Tensor& dmp,
                          Tensor& dsp) {
  expect_one_shape(mq, sq, mp, sp);
  const DType type = mq.dtype();
  run(kBackward, {.device = device_of(mq, sq, mp, sp, upstream, dmq, dsq, dmp, dsp),
                  .type = type,
                  .n = mq.numel(),
                  .mq = elements(mq, type),
                  .sq = elements(sq, type),
                  .mp = elements(mp, type),
                  .sp = elements(sp, type),
                  .divisor = divisor,
                  .upstream = one_element(upstream, type),
                  .dmq = elements(dmq, type),
                  .dsq = elements(dsq, type),
                  .dmp = elements(dmp, type),
                  .dsp = elements(dsp, type)});
}

}  // namespace voxgrad
