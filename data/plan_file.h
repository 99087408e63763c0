// A plan that a user edits: TOML, as `voxgrad plan -o FILE` writes it and `voxgrad train --plan FILE` reads
// it.
#pragma once
#include "data/plan.h"

namespace voxgrad {

/// Reads what plan_to_toml writes. ErrorCode::data, naming `where` and the field, where plan_from_json would
/// refuse the plan, and for a field that no plan has.
Plan plan_from_toml(const std::string& text, const std::string& where);

/// ErrorCode::data, naming `where` and the field, for a plan whose channels or classes are not those of the
/// data set.
void expect_plan_of(const Dataset& dataset, const Plan& plan, const std::string& where);

}  // namespace voxgrad
