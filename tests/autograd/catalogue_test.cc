// docs/ops.md is what the op records say.
#include "autograd/catalogue.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "autograd/op.h"

namespace voxgrad {
namespace {

TEST(Catalogue, IsWhatTheRecordsSay) {
  const std::string path = VOXGRAD_SOURCE_DIR "/docs/ops.md";
  if (std::getenv("VOXGRAD_WRITE_DOCS")) std::ofstream(path) << op_catalogue();
  std::ifstream file(path);
  ASSERT_TRUE(file) << path;
  std::ostringstream text;
  text << file.rdbuf();
  EXPECT_TRUE(text.str() == op_catalogue())
      << "docs/ops.md is out of date; write it anew with\n"
         "  VOXGRAD_WRITE_DOCS=1 build/release/tests/autograd_tests --gtest_filter='Catalogue.*'";
}

TEST(Catalogue, NamesEveryOpAndItsFile) {
  const std::string text = op_catalogue();
  for (const Op* op : all_ops()) {
    EXPECT_NE(text.find(cat("(../autograd/ops/", op->name, ".cc)")), std::string::npos) << op->name;
    EXPECT_TRUE(std::ifstream(cat(VOXGRAD_SOURCE_DIR "/autograd/ops/", op->name, ".cc"))) << op->name;
  }
}

}  // namespace
}  // namespace voxgrad
