// A model that the version before wrote still predicts what it predicted (tests/golden/make_format1).
#include <gtest/gtest.h>

#include "data/phantom.h"
#include "io/sha256.h"
#include "methods/model.h"
#include "methods/prediction.h"
#include "tensor/core/cpu/isa.h"
#include "tests/temporary_folder.h"

namespace voxgrad {
namespace {

TEST(Format1, AModelPredictsWhatItDidAndIsWarnedOfOnce) {
  const testing::TemporaryFolder folder;
  PhantomOptions phantom;
  phantom.cases = 4;
  phantom.size = 16;
  phantom.seed = 3;
  write_phantom(folder.path() + "/data", phantom);
  std::vector<std::string> warnings;
  LoadedModel model = open_model({cat(VOXGRAD_SOURCE_DIR, "/tests/golden/format1")},
                                 [&](const std::string& text) { warnings.push_back(text); });
  ASSERT_EQ(warnings.size(), 1u);
  EXPECT_NE(warnings[0].find("format 1 has no digest"), std::string::npos) << warnings[0];
  EXPECT_EQ(model.file.format, 1);
  EXPECT_TRUE(model.file.complete);
  EXPECT_EQ(model.method->name(), "pgrd");
  EXPECT_EQ(model.method->common.plan.base_features, 2);
  build(model, Runtime());
  PredictOptions p;
  p.images = {folder.path() + "/data/imagesTr/phantom_001_0000.nii.gz"};
  p.output = folder.path() + "/out";
  p.estimates = {"prior"};
  ASSERT_EQ(predict_files(*model.method, p).size(), 1u);
  if (cpu_isa() < CpuIsa::avx2) GTEST_SKIP() << "the bytes are those of AVX2 and AVX-512";
  const Tensor prior = read_volume(p.output + "/estimates/prior/phantom_001.nii.gz");
  Sha256 voxels;
  voxels.update(prior.raw(), prior.nbytes());
  EXPECT_EQ(voxels.hex(), "8f799aebc7d3b801d7a380f9d92fc14d3464857e797ed887a6043d4736026faf");
}

}  // namespace
}  // namespace voxgrad
