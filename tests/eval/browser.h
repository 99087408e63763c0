// A browser without a window, for tests of pages: Chromium, driven through a pipe with the DevTools protocol.
#pragma once
#include <sys/types.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/temporary_folder.h"

namespace voxgrad::testing {

/// One Chromium with one page. Every call throws std::runtime_error where the browser does not answer in
/// time.
class Browser {
 public:
  /// The program's path; empty where it is not installed.
  static std::string find();

  Browser();
  ~Browser();
  Browser(const Browser&) = delete;
  Browser& operator=(const Browser&) = delete;

  /// Opens a file in a page of so many pixels, and waits until it is loaded.
  void open(const std::string& path, int width, int height = 1000);
  /// The value of a JavaScript expression; a promise is waited for. Throws where it throws.
  nlohmann::json evaluate(const std::string& expression);
  /// Waits until an expression is true.
  void wait_for(const std::string& condition, double seconds = 20);
  /// Presses and releases a key: "Tab", "Enter", "ArrowUp", " ", "p".
  void press(const std::string& key, bool shift = false);
  /// Presses a mouse button ("left", "right") at one place of the window, moves it to another and lets go.
  void drag(double x0, double y0, double x1, double y1, const std::string& button = "left");
  /// "screen" or "print", and "light" or "dark".
  void emulate(const std::string& media, const std::string& scheme);
  /// PNG of the window.
  void screenshot(const std::string& path);

  /// Addresses that the page asked for, its own and data: left out.
  std::vector<std::string> requests;
  /// What the page complained of: errors of its script, of the console and of its policy.
  std::vector<std::string> errors;

 private:
  nlohmann::json call(const std::string& method, const nlohmann::json& parameters = nlohmann::json::object());
  nlohmann::json receive(double seconds);
  void note(const nlohmann::json& event);
  void stop();

  TemporaryFolder folder_;
  std::string buffer_, session_, loaded_;
  pid_t process_ = -1;
  int to_ = -1, from_ = -1, last_ = 0;
  bool page_loaded_ = false;
};

}  // namespace voxgrad::testing
