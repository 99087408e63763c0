// Finds the cases of `voxgrad predict` and checks that their files have the channels that the model expects.
#include <algorithm>
#include <set>

#include "io/file.h"
#include "io/text.h"
#include "methods/prediction.h"

namespace voxgrad {
namespace {

/// For example "2 channels (T1, T2)".
std::string channels_of(const Plan& plan) {
  return cat(counted(plan.channels(), "channel"), " (", joined(plan.channel_names), ")");
}

std::vector<std::string> parts_of(const std::string& list) {
  std::vector<std::string> parts;
  for (size_t begin = 0; begin <= list.size();) {
    const size_t end = std::min(list.find(',', begin), list.size());
    parts.push_back(list.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

bool is_file_name(const std::string& name) {
  constexpr size_t kLongest = 240;  // including the file ending
  const bool control =
      std::any_of(name.begin(), name.end(), [](unsigned char c) { return c < 32 || c == 127; });
  return !name.empty() && name.size() <= kLongest && name[0] != '.' && name.find('/') == std::string::npos &&
         !control;
}

/// The channel that a name of nnU-Net's form says (CASE_0001.nii.gz: 1); -1 if it has another form.
int channel_in_name(const std::string& path) {
  const std::string name = path.substr(path.rfind('/') + 1), stem = name.substr(0, name.find('.'));
  const size_t line = stem.rfind('_');
  if (line == std::string::npos || stem.size() - line != 5) return -1;
  const std::string digits = stem.substr(line + 1);
  return digits.find_first_not_of("0123456789") == std::string::npos ? std::stoi(digits) : -1;
}

[[noreturn]] void refuse(const std::string& file, int64_t volumes, int64_t expected, const Plan& plan) {
  if (expected == 1 && plan.channels() > 1)
    fail(ErrorCode::data, "[predict] ", file, ": expected one channel, beside files of the others, got ",
         volumes);
  const std::string naming =
      plan.channels() > 1 ? "; in a folder the files of a case are CASE_0000.nii.gz, CASE_0001.nii.gz and so "
                            "on, in this order; --case NAME=FILE,FILE,... takes files of any name"
                          : "";
  fail(ErrorCode::data, "[predict] ", file, ": expected ", channels_of(plan), ", got ", volumes, naming);
}

void expect_channels(const Case& c, const Plan& plan) {
  const int64_t expected = c.images.size() > 1 ? 1 : plan.channels();
  for (const std::string& file : c.images)
    if (const int64_t volumes = read_nifti_header(file).volumes(); volumes != expected)
      refuse(file, volumes, expected, plan);
}

}  // namespace

Case named_case(const std::string& text, const Plan& plan) {
  const size_t equals = text.find('=');
  const std::string name = text.substr(0, equals);
  if (equals == std::string::npos || !is_file_name(name))
    fail(ErrorCode::usage,
         "[predict] --case: expected NAME=FILE,... where NAME can be a file name (no folders), got ", text);
  const std::vector<std::string> files = parts_of(text.substr(equals + 1));
  if (files.size() != 1 && files.size() != static_cast<size_t>(plan.channels()))
    fail(ErrorCode::usage, "[predict] --case ", name, ": expected a file for each of ", channels_of(plan),
         ", in this order, or one file of all, got ", files.size());
  for (const std::string& file : files)
    if (!file_exists(file)) fail(ErrorCode::data, "[predict] --case ", name, ": ", file, ": expected a file");
  for (size_t i = 0; i < files.size(); ++i) {
    for (size_t j = 0; j < i; ++j)
      if (same_file(files[i], files[j]))
        fail(ErrorCode::usage, "[predict] --case ", name, ": expected a file for each of ", channels_of(plan),
             ", got ", files[i], " twice");
    const int channel = channel_in_name(files[i]);
    if (files.size() > 1 && channel >= 0 && channel != static_cast<int>(i))
      fail(ErrorCode::usage, "[predict] --case ", name, ": expected the files in the order of ",
           channels_of(plan), ", got ", files[i], " as channel ", i, ", whose name says ", channel);
  }
  return {name, files, ""};
}

std::vector<Case> prediction_cases(const PredictOptions& options, const Plan& plan) {
  std::vector<Case> cases;
  if (!options.images.empty()) cases = find_cases(options.images, plan.channels());
  cases.insert(cases.end(), options.cases.begin(), options.cases.end());
  std::set<std::string> names;
  for (const Case& c : cases) {
    if (!names.insert(c.name).second)
      fail(ErrorCode::usage, "[predict] case ", c.name, ": expected once, it is there twice");
    expect_channels(c, plan);
  }
  return cases;
}

}  // namespace voxgrad
