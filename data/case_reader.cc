#include "data/case_reader.h"

#include <algorithm>
#include <array>
#include <cmath>

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

  /// Voxels as f32 [T, D, H, W]; undefined where the file cannot be read.
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

  bool add_image(size_t index, int expected) {
    const std::string& file = case_.images[index];
    NiftiHeader header;
    const Tensor volume = read(file, header);
    if (!volume.defined()) return false;
    if (volume.dim(0) != expected) {
      error("channels", file,
            cat("expected ", expected, expected == 1 ? " channel" : " channels", ", got ", volume.dim(0)));
      return false;
    }
    if (volume.numel() == 0) {
      error("empty", file, "the image has no voxels");
      return false;
    }
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
    Tensor label = Tensor::empty({volume.dim(1), volume.dim(2), volume.dim(3)}, DType::i32);
    const float* from = volume.data<float>();
    int32_t* to = label.mutable_data<int32_t>();
    std::vector<int64_t> count(static_cast<size_t>(classes_));
    int64_t fractional = 0, outside = 0;
    float fraction = 0, stranger = 0;  // an example of each
    for (int64_t v = 0; v < label.numel(); ++v) {
      const float x = from[v], rounded = std::nearbyint(x);
      // Scaled files carry rounding noise: 2.3e-10 * 4294967295 is .99999997.
      if (!std::isfinite(x) || std::fabs(x - rounded) > 1e-3f) {
        fraction = x;
        ++fractional;
      } else if (rounded < 0 || rounded >= static_cast<float>(classes_)) {
        stranger = rounded;
        ++outside;
      } else {
        to[v] = static_cast<int32_t>(rounded);
        ++count[static_cast<size_t>(to[v])];
      }
    }
    if (fractional > 0)
      error("label-fractional", case_.label,
            cat("expected integers, got ", fractional, " voxels like ", fraction));
    if (outside > 0)
      error("label-range", case_.label,
            cat("expected labels 0 to ", classes_ - 1, ", got ", outside, " voxels like ", stranger));
    if (fractional > 0 || outside > 0) return;
    summary_.class_voxels = count;
    if (label.numel() > 0 && count[0] == label.numel())
      warning("no-foreground", case_.label, "every voxel is background");
    if (good) out_.label = label;
  }

  const Case& case_;
  int channels_, classes_;
  std::vector<Problem>& problems_;
  CaseSummary& summary_;
  LoadedCase out_;
  bool have_grid_ = false;
};

}  // namespace

std::string grid_difference(const NiftiHeader& a, const NiftiHeader& b) {
  for (int axis = 0; axis < 3; ++axis)
    if (a.extent(axis) != b.extent(axis))
      return cat("extents ", b.extent(0), " x ", b.extent(1), " x ", b.extent(2), ", expected ", a.extent(0),
                 " x ", a.extent(1), " x ", a.extent(2));
  double diameter = 0;
  for (int axis = 0; axis < 3; ++axis) {
    if (!(std::fabs(a.spacing(axis) - b.spacing(axis)) <= 1e-3))
      return cat("spacing ", b.spacing(axis), " mm along ", "xyz"[axis], ", expected ", a.spacing(axis));
    const double edge = a.spacing(axis) * static_cast<double>(a.extent(axis));
    diameter += edge * edge;
  }
  const double tolerance = 1e-3 + 1e-5 * std::sqrt(diameter);
  const Affine p = a.affine(), q = b.affine();
  for (int corner = 0; corner < 8; ++corner)
    for (size_t row = 0; row < 3; ++row) {
      double shift = q[row][3] - p[row][3];
      for (int axis = 0; axis < 3; ++axis)
        if ((corner >> axis) & 1)
          shift += (q[row][static_cast<size_t>(axis)] - p[row][static_cast<size_t>(axis)]) *
                   static_cast<double>(a.extent(axis) - 1);
      if (!(std::fabs(shift) <= tolerance))
        return cat("a corner of the volume is off by ", std::fabs(shift), " mm");
    }
  return "";
}

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
  if (first->kind == "unreadable") throw Error(ErrorCode::data, first->text + more);
  fail(ErrorCode::data, "[data] ", first->file, ": ", first->text, more);
}

}  // namespace voxgrad
