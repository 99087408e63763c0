// Which cases a reader looks at first.
#pragma once
#include <vector>

#include "run/scores.h"

namespace voxgrad {

/// Indices of all cases in the order in which they are worth a look: the worst score, the median (the lower
/// one of two), the best, then always the middle of the widest gap in rank. Cases without a score come last.
/// So the first n of n + 1 are the first n of n.
std::vector<size_t> spread_by_score(const std::vector<Score>& scores);

/// The scores by which cases are chosen: the mean Dice of the foreground in a table, one a name, absent where
/// the table has none.
std::vector<Score> choosing_scores(const ScoreTable& table, const std::vector<std::string>& names);

}  // namespace voxgrad
