// The house: only run/ names the files of a run. Elsewhere a path is asked of RunFolder (run/folder.h). Help
// texts and documents may name a file in a sentence, and so may comments.
#include <gtest/gtest.h>

#include <array>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace {

namespace fs = std::filesystem;
const fs::path kRoot = VOXGRAD_SOURCE_DIR;

constexpr std::array<std::string_view, 7> kFiles = {"model.safetensors", "checkpoint.safetensors",
                                                    "metrics.json",      "manifest.json",
                                                    "log.jsonl",         "config.toml",
                                                    "plan.toml"};

struct Literal {
  int line = 0;  ///< where it begins, from 1
  std::string text;
};

/// The string literals of C++ source, in order. Neighbours that the compiler joins are one literal. Escapes
/// other than \" and \\ are left as they are written.
class Literals {
 public:
  explicit Literals(std::string_view source) : source_(source) {}

  std::vector<Literal> all() {
    while (at_ < source_.size()) {
      if (starts("//"))
        skip_to("\n");
      else if (starts("/*"))
        skip_to("*/");
      else if (starts("R\"") && !is_name(before()))
        raw();
      else if (starts("\""))
        plain();
      else if (starts("'") && !is_name(before()))  // not the separator of 10'000
        character();
      else
        code();
    }
    return std::move(literals_);
  }

 private:
  static bool is_name(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; }
  bool starts(std::string_view text) const { return source_.substr(at_, text.size()) == text; }
  char before() const { return at_ > 0 ? source_[at_ - 1] : ' '; }
  void take() { line_ += source_[at_++] == '\n'; }
  void take(size_t end) {
    while (at_ < std::min(end, source_.size())) take();
  }
  void skip_to(std::string_view end) {
    const size_t found = source_.find(end, at_);
    take(found == std::string_view::npos ? source_.size() : found + end.size());
  }
  std::string& literal() {
    if (!joined_) literals_.push_back({line_, {}});
    joined_ = true;
    return literals_.back().text;
  }
  void raw() {
    std::string& text = literal();
    take(at_ + 2);
    const size_t open = source_.find('(', at_);
    const std::string close = ')' + std::string(source_.substr(at_, open - at_)) + '"';
    take(open + 1);
    const size_t end = std::min(source_.find(close, at_), source_.size());
    text += source_.substr(at_, end - at_);
    take(end + close.size());
  }
  void plain() {
    std::string& text = literal();
    for (take(); at_ < source_.size() && source_[at_] != '"'; take()) {
      if (source_[at_] == '\\') {
        if (at_ + 1 < source_.size() && source_[at_ + 1] != '"' && source_[at_ + 1] != '\\') text += '\\';
        take();
      }
      if (at_ < source_.size()) text += source_[at_];
    }
    if (at_ < source_.size()) take();
  }
  void character() {
    joined_ = false;
    for (take(); at_ < source_.size() && source_[at_] != '\''; take())
      if (source_[at_] == '\\') take();
    if (at_ < source_.size()) take();
  }
  void code() {
    if (!std::isspace(static_cast<unsigned char>(source_[at_]))) joined_ = false;
    take();
  }

  std::string_view source_;
  size_t at_ = 0;
  int line_ = 1;
  bool joined_ = false;  // only space and comments since the last literal
  std::vector<Literal> literals_;
};

/// The file of a run that a literal is a path to: it stands behind a '/', or in a literal without spaces.
std::string path_in(const std::string& text) {
  const auto part_of_a_name = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-' || c == '.';
  };
  const bool sentence = text.find(' ') != std::string::npos;
  for (const std::string_view file : kFiles)
    for (size_t at = text.find(file); at != std::string::npos; at = text.find(file, at + 1)) {
      const size_t end = at + file.size();
      if (at > 0 && part_of_a_name(text[at - 1])) continue;
      if (end < text.size() && std::isalnum(static_cast<unsigned char>(text[end]))) continue;
      if (!sentence || (at > 0 && text[at - 1] == '/')) return std::string(file);
    }
  return "";
}

/// "LINE: FILE" of each path in a source.
std::vector<std::string> paths_in(std::string_view source) {
  std::vector<std::string> found;
  for (const Literal& l : Literals(source).all())
    if (const std::string file = path_in(l.text); !file.empty())
      found.push_back(std::to_string(l.line) + ": " + file);
  return found;
}

TEST(House, TheRuleOfRunFilesSeesPathsAndNothingElse) {
  using Found = std::vector<std::string>;
  EXPECT_EQ(paths_in(R"(write(run + "/metrics.json");)"), (Found{"1: metrics.json"}));
  EXPECT_EQ(paths_in("\n\nread(\"config.toml\")"), (Found{"3: config.toml"}));
  EXPECT_EQ(paths_in(R"(f("RUN/log.jsonl"); g("a/manifest.json.part"))"),
            (Found{"1: log.jsonl", "1: manifest.json"}));
  EXPECT_EQ(paths_in(R"("/model" /* joined */ ".safetensors")"), (Found{"1: model.safetensors"}));
  EXPECT_EQ(paths_in("\"/model\"\n  // joined\n  \".safetensors\""), (Found{"1: model.safetensors"}));
  EXPECT_EQ(paths_in("R\"x(/checkpoint.safetensors)x\""), (Found{"1: checkpoint.safetensors"}));
  EXPECT_EQ(paths_in(R"(fail(run, "/config.toml is not there"))"), (Found{"1: config.toml"}));
  EXPECT_EQ(paths_in(R"(n = 10'000; f('"'); f("\"", "metrics.json");)"), (Found{"1: metrics.json"}));
  EXPECT_EQ(paths_in("/* \" */ f(\"metrics.json\")"), (Found{"1: metrics.json"}));
  for (const char* fine : {R"(// "/metrics.json")", R"(/* "metrics.json" */)",
                           R"("metrics.json to write; a .csv stands beside it")",
                           R"("The keys of `config.toml`, for `voxgrad train`")",
                           R"(f("/model", ".safetensors"))", R"("my-config.toml")", R"("metrics.jsonl")",
                           R"(f(model.safetensors))", R"("// " + g())", R"("/model" + x + ".safetensors")"})
    EXPECT_EQ(paths_in(fine), Found{}) << fine;
}

TEST(House, OnlyRunNamesTheFilesOfARun) {
  std::vector<std::string> folders = {"bench"};
  std::istringstream table(VOXGRAD_TABLE);
  for (std::string line; std::getline(table, line, '/');)
    if (!line.empty()) folders.push_back(line.substr(0, line.find(':')));
  int files = 0, of_run = 0;
  for (const std::string& folder : folders) {
    if (!fs::is_directory(kRoot / folder)) continue;
    for (const auto& entry : fs::recursive_directory_iterator(kRoot / folder)) {
      const std::string ext = entry.path().extension();
      if (ext != ".cc" && ext != ".h" && ext != ".cu" && ext != ".cuh" && ext != ".inc") continue;
      std::ifstream in(entry.path(), std::ios::binary);
      const std::string source((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
      ++files;
      for (const std::string& found : paths_in(source))
        if (folder == "run")
          ++of_run;
        else
          ADD_FAILURE() << fs::relative(entry.path(), kRoot).string() << ":" << found
                        << " is a file of a run; ask RunFolder (run/folder.h) for its path";
    }
  }
  EXPECT_GT(files, 150);
  EXPECT_EQ(of_run, static_cast<int>(kFiles.size())) << "each has its name in run/folder.h, once";
}

}  // namespace
