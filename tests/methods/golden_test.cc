// The bits of a small training and its samples, so that a change that should not change them shows. A change
// that should (of seeds, of a method, of a kernel's order of sums) puts new digests here and says why.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "data/phantom.h"
#include "io/sha256.h"
#include "methods/model.h"
#include "methods/registry.h"
#include "methods/training.h"
#include "run/folder.h"
#include "tensor/core/cpu/isa.h"
#include "tests/parameter_name.h"
#include "tests/temporary_folder.h"

namespace voxgrad {
namespace {

// Of a method: the digests of weights, plan and constants, and of the first sample of a case.
struct KnownBits {
  const char *method, *model, *sample;
};

void PrintTo(const KnownBits& b, std::ostream* out) { *out << b.method; }

struct FirstSample : Receiver {
  bool wants(const std::string&) const override { return false; }
  void sample(const Tensor& p, double) override {
    if (digest.empty()) digest = weights_digest({{"sample", p}});
  }
  void estimate(const std::string&, const Tensor&) override {}
  std::string digest;
};

class Golden : public ::testing::TestWithParam<KnownBits> {};

TEST_P(Golden, ATrainingHasItsKnownBits) {
  // AVX2 and AVX-512 agree to the bit; portable kernels do not fuse multiplication and addition.
  if (cpu_isa() < CpuIsa::avx2) GTEST_SKIP() << "the digests are those of AVX2 and AVX-512";
  const testing::TemporaryFolder folder;
  PhantomOptions phantom;
  phantom.cases = 6;
  phantom.size = 16;
  phantom.seed = 3;
  write_phantom(folder.path() + "/data", phantom);
  const std::unique_ptr<Method> method = make_method(GetParam().method);
  Config config = method->config();
  for (const char* s : {"plan.base_features=4", "train.max_steps=4", "train.max_scored=1",
                        "sampling.samples=2", "sampling.steps=2"})
    config.set(s);
  TrainRequest request;
  request.run = folder.path() + "/run";
  request.seed = 5;
  ASSERT_EQ(train_method(*method, folder.path() + "/data", request).end, TrainEnd::finished);
  const ModelFile model = read_model(RunFolder{request.run}.model());
  EXPECT_EQ(model.digest.substr(0, 16), GetParam().model);
  PreprocessedCase c;
  c.name = "case";
  const Triple& patch = method->plan().patch;
  c.image = random_normal({patch[0], patch[1], patch[2], 1}, {1, Stream::test, 0});
  FirstSample first;
  method->predict(c, {.seed = 7}, first);
  EXPECT_EQ(first.digest.substr(0, 16), GetParam().sample);
}

INSTANTIATE_TEST_SUITE_P(Methods, Golden,
                         ::testing::Values(KnownBits{"unet", "7d9010e04d2c20e4", "7737e60cf3b697de"},
                                           KnownBits{"mc-dropout", "9cdfae5959624624", "5ce9181f92b2eb0e"},
                                           KnownBits{"ensemble", "2cd00687cf53f8ce", "1b1ccd3640b96d33"},
                                           KnownBits{"m-heads", "0ef086f5bc0db52f", "6f8d8629010edc36"},
                                           KnownBits{"prob-unet", "3f6b3ae5f9620371", "8bd6ce16f1363612"},
                                           KnownBits{"ddpm", "7fdb6127ea6178a0", "c41c75542528d304"},
                                           KnownBits{"refine", "8799ff3f64275bd2", "dc603b69381a5665"},
                                           KnownBits{"pgrd-no-pgr", "fab346b4978b2a6e", "d4733ee5e3c4485f"},
                                           KnownBits{"pgrd-no-dds", "b75ad45d4fe2862e", "1798508e6f2581a0"},
                                           KnownBits{"pgrd-paper", "5c149b01202c4cd0", "d8c93347dc43c211"},
                                           KnownBits{"pgrd", "6017f89626c60b29", "a76542789f9e74bb"}),
                         [](const auto& p) { return test::test_name(p.param.method); });

TEST(GoldenList, HasEveryMethod) {
  const ::testing::UnitTest& all = *::testing::UnitTest::GetInstance();
  std::set<std::string> tested;
  for (int i = 0; i < all.total_test_suite_count(); ++i)
    if (const ::testing::TestSuite& suite = *all.GetTestSuite(i);
        std::string(suite.name()) == "Methods/Golden")
      for (int k = 0; k < suite.total_test_count(); ++k) {
        const std::string name = suite.GetTestInfo(k)->name();
        tested.insert(name.substr(name.find('/') + 1));
      }
  for (std::string name : method_names()) {
    name = test::test_name(name);
    EXPECT_TRUE(tested.contains(name)) << "add " << name << " to the list above, with empty digests first";
  }
}

}  // namespace
}  // namespace voxgrad
