// The house: what each folder includes stands on its line of the table in CMakeLists.txt, or on that of a
// folder it may include; and external headers are seen only by the files that own them.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>

namespace {

namespace fs = std::filesystem;
const fs::path kRoot = VOXGRAD_SOURCE_DIR;

// "data: io" an entry, separated by slashes, from the build's own record.
std::map<std::string, std::set<std::string>> table() {
  std::map<std::string, std::set<std::string>> direct;
  std::istringstream text(VOXGRAD_TABLE);
  for (std::string line; std::getline(text, line, '/');) {
    if (line.empty()) continue;
    const size_t colon = line.find(':');
    std::set<std::string>& to = direct[line.substr(0, colon)];
    std::istringstream names(line.substr(colon + 1));
    for (std::string name; names >> name;) to.insert(name);
  }
  for (bool grown = true; grown;) {
    grown = false;
    for (auto& [folder, may] : direct)
      for (const std::string& d : std::set<std::string>(may))
        for (const std::string& further : direct[d]) grown |= may.insert(further).second;
  }
  for (auto& [folder, may] : direct) may.insert(folder);
  return direct;
}

struct Include {
  std::string file, header;
};
std::vector<Include> includes_of(const std::string& folder) {
  std::vector<Include> all;
  if (!fs::is_directory(kRoot / folder)) return all;  // the build says "no sources yet"
  const std::regex pattern(R"re(^\s*#\s*include\s*[<"]([^>"]+)[>"])re");
  for (const auto& entry : fs::recursive_directory_iterator(kRoot / folder)) {
    const std::string ext = entry.path().extension();
    if (ext != ".cc" && ext != ".h" && ext != ".cu" && ext != ".cuh" && ext != ".inc") continue;
    std::ifstream in(entry.path());
    for (std::string line; std::getline(in, line);) {
      std::smatch m;
      if (std::regex_search(line, m, pattern)) all.push_back({fs::relative(entry.path(), kRoot), m[1]});
    }
  }
  return all;
}

TEST(House, EveryFolderIncludesOnlyWhatItMay) {
  const auto may = table();
  ASSERT_TRUE(may.count("tensor") && may.count("methods"));
  int seen = 0;
  for (const auto& [folder, allowed] : may)
    for (const Include& i : includes_of(folder)) {
      const std::string first = i.header.substr(0, i.header.find('/'));
      if (i.header.find('/') == std::string::npos || !may.count(first)) continue;  // system and external
      EXPECT_TRUE(allowed.count(first))
          << i.file << " includes " << i.header << ", which " << folder << "/ may not";
      ++seen;
    }
  EXPECT_GT(seen, 200);
}

// The inner walls of tensor/: core/ includes nothing but itself. gemm/ includes core/ and may serve every
// family. A family includes itself, core/ and gemm/. No code lies outside of these folders.
TEST(House, TheWallsOfTensorHold) {
  std::set<std::string> families;
  for (const auto& entry : fs::directory_iterator(kRoot / "tensor")) {
    if (entry.is_directory()) families.insert(entry.path().filename());
    const std::string ext = entry.path().extension();
    EXPECT_TRUE(entry.is_directory() || ext == ".cmake" || ext == ".md")
        << entry.path() << " lies in no family";
  }
  ASSERT_TRUE(families.count("core") && families.count("gemm") && families.count("conv"));
  const auto second = [](const std::string& path) {
    const size_t begin = path.find('/') + 1;
    return path.substr(begin, path.find('/', begin) - begin);
  };
  int seen = 0;
  for (const Include& i : includes_of("tensor")) {
    if (i.header.rfind("tensor/", 0) != 0) continue;
    const std::string from = second(i.file), to = second(i.header);
    EXPECT_TRUE(from == to || to == "core" || (to == "gemm" && from != "core"))
        << i.file << " includes " << i.header
        << ": a family may include itself, tensor/core/ and tensor/gemm/";
    ++seen;
  }
  EXPECT_GT(seen, 200);
  for (const std::string& f : families)
    EXPECT_TRUE(fs::exists(kRoot / "tensor" / f / "README.md"))
        << f << " has no page that says what to read first";
}

TEST(House, ExternalHeadersHaveOneOwner) {
  const auto may = table();
  std::map<std::string, std::set<std::string>> users;
  for (const auto& [folder, allowed] : may)
    for (const Include& i : includes_of(folder)) users[i.header].insert(i.file);
  EXPECT_LE(users["cblas.h"].size(), 1u) << "only one file sees cblas.h";
  for (const auto& [header, files] : users)
    for (const std::string& file : files) {
      const std::string folder = file.substr(0, file.find('/'));
      if (header.rfind("spdlog/", 0) == 0) {
        EXPECT_TRUE(folder == "apps" || folder == "methods" || folder == "pretrain" || folder == "train")
            << file << " logs; only apps/, methods/, pretrain/ and train/ may";
      }
      if (header.rfind("CLI/", 0) == 0) {
        EXPECT_EQ(folder, "apps") << file;
      }
      if (header == "zlib.h" || header == "libdeflate.h" || header == "png.h") {
        EXPECT_EQ(folder, "io") << file;
      }
      if (header == "fstream" || header == "fcntl.h") {
        EXPECT_TRUE(folder == "io") << file << " opens files; io/file.h does";
      }
      if (header.rfind("cuda", 0) == 0 || header.rfind("cudnn", 0) == 0) {
        EXPECT_NE(file.find("/cuda/"), std::string::npos) << file;
      }
    }
}

}  // namespace
