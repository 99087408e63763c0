// Escapes control characters in the output. Names of files, cases and labels come from other people, and an
// escape sequence in them could recolour or overwrite text on the terminal. main.cc uses EscapedStreams for
// the two output streams and escape_log() for the lines of spdlog.
#pragma once
#include <memory>
#include <streambuf>
#include <string>
#include <string_view>

namespace voxgrad::apps {

/// Replaces control characters (other than line feed and tab), characters that change the direction of
/// writing, and bytes that are not UTF-8 by escapes such as \x1b and \u202e.
std::string escaped(std::string_view text);

/// While this object exists, std::cout and std::cerr write escaped text.
class EscapedStreams {
 public:
  EscapedStreams();
  ~EscapedStreams();
  EscapedStreams(const EscapedStreams&) = delete;
  EscapedStreams& operator=(const EscapedStreams&) = delete;

 private:
  std::unique_ptr<std::streambuf> out_, err_;
  std::streambuf *plain_out_, *plain_err_;
};

/// Sets the pattern of spdlog's lines: the time, the word "warning" or "error" for such lines, and the
/// escaped text in the colour of its level.
void escape_log();

/// Logs a text of TrainRequest::message. A text that begins with "warning: " is logged as a warning.
void log_message(const std::string& text);

}  // namespace voxgrad::apps
