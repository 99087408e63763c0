#include "tensor/process/process.h"

#include <algorithm>

#include "tensor/core/kernel.h"
#include "tensor/core/parallel.h"
#include "tensor/process/calls.h"
#include "tensor/process/ref/process.h"

namespace voxgrad {
namespace {

constexpr int64_t kGrain = 1 << 15;  // elements of a range

void expect_examples(std::string_view op, const Tensor& constants, const Tensor& x) {
  require(x.rank() >= 1 && constants.shape() == Shape{kProcessConstants, x.dim(0)}, "[", op,
          "] expected constants [", kProcessConstants, ", N] of the examples ", x.shape(), ", got ",
          constants.shape());
}

int64_t width_of(const Tensor& x) { return x.dim(0) ? x.numel() / x.dim(0) : 0; }

// Whether the prior is one example, the same for all of x.
bool shared_prior(const Tensor& prior, const Tensor& x) { return prior.numel() != x.numel(); }

bool prior_fits(const Tensor& prior, const Tensor& x) {
  return prior.numel() == x.numel() || (x.dim(0) > 0 && prior.numel() == width_of(x));
}

// Calls f(column, first element, elements) for ranges of every example. A range has whole rows of `row`
// elements.
template <class Call, class F>
void for_ranges(const Call& c, int64_t row, F&& f) {
  for (int64_t n = 0; n < c.n; ++n)
    parallel_ranges(c.width / row, std::max<int64_t>(kGrain / row, 1), [&](int64_t begin, int64_t end) {
      f(ref::ProcessColumn{c.constants, c.n, n}, n * c.width + begin * row, (end - begin) * row);
    });
}

// The prior of the element i.
template <class Call>
const float* prior_at(const Call& c, int64_t i) {
  return c.prior + (c.shared_prior ? i % c.width : i);
}

void plain_noise(const NoiseResidual& c) {
  for_ranges(c, c.classes, [&](const ref::ProcessColumn& column, int64_t i, int64_t n) {
    ref::noise_residual(i / c.classes, (i + n) / c.classes, c.classes, column, c.label, c.prior, c.noise,
                        c.input, c.target, c.state);
  });
}

void plain_precondition(const PreconditionState& c) {
  for_ranges(c, 1, [&](const ref::ProcessColumn& column, int64_t i, int64_t n) {
    ref::precondition_state(n, column, c.state + i, c.input + i);
  });
}

void plain_estimate(const EstimateClean& c) {
  for_ranges(c, 1, [&](const ref::ProcessColumn& column, int64_t i, int64_t n) {
    ref::estimate_clean(n, column, c.state + i, prior_at(c, i), c.prediction + i, c.clean + i);
  });
}

void plain_reverse(const ReverseResidual& c) {
  for (int64_t n = 0; n < c.n; ++n) {
    const ref::ProcessColumn column{c.constants, c.n, n};
    require((c.noise || column(ProcessConstant::ancestral) == 0) &&
                (c.previous || column(ProcessConstant::previous) == 0),
            "[", c.kOp, "] expected the tensors that the step of example ", n, " combines");
  }
  for_ranges(c, 1, [&](const ref::ProcessColumn& column, int64_t i, int64_t n) {
    ref::reverse_residual(n, column, c.clean + i, prior_at(c, i), c.noise ? c.noise + i : nullptr,
                          c.state + i, c.previous ? c.previous + i : nullptr);
  });
}

void plain_clip(const ClipToProbabilities& c) {
  parallel_ranges(c.rows, std::max<int64_t>(kGrain / c.classes, 1), [&](int64_t begin, int64_t end) {
    ref::clip_to_probabilities(end - begin, c.classes, c.x + begin * c.classes,
                               c.probabilities + begin * c.classes);
  });
}

// The compiler makes vectors of the plain loops.
constexpr Implementation<NoiseResidual> kNoise[] = {kCuda<NoiseResidual>, {"ref", nullptr, plain_noise}};
constexpr Implementation<PreconditionState> kPrecondition[] = {kCuda<PreconditionState>,
                                                               {"ref", nullptr, plain_precondition}};
constexpr Implementation<EstimateClean> kEstimate[] = {kCuda<EstimateClean>,
                                                       {"ref", nullptr, plain_estimate}};
constexpr Implementation<ReverseResidual> kReverse[] = {kCuda<ReverseResidual>,
                                                        {"ref", nullptr, plain_reverse}};
constexpr Implementation<ClipToProbabilities> kClip[] = {kCuda<ClipToProbabilities>,
                                                         {"ref", nullptr, plain_clip}};

}  // namespace

void noise_residual(const Tensor& constants, const Tensor& label, const Tensor& prior, const Tensor& noise,
                    Tensor& input, Tensor& target, Tensor& state) {
  expect_examples(NoiseResidual::kOp, constants, prior);
  const Shape& shape = prior.shape();
  const int64_t classes = prior.dim(-1);
  require(noise.shape() == shape && input.shape() == shape && target.shape() == shape &&
              state.shape() == shape && label.numel() * classes == prior.numel(),
          "[noise_residual] expected label, prior and noise of one size, got ", label.shape(), ", ", shape,
          " and ", noise.shape());
  run(kNoise, {.device = device_of(prior, constants, label, noise, input, target, state),
               .type = DType::f32,
               .n = prior.dim(0),
               .width = width_of(prior),
               .classes = classes,
               .constants = elements<float>(constants),
               .label = elements<int32_t>(label),
               .prior = elements<float>(prior),
               .noise = elements<float>(noise),
               .input = elements<float>(input),
               .target = elements<float>(target),
               .state = elements<float>(state)});
}

void precondition_state(const Tensor& constants, const Tensor& state, Tensor& input) {
  expect_examples(PreconditionState::kOp, constants, state);
  require(input.shape() == state.shape(), "[precondition_state] expected tensors of one shape, got ",
          state.shape(), " and ", input.shape());
  run(kPrecondition, {.device = device_of(state, constants, input),
                      .type = DType::f32,
                      .n = state.dim(0),
                      .width = width_of(state),
                      .constants = elements<float>(constants),
                      .state = elements<float>(state),
                      .input = elements<float>(input)});
}

void estimate_clean(const Tensor& constants, const Tensor& state, const Tensor& prior,
                    const Tensor& prediction, Tensor& clean) {
  expect_examples(EstimateClean::kOp, constants, state);
  require(state.shape() == prediction.shape() && clean.shape() == state.shape(),
          "[estimate_clean] expected state and prediction of one shape, got ", state.shape(), " and ",
          prediction.shape());
  require(prior_fits(prior, state), "[estimate_clean] expected the prior of one example or of all, got ",
          prior.shape());
  run(kEstimate, {.device = device_of(state, constants, prior, prediction, clean),
                  .type = DType::f32,
                  .n = state.dim(0),
                  .width = width_of(state),
                  .constants = elements<float>(constants),
                  .state = elements<float>(state),
                  .prior = elements<float>(prior),
                  .shared_prior = shared_prior(prior, state),
                  .prediction = elements<float>(prediction),
                  .clean = elements<float>(clean)});
}

void reverse_residual(const Tensor& constants, const Tensor& clean, const Tensor& prior, const Tensor& noise,
                      Tensor& state, Tensor& previous) {
  expect_examples(ReverseResidual::kOp, constants, state);
  const auto like_state = [&](const Tensor& t) { return !t.defined() || t.shape() == state.shape(); };
  require(
      clean.shape() == state.shape() && like_state(noise) && like_state(previous) && prior_fits(prior, state),
      "[reverse_residual] expected tensors of the shape ", state.shape(),
      " and the prior of one example or of all, got ", clean.shape(), " and ", prior.shape());
  run(kReverse, {.device = device_of(state, constants, clean, prior, noise, previous),
                 .type = DType::f32,
                 .n = state.dim(0),
                 .width = width_of(state),
                 .constants = elements<float>(constants),
                 .clean = elements<float>(clean),
                 .prior = elements<float>(prior),
                 .shared_prior = shared_prior(prior, state),
                 .noise = elements<float>(noise),
                 .state = elements<float>(state),
                 .previous = elements<float>(previous)});
}

void clip_to_probabilities(const Tensor& x, Tensor& probabilities) {
  require(x.rank() >= 1 && x.dim(-1) >= 1 && probabilities.shape() == x.shape(),
          "[clip_to_probabilities] expected two tensors [..., K], got ", x.shape(), " and ",
          probabilities.shape());
  run(kClip, {.device = device_of(x, probabilities),
              .type = DType::f32,
              .rows = x.numel() / x.dim(-1),
              .classes = x.dim(-1),
              .x = elements<float>(x),
              .probabilities = elements<float>(probabilities)});
}

}  // namespace voxgrad
