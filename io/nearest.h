// "Did you mean ...?" for a word that is none of those that are known.
#pragma once
#include <string>
#include <vector>

namespace voxgrad {

/// Edits (insert, delete, replace, swap neighbours) that turn one word into the other.
size_t edit_distance(const std::string& a, const std::string& b);
/// The known word that is nearest; empty where none is near (two edits, in long words a third of the
/// letters).
std::string nearest_word(const std::string& word, const std::vector<std::string>& known);
/// "; did you mean WORD?", or nothing.
std::string did_you_mean(const std::string& word, const std::vector<std::string>& known);

}  // namespace voxgrad
