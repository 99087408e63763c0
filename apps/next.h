// What to do next: a line on stderr at the end of a command, hidden by --quiet.
#pragma once
#include <string>

namespace voxgrad::apps {

/// A word as a shell reads it: quoted where it needs to be.
std::string shell_word(const std::string& text);
/// "run next: voxgrad report RUN  # scores and curves". `arguments` stand behind "voxgrad ".
void say_next(const std::string& arguments, const std::string& what_for);

}  // namespace voxgrad::apps
