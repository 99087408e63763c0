// The catalogue of all operations as text, made from their records.
#pragma once
#include <string>

namespace voxgrad {

/// Markdown: a table of all ops with equation, derivative and memory, then the samples that every op is
/// tested on with their tolerances. docs/ops.md is this text; tests/autograd/catalogue_test.cc compares the
/// two.
std::string op_catalogue();

}  // namespace voxgrad
