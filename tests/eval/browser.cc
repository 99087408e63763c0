#include "tests/eval/browser.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <fstream>
#include <map>
#include <stdexcept>
#include <thread>

namespace voxgrad::testing {
namespace {

using nlohmann::json;

[[noreturn]] void refuse(const std::string& text) { throw std::runtime_error("browser: " + text); }

/// Other processes that this one starts do not inherit the ends.
std::array<int, 2> make_pipe() {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) refuse("cannot make a pipe");
  return ends;
}

std::string from_base64(const std::string& text) {
  std::string out;
  uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    static const std::string kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const size_t digit = kDigits.find(c);
    if (digit == std::string::npos) break;
    bits = bits << 6 | static_cast<uint32_t>(digit);
    count += 6;
    if (count >= 8) {
      count -= 8;
      out += static_cast<char>(bits >> count & 0xff);
    }
  }
  return out;
}

double seconds_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

constexpr double kPatience = 60;  // seconds that a call may take; a busy machine is slow

}  // namespace

std::string Browser::find() {
  for (const char* path : {"/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"})
    if (access(path, X_OK) == 0) return path;
  return "";
}

Browser::Browser() {
  const std::string program = find();
  if (program.empty()) refuse("Chromium is not installed");
  const std::array<int, 2> commands = make_pipe(), answers = make_pipe();
  std::vector<std::string> words = {program,
                                    "--headless",
                                    "--remote-debugging-pipe",
                                    "--disable-gpu",
                                    "--disable-dev-shm-usage",
                                    "--hide-scrollbars",
                                    "--no-first-run",
                                    "--disable-extensions",
                                    "--disable-background-networking",
                                    "--user-data-dir=" + folder_ / "profile"};
  if (geteuid() == 0) words.emplace_back("--no-sandbox");
  std::vector<char*> arguments;
  for (std::string& w : words) arguments.push_back(w.data());
  arguments.push_back(nullptr);
  signal(SIGPIPE, SIG_IGN);  // if the browser has ended, write() fails instead of ending this process
  process_ = fork();
  if (process_ < 0) refuse("cannot start a process");
  if (process_ == 0) {
    setpgid(0, 0);
    // Chromium reads commands from descriptor 3 and writes answers to 4. The ends of the pipes may have these
    // numbers already, so they are copied to other numbers first.
    const int in = fcntl(commands[0], F_DUPFD, 10), out = fcntl(answers[1], F_DUPFD, 10);
    dup2(in, 3);
    dup2(out, 4);
    close(in);
    close(out);
    if (const int nothing = ::open("/dev/null", O_RDWR); nothing >= 0)
      for (const int stream : {0, 1, 2}) dup2(nothing, stream);
    execv(arguments[0], arguments.data());
    _exit(127);
  }
  setpgid(process_, process_);  // both processes do this, because either may run first
  close(commands[0]);
  close(answers[1]);
  to_ = commands[1];
  from_ = answers[0];
  try {
    const json target = call("Target.createTarget", {{"url", "about:blank"}});
    session_ =
        call("Target.attachToTarget", {{"targetId", target["targetId"]}, {"flatten", true}})["sessionId"];
    for (const char* domain : {"Page", "Runtime", "Network", "Log"}) call(std::string(domain) + ".enable");
  } catch (...) {
    stop();
    throw;
  }
}

Browser::~Browser() { stop(); }

void Browser::stop() {
  close(to_);
  close(from_);
  kill(-process_, SIGKILL);
  waitpid(process_, nullptr, 0);
}

json Browser::receive(double until) {
  for (;;) {
    if (const size_t end = buffer_.find('\0'); end != std::string::npos) {
      const json message = json::parse(buffer_.substr(0, end));
      buffer_.erase(0, end + 1);
      return message;
    }
    const double left = until - seconds_now();
    pollfd descriptor{from_, POLLIN, 0};
    if (left <= 0 || poll(&descriptor, 1, static_cast<int>(left * 1000) + 1) <= 0)
      refuse("no answer in time");
    std::vector<char> piece(1 << 16);
    const ssize_t got = read(from_, piece.data(), piece.size());
    if (got <= 0) refuse("it has ended");
    buffer_.append(piece.data(), static_cast<size_t>(got));
  }
}

void Browser::note(const json& event) {
  const std::string method = event.value("method", "");
  const json parameters = event.value("params", json::object());
  if (method == "Page.loadEventFired") page_loaded_ = true;
  if (method == "Network.requestWillBeSent") {
    const std::string address = parameters["request"]["url"];
    if (address != loaded_ && !address.starts_with("data:")) requests.push_back(address);
  }
  if (method == "Runtime.exceptionThrown") errors.push_back(parameters.dump());
  if (method == "Runtime.consoleAPICalled" && parameters["type"] == "error")
    errors.push_back(parameters.dump());
  if (method == "Log.entryAdded" && parameters["entry"]["level"] == "error")
    errors.push_back(parameters.dump());
}

json Browser::call(const std::string& method, const json& parameters) {
  json message = {{"id", ++last_}, {"method", method}, {"params", parameters}};
  if (!session_.empty()) message["sessionId"] = session_;
  std::string text = message.dump() + '\0';
  for (size_t at = 0; at < text.size();) {
    const ssize_t n = write(to_, text.data() + at, text.size() - at);
    if (n <= 0) refuse("it takes no commands");
    at += static_cast<size_t>(n);
  }
  const double until = seconds_now() + kPatience;
  for (;;) {
    const json answer = receive(until);
    if (answer.value("id", 0) != last_) {
      note(answer);
      continue;
    }
    if (answer.contains("error")) refuse(method + ": " + answer["error"].dump());
    return answer["result"];
  }
}

void Browser::open(const std::string& path, int width, int height) {
  call("Emulation.setDeviceMetricsOverride",
       {{"width", width}, {"height", height}, {"deviceScaleFactor", 1}, {"mobile", false}});
  emulate("screen", "light");
  requests.clear();
  errors.clear();
  page_loaded_ = false;
  loaded_ = "file://" + path;
  call("Page.navigate", {{"url", loaded_}});
  for (const double until = seconds_now() + kPatience; !page_loaded_;) note(receive(until));
}

json Browser::evaluate(const std::string& expression) {
  const json result =
      call("Runtime.evaluate", {{"expression", expression}, {"returnByValue", true}, {"awaitPromise", true}});
  if (result.contains("exceptionDetails")) refuse(expression + ": " + result["exceptionDetails"].dump());
  return result["result"].value("value", json());
}

void Browser::wait_for(const std::string& condition, double seconds) {
  for (const double until = seconds_now() + seconds; seconds_now() < until;) {
    if (evaluate("Boolean(" + condition + ")").get<bool>()) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
  }
  refuse("waited in vain for " + condition);
}

void Browser::press(const std::string& key, bool shift) {
  static const std::map<std::string, int> kCodes = {{"Tab", 9},      {"Enter", 13},      {" ", 32},
                                                    {"End", 35},     {"Home", 36},       {"ArrowLeft", 37},
                                                    {"ArrowUp", 38}, {"ArrowRight", 39}, {"ArrowDown", 40}};
  const auto code = kCodes.find(key);
  json event = {{"key", key}, {"modifiers", shift ? 8 : 0}};
  if (code != kCodes.end()) event["windowsVirtualKeyCode"] = code->second;
  const std::string text = key == "Enter" ? "\r" : key.size() == 1 ? key : "";
  event["type"] = text.empty() ? "rawKeyDown" : "keyDown";
  if (!text.empty()) event["text"] = text;
  call("Input.dispatchKeyEvent", event);
  event.erase("text");
  event["type"] = "keyUp";
  call("Input.dispatchKeyEvent", event);
}

void Browser::drag(double x0, double y0, double x1, double y1, const std::string& button) {
  const auto mouse = [&](const char* type, double x, double y, int buttons) {
    call("Input.dispatchMouseEvent",
         {{"type", type}, {"x", x}, {"y", y}, {"button", button}, {"buttons", buttons}, {"clickCount", 1}});
  };
  const int held = button == "right" ? 2 : 1;
  mouse("mousePressed", x0, y0, held);
  for (const double share : {0.5, 1.0})
    mouse("mouseMoved", x0 + share * (x1 - x0), y0 + share * (y1 - y0), held);
  mouse("mouseReleased", x1, y1, 0);
}

void Browser::emulate(const std::string& media, const std::string& scheme) {
  call("Emulation.setEmulatedMedia",
       {{"media", media}, {"features", {{{"name", "prefers-color-scheme"}, {"value", scheme}}}}});
}

void Browser::screenshot(const std::string& path) {
  const std::string png = from_base64(call("Page.captureScreenshot", {{"format", "png"}})["data"]);
  std::ofstream(path, std::ios::binary) << png;
}

}  // namespace voxgrad::testing
