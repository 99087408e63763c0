// `voxgrad image FILE`: shows the header and statistics of a NIfTI file.
#include <algorithm>
#include <cmath>
#include <iomanip>
#include <iostream>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>

#include "apps/commands.h"
#include "apps/signals.h"
#include "io/nifti.h"
#include "io/sha256.h"
#include "tensor/core/error.h"

namespace voxgrad::apps {
namespace {

using nlohmann::json;

/// A compensated sum: a second number accumulates the rounding errors (Neumaier 1974).
struct CompensatedSum {
  double sum = 0, rest = 0;
  void add(double x) {
    const double t = sum + x;
    rest += std::abs(sum) >= std::abs(x) ? (sum - t) + x : (x - t) + sum;
    sum = t;
  }
  double value() const { return sum + rest; }
};

struct Statistics {
  double min = std::numeric_limits<double>::infinity(), max = -min;
  CompensatedSum sum;
  int64_t nonfinite = 0;
  std::string sha256;  // hash of all values as little-endian doubles
};

Statistics statistics_of(const NiftiImage& image) {
  Statistics s;
  Sha256 hash;
  constexpr int64_t kChunk =
      1 << 16;  // voxels converted at once, so that the image is never in memory as doubles
  std::vector<double> values(kChunk);
  const int64_t voxels = image.header.voxels();
  for (int64_t first = 0; first < voxels && !interrupted(); first += kChunk) {
    const int64_t count = std::min(kChunk, voxels - first);
    image.values(first, count, values.data());
    hash.update(values.data(), static_cast<size_t>(count) * sizeof(double));
    for (int64_t i = 0; i < count; ++i) {
      const double v = values[static_cast<size_t>(i)];
      if (!std::isfinite(v)) {
        ++s.nonfinite;
        continue;
      }
      s.min = std::min(s.min, v);
      s.max = std::max(s.max, v);
      s.sum.add(v);
    }
  }
  s.sha256 = hash.hex();
  return s;
}

std::string affine_source(const NiftiHeader& h) {
  if (h.sform_code > 0) return "sform";
  return h.qform_code > 0 ? "qform" : "none (spacing on the diagonal)";
}

std::string units_of(const NiftiHeader& h) {
  constexpr const char* space[] = {"unknown", "m", "mm", "um"};
  const int code = h.xyzt_units & 7;
  return code < 4 ? space[code] : "unknown";
}

json describe(const std::string& path, const NiftiImage& image) {
  const NiftiHeader& h = image.header;
  json j = {{"file", path},
            {"format", cat("NIfTI-", h.version, h.pair ? " header/image pair" : " single file")},
            {"dims", h.dims},
            {"zooms", h.pixdim},
            {"units", units_of(h)},
            {"datatype", name_of(h.datatype)},
            {"endianness", h.big_endian ? "big" : "little"},
            {"affine", h.affine()},
            {"affine_from", affine_source(h)},
            {"qform_code", h.qform_code},
            {"sform_code", h.sform_code},
            {"slope", h.slope},
            {"inter", h.inter},
            {"intent_code", h.intent_code},
            {"description", h.descrip},
            {"voxels", h.voxels()},
            {"sha256_stored_le", sha256_hex(image.stored)}};
  if (is_real(h.datatype)) {
    const Statistics s = statistics_of(image);
    j["min"] = s.min;  // infinite if no voxel is finite, which JSON shows as null
    j["max"] = s.max;
    j["sum"] = s.sum.value();
    j["nonfinite"] = s.nonfinite;
    j["sha256_f64_le"] = s.sha256;
  }
  return j;
}

template <class List>
std::string joined(const List& list, const char* between) {
  std::string text;
  for (const json& value : list) {
    if (!text.empty()) text += between;
    text += value.dump();
  }
  return text;
}

void print_text(const json& j) {
  const auto line = [](const char* name, const std::string& value) {
    std::cout << std::left << std::setw(14) << name << value << '\n';
  };
  const auto text = [&](const char* key) { return j[key].get<std::string>(); };
  line("file", text("file"));
  line("format", cat(text("format"), ", ", text("endianness"), "-endian"));
  line("dims", joined(j["dims"], " x "));
  line("spacing", cat(joined(j["zooms"], " x "), " (", text("units"), ")"));
  line("datatype", text("datatype"));
  line("scaling", cat("slope ", j["slope"].dump(), ", intercept ", j["inter"].dump()));
  line("affine", cat("from ", text("affine_from"), " (qform code ", j["qform_code"].dump(), ", sform code ",
                     j["sform_code"].dump(), ")"));
  for (const json& row : j["affine"]) line("", joined(row, "  "));
  if (!text("description").empty()) line("description", text("description"));
  if (j.contains("min")) {
    line("values", cat("min ", j["min"].dump(), ", max ", j["max"].dump(), ", sum ", j["sum"].dump()));
    if (j["nonfinite"] != 0) line("not finite", j["nonfinite"].dump() + " voxels");
    line("sha256 values", text("sha256_f64_le"));
  }
  line("sha256 stored", text("sha256_stored_le"));
}

}  // namespace

void add_image(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("image", "Show the header of a NIfTI file, with sums and hashes of its voxels");
  auto path = std::make_shared<std::string>();
  auto as_json = std::make_shared<bool>(false);
  command->add_option("FILE", *path, ".nii, .nii.gz, or one part of a .hdr/.img pair")->required();
  command->add_flag("--json", *as_json, "Print JSON");
  command->callback([path, as_json] {
    watch_signals();
    const json j = describe(*path, read_nifti(*path));
    if (interrupted()) return;
    if (*as_json)
      std::cout << j.dump(1, ' ', false, json::error_handler_t::replace) << '\n';
    else
      print_text(json::parse(j.dump(-1, ' ', false, json::error_handler_t::replace)));
  });
}

}  // namespace voxgrad::apps
