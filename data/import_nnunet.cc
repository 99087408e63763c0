// nnU-Net's raw layout: imagesTr/CASE_0000.nii.gz, ... (one file for each channel), and labelsTr/CASE.nii.gz.
#include <algorithm>

#include "data/files.h"
#include "data/importer.h"
#include "io/file.h"

namespace voxgrad {
namespace {

class Scan {
 public:
  Scan(const std::string& folder, const Description& description, std::vector<Problem>& problems)
      : folder_(folder), d_(description), problems_(problems) {}

  std::vector<Case> run() {
    const std::string images = join_path(folder_, "imagesTr"), labels = join_path(folder_, "labelsTr");
    for (const std::string& folder : {images, labels})
      if (!is_folder(folder)) error("missing-file", "", folder, "expected a folder");
    const int channels = static_cast<int>(d_.channel_names.size());
    std::map<std::string, std::vector<std::string>> found;  // case -> one file for each channel
    std::map<std::string, std::string> label_of;
    if (is_folder(images)) {
      for (const std::string& file : list_folder(images)) {
        if (skipped(file)) continue;
        const std::string path = join_path(images, file);
        const ChannelFile f = parse_channel_file(file);
        if (f.channel < 0 || f.channel >= channels) {
          error("foreign-file", f.case_name, path,
                cat("expected CASE_0000", d_.ending, " to CASE_", padded(channels - 1), d_.ending));
          continue;
        }
        auto& slots = found[f.case_name];
        slots.resize(static_cast<size_t>(channels));
        if (file.ends_with(d_.ending))
          slots[static_cast<size_t>(f.channel)] = path;
        else
          wrong_ending(f.case_name, images, file);
      }
    }
    if (is_folder(labels)) {
      for (const std::string& file : list_folder(labels)) {
        if (skipped(file)) continue;
        const std::string path = join_path(labels, file), name = image_stem(file);
        if (name.empty())
          error("foreign-file", "", path, "expected CASE" + d_.ending);
        else if (!file.ends_with(d_.ending))
          wrong_ending(name, labels, file);
        else if (label_of[name] = path; found.count(name) == 0)
          error("orphan-file", name, path, "a label without an image");
      }
    }
    for (const auto& [name, files] : found) {
      bool complete = true;
      for (int channel = 0; channel < channels; ++channel)
        if (files[static_cast<size_t>(channel)].empty()) {
          error("missing-file", name, join_path(images, name + "_" + padded(channel) + d_.ending),
                "channel \"" + d_.channel_names[static_cast<size_t>(channel)] + "\" is not there");
          complete = false;
        }
      if (label_of.count(name) == 0) {
        error("missing-file", name, join_path(labels, name + d_.ending), "the label is not there");
        complete = false;
      }
      if (complete) cases_.push_back({name, files, label_of[name]});
    }
    return std::move(cases_);
  }

 private:
  void error(const std::string& kind, const std::string& case_name, const std::string& file,
             const std::string& text) {
    problems_.push_back({true, kind, case_name, file, text});
  }

  void wrong_ending(const std::string& case_name, const std::string& folder, const std::string& file) {
    const std::string path = join_path(folder, file), twin = image_stem(file) + d_.ending;
    if (file_exists(join_path(folder, twin)))
      error("duplicate", case_name, path, "the volume is there twice: also as " + twin);
    else
      error("foreign-file", case_name, path, "expected the file_ending " + d_.ending);
  }

  /// True for hidden files (macOS makes some), and for the voxel file of a .hdr/.img pair.
  bool skipped(const std::string& file) const {
    return file[0] == '.' ||
           (d_.ending.rfind(".hdr", 0) == 0 && (file.ends_with(".img") || file.ends_with(".img.gz")));
  }

  static std::string padded(int channel) {
    const std::string digits = std::to_string(channel);
    return std::string(4 - std::min<size_t>(4, digits.size()), '0') + digits;
  }

  const std::string& folder_;
  const Description& d_;
  std::vector<Problem>& problems_;
  std::vector<Case> cases_;
};

bool recognises(const std::string&, const Description&) {
  return true;
}  // the last importer accepts every data set

std::vector<Case> find_cases(const std::string& folder, const Description& d,
                             std::vector<Problem>& problems) {
  return Scan(folder, d, problems).run();
}

}  // namespace

extern const Importer nnunet_importer{"nnU-Net raw", recognises, find_cases};

}  // namespace voxgrad
