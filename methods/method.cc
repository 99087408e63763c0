#include "methods/method.h"

#include <algorithm>

#include "methods/pgrd.h"
#include "methods/prior.h"

namespace voxgrad {

std::vector<std::string> method_names() { return {"unet", "pgrd", "pgrd-no-dds"}; }

std::unique_ptr<Method> make_method(const std::string& name, const Plan& plan, const Config& config) {
  if (name == "unet") return std::make_unique<UNetMethod>(plan, config);
  if (name == "pgrd") return std::make_unique<Pgrd>(plan, config, name);
  if (name == "pgrd-no-dds") {
    Config without = config;
    without.set("denoiser.lambda", 0.0);
    return std::make_unique<Pgrd>(plan, without, name);
  }
  std::string known;
  for (const std::string& n : method_names()) known += (known.empty() ? "" : ", ") + n;
  fail(ErrorCode::usage, "[method] expected one of ", known, ", got ", name);
}

SampleOptions sample_options(const Config& c) {
  SampleOptions o;
  o.samples = c.integer("sampling.samples");
  o.first_estimates = c.text("sampling.mean") == "first-estimates";
  o.stop_tolerance = c.number("sampling.stop_tolerance");
  o.sampler.kind = c.text("sampling.sampler");
  o.sampler.steps = c.integer("sampling.steps");
  o.sampler.eta = c.number("sampling.eta");
  o.sampler.variance = c.text("sampling.variance");
  o.sampler.spacing = c.text("sampling.spacing");
  return o;
}

int64_t group_size(int64_t memory, int64_t voxels, int64_t features, int64_t kept) {
  // Alive at the worst point of a U-Net without a tape: at full resolution the skip, the upsampled tensor, a
  // block's input and output and the convolution's padded copies, each of `features` channels in f32; the
  // coarser levels together add less than a third.
  const int64_t each = voxels * std::max<int64_t>(features, 8) * 4 * 8 + kept;
  return std::clamp<int64_t>(memory / std::max<int64_t>(each, 1), 1, 64);
}

}  // namespace voxgrad
