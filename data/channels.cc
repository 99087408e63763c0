#include "data/channels.h"

#include <algorithm>
#include <cctype>

#include "tensor/core/error.h"

namespace voxgrad {
namespace {

std::string lower(std::string s) {
  std::transform(s.begin(), s.end(), s.begin(), [](unsigned char c) { return std::tolower(c); });
  return s;
}

bool is_letter(const std::string& s, size_t i) {
  return i < s.size() && std::isalpha(static_cast<unsigned char>(s[i])) != 0;
}

/// Whether `name` contains `word` as a separate word.
bool has_word(const std::string& name, const std::string& word) {
  for (size_t at = name.find(word); at != std::string::npos; at = name.find(word, at + 1))
    if (!(at > 0 && is_letter(name, at - 1)) && !is_letter(name, at + word.size())) return true;
  return false;
}

}  // namespace

std::string normalisation_of(const std::string& channel_name) {
  const std::string name = lower(channel_name);
  if (name == "nonorm") return "none";
  for (const char* known : {"ct", "rescale_to_0_1", "rgb_to_0_1"})
    if (name == known) return known;
  return "zscore";
}

std::string channel_name_doubt(const std::string& channel_name) {
  const std::string name = lower(channel_name);
  if (normalisation_of(channel_name) != "zscore" || !has_word(name, "ct")) return "";
  return cat("channel_names: \"", channel_name,
             "\" is z-scored for each case, as in nnU-Net: only a channel named \"CT\" is normalised by "
             "statistics of the data set");
}

}  // namespace voxgrad
