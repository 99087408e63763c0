#include "tensor/process/process.h"

#include <algorithm>

#include "tensor/core/gpu.h"
#include "tensor/core/parallel.h"
#include "tensor/process/ref/process.h"

namespace voxgrad {
namespace {

constexpr int64_t kGrain = 1 << 15;  // elements a range

void expect_examples(std::string_view op, const Tensor& constants, const Tensor& x) {
  require(x.rank() >= 1 && constants.shape() == Shape{kProcessConstants, x.dim(0)}, "[", op,
          "] expected constants [", kProcessConstants, ", N] of the examples ", x.shape(), ", got ",
          constants.shape());
}

// f(column, first element, elements) for ranges of every example.
template <class F>
void ranges(const Tensor& constants, const Tensor& x, int64_t width, F&& f) {
  const int64_t examples = x.dim(0), each = examples ? x.numel() / examples : 0;
  const float* const table = constants.data<float>();
  for (int64_t n = 0; n < examples; ++n)
    parallel_ranges(each / width, std::max<int64_t>(kGrain / width, 1), [&](int64_t begin, int64_t end) {
      f(ref::ProcessColumn{table, examples, n}, n * each + begin * width, (end - begin) * width);
    });
}

// Where an example's part of pi begins: pi is the same for all, or one each.
int64_t prior_at(const Tensor& pi, const Tensor& x, int64_t element) {
  return pi.numel() == x.numel() ? element : element % pi.numel();
}

bool prior_fits(const Tensor& pi, const Tensor& x) {
  return pi.numel() == x.numel() || (x.dim(0) > 0 && pi.numel() == x.numel() / x.dim(0));
}

}  // namespace

void noise_residual(const Tensor& constants, const Tensor& label, const Tensor& pi, const Tensor& eps,
                    Tensor& input, Tensor& target, Tensor& state) {
  expect_examples("noise_residual", constants, pi);
  const int64_t classes = pi.dim(-1);
  require(pi.shape() == eps.shape() && input.shape() == pi.shape() && target.shape() == pi.shape() &&
              state.shape() == pi.shape() && label.numel() * classes == pi.numel(),
          "[noise_residual] expected label, pi and eps of one size, got ", label.shape(), ", ", pi.shape(),
          " and ", eps.shape());
  if (gpu::runs_on(pi, constants, label, eps, input, target, state))
    return gpu::noise_residual(constants, label, pi, eps, input, target, state);
  const int32_t* const y = label.data<int32_t>();
  const float *const p = pi.data<float>(), *const z = eps.data<float>();
  float *const in = input.mutable_data<float>(), *const to = target.mutable_data<float>(),
               *const r = state.mutable_data<float>();
  ranges(constants, pi, classes, [=](const ref::ProcessColumn& c, int64_t i, int64_t n) {
    ref::noise_residual(i / classes, (i + n) / classes, classes, c, y, p, z, in, to, r);
  });
}

void precondition_state(const Tensor& constants, const Tensor& state, Tensor& input) {
  expect_examples("precondition_state", constants, state);
  require(input.shape() == state.shape(), "[precondition_state] expected tensors of one shape, got ",
          state.shape(), " and ", input.shape());
  if (gpu::runs_on(state, constants, input)) return gpu::precondition_state(constants, state, input);
  const float* const r = state.data<float>();
  float* const y = input.mutable_data<float>();
  ranges(constants, state, 1, [=](const ref::ProcessColumn& c, int64_t i, int64_t n) {
    ref::precondition_state(n, c(ProcessConstant::in), r + i, y + i);
  });
}

void estimate_clean(const Tensor& constants, const Tensor& state, const Tensor& pi, const Tensor& network,
                    Tensor& y0) {
  expect_examples("estimate_clean", constants, state);
  require(state.shape() == network.shape() && y0.shape() == state.shape(),
          "[estimate_clean] expected state and network output of one shape, got ", state.shape(), " and ",
          network.shape());
  require(prior_fits(pi, state), "[estimate_clean] expected pi of one example or of all, got ", pi.shape());
  if (gpu::runs_on(state, constants, pi, network, y0))
    return gpu::estimate_clean(constants, state, pi, network, y0);
  const float *const r = state.data<float>(), *const p = pi.data<float>(), *const f = network.data<float>();
  float* const y = y0.mutable_data<float>();
  ranges(constants, state, 1, [&](const ref::ProcessColumn& c, int64_t i, int64_t n) {
    ref::estimate_clean(n, c, r + i, p + prior_at(pi, state, i), f + i, y + i);
  });
}

void reverse_residual(const Tensor& constants, const Tensor& y0, const Tensor& pi, const Tensor& z,
                      Tensor& state, Tensor& previous) {
  expect_examples("reverse_residual", constants, state);
  const auto like_state = [&](const Tensor& t) { return !t.defined() || t.shape() == state.shape(); };
  require(y0.shape() == state.shape() && like_state(z) && like_state(previous) && prior_fits(pi, state),
          "[reverse_residual] expected tensors of the shape ", state.shape(), " and pi of an example, got ",
          y0.shape(), " and ", pi.shape());
  if (gpu::runs_on(state, constants, y0, pi, z, previous))
    return gpu::reverse_residual(constants, y0, pi, z, state, previous);
  const float *const y = y0.data<float>(), *const p = pi.data<float>(),
                     *const noise = z.defined() ? z.data<float>() : nullptr;
  float *const x = state.mutable_data<float>(), *const before = previous.defined()
                                                                    ? previous.mutable_data<float>()
                                                                    : nullptr;
  for (int64_t n = 0; n < state.dim(0); ++n) {
    const ref::ProcessColumn c{constants.data<float>(), state.dim(0), n};
    require((noise || c(ProcessConstant::ancestral) == 0) && (before || c(ProcessConstant::previous) == 0),
            "[reverse_residual] expected the tensors that the step of example ", n, " combines");
  }
  ranges(constants, state, 1, [&](const ref::ProcessColumn& c, int64_t i, int64_t n) {
    ref::reverse_residual(n, c, y + i, p + prior_at(pi, state, i), noise ? noise + i : nullptr, x + i,
                          before ? before + i : nullptr);
  });
}

void clip_to_probabilities(const Tensor& x, Tensor& p) {
  require(x.rank() >= 1 && x.dim(-1) >= 1 && p.shape() == x.shape(),
          "[clip_to_probabilities] expected two tensors [..., K], got ", x.shape(), " and ", p.shape());
  if (gpu::runs_on(x, p)) return gpu::clip_to_probabilities(x, p);
  const int64_t classes = x.dim(-1);
  const float* const in = x.data<float>();
  float* const out = p.mutable_data<float>();
  parallel_ranges(
      x.numel() / classes, std::max<int64_t>(kGrain / classes, 1), [=](int64_t begin, int64_t end) {
        ref::clip_to_probabilities(end - begin, classes, in + begin * classes, out + begin * classes);
      });
}

}  // namespace voxgrad
