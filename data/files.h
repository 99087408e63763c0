// Parses names of image files. Internal to data/.
#pragma once
#include <map>
#include <string>

namespace voxgrad {

/// A file name in nnU-Net's scheme: CASE_0000.nii.gz -> {"CASE", 0}. The channel is -1 if the name has no
/// such suffix.
struct ChannelFile {
  std::string case_name;
  int channel = -1;
};
ChannelFile parse_channel_file(const std::string& file_name);
/// The file name without .nii, .nii.gz, .hdr or .hdr.gz. Empty for another ending and for a hidden file.
std::string image_stem(const std::string& file_name);
std::string join_path(const std::string& folder, const std::string& name);
std::string file_name_of(const std::string& path);
/// Parses a decimal integer from 0 to 9999. Returns -1 for any other text.
int small_integer(const std::string& text);

}  // namespace voxgrad
