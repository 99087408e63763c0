// The scores in tables: order, name, unit and definition, and whether higher is better. Keys are those of
// ScoreMap.
#pragma once
#include <string_view>
#include <vector>

namespace voxgrad {

struct ScoreName {
  const char* key;
  const char* label;
  const char* unit;  ///< empty: a fraction, or a number without a unit
  int decimals;      ///< decimals in a table
  bool higher_is_better;
  bool main;  ///< whether it is a score of the papers; the others are in a second table
  const char* definition;

  /// Whether the score grades a method. Entropy only describes it.
  bool graded() const { return std::string_view(key) != "entropy_foreground"; }
};

/// The names in the order of a table, without the scores of single classes.
const std::vector<ScoreName>& score_names();

}  // namespace voxgrad
