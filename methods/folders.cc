#include "methods/folders.h"

#include <algorithm>
#include <array>

#include "io/file.h"
#include "tensor/core/error.h"

namespace voxgrad {

void expect_folder_of_results(const std::string& folder, const std::string& what, const std::string& where) {
  constexpr std::array<const char*, 4> kParts{"images", "labels", "raters", "posterior"};
  if (file_exists(folder + "/dataset.json"))
    fail(ErrorCode::usage, where, folder, ": expected a folder for ", what,
         ", got a data set (dataset.json)");
  std::string path = absolute_path(folder);
  while (path.size() > 1) {
    while (path.size() > 1 && path.back() == '/') path.pop_back();
    const size_t slash = path.rfind('/');
    const std::string name = path.substr(slash + 1), parent = path.substr(0, slash);
    const bool of_data =
        std::any_of(kParts.begin(), kParts.end(), [&](const char* p) { return name.starts_with(p); });
    if (of_data && file_exists(parent + "/dataset.json"))
      fail(ErrorCode::usage, where, folder, ": expected a folder for ", what,
           ", got a folder of the data set ", parent);
    path = parent;
  }
}

}  // namespace voxgrad
