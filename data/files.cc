#include "data/files.h"

namespace voxgrad {

int small_integer(const std::string& text) {
  if (text.empty() || text.size() > 4 || text.find_first_not_of("0123456789") != std::string::npos) return -1;
  return std::stoi(text);
}

ChannelFile parse_channel_file(const std::string& file_name) {
  const std::string stem = image_stem(file_name);
  if (stem.size() < 6 || stem[stem.size() - 5] != '_') return {stem, -1};
  const int channel = small_integer(stem.substr(stem.size() - 4));
  if (channel < 0) return {stem, -1};
  return {stem.substr(0, stem.size() - 5), channel};
}

std::string image_stem(const std::string& file_name) {
  if (file_name.empty() || file_name[0] == '.') return "";
  for (const char* end : {".nii.gz", ".nii", ".hdr.gz", ".hdr"})
    if (file_name.ends_with(end)) return file_name.substr(0, file_name.size() - std::string(end).size());
  return "";
}

std::string join_path(const std::string& folder, const std::string& name) {
  if (!name.empty() && name[0] == '/') return name;
  std::string tail = name;
  while (tail.rfind("./", 0) == 0) tail = tail.substr(2);
  if (folder.empty()) return tail;
  return folder.back() == '/' ? folder + tail : folder + "/" + tail;
}

std::string file_name_of(const std::string& path) {
  std::string p = path;
  while (p.size() > 1 && p.back() == '/') p.pop_back();
  const size_t slash = p.rfind('/');
  return slash == std::string::npos || p.size() == 1 ? p : p.substr(slash + 1);
}

}  // namespace voxgrad
