#include "autograd/catalogue.h"

#include <algorithm>
#include <sstream>

#include "autograd/op.h"

namespace voxgrad {
namespace {

std::string escaped(std::string_view text) {
  std::string s;
  for (const char c : text) {
    if (c == '|' || c == '*') s += '\\';
    s += c;
  }
  return s;
}

std::string joined(const std::vector<std::string>& parts, const char* separator = ", ") {
  std::string s;
  for (const std::string& p : parts) s += (s.empty() ? "" : separator) + p;
  return s.empty() ? "-" : s;
}

// The tensors that forward keeps for backward, found by running a sample.
std::string kept(const Op& op, const OpSample& sample) {
  if (!op.backward) return "-";
  std::vector<std::string> parts;
  if (op.saves_input) {
    std::vector<std::string> inputs;
    for (size_t i = 0; i < sample.inputs.size(); ++i)
      if (op.saves_input(sample.attrs, i, sample.inputs.size())) inputs.push_back(std::to_string(i));
    if (inputs.size() == 1)
      parts.push_back("input " + inputs[0]);
    else if (!inputs.empty())
      parts.push_back("inputs " + joined(inputs));
  }
  if (op.saves_output) parts.push_back("output");
  std::vector<Shape> shapes;
  for (const Tensor& t : sample.inputs) shapes.push_back(t.shape());
  ForwardCall call{
      sample.attrs, sample.inputs, Tensor::empty(op.shape(sample.attrs, shapes), DType::f64), {}};
  op.forward(call);
  for (const Tensor& t : call.saved) parts.push_back(cat(t.dtype(), " ", t.shape()));
  return joined(parts);
}

std::string properties(const Op& op) {
  std::vector<std::string> parts;
  if (op.linear) parts.push_back("linear");
  if (!op.backward) parts.push_back("no derivative");
  if (op.recompute) parts.push_back("recomputable");
  if (!op.deterministic) parts.push_back("not deterministic");
  return joined(parts);
}

}  // namespace

std::string op_catalogue() {
  std::ostringstream out;
  out << "# Operations\n\n"
         "This page is made from the op records (autograd/ops/). Do not edit it: "
         "tests/autograd/catalogue_test.cc writes it. Volumes are [N, D, H, W, C].\n\n"
         "- *kept*: what the forward pass keeps for the backward pass. Inputs are counted from 0. Shapes are "
         "those of the first sample below, in f64.\n"
         "- *linear*: the op is linear in all differentiable inputs together. The test is `<Ax, y> = <x, "
         "A'y>`.\n"
         "- *recomputable*: the output can be computed again, from the inputs and what is kept, instead of "
         "being kept itself (Tape::set_recompute).\n"
         "- All ops give the same bits with any number of threads, except those marked *not "
         "deterministic*.\n\n"
         "| op | equation | properties | kept |\n|---|---|---|---|\n";
  for (const Op* op : all_ops()) {
    const std::vector<OpSample> samples = op->samples();
    out << "| [" << escaped(op->name) << "](../autograd/ops/" << op->name << ".cc) | "
        << escaped(op->equation) << " | " << properties(*op) << " | " << kept(*op, samples.at(0)) << " |\n";
  }
  out << "\n## What is tested\n\n"
         "Every op is tested on every sample:\n\n"
         "- The gradient in f64 is compared with central differences. The largest error, relative to the "
         "largest gradient, is at most *gradient*.\n"
         "- f32 is compared with the f64 reference. The largest error, relative to the largest value, is at "
         "most *parity*. For gradients it is at most twice *parity*.\n\n"
         "| op | sample | inputs | attributes | gradient | parity |\n|---|---|---|---|---|---|\n";
  for (const Op* op : all_ops())
    for (const OpSample& s : op->samples()) {
      std::vector<std::string> inputs;
      for (const Tensor& t : s.inputs)
        inputs.push_back(t.dtype() == DType::f64 ? t.shape().str() : cat(t.dtype(), " ", t.shape()));
      out << "| " << escaped(op->name) << " | " << escaped(s.name) << " | " << joined(inputs) << " | "
          << escaped(s.attrs.str()) << " | " << (op->backward ? cat(s.tolerance) : "-") << " | " << s.parity
          << " |\n";
    }
  return out.str();
}

}  // namespace voxgrad
