#include "run/folder.h"

#include "io/file.h"

namespace voxgrad {

std::vector<std::string> RunFolder::kept_raters(const std::string& case_name) const {
  constexpr std::string_view kBegin = kRaterMap, kEnd = ".nii.gz";
  std::vector<std::string> raters;
  for (const std::string& file : list_folder(validation_case(case_name)))
    if (file.starts_with(kBegin) && file.ends_with(kEnd))
      raters.push_back(file.substr(kBegin.size(), file.size() - kBegin.size() - kEnd.size()));
  return raters;
}

}  // namespace voxgrad
