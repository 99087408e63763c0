#include "data/audit.h"

#include <algorithm>
#include <cstring>
#include <map>

#include "data/case_reader.h"
#include "data/channels.h"
#include "data/importer.h"
#include "data/orientation.h"

namespace voxgrad {
namespace {

/// FNV-1a over the voxels: equal images have equal values, and a chance meeting is reported as a warning
/// only.
uint64_t fingerprint(const Tensor& image) {
  uint64_t h = 1469598103934665603ull;
  const float* x = image.data<float>();
  for (int64_t i = 0; i < image.numel(); ++i) {
    uint32_t bits;
    std::memcpy(&bits, x + i, sizeof bits);
    h = (h ^ bits) * 1099511628211ull;
  }
  return h;
}

class Audit {
 public:
  explicit Audit(const std::string& folder) { report_.dataset = scan_dataset(folder, report_.problems); }

  AuditReport run(const std::function<void(const std::string&, size_t, size_t)>& progress) {
    const std::vector<Case>& cases = report_.dataset.cases;
    for (size_t i = 0; i < cases.size(); ++i) {
      if (progress) progress(cases[i].name, i, cases.size());
      look_at(cases[i]);
    }
    look_at_all();
    std::stable_sort(report_.problems.begin(), report_.problems.end(),
                     [](const Problem& a, const Problem& b) { return a.case_name < b.case_name; });
    return report_;
  }

 private:
  void warning(const std::string& kind, const std::string& case_name, const std::string& file,
               const std::string& text) {
    report_.problems.push_back({false, kind, case_name, file, text});
  }

  void look_at(const Case& c) {
    CaseSummary summary;
    const Dataset& d = report_.dataset;
    const LoadedCase loaded =
        read_case(c, static_cast<int>(d.channel_names.size()), d.classes(), report_.problems, summary);
    for (size_t k = 1; k < summary.class_voxels.size(); ++k) {
      const int64_t total = summary.class_voxels[k];
      if (total == 0)
        warning("missing-class", c.name, c.label, "no voxel of class \"" + d.label_names[k] + "\"");
    }
    if (!loaded.image.defined()) return;
    report_.cases.push_back(summary);
    look_at_annotations(c, loaded.header);
    auto& [cases, first] = orientations_[axis_letters(loaded.header)];
    if (cases++ == 0) first = c.name;
    const auto [other, fresh] = seen_.emplace(fingerprint(loaded.image), c.name);
    if (!fresh) warning("same-image", c.name, c.images[0], "the same voxels as case " + other->second);
    if (!d.is_ct()) look_at_air(c, loaded.image);
  }

  void look_at_annotations(const Case& c, const NiftiHeader& grid) {
    const auto check = [&](const std::string& kind, const std::string& file, auto&& load) {
      try {
        load();
      } catch (const Error& e) {
        if (e.code() != ErrorCode::data) throw;
        report_.problems.push_back({true, kind, c.name, file, e.what()});
      }
    };
    for (const Annotation& a : c.annotations) {
      Case one = c;
      one.annotations = {a};
      check("annotation", a.file, [&] { load_annotations(one, report_.dataset.classes(), grid); });
    }
    if (!c.posterior.empty())
      check("posterior", c.posterior, [&] { load_posterior(c, report_.dataset.classes(), grid); });
  }

  /// Cropping to the non-zero box needs air of exactly 0.
  void look_at_air(const Case& c, const Tensor& image) {
    const int64_t channels = image.dim(3), d = image.dim(0) - 1, h = image.dim(1) - 1, w = image.dim(2) - 1;
    const float* x = image.data<float>();
    for (int64_t channel = 0; channel < channels; ++channel) {
      const float first = x[channel];
      bool constant = first != 0;
      for (int corner = 1; corner < 8 && constant; ++corner) {
        const int64_t voxel =
            (((corner & 4) ? d : 0) * (h + 1) + ((corner & 2) ? h : 0)) * (w + 1) + ((corner & 1) ? w : 0);
        constant = x[voxel * channels + channel] == first;
      }
      if (constant)
        warning("air-not-zero", c.name, c.images[c.images.size() == 1 ? 0 : static_cast<size_t>(channel)],
                cat("all corners of channel ", channel, " are ", first, ": nothing is cropped as air"));
    }
  }

  void look_at_all() {
    const Dataset& d = report_.dataset;
    for (size_t k = 1; k < d.label_names.size() && !report_.cases.empty(); ++k) {
      bool used = false;
      for (const CaseSummary& c : report_.cases) used |= k < c.class_voxels.size() && c.class_voxels[k] > 0;
      if (!used)
        warning("unused-class", "", d.folder, "no case has a voxel of class \"" + d.label_names[k] + "\"");
    }
    for (size_t axis = 0; axis < 3 && !report_.cases.empty(); ++axis) {
      const auto [low, high] = std::minmax_element(
          report_.cases.begin(), report_.cases.end(),
          [&](const CaseSummary& a, const CaseSummary& b) { return a.spacing[axis] < b.spacing[axis]; });
      if (high->spacing[axis] > 2 * low->spacing[axis])
        warning("mixed-spacing", "", d.folder,
                cat("spacing along ", "zyx"[axis], " goes from ", low->spacing[axis], " mm (", low->name,
                    ") to ", high->spacing[axis], " mm (", high->name, ")"));
    }
    if (const std::string text = missing_annotations(d.cases); !text.empty())
      warning("missing-annotation", "", d.folder, text);
    if (orientations_.size() > 1) {
      std::string text;
      for (const auto& [letters, which] : orientations_)
        text += cat(text.empty() ? "axes run " : ", ", letters, " in ", which.first, " (", which.second, ")");
      warning("mixed-orientation", "", d.folder,
              cat(text, ": all are turned to ", kCanonicalAxes,
                  " when they are prepared; are the headers right?"));
    }
  }

  AuditReport report_;
  std::map<uint64_t, std::string> seen_;
  std::map<std::string, std::pair<int, std::string>> orientations_;  // how many cases, and the first
};

int count(const AuditReport& report, bool error) {
  return static_cast<int>(std::count_if(report.problems.begin(), report.problems.end(),
                                        [&](const Problem& p) { return p.error == error; }));
}

}  // namespace

int AuditReport::errors() const { return count(*this, true); }
int AuditReport::warnings() const { return count(*this, false); }

AuditReport audit_dataset(const std::string& folder,
                          const std::function<void(const std::string&, size_t, size_t)>& progress) {
  return Audit(folder).run(progress);
}

}  // namespace voxgrad
