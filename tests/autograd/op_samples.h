// The samples of the op records as parameters of tests.
#pragma once
#include <gtest/gtest.h>

#include <ostream>
#include <utility>
#include <vector>

#include "autograd/gradcheck.h"
#include "autograd/ops.h"
#include "tests/parameter_name.h"

namespace voxgrad::test {

/// A sample of an op.
struct NamedSample {
  const Op* op;
  OpSample sample;
};

inline void PrintTo(const NamedSample& s, std::ostream* out) { *out << s.op->name << ", " << s.sample.name; }

/// Every sample of every op that `fits`.
inline std::vector<NamedSample> samples_where(bool (*fits)(const Op&)) {
  std::vector<NamedSample> all;
  for (const Op* op : all_ops())
    if (fits(*op))
      for (auto& s : op->samples()) all.push_back({op, std::move(s)});
  return all;
}

inline std::string sample_name(const ::testing::TestParamInfo<NamedSample>& info) {
  return test_name(std::string(info.param.op->name) + "_" + info.param.sample.name);
}

}  // namespace voxgrad::test
