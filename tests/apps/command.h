// The command in a shell, in a folder of its own.
#pragma once
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <string>

#include "io/file.h"
#include "io/nifti.h"
#include "tests/temporary_folder.h"

namespace voxgrad::testing {

class Command : public ::testing::Test {
 protected:
  /// Runs the command in a shell; returns its exit code and fills out_ and err_.
  /// `with`: what stands before the command, as in "timeout 1".
  int run(const std::string& arguments, const std::string& redirect = "", const std::string& with = "") {
    const std::string out = folder_ + "/out", err = folder_ + "/err";
    const std::string line = "VOXGRAD_CACHE=" + folder_ + "/cache " + with + " " + VOXGRAD_COMMAND + " " +
                             arguments + " >" + (redirect.empty() ? out : redirect) + " 2>" + err;
    const int status = std::system(line.c_str());
    out_ = redirect.empty() ? read_text(out) : "";
    err_ = read_text(err);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  std::string path(const std::string& name) const { return folder_ + "/" + name; }
  std::string make_image() const {
    write_volume(path("a.nii.gz"), make_nifti_header({4, 3, 2}, {1, 2, 3}, {-5, 0, 5}),
                 Tensor::full({2, 3, 4}, 0.5));
    return path("a.nii.gz");
  }

  const TemporaryFolder temporary_;
  const std::string folder_ = temporary_.path();
  std::string out_, err_;
};

}  // namespace voxgrad::testing
