#include "diffusion/aggregate.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "tensor/core/math.h"
#include "tensor/core/parallel.h"
#include "tensor/process/process.h"

namespace voxgrad {
namespace {

constexpr int64_t kGrain = 1 << 13;  // voxels of a tile

Shape without_last(const Shape& s) {
  Shape r;
  for (int i = 0; i + 1 < s.rank(); ++i) r.push_back(s[i]);
  return r;
}

// Calls f(in row, out row) for every voxel, in parallel.
template <class F>
void for_rows(const Tensor& in, int64_t out_width, const Tensor& out, F&& f) {
  const int64_t k = in.dim(-1);
  const float* a = in.data<float>();
  float* b = out.mutable_data<float>();
  parallel_ranges(in.numel() / k, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t v = begin; v < end; ++v) f(a + v * k, b + v * out_width, k);
  });
}

void softmax_row(const float* x, float* y, int64_t k, float factor) {
  float top = x[0];
  for (int64_t i = 1; i < k; ++i) top = std::max(top, x[i]);
  float sum = 0;
  for (int64_t i = 0; i < k; ++i) sum += y[i] = math::exp((x[i] - top) * factor);
  for (int64_t i = 0; i < k; ++i) y[i] /= sum;
}

float entropy_row(const float* p, int64_t k, float factor) {
  float h = 0;
  for (int64_t i = 0; i < k; ++i) {
    const float q = p[i] * factor;
    if (q > 1e-30f) h -= q * math::log(q);
  }
  return std::max(h, 0.0f);
}

}  // namespace

Tensor readout(const Tensor& y0, const std::string& kind, double tau) {
  Tensor p = Tensor::empty_on(y0.device(), y0.shape());
  if (kind == "softmax") {
    require(tau > 0, "[readout] expected a positive tau, got ", tau);
    const float factor = static_cast<float>(1 / tau);
    for_rows(y0, y0.dim(-1), p, [=](const float* x, float* y, int64_t k) { softmax_row(x, y, k, factor); });
  } else if (kind == "clip") {
    clip_to_probabilities(y0, p);
  } else {
    fail(ErrorCode::usage, "[readout] expected softmax or clip, got ", kind);
  }
  return p;
}

void SampleAggregator::add(const Tensor& p, double weight) {
  require(weight > 0, "[aggregate] expected a positive weight, got ", weight);
  const int64_t k = p.dim(-1);
  if (count_ == 0) {
    sum_ = Tensor::zeros(p.shape());
    entropy_sum_ = Tensor::zeros(without_last(p.shape()));
  }
  require(p.shape() == sum_.shape(), "[aggregate] expected samples of shape ", sum_.shape(), ", got ",
          p.shape());
  ++count_;
  weight_ += weight;
  const float* in = p.data<float>();
  float *sum = sum_.mutable_data<float>(), *h = entropy_sum_.mutable_data<float>();
  const float w = static_cast<float>(weight);
  parallel_ranges(p.numel() / k, kGrain, [=](int64_t begin, int64_t end) {
    for (int64_t i = begin * k; i < end * k; ++i) sum[i] += in[i] * w;
    for (int64_t v = begin; v < end; ++v) h[v] += entropy_row(in + v * k, k, 1) * w;
  });
}

Tensor SampleAggregator::mean() const {
  require(count_ > 0, "[aggregate] expected at least one sample");
  Tensor m = Tensor::empty(sum_.shape());
  const float factor = 1 / static_cast<float>(weight_);
  for_rows(sum_, sum_.dim(-1), m, [=](const float* x, float* y, int64_t k) {
    for (int64_t i = 0; i < k; ++i) y[i] = x[i] * factor;
  });
  return m;
}

Tensor SampleAggregator::entropy() const {
  require(count_ > 0, "[aggregate] expected at least one sample");
  Tensor h = Tensor::empty(entropy_sum_.shape());
  const float factor = 1 / static_cast<float>(weight_);
  for_rows(sum_, 1, h, [=](const float* x, float* y, int64_t k) { *y = entropy_row(x, k, factor); });
  return h;
}

Tensor SampleAggregator::mutual_information() const {
  Tensor mi = entropy();
  const float* h = entropy_sum_.data<float>();
  float* o = mi.mutable_data<float>();
  const float factor = 1 / static_cast<float>(weight_);
  for (int64_t i = 0; i < mi.numel(); ++i) o[i] = std::max(0.0f, o[i] - h[i] * factor);
  return mi;
}

bool EarlyStop::add(const Tensor& p) {
  if (tolerance_ <= 0) return false;
  if (count_ == 0) {
    sum_ = Tensor::zeros(p.shape());
    before_ = Tensor::zeros(p.shape());
  }
  ++count_;
  require(p.shape() == sum_.shape(), "[early stop] expected samples of shape ", sum_.shape(), ", got ",
          p.shape());
  float* sum = sum_.mutable_data<float>();
  const float* in = p.data<float>();
  parallel_ranges(p.numel(), kGrain, [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) sum[i] += in[i];
  });
  if (count_ % kInterval != 0) return false;
  const float factor = 1 / static_cast<float>(count_);
  float* before = before_.mutable_data<float>();
  const int64_t grain = kGrain * p.dim(-1), tiles = (p.numel() + grain - 1) / grain;
  std::vector<float> largest(static_cast<size_t>(tiles), 0.0f);
  parallel_for(tiles, [&](int64_t tile) {
    float& top = largest[static_cast<size_t>(tile)];
    for (int64_t i = tile * grain; i < std::min(p.numel(), (tile + 1) * grain); ++i) {
      const float mean = sum[i] * factor;
      top = std::max(top, std::abs(mean - before[i]));
      before[i] = mean;
    }
  });
  return count_ > kInterval && *std::max_element(largest.begin(), largest.end()) <= tolerance_;
}

}  // namespace voxgrad
