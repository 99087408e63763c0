// Entry points of the convolutions: they choose the plan that runs, add the bias, and compute transposed
// convolutions as the adjoints of others.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "tensor/conv/cuda/plans.h"
#include "tensor/core/cuda/kernels.h"

namespace voxgrad::cuda {

bool ConvOffer::offer(const std::string& name, ConvRunner run, bool adds_bias) {
  const ConvPlanProblem& p = problem_;
  const uint64_t e = size_of(p.type), w_bytes = static_cast<uint64_t>(p.weights()) * size_of(p.weight_type);
  const int64_t in = p.in_places(), out = p.out_places() * p.shape.cout;
  double error = 0;
  try {
    const Scratch x(context_, static_cast<uint64_t>(in * p.shape.cin) * e + 16 * kMaxParts);
    const Scratch y(context_, static_cast<uint64_t>(out) * e), w(context_, w_bytes);
    ConvArrays a{};
    char* at = x.as<char>();
    for (int k = 0; k < p.parts; ++k) {
      a.x[k] = {at, p.channels[k]};
      at += (static_cast<uint64_t>(in * p.channels[k]) * e + 15) / 16 * 16;
    }
    a.y = y.as<void>();
    a.w = a.dw = w.as<void>();
    // The operands are random. What is written begins as NaN, so a place that is left out shows.
    const double products =
        static_cast<double>(p.taps() * (p.pass == Pass::backward_data ? p.shape.cout : p.shape.cin));
    const float scale = static_cast<float>(1 / std::sqrt(products));
    for (int k = 0; k < p.parts; ++k) {
      const int64_t n = in * p.channels[k];
      if (p.pass == Pass::backward_data)
        check(cudaMemsetAsync(a.x[k].data, 0xff, static_cast<uint64_t>(n) * e, context_.stream),
              "cudaMemsetAsync");
      else
        fill_random(context_, p.type, n, static_cast<uint32_t>(k), 1, a.x[k].data);
    }
    if (p.pass == Pass::forward)
      check(cudaMemsetAsync(a.y, 0xff, static_cast<uint64_t>(out) * e, context_.stream), "cudaMemsetAsync");
    else
      fill_random(context_, p.type, out, 8, 1, a.y);
    if (p.pass == Pass::backward_weights)
      check(cudaMemsetAsync(a.dw, 0xff, w_bytes, context_.stream), "cudaMemsetAsync");
    else
      fill_random(context_, p.weight_type, p.weights(), 9, scale, w.as<void>());
    run(context_, p, a);
    error = conv_error(context_, p, a);
  } catch (const Error& failure) {
    if (failure.code() == ErrorCode::memory) throw;
    // Some faults end all work on a device. Then nothing that could be tried next would run.
    if (const cudaError_t broken = cudaStreamSynchronize(context_.stream); broken != cudaSuccess)
      throw DeviceLost(ErrorCode::device, cat(name, " for ", plan_key(p), ": ", failure.what(),
                                              ", and the device is lost: ", cudaGetErrorString(broken)));
    decline(name, failure.what());
    return false;
  }
  if (!(error <= allowed_error(p))) {  // NaN too
    decline(name, cat("wrong, error ", error, " against f32"));
    return false;
  }
  plan_.run = std::move(run);
  plan_.adds_bias = adds_bias;
  plan_.text = cat(name, ", error ", error, declined_.empty() ? "" : "; declined: ", declined_);
  return true;
}

const ConvPlan& conv_plan(Context& c, const ConvPlanProblem& p) {
  std::map<std::string, ConvPlan>& plans = c.part<ConvPlans>().plans;
  const std::string key = plan_key(p);
  if (const auto known = plans.find(key); known != plans.end()) return known->second;
  require(!c.capturing(), "expected a plan for ", key, " before the capture: run the step once without it");
  ConvOffer o(c, p);
  for (const auto ask : {offer_conv_head, offer_conv_first, offer_conv_mma, offer_conv_mma_weights,
                         offer_conv_cudnn, offer_conv_general}) {
    ask(c, p, o);
    if (o.taken()) return plans.emplace(key, std::move(o.plan())).first->second;
  }
  fail(ErrorCode::device, "no implementation for ", key, ": ", o.declined());
}

namespace {

void copy3(const Triple& from, int64_t (&to)[3]) {
  for (size_t k = 0; k < 3; ++k) to[k] = from[k];
}

ConvShape shape_of(const ConvProblem& p) {
  ConvShape s{};
  s.n = p.n;
  copy3(p.in, s.in);
  copy3(p.out, s.out);
  copy3(p.kernel, s.kernel);
  copy3(p.stride, s.stride);
  copy3(p.pad, s.pad);
  s.cin = p.cin;
  s.cout = p.cout;
  return s;
}

template <class Call>
ConvPlanProblem make_problem(const Call& call, const ConvShape& shape, Pass pass, const ConvPart* x,
                             int64_t parts) {
  require(call.type == DType::f32 || call.type == DType::bf16, "expected f32 or bf16, got ", call.type);
  require(call.weight_type == DType::f32 || (call.weight_type == DType::bf16 && call.type == DType::bf16),
          "expected weights in f32, or in bf16 with bf16 data, got ", call.weight_type);
  require(parts >= 1 && parts <= kMaxParts, "expected 1 to ", kMaxParts, " inputs, got ", parts);
  ConvPlanProblem p{};
  p.pass = pass;
  p.shape = shape;
  p.parts = static_cast<int>(parts);
  int64_t channels = 0;
  for (int k = 0; k < p.parts; ++k) channels += p.channels[k] = x[k].channels;
  require(channels == p.shape.cin, "expected inputs with ", p.shape.cin, " channels in all, got ", channels);
  p.type = call.type;
  p.weight_type = call.weight_type;
  p.tf32 = call.mode.tf32 && call.type == DType::f32;
  p.deterministic = call.mode.deterministic;
  return p;
}

// Plans may assume that arrays begin at multiples of 16 bytes. Tensors do; a view may not.
void expect_aligned(const ConvArrays& a, int parts) {
  bool fits = reinterpret_cast<uintptr_t>(a.y) % 16 == 0;
  for (int k = 0; k < parts; ++k) fits = fits && reinterpret_cast<uintptr_t>(a.x[k].data) % 16 == 0;
  require(fits, "expected tensors that begin at multiples of 16 bytes: copy the view first");
}

void run_plan(Context& c, const ConvPlanProblem& p, const ConvArrays& a) {
  expect_aligned(a, p.parts);
  conv_plan(c, p).run(c, p, a);
}

template <class Call>
ConvPlanProblem make_adjoint(const Call& call, Pass pass) {
  const ConvShape shape = adjoint_shape(shape_of(call.problem));
  const ConvPart all{nullptr, shape.cin};
  ConvPlanProblem p = make_problem(call, shape, pass, &all, 1);
  p.swapped = true;
  return p;
}

void forward(Context& c, const Conv3dForward& call) {
  const ConvPlanProblem p = make_problem(call, shape_of(call.problem), Pass::forward, call.x, call.parts);
  if (p.out_places() * p.shape.cout == 0) return;
  ConvArrays a{};
  for (int k = 0; k < p.parts; ++k) a.x[k] = call.x[k];
  a.y = call.y;
  a.w = call.w;
  a.bias = call.bias;
  expect_aligned(a, p.parts);
  const ConvPlan& plan = conv_plan(c, p);
  plan.run(c, p, a);
  if (call.bias && !plan.adds_bias)
    add_bias(c, p.type, p.weight_type, p.out_places(), p.shape.cout, call.bias, call.y);
}

// Implementations write all parts, so parts that are not wanted are computed into scratch memory.
void backward_data(Context& c, const Conv3dBackwardData& call) {
  const ConvPlanProblem p =
      make_problem(call, shape_of(call.problem), Pass::backward_data, call.dx, call.parts);
  if (p.in_places() * p.shape.cin == 0) return;
  ConvArrays a{};
  int64_t unwanted = 0;
  for (int k = 0; k < p.parts; ++k)
    if (!call.dx[k].data) unwanted = std::max(unwanted, call.dx[k].channels);
  const Scratch rest(c, static_cast<uint64_t>(unwanted * p.in_places()) * size_of(p.type));
  for (int k = 0; k < p.parts; ++k)
    a.x[k] = {call.dx[k].data ? call.dx[k].data : rest.as<void>(), call.dx[k].channels};
  a.y = const_cast<void*>(call.dy);
  a.w = call.w;
  run_plan(c, p, a);
}

void backward_weights(Context& c, const Conv3dBackwardWeights& call) {
  const ConvPlanProblem p =
      make_problem(call, shape_of(call.problem), Pass::backward_weights, call.x, call.parts);
  if (p.weights() == 0) return;
  ConvArrays a{};
  for (int k = 0; k < p.parts; ++k) a.x[k] = call.x[k];
  a.y = const_cast<void*>(call.dy);
  a.dw = call.dw;
  run_plan(c, p, a);
  if (call.dbias) sum_bias(c, p.type, p.weight_type, p.out_places(), p.shape.cout, call.dy, call.dbias);
}

void transpose_forward(Context& c, const ConvTranspose3dForward& call) {
  const ConvPlanProblem p = make_adjoint(call, Pass::backward_data);
  if (p.in_places() * p.shape.cin == 0) return;
  ConvArrays a{};
  a.x[0] = {call.y, p.shape.cin};
  a.y = const_cast<void*>(call.x);
  a.w = call.w;
  run_plan(c, p, a);
  if (call.bias) add_bias(c, p.type, p.weight_type, p.in_places(), p.shape.cin, call.bias, call.y);
}

void transpose_backward_data(Context& c, const ConvTranspose3dBackwardData& call) {
  const ConvPlanProblem p = make_adjoint(call, Pass::forward);
  if (p.out_places() * p.shape.cout == 0) return;
  ConvArrays a{};
  a.x[0] = {const_cast<void*>(call.dy), p.shape.cin};
  a.y = call.dx;
  a.w = call.w;
  run_plan(c, p, a);
}

void transpose_backward_weights(Context& c, const ConvTranspose3dBackwardWeights& call) {
  const ConvPlanProblem p = make_adjoint(call, Pass::backward_weights);
  if (p.weights() == 0) return;
  ConvArrays a{};
  a.x[0] = {const_cast<void*>(call.dy), p.shape.cin};
  a.y = const_cast<void*>(call.x);
  a.dw = call.dw;
  run_plan(c, p, a);
  if (call.dbias) sum_bias(c, p.type, p.weight_type, p.in_places(), p.shape.cin, call.dy, call.dbias);
}

void report(Context& c, const ConvReport& call) {
  std::string all;
  for (const auto& [key, plan] : c.part<ConvPlans>().plans) all += key + ": " + plan.text + "\n";
  *call.needed = all.size();
  if (call.size == 0) return;
  const size_t n = std::min<size_t>(all.size(), call.size - 1);
  std::memcpy(call.text, all.data(), n);
  call.text[n] = 0;
}

constexpr KernelEntry kEntries[] = {kEntry<forward>,
                                    kEntry<backward_data>,
                                    kEntry<backward_weights>,
                                    kEntry<transpose_forward>,
                                    kEntry<transpose_backward_data>,
                                    kEntry<transpose_backward_weights>,
                                    kEntry<report>};

}  // namespace

extern const std::span<const KernelEntry> conv_kernels{kEntries};

}  // namespace voxgrad::cuda
