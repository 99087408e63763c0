// The house: no code outside methods/ asks which method it is, and inside methods/ only a method's own file
// and the registry name one. So a new method touches neither training nor scoring.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;
const fs::path kRoot = VOXGRAD_SOURCE_DIR;

std::string read(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

// Names of methods and of their stages, as the files of methods/ write them.
std::set<std::string> names() {
  std::set<std::string> all;
  const std::regex record(R"re(MethodRecord \w+_method\{\s*"([a-z0-9-]+)")re");
  const std::regex stage(R"re(options\.table\("([a-z]+)"\)|kPrior = "([a-z]+)")re");
  for (const auto& entry : fs::directory_iterator(kRoot / "methods")) {
    const std::string source = read(entry.path());
    for (std::sregex_iterator it(source.begin(), source.end(), record), end; it != end; ++it)
      all.insert((*it)[1]);
    for (std::sregex_iterator it(source.begin(), source.end(), stage), end; it != end; ++it)
      all.insert((*it)[1].matched ? (*it)[1] : (*it)[2]);
  }
  for (const char* shared : {"train", "sampling"}) all.erase(shared);  // tables that are no stage
  return all;
}

// "FILE:LINE" of each line that names one in quotes.
std::vector<std::string> lines_with_a_name(const std::string& folder, const std::set<std::string>& names) {
  std::vector<std::string> found;
  for (const auto& entry : fs::recursive_directory_iterator(kRoot / folder)) {
    const std::string ext = entry.path().extension();
    if (ext != ".cc" && ext != ".h") continue;
    std::istringstream source(read(entry.path()));
    int number = 0;
    for (std::string line; std::getline(source, line);) {
      ++number;
      for (const std::string& name : names)
        if (line.find('"' + name + '"') != std::string::npos)
          found.push_back(fs::relative(entry.path(), kRoot).string() + ":" + std::to_string(number) + " " +
                          line);
    }
  }
  return found;
}

TEST(House, OnlyItsOwnFileKnowsAMethod) {
  const std::set<std::string> all = names();
  for (const char* known : {"unet", "mc-dropout", "pgrd", "pgrd-no-dds", "prior", "denoiser", "network"})
    ASSERT_TRUE(all.count(known)) << known << ": the patterns of this test have gone stale";
  std::vector<std::string> outside;
  std::istringstream table(VOXGRAD_TABLE);
  for (std::string line; std::getline(table, line, '/');) {
    const std::string folder = line.substr(0, line.find(':'));
    if (folder.empty() || folder == "methods" || !fs::is_directory(kRoot / folder)) continue;
    std::set<std::string> foreign = all;
    if (folder == "diffusion") foreign.erase("ddpm");  // there it is a sampler
    for (const std::string& place : lines_with_a_name(folder, foreign)) outside.push_back(place);
  }
  ASSERT_EQ(outside.size(), 1u) << "only the command line's default names a method:\n"
                                << (outside.size() > 1 ? outside[1] : "");
  EXPECT_EQ(outside[0].rfind("apps/train_options.h:", 0), 0u) << outside[0];
  for (const std::string& place : lines_with_a_name("methods", all)) {
    const std::string file = place.substr(8, place.find(':') - 8);
    const bool record = read(kRoot / "methods" / file).find("extern const MethodRecord") != std::string::npos;
    EXPECT_TRUE(record) << place << ": only the file of a method names one";
  }
}

}  // namespace
