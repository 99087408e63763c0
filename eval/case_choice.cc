#include "eval/case_choice.h"

#include <algorithm>
#include <set>

namespace voxgrad {

std::vector<size_t> spread_by_score(const std::vector<Score>& scores) {
  std::vector<size_t> ranked, chosen, unscored;
  for (size_t i = 0; i < scores.size(); ++i) (scores[i] ? ranked : unscored).push_back(i);
  std::stable_sort(ranked.begin(), ranked.end(), [&](size_t a, size_t b) { return *scores[a] < *scores[b]; });
  std::set<size_t> ranks;
  const auto take = [&](size_t rank) {
    if (ranks.insert(rank).second) chosen.push_back(ranked[rank]);
  };
  if (!ranked.empty())
    for (const size_t rank : {size_t{0}, (ranked.size() - 1) / 2, ranked.size() - 1}) take(rank);
  while (ranks.size() < ranked.size()) {
    size_t widest = 0, begin = 0;
    for (auto a = ranks.begin(), b = std::next(a); b != ranks.end(); ++a, ++b)
      if (*b - *a > widest) {
        widest = *b - *a;
        begin = *a;
      }
    take(begin + widest / 2);
  }
  chosen.insert(chosen.end(), unscored.begin(), unscored.end());
  return chosen;
}

std::vector<Score> choosing_scores(const ScoreTable& table, const std::vector<std::string>& names) {
  std::vector<Score> scores;
  for (const std::string& name : names) {
    const auto c = std::find_if(table.cases.begin(), table.cases.end(),
                                [&](const CaseScores& one) { return one.name == name; });
    const auto value =
        c == table.cases.end() ? ScoreMap::const_iterator{} : c->values.find("dsc.mean_foreground");
    scores.push_back(c == table.cases.end() || value == c->values.end() ? Score{} : Score{value->second});
  }
  return scores;
}

}  // namespace voxgrad
