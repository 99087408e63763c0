// Plans that users edit: TOML files that `voxgrad plan -o FILE` writes and `voxgrad train --plan FILE` reads.
#pragma once
#include "data/plan.h"

namespace voxgrad {

/// Reads a text of plan_to_toml. ErrorCode::data, naming `where` and the field, if plan_from_json would
/// refuse the plan, and for an unknown field.
Plan plan_from_toml(const std::string& text, const std::string& where);

/// ErrorCode::data, naming `where` and the field, if the plan's channels or classes differ from those of the
/// data set.
void expect_plan_of(const Dataset& dataset, const Plan& plan, const std::string& where);

}  // namespace voxgrad
