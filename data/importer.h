// Importers: one file a layout of data sets on disk. They find the files of cases, read no voxels, and list
// what is wrong instead of throwing. Internal to data/.
#pragma once
#include <functional>
#include <span>

#include "data/description.h"

namespace voxgrad {

struct Importer {
  std::string name;
  /// Whether a data set is of this layout.
  bool (*recognises)(const std::string& folder, const Description& description);
  /// The complete cases (name, images, label), in any order. The others are listed.
  std::vector<Case> (*find_cases)(const std::string& folder, const Description& description,
                                  std::vector<Problem>& problems);
};

/// All importers; the first that recognises a data set imports it.
std::span<const Importer* const> all_importers();

/// Reads names and files of a data set: description, cases, annotations, posteriors, folds.
Dataset scan_dataset(const std::string& folder, std::vector<Problem>& problems);

/// Image files of a folder by case name. Two files of one case are an error; foreign files, hidden ones and
/// subfolders are passed over.
std::map<std::string, std::string> volumes_of(const std::string& folder, std::vector<Problem>& problems);
/// The annotations of cases in FOLDER/RATER/CASE.nii.gz, by case, sorted by rater.
std::map<std::string, std::vector<Annotation>> annotations_of(const std::string& folder,
                                                              std::vector<Problem>& problems);

}  // namespace voxgrad
