// Makes the catalogue of all operations from their records.
#pragma once
#include <string>

namespace voxgrad {

/// Markdown text: a table of all ops with equation, properties and kept tensors, and a table of the samples
/// on which every op is tested, with their tolerances. docs/ops.md is this text;
/// tests/autograd/catalogue_test.cc compares them.
std::string op_catalogue();

}  // namespace voxgrad
