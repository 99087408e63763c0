// A hint on stderr at the end of a command about the next command. --quiet hides it.
#pragma once
#include <string>

namespace voxgrad::apps {

/// Quotes a word for a shell, if necessary.
std::string shell_word(const std::string& text);
/// Prints, for example, "run next: voxgrad report RUN  # scores and curves". `arguments` follow "voxgrad ".
void say_next(const std::string& arguments, const std::string& what_for);

}  // namespace voxgrad::apps
