// A plan of small patches, and what a method gives for a case, for tests of single methods.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "methods/method.h"

namespace voxgrad::test {

/// Patches of 4 x 4 x 4, one channel, three classes, two stages.
inline Plan small_plan() {
  Plan plan;
  plan.patch = {4, 4, 4};
  plan.channel_names = {"image"};
  plan.normalisation = {"zscore"};
  plan.label_names = {"background", "one", "two"};
  plan.features = {4, 8};
  plan.strides = {{1, 1, 1}, {2, 2, 2}};
  plan.kernels = {{3, 3, 3}, {3, 3, 3}};
  return plan;
}

struct Collected {
  std::vector<std::vector<float>> samples;
  std::map<std::string, std::vector<float>> estimates;
};

/// All samples and estimates of a case.
inline Collected collect(Method& method, const PreprocessedCase& c, uint64_t seed,
                         int64_t memory = int64_t{1} << 30) {
  struct All : Receiver {
    bool wants(const std::string&) const override { return true; }
    void sample(const Tensor& p, double) override { c.samples.push_back(p.to_vector<float>()); }
    void estimate(const std::string& key, const Tensor& p) override {
      c.estimates[key] = p.to_vector<float>();
    }
    Collected c;
  } all;
  Work work;
  work.seed = seed;
  work.memory = memory;
  method.predict(c, work, all);
  return all.c;
}

}  // namespace voxgrad::test
