#include "tensor/attention/attention.h"

#include "tensor/attention/calls.h"
#include "tensor/attention/cpu/attention.h"
#include "tensor/attention/ref/attention.h"
#include "tensor/core/convert.h"
#include "tensor/core/kernel.h"

namespace voxgrad {
namespace {

AttentionShape shape_of(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& y,
                        const Tensor& log_sum) {
  require(q.rank() == 4 && k.rank() == 4 && v.rank() == 4, "[attention] expected tensors of rank 4");
  const AttentionShape s{q.dim(0), q.dim(1), k.dim(1), q.dim(2), q.dim(3), v.dim(3)};
  require(s.keys >= 1 && s.width >= 1 && k.shape() == Shape{s.n, s.keys, s.heads, s.width} &&
              v.shape() == Shape{s.n, s.keys, s.heads, s.values} &&
              y.shape() == Shape{s.n, s.queries, s.heads, s.values} &&
              log_sum.shape() == Shape{s.n, s.heads, s.queries} && k.dtype() == q.dtype() &&
              v.dtype() == q.dtype() && y.dtype() == q.dtype() &&
              log_sum.dtype() == parameter_dtype(q.dtype()),
          "[attention] expected q [N, L, H, D], k [N, M, H, D], v [N, M, H, E], y [N, L, H, E] of one type "
          "and log_sum [N, H, L], got ",
          q.shape(), ", ", k.shape(), ", ", v.shape(), ", ", y.shape(), " and ", log_sum.shape());
  return s;
}

// The numbers of elements: of q, of k, of v and of y.
int64_t queries(const AttentionShape& s) { return s.n * s.queries * s.heads * s.width; }
int64_t keys(const AttentionShape& s) { return s.n * s.keys * s.heads * s.width; }
int64_t values(const AttentionShape& s) { return s.n * s.keys * s.heads * s.values; }
int64_t outputs(const AttentionShape& s) { return s.n * s.queries * s.heads * s.values; }

// Computes in f32. `tiles` is null if the vector kernels compute the matrix products. Otherwise tiles compute
// them. That is right only for numbers that come from bf16 tensors, because tiles round the factors to bf16.
void compute(const AttentionForward& c, const cpu::TileKernels* tiles) {
  cpu::attention_forward({cpu::row_kernels(cpu_isa()), tiles}, c);
}
void compute(const AttentionBackward& c, const cpu::TileKernels* tiles) {
  cpu::attention_backward({cpu::row_kernels(cpu_isa()), tiles}, c);
}

void widen(const AttentionForward& c, const cpu::TileKernels* tiles) {
  const Widened q(c.q, queries(c.shape)), k(c.k, keys(c.shape)), v(c.v, values(c.shape)), y(outputs(c.shape));
  AttentionForward f = c;
  f.type = DType::f32;
  f.q = q.data();
  f.k = k.data();
  f.v = v.data();
  f.y = y.data();
  compute(f, tiles);
  y.round_to(c.y);
}

void widen(const AttentionBackward& c, const cpu::TileKernels* tiles) {
  const Widened q(c.q, queries(c.shape)), k(c.k, keys(c.shape)), v(c.v, values(c.shape)),
      y(c.y, outputs(c.shape)), dy(c.dy, outputs(c.shape));
  const Widened dq(queries(c.shape)), dk(keys(c.shape)), dv(values(c.shape));
  AttentionBackward f = c;
  f.type = DType::f32;
  f.q = q.data();
  f.k = k.data();
  f.v = v.data();
  f.y = y.data();
  f.dy = dy.data();
  f.dq = dq.data();
  f.dk = dk.data();
  f.dv = dv.data();
  compute(f, tiles);
  dq.round_to(c.dq);
  dk.round_to(c.dk);
  dv.round_to(c.dv);
}

template <class Call>
const char* tiles_decline(const Call& c) {
  if (c.type != DType::bf16) return kOtherType;
  return cpu_isa() == CpuIsa::amx ? nullptr : "no AMX";
}
template <class Call>
void by_tiles(const Call& c) {
  widen(c, cpu::tile_kernels(cpu_isa()));
}
template <class Call>
void by_blocks(const Call& c) {
  compute(c, nullptr);
}
template <class Call>
void widened(const Call& c) {
  widen(c, nullptr);
}

void plain(const AttentionForward& c) {
  visit_float(c.type, c.kOp, [&]<class T>(T) {
    ref::attention_forward(c.shape, static_cast<T>(c.scale), as<T>(c.q), as<T>(c.k), as<T>(c.v), as<T>(c.y),
                           as<T>(c.log_sum));
  });
}
void plain(const AttentionBackward& c) {
  visit_float(c.type, c.kOp, [&]<class T>(T) {
    ref::attention_backward(c.shape, static_cast<T>(c.scale), as<T>(c.q), as<T>(c.k), as<T>(c.v), as<T>(c.y),
                            as<T>(c.log_sum), as<T>(c.dy), as<T>(c.dq), as<T>(c.dk), as<T>(c.dv));
  });
}

// The matrix of scores is computed in blocks, so it is never stored as a whole.
template <class Call>
constexpr Implementation<Call> kAttention[] = {
    kCuda<Call>,
    {"tiles", tiles_decline, by_tiles},
    {"blocks", f32_declines, by_blocks},
    {"widened to f32", widened_declines, widened},
    {"ref", nullptr, plain},
};

}  // namespace

std::string AttentionShape::str() const {
  return cat(n * heads, " x [", queries, ", ", keys, "], width ", width, ", values ", values);
}

void attention_forward(const Tensor& q, const Tensor& k, const Tensor& v, double scale, Tensor& y,
                       Tensor& log_sum) {
  run(kAttention<AttentionForward>, {.device = device_of(q, k, v, y, log_sum),
                                     .type = q.dtype(),
                                     .shape = shape_of(q, k, v, y, log_sum),
                                     .scale = scale,
                                     .q = q.raw(),
                                     .k = k.raw(),
                                     .v = v.raw(),
                                     .y = y.raw(),
                                     .log_sum = log_sum.raw()});
}

void attention_backward(const Tensor& q, const Tensor& k, const Tensor& v, double scale, const Tensor& y,
                        const Tensor& log_sum, const Tensor& dy, Tensor& dq, Tensor& dk, Tensor& dv) {
  const AttentionShape s = shape_of(q, k, v, y, log_sum);
  require(dy.shape() == y.shape() && dy.dtype() == y.dtype(), "[", AttentionBackward::kOp, "] expected dy ",
          y.dtype(), " ", y.shape(), ", got ", dy.dtype(), " ", dy.shape());
  run(kAttention<AttentionBackward>, {.device = device_of(q, k, v, y, log_sum, dy, dq, dk, dv),
                                      .type = q.dtype(),
                                      .shape = s,
                                      .scale = scale,
                                      .q = q.raw(),
                                      .k = k.raw(),
                                      .v = v.raw(),
                                      .y = y.raw(),
                                      .log_sum = log_sum.raw(),
                                      .dy = dy.raw(),
                                      .dq = elements(dq, q.dtype()),
                                      .dk = elements(dk, q.dtype()),
                                      .dv = elements(dv, q.dtype())});
}

}  // namespace voxgrad
