// Convolutions at the boundary: which plan runs, bias, and transposed convolutions as the adjoints of others.
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
    // The operands are random; what is written begins as NaN, so that a place left out shows.
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
    // Some faults end all work on a device: nothing that comes after could run.
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
  const std::string key = plan_key(p);
  if (const auto known = c.plans->plans.find(key); known != c.plans->plans.end()) return known->second;
  require(!c.capturing(), "expected a plan for ", key, " before the capture: run the step once without");
  ConvOffer o(c, p);
  for (const auto ask : {offer_conv_head, offer_conv_first, offer_conv_mma, offer_conv_mma_weights,
                         offer_conv_cudnn, offer_conv_general}) {
    ask(c, p, o);
    if (o.taken()) return c.plans->plans.emplace(key, std::move(o.plan())).first->second;
  }
  fail(ErrorCode::device, "no implementation for ", key, ": ", o.declined());
}

namespace {

ConvPlanProblem make_problem(const ConvCall& call, Pass pass, const Part* x, int32_t parts) {
  require(call.type == DType::f32 || call.type == DType::bf16, "expected f32 or bf16, got ", call.type);
  require(call.weight_type == DType::f32 || (call.weight_type == DType::bf16 && call.type == DType::bf16),
          "expected weights in f32, or in bf16 with bf16 data, got ", call.weight_type);
  require(parts >= 1 && parts <= kMaxParts, "expected 1 to ", kMaxParts, " inputs, got ", parts);
  ConvPlanProblem p{};
  p.pass = pass;
  p.shape = call.shape;
  p.parts = parts;
  int64_t channels = 0;
  for (int k = 0; k < parts; ++k) channels += p.channels[k] = x[k].channels;
  require(channels == p.shape.cin, "expected inputs with ", p.shape.cin, " channels in all, got ", channels);
  p.type = call.type;
  p.weight_type = call.weight_type;
  p.tf32 = call.tf32 && call.type == DType::f32;
  p.deterministic = call.deterministic;
  return p;
}

// Plans may assume that arrays begin at multiples of 16 bytes, as tensors do; a view may not.
void expect_aligned(const ConvArrays& a, int parts) {
  bool fits = reinterpret_cast<uintptr_t>(a.y) % 16 == 0;
  for (int k = 0; k < parts; ++k) fits = fits && reinterpret_cast<uintptr_t>(a.x[k].data) % 16 == 0;
  require(fits, "expected tensors that begin at multiples of 16 bytes: copy the view first");
}

void run_plan(Context& c, const ConvPlanProblem& p, const ConvArrays& a) {
  expect_aligned(a, p.parts);
  conv_plan(c, p).run(c, p, a);
}

ConvPlanProblem make_adjoint(const ConvCall& call, Pass pass) {
  ConvCall c = call;
  c.shape = adjoint_shape(call.shape);
  const Part all{nullptr, c.shape.cin};
  ConvPlanProblem p = make_problem(c, pass, &all, 1);
  p.swapped = true;
  return p;
}

Status forward(Context* context, const ConvCall* call, const Part* x, int32_t parts, const void* w,
               const void* bias, void* y) {
  return enter(context, "conv3d_forward", [&](Context& c) {
    const ConvPlanProblem p = make_problem(*call, Pass::forward, x, parts);
    if (p.out_places() * p.shape.cout == 0) return;
    ConvArrays a{};
    for (int k = 0; k < parts; ++k) a.x[k] = x[k];
    a.y = y;
    a.w = w;
    a.bias = bias;
    expect_aligned(a, parts);
    const ConvPlan& plan = conv_plan(c, p);
    plan.run(c, p, a);
    if (bias && !plan.adds_bias) add_bias(c, p.type, p.weight_type, p.out_places(), p.shape.cout, bias, y);
  });
}

// Parts that nobody wants are computed into scratch memory: implementations write all of them.
Status backward_data(Context* context, const ConvCall* call, const void* dy, const void* w, const Part* dx,
                     int32_t parts) {
  return enter(context, "conv3d_backward_data", [&](Context& c) {
    const ConvPlanProblem p = make_problem(*call, Pass::backward_data, dx, parts);
    if (p.in_places() * p.shape.cin == 0) return;
    ConvArrays a{};
    int64_t unwanted = 0;
    for (int k = 0; k < parts; ++k)
      if (!dx[k].data) unwanted = std::max(unwanted, dx[k].channels);
    const Scratch rest(c, static_cast<uint64_t>(unwanted * p.in_places()) * size_of(p.type));
    for (int k = 0; k < parts; ++k) a.x[k] = {dx[k].data ? dx[k].data : rest.as<void>(), dx[k].channels};
    a.y = const_cast<void*>(dy);
    a.w = w;
    run_plan(c, p, a);
  });
}

Status backward_weights(Context* context, const ConvCall* call, const Part* x, int32_t parts, const void* dy,
                        void* dw, void* dbias) {
  return enter(context, "conv3d_backward_weights", [&](Context& c) {
    const ConvPlanProblem p = make_problem(*call, Pass::backward_weights, x, parts);
    if (p.weights() == 0) return;
    ConvArrays a{};
    for (int k = 0; k < parts; ++k) a.x[k] = x[k];
    a.y = const_cast<void*>(dy);
    a.dw = dw;
    run_plan(c, p, a);
    if (dbias) sum_bias(c, p.type, p.weight_type, p.out_places(), p.shape.cout, dy, dbias);
  });
}

Status transpose_forward(Context* context, const ConvCall* call, const void* x, const void* w,
                         const void* bias, void* y) {
  return enter(context, "conv_transpose3d_forward", [&](Context& c) {
    const ConvPlanProblem p = make_adjoint(*call, Pass::backward_data);
    if (p.in_places() * p.shape.cin == 0) return;
    ConvArrays a{};
    a.x[0] = {y, p.shape.cin};
    a.y = const_cast<void*>(x);
    a.w = w;
    run_plan(c, p, a);
    if (bias) add_bias(c, p.type, p.weight_type, p.in_places(), p.shape.cin, bias, y);
  });
}

Status transpose_backward_data(Context* context, const ConvCall* call, const void* dy, const void* w,
                               void* dx) {
  return enter(context, "conv_transpose3d_backward_data", [&](Context& c) {
    const ConvPlanProblem p = make_adjoint(*call, Pass::forward);
    if (p.out_places() * p.shape.cout == 0) return;
    ConvArrays a{};
    a.x[0] = {const_cast<void*>(dy), p.shape.cin};
    a.y = dx;
    a.w = w;
    run_plan(c, p, a);
  });
}

Status transpose_backward_weights(Context* context, const ConvCall* call, const void* x, const void* dy,
                                  void* dw, void* dbias) {
  return enter(context, "conv_transpose3d_backward_weights", [&](Context& c) {
    const ConvPlanProblem p = make_adjoint(*call, Pass::backward_weights);
    if (p.weights() == 0) return;
    ConvArrays a{};
    a.x[0] = {const_cast<void*>(dy), p.shape.cin};
    a.y = const_cast<void*>(x);
    a.dw = dw;
    run_plan(c, p, a);
    if (dbias) sum_bias(c, p.type, p.weight_type, p.in_places(), p.shape.cin, dy, dbias);
  });
}

Status report(Context* context, char* text, uint64_t size, uint64_t* needed) {
  return enter(context, "report", [&](Context& c) {
    std::string all;
    for (const auto& [key, plan] : c.plans->plans) all += key + ": " + plan.text + "\n";
    *needed = all.size();
    if (size == 0) return;
    const size_t n = std::min<size_t>(all.size(), size - 1);
    std::memcpy(text, all.data(), n);
    text[n] = 0;
  });
}

}  // namespace

extern const ConvFns conv_functions{forward,
                                    backward_data,
                                    backward_weights,
                                    transpose_forward,
                                    transpose_backward_data,
                                    transpose_backward_weights,
                                    report};

}  // namespace voxgrad::cuda
