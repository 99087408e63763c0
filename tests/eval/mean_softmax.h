// What TauOutFit scores, as a plain loop.
#pragma once
#include <cmath>
#include <vector>

#include "tensor/core/tensor.h"

namespace voxgrad {

/// The mean over samples of softmax(sample / tau), f32 [D, H, W, K].
inline Tensor mean_softmax(const std::vector<Tensor>& samples, double tau) {
  Tensor mean = Tensor::zeros(samples[0].shape());
  const int64_t classes = mean.dim(3);
  float* const out = mean.mutable_data<float>();
  for (const Tensor& s : samples) {
    const float* const x = s.data<float>();
    for (int64_t v = 0; v < mean.numel(); v += classes) {
      double sum = 0;
      for (int64_t k = 0; k < classes; ++k) sum += std::exp(x[v + k] / tau);
      for (int64_t k = 0; k < classes; ++k)
        out[v + k] +=
            static_cast<float>(std::exp(x[v + k] / tau) / sum / static_cast<double>(samples.size()));
    }
  }
  return mean;
}

}  // namespace voxgrad
