#include "apps/terminal.h"

#include <spdlog/pattern_formatter.h>
#include <spdlog/spdlog.h>

#include <cstdio>
#include <iostream>

namespace voxgrad::apps {
namespace {

/// The length of the UTF-8 sequence at the beginning of `text`, and its character. 0 if there is none.
size_t decode(std::string_view text, char32_t& c) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  const size_t length = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  if (length == 0 || first > 0xf4 || length > text.size()) return 0;
  c = length == 1 ? first : first & (0x7f >> length);
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
    c = c << 6 | (byte(i) & 0x3f);
  }
  const bool overlong = (length == 3 && c < 0x800) || (length == 4 && c < 0x10000);
  return overlong || c > 0x10ffff || (c >= 0xd800 && c < 0xe000) ? 0 : length;
}

bool obeyed(char32_t c) {
  if (c == '\n' || c == '\t') return false;
  return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x200e || c == 0x200f || (c >= 0x202a && c <= 0x202e) ||
         (c >= 0x2066 && c <= 0x2069);
}

/// Escapes whole lines, so that no multi-byte character is divided.
class EscapingBuffer : public std::streambuf {
 public:
  explicit EscapingBuffer(std::streambuf* to) : to_(to) {}
  ~EscapingBuffer() override { EscapingBuffer::sync(); }

 protected:
  int_type overflow(int_type c) override {
    if (traits_type::eq_int_type(c, traits_type::eof())) return traits_type::not_eof(c);
    line_ += traits_type::to_char_type(c);
    return line_.back() != '\n' || write() ? c : traits_type::eof();
  }
  int sync() override { return write() && to_->pubsync() == 0 ? 0 : -1; }

 private:
  bool write() {
    const std::string text = escaped(line_);
    line_.clear();
    const auto size = static_cast<std::streamsize>(text.size());
    return to_->sputn(text.data(), size) == size;
  }
  std::streambuf* to_;
  std::string line_;
};

/// The flag %* of a pattern: the escaped text, after the word "warning" or "error" for such lines.
class EscapedText : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&, spdlog::memory_buf_t& to) override {
    const char* const word = message.level == spdlog::level::warn  ? "warning: "
                             : message.level == spdlog::level::err ? "error: "
                                                                   : "";
    const std::string text = word + escaped({message.payload.data(), message.payload.size()});
    to.append(text.data(), text.data() + text.size());
  }
  std::unique_ptr<custom_flag_formatter> clone() const override { return std::make_unique<EscapedText>(); }
};

}  // namespace

std::string escaped(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    char32_t c = 0;
    const size_t length = decode(text, c);
    if (length > 0 && !obeyed(c)) {
      result += text.substr(0, length);
    } else {
      char shown[16];
      const unsigned value = length > 0 ? static_cast<unsigned>(c) : static_cast<unsigned char>(text[0]);
      std::snprintf(shown, sizeof shown, value > 0xff ? "\\u%04x" : "\\x%02x", value);
      result += shown;
    }
    text.remove_prefix(std::max<size_t>(length, 1));
  }
  return result;
}

EscapedStreams::EscapedStreams()
    : out_(std::make_unique<EscapingBuffer>(std::cout.rdbuf())),
      err_(std::make_unique<EscapingBuffer>(std::cerr.rdbuf())),
      plain_out_(std::cout.rdbuf(out_.get())),
      plain_err_(std::cerr.rdbuf(err_.get())) {}

EscapedStreams::~EscapedStreams() {
  std::cout.rdbuf(plain_out_);
  std::cerr.rdbuf(plain_err_);
}

void escape_log() {
  auto formatter = std::make_unique<spdlog::pattern_formatter>();
  formatter->add_flag<EscapedText>('*').set_pattern("%H:%M:%S %^%*%$");
  spdlog::set_formatter(std::move(formatter));
}

void log_message(const std::string& text) {
  const std::string word = "warning: ";
  if (text.starts_with(word))
    spdlog::warn("{}", text.substr(word.size()));
  else
    spdlog::info("{}", text);
}

}  // namespace voxgrad::apps
