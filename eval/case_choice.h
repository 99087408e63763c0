// Chooses the cases that a report shows.
#pragma once
#include <vector>

#include "run/scores.h"

namespace voxgrad {

/// The indices of all cases in the order in which a report should show them: the case with the worst score,
/// the median (the lower one of two), the best, and then repeatedly the middle of the widest gap in rank.
/// Cases without a score come last. The first n chosen cases do not depend on how many more are shown.
std::vector<size_t> spread_by_score(const std::vector<Score>& scores);

/// The scores by which cases are chosen: for each name the mean foreground Dice in the table, absent if the
/// table has none.
std::vector<Score> choosing_scores(const ScoreTable& table, const std::vector<std::string>& names);

}  // namespace voxgrad
