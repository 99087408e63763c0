// The scores that tables show, for people: order, name, unit, which way is better. Keys are those of
// ScoreMap.
#pragma once
#include <string_view>
#include <vector>

namespace voxgrad {

struct ScoreName {
  const char* key;
  const char* label;
  const char* unit;  ///< none: a fraction, or a number without a unit
  int decimals;      ///< of a table
  bool higher_is_better;
  bool main;  ///< one of the papers' scores; the others stand in a second table
  const char* definition;

  /// Entropy describes a method; it is no grade.
  bool graded() const { return std::string_view(key) != "entropy_foreground"; }
};

/// In the order of a table. Scores of single classes are not among them.
const std::vector<ScoreName>& score_names();

}  // namespace voxgrad
