#include "data/case_reader.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "data/grid.h"
#include "io/text.h"

namespace voxgrad {
namespace {

class Reader {
 public:
  Reader(const Case& c, int channels, int classes, std::vector<Problem>& problems, CaseSummary& summary)
      : case_(c), channels_(channels), classes_(classes), problems_(problems), summary_(summary) {}

  LoadedCase run() {
    out_.name = summary_.name = case_.name;
    const bool four_d = case_.images.size() == 1;
    if (!four_d && static_cast<int>(case_.images.size()) != channels_) {
      error("channels", case_.images.empty() ? "" : case_.images[0],
            cat("expected ", channels_, " channels, got ", case_.images.size(), " files"));
      return out_;
    }
    bool complete = true;
    for (size_t i = 0; i < case_.images.size(); ++i) complete &= add_image(i, four_d ? channels_ : 1);
    if (!complete) out_.image = Tensor();
    if (!case_.label.empty()) add_label();
    return out_;
  }

 private:
  void error(const std::string& kind, const std::string& file, const std::string& text) {
    problems_.push_back({true, kind, case_.name, file, text});
  }
  void warning(const std::string& kind, const std::string& file, const std::string& text) {
    problems_.push_back({false, kind, case_.name, file, text});
  }

  /// Reads the voxels as f32 [T, D, H, W]; undefined if the file cannot be read.
  Tensor read(const std::string& file, NiftiHeader& header) {
    try {
      return read_volume(file, &header);
    } catch (const Error& e) {
      if (e.code() != ErrorCode::data) throw;
      error("unreadable", file, e.what());
      return {};
    }
  }

  bool same_grid(const std::string& file, const NiftiHeader& header) {
    if (!have_grid_) return true;
    const std::string difference = grid_difference(out_.header, header);
    if (!difference.empty())
      error("grid-mismatch", file, "the grid is not that of " + case_.images[0] + ": " + difference);
    return difference.empty();
  }

  void check_geometry(const std::string& file, const NiftiHeader& header) {
    for (const GeometryProblem& p : geometry_problems(header))
      problems_.push_back({p.error, p.kind, case_.name, file, p.text});
  }

  bool add_image(size_t index, int expected) {
    const std::string& file = case_.images[index];
    NiftiHeader header;
    const Tensor volume = read(file, header);
    if (!volume.defined()) return false;
    if (volume.dim(0) != expected) {
      error("channels", file, cat("expected ", counted(expected, "channel"), ", got ", volume.dim(0)));
      return false;
    }
    if (volume.numel() == 0) {
      error("empty", file, "the image has no voxels");
      return false;
    }
    check_geometry(file, header);
    if (!have_grid_) {
      have_grid_ = true;
      out_.header = header;
      for (int axis = 0; axis < 3; ++axis) {
        summary_.shape[static_cast<size_t>(axis)] = volume.dim(1 + axis);
        summary_.spacing[static_cast<size_t>(axis)] = header.spacing(2 - axis);
      }
      out_.image = Tensor::empty({volume.dim(1), volume.dim(2), volume.dim(3), channels_});
    } else if (!same_grid(file, header)) {
      return false;
    }
    const int64_t voxels = volume.numel() / expected;
    const float* from = volume.data<float>();
    bool finite = true;
    for (int t = 0; t < expected; ++t) {
      const size_t channel = index + static_cast<size_t>(t);
      finite &= copy_channel(file, from + t * voxels, voxels, channel);
    }
    return finite;
  }

  bool copy_channel(const std::string& file, const float* from, int64_t voxels, size_t channel) {
    float* to = out_.image.mutable_data<float>() + channel;
    int64_t bad = 0;
    double low = HUGE_VAL, high = -HUGE_VAL;
    for (int64_t v = 0; v < voxels; ++v) {
      const float x = from[v];
      to[v * channels_] = x;
      if (!std::isfinite(x)) {
        ++bad;
      } else {
        low = std::min<double>(low, x);
        high = std::max<double>(high, x);
      }
    }
    if (summary_.low.size() <= channel) {
      summary_.low.resize(channel + 1);
      summary_.high.resize(channel + 1);
    }
    summary_.low[channel] = low;
    summary_.high[channel] = high;
    if (bad > 0) error("non-finite", file, cat(bad, " of ", voxels, " voxels are not finite numbers"));
    if (bad == 0 && low == high)
      warning("constant", file, cat("channel ", channel, ": every voxel is ", low));
    return bad == 0;
  }

  void add_label() {
    NiftiHeader header;
    const Tensor volume = read(case_.label, header);
    if (!volume.defined()) return;
    if (volume.dim(0) != 1)
      return error("channels", case_.label, cat("expected a 3-D label, got ", volume.dim(0), " volumes"));
    bool good = same_grid(case_.label, header);
    for (const GeometryProblem& p : geometry_problems(header))
      if (p.error) {
        error(p.kind, case_.label, p.text);
        good = false;
      }
    const LabelCensus census = label_census(volume, classes_);
    const float* const from = volume.data<float>();
    if (census.fractional > 0)
      error("label-fractional", case_.label,
            cat("expected integers, got ", census.fractional, " voxels like ", from[census.fractional_at]));
    if (census.outside > 0)
      error("label-range", case_.label,
            cat("expected labels 0 to ", classes_ - 1, ", got ", census.outside, " voxels like ",
                from[census.outside_at]));
    if (census.fractional > 0 || census.outside > 0) return;
    summary_.class_voxels = census.count;
    if (census.labels.numel() > 0 && census.count[0] == census.labels.numel())
      warning("no-foreground", case_.label, "every voxel is background");
    if (good) out_.label = census.labels;
  }

  const Case& case_;
  int channels_, classes_;
  std::vector<Problem>& problems_;
  CaseSummary& summary_;
  LoadedCase out_;
  bool have_grid_ = false;
};

}  // namespace

LoadedCase read_case(const Case& c, int channels, int classes, std::vector<Problem>& problems,
                     CaseSummary& summary) {
  return Reader(c, channels, classes, problems, summary).run();
}

void throw_first_error(const std::vector<Problem>& problems) {
  const Problem* first = nullptr;
  int errors = 0;
  for (const Problem& p : problems) {
    if (!p.error) continue;
    if (!first) first = &p;
    ++errors;
  }
  if (!first) return;
  const std::string more = errors > 1 ? cat(" (and ", errors - 1, " more: see `voxgrad check`)") : "";
  if (!first->file.empty() && first->text.find(first->file) != std::string::npos)
    throw Error(ErrorCode::data, first->text + more);
  fail(ErrorCode::data, "[data] ", first->file, ": ", first->text, more);
}

}  // namespace voxgrad
