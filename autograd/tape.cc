#include "autograd/tape.h"

#include <chrono>

#include "autograd/finite_check.h"
#include "autograd/tracing.h"
#include "tensor/convert.h"
#include "tensor/elementwise.h"
#include "tensor/parallel.h"
#include "tensor/trace.h"

namespace voxgrad {

namespace detail {
// Computes a value again that was not kept.
struct Recompute {
  const Op* op;
  Attrs attrs;
  std::vector<Tensor> in;
  std::vector<std::shared_ptr<const Recompute>> in_recompute;
  std::vector<Tensor> saved;

  Tensor operator()() const {
    std::vector<Tensor> inputs = in;
    for (size_t i = 0; i < inputs.size(); ++i)
      if (in_recompute[i]) inputs[i] = (*in_recompute[i])();
    return op->recompute(attrs, inputs, saved);
  }
};
}  // namespace detail

namespace {

thread_local Tape* current_tape = nullptr;

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

std::string describe(std::span<const Shape> in, const Shape& out, const Attrs& attrs) {
  std::string s;
  for (const Shape& i : in) s += i.str() + " ";
  return s + "-> " + out.str() + " " + attrs.str();
}

std::string values_of(const char* name, const Tensor& t) {
  const std::string text = trace_values() ? values_text(t) : "";
  return text.empty() ? "" : cat(" ", name, ": ", text);
}

double flops_of(const Op& op, const Attrs& attrs, std::span<const Shape> in, const Shape& out) {
  return op.flops ? op.flops(attrs, in, out) : static_cast<double>(out.numel());
}

}  // namespace

std::string Attrs::str() const {
  std::string s;
  for (const auto& [key, value] : values_) {
    if (!s.empty()) s += " ";
    s += key + "=";
    if (const auto* l = std::get_if<std::vector<int64_t>>(&value)) {
      s += "[";
      for (size_t i = 0; i < l->size(); ++i) s += (i ? ", " : "") + std::to_string((*l)[i]);
      s += "]";
    } else if (const auto* i = std::get_if<int64_t>(&value)) {
      s += std::to_string(*i);
    } else if (const auto* d = std::get_if<double>(&value)) {
      s += cat(*d);
    } else {
      s += std::get<std::string>(value);
    }
  }
  return s;
}

Var Var::leaf(Tensor value, Tensor grad) {
  require(!grad.defined() || grad.shape() == value.shape(), "[leaf] expected a gradient of shape ",
          value.shape());
  Var v(std::move(value));
  v.node_ = std::make_shared<detail::GradNode>();
  v.node_->buffer = grad.defined();
  v.node_->grad = std::move(grad);
  return v;
}

NoTape::NoTape() : outer_(current_tape) { current_tape = nullptr; }
NoTape::~NoTape() { current_tape = outer_; }

Tape::Tape() : outer_(current_tape) { current_tape = this; }
Tape::~Tape() { current_tape = outer_; }

namespace {

// The device of an op: the CUDA device of any input, else the CPU. Kernels refuse inputs on different
// devices.
Device device_of(std::span<const Tensor> inputs) {
  for (const Tensor& t : inputs)
    if (t.device().is_cuda()) return t.device();
  return inputs.empty() ? default_device() : Device::cpu();
}

}  // namespace

Var apply(const Op& op, Attrs attrs, std::vector<Var> inputs) {
  std::vector<Shape> shapes;
  std::vector<Tensor> values;
  bool differentiate = false;
  DType dtype = DType::f32;  // type of the output
  for (const Var& v : inputs) {
    require(v.defined(), "[", op.name, "] expected defined inputs");
    shapes.push_back(v.shape());
    values.push_back(v.value());
    differentiate = differentiate || v.requires_grad();
    if (v.value().dtype() == DType::f64) dtype = DType::f64;
    if (v.value().dtype() == DType::bf16) {
      require(op.bf16_input && op.bf16_input(attrs, values.size() - 1, inputs.size()), "[", op.name,
              "] expected f32 or f64 for input ", values.size() - 1, ", got bf16");
      dtype = DType::bf16;
    }
  }
  if (op.dtype) dtype = op.dtype(attrs, dtype);
  const bool timed = tracing();
  const auto start = timed ? std::chrono::steady_clock::now() : std::chrono::steady_clock::time_point{};
  const OpScope scope(op.name.data());
  const DeviceScope device(device_of(values));
  ForwardCall call{attrs, values, {}, {}};
  call.out = Tensor::empty(op.shape(attrs, shapes), dtype);
  op.forward(call);
  if (const FiniteCheck* check = FiniteCheck::current()) check->forward(op, values, call.out);
  if (timed)
    trace({"forward", std::string(op.name),
           describe(shapes, call.out.shape(), attrs) + values_of("out", call.out), seconds_since(start),
           flops_of(op, attrs, shapes, call.out.shape())});
  Var out(call.out);

  Tape* tape = current_tape;
  if (!tape || !differentiate) return out;
  require(op.backward, "[", op.name, "] is not differentiable");
  out.node_ = std::make_shared<detail::GradNode>();
  Tape::Entry entry{&op,
                    attrs,
                    std::move(shapes),
                    {},
                    {},
                    {},
                    std::move(call.saved),
                    out.node_,
                    timed ? std::string(ModuleScope::current()) : std::string()};
  for (size_t i = 0; i < inputs.size(); ++i) {
    entry.inputs.push_back(inputs[i].node_);
    Tape::Saved saved;
    if (op.saves_input && op.saves_input(attrs, i, inputs.size())) {
      if (tape->recompute_ && inputs[i].recompute_)
        saved.recompute = inputs[i].recompute_;
      else
        saved.tensor = values[i];
    }
    entry.in.push_back(std::move(saved));
  }
  if (op.saves_output) entry.out = out.value_;
  if (tape->recompute_ && op.recompute) {
    auto r = std::make_shared<detail::Recompute>();
    r->op = &op;
    r->attrs = attrs;
    for (size_t i = 0; i < inputs.size(); ++i) {
      r->in_recompute.push_back(inputs[i].recompute_);
      r->in.push_back(inputs[i].recompute_ ? Tensor() : values[i]);
    }
    r->saved = entry.saved;
    out.recompute_ = std::move(r);
  }
  tape->entries_.push_back(std::move(entry));
  return out;
}

void Tape::backward(const Var& loss, Tensor grad) {
  require(!walked_, "[backward] expected the first backward pass of this tape, got another one");
  require(loss.requires_grad(), "[backward] expected a loss that depends on a leaf");
  walked_ = true;
  current_tape = outer_;  // ops in backward are not recorded
  const DeviceScope device(loss.value().device());
  if (!grad.defined()) {
    require(loss.value().numel() == 1, "[backward] expected a loss of one element, got shape ", loss.shape());
    grad = Tensor::full(loss.shape(), 1, loss.value().dtype());  // made on the device, without a copy
  }
  grad = grad.to(loss.value().device());
  loss.node_->grad = grad;
  for (; !entries_.empty(); entries_.pop_back()) {
    Entry& e = entries_.back();
    if (!e.output->grad.defined()) continue;
    BackwardCall call{e.attrs, e.shapes, {}, std::move(e.out), std::move(e.saved), std::move(e.output->grad),
                      {},      {}};
    e.output->grad = {};
    for (auto& s : e.in) call.in.push_back(s.recompute ? (*s.recompute)() : std::move(s.tensor));
    e.in.clear();
    for (const auto& node : e.inputs) call.wanted.push_back(node != nullptr);
    call.grad_in.resize(e.inputs.size());
    const OpScope scope(e.op->name.data());
    const ModuleScope module(e.module);
    const bool timed = tracing();
    const auto start = timed ? std::chrono::steady_clock::now() : std::chrono::steady_clock::time_point{};
    e.op->backward(call);
    if (const FiniteCheck* check = FiniteCheck::current()) check->backward(*e.op, call.in, call.grad_in);
    if (timed)
      trace({"backward", std::string(e.op->name),
             describe(e.shapes, call.grad_out.shape(), e.attrs) + values_of("gradient", call.grad_out),
             seconds_since(start), 2 * flops_of(*e.op, e.attrs, e.shapes, call.grad_out.shape())});
    for (size_t i = 0; i < e.inputs.size(); ++i) {
      Tensor& g = call.grad_in[i];
      if (!e.inputs[i] || !g.defined()) continue;
      require(g.shape() == e.shapes[i], "[", e.op->name, "] backward: expected a gradient of shape ",
              e.shapes[i], " for input ", i, ", got ", g.shape());
      Tensor& sum = e.inputs[i]->grad;
      if (!sum.defined()) {
        sum = std::move(g);
      } else {
        // Ops may return grad_out itself, so the sum may be shared. It is changed in place only if it is a
        // leaf's own buffer or is not shared.
        if (!e.inputs[i]->buffer && sum.use_count() > 1) sum = sum.clone();
        accumulate(sum, g);
      }
    }
  }
}

void accumulate(Tensor& sum, const Tensor& g) {
  require(sum.shape() == g.shape(), "[accumulate] expected shape ", sum.shape(), ", got ", g.shape());
  if (sum.device().is_cuda()) return add(sum, g, sum);
  if (sum.dtype() == DType::bf16) return add_bf16(sum, g);
  visit_float(sum.dtype(), "accumulate", [&](auto zero) {
    using T = decltype(zero);
    T* a = sum.mutable_data<T>();
    const T* b = g.data<T>();
    parallel_ranges(sum.numel(), 1 << 15, [=](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) a[i] += b[i];
    });
  });
}

}  // namespace voxgrad
