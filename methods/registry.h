// The list of all methods.
#pragma once
#include <set>
#include <span>

#include "methods/method.h"

namespace voxgrad {

/// All methods, in the order of the paper's table.
std::span<const MethodRecord* const> all_methods();
/// The names of all methods, in the same order.
std::vector<std::string> method_names();
/// Makes a method with its default options. ErrorCode::usage for an unknown name, listing the known ones.
std::unique_ptr<Method> make_method(const std::string& name);
/// The keys that at least one method has.
const std::set<std::string>& all_option_keys();
/// The text of docs/configuration.md: all keys, each with the methods that have it.
std::string configuration_document();

}  // namespace voxgrad
