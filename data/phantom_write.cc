// Writes the phantom as a data set on disk.
#include <nlohmann/json.hpp>

#include "data/phantom_anatomy.h"
#include "data/phantom_modality.h"
#include "io/file.h"
#include "io/nifti.h"

namespace voxgrad {
namespace {

Tensor as_bytes(const Tensor& label) {
  Tensor bytes = Tensor::empty(label.shape(), DType::u8);
  const int32_t* from = label.data<int32_t>();
  uint8_t* to = bytes.mutable_data<uint8_t>();
  for (int64_t i = 0; i < label.numel(); ++i) to[i] = static_cast<uint8_t>(from[i]);
  return bytes;
}

}  // namespace

void write_phantom(const std::string& folder, const PhantomOptions& options) {
  phantom::check_options(options);
  if (file_exists(folder) || (is_folder(folder) && !list_folder(folder).empty()))
    fail(ErrorCode::usage, "[phantom] ", folder, ": expected a new or empty folder");
  constexpr int kLabelIntent = 1002;
  for (const char* part : {"/imagesTr", "/labelsTr", "/posteriorTr"}) make_folders(folder + part);
  for (int r = 1; r <= options.raters; ++r) make_folders(cat(folder, "/ratersTr/rater", r));
  for (int i = 0; i < options.cases; ++i) {
    const PhantomCase c = make_phantom_case(options, i);
    const Shape& s = c.label.shape();
    const NiftiHeader header = make_nifti_header({s[2], s[1], s[0]}, c.spacing);
    const std::string file = "/" + c.name + ".nii.gz";
    for (int64_t channel = 0; channel < c.image.dim(0); ++channel)
      write_volume(cat(folder, "/imagesTr/", c.name, "_000", channel, ".nii.gz"), header,
                   c.image.rows(channel, 1));
    write_volume(folder + "/labelsTr" + file, header, as_bytes(c.label), kLabelIntent);
    for (size_t r = 0; r < c.raters.size(); ++r)
      write_volume(cat(folder, "/ratersTr/rater", r + 1, file), header, as_bytes(c.raters[r]), kLabelIntent);
    write_volume(folder + "/posteriorTr" + file, header, c.posterior);
  }
  nlohmann::ordered_json j;
  j["name"] = "voxgrad-phantom-" + options.modality;
  j["description"] =
      "Built-in phantom with ambiguous labels; ratersTr: raters, posteriorTr: exact class probabilities";
  for (const phantom::Channel& c : phantom::modality_of(options).channels)
    j["channel_names"][cat(j["channel_names"].size())] = c.name;
  for (const std::string& name : phantom_classes(options)) j["labels"][name] = j["labels"].size();
  j["numTraining"] = options.cases;
  j["numRaters"] = options.raters;
  j["file_ending"] = ".nii.gz";
  j["phantom"] = {{"seed", options.seed}, {"size", options.size}, {"modality", options.modality}};
  if (options.depth) j["phantom"]["depth"] = *options.depth;
  write_text(folder + "/dataset.json", j.dump(2) + "\n");
}

}  // namespace voxgrad
