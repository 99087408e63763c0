// What a terminal would obey is shown, not sent: names of files, cases and labels come from others, and an
// escape sequence in one could recolour, rename or overwrite what the user reads. main.cc puts this between
// the command and its two streams; spdlog's lines pass through escape_log().
#pragma once
#include <memory>
#include <streambuf>
#include <string>
#include <string_view>

namespace voxgrad::apps {

/// `text` with control characters (other than line feed and tab), signs that turn the direction of writing
/// and bytes that are no UTF-8 as \x1b, \u202e.
std::string escaped(std::string_view text);

/// While it lives, std::cout and std::cerr write escaped text.
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

/// Sets the pattern of spdlog's lines: time, the word "warning" or "error" where it is one, and the escaped
/// text in the colour of its level.
void escape_log();

/// Logs what TrainRequest::message gives: as a warning where it begins with "warning: ".
void log_message(const std::string& text);

}  // namespace voxgrad::apps
