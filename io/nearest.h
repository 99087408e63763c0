// "Did you mean ...?" for an unknown word.
#pragma once
#include <string>
#include <vector>

namespace voxgrad {

/// The number of edits (insert, delete, replace, swap neighbours) that turn one word into the other.
size_t edit_distance(const std::string& a, const std::string& b);
/// The nearest known word; empty if none is near. Near means at most two edits, or in long words a third of
/// the letters.
std::string nearest_word(const std::string& word, const std::vector<std::string>& known);
/// "; did you mean WORD?", or empty.
std::string did_you_mean(const std::string& word, const std::vector<std::string>& known);

}  // namespace voxgrad
