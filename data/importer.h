// Importers find the files of the cases of a data set. Each layout of data sets has one importer, in its own
// file. Importers read no voxels. They list faults instead of throwing. Internal to data/.
#pragma once
#include <functional>
#include <span>

#include "data/description.h"

namespace voxgrad {

struct Importer {
  std::string name;
  /// Whether a data set has this layout.
  bool (*recognises)(const std::string& folder, const Description& description);
  /// The complete cases (name, images, label), in any order. Incomplete cases are listed as problems.
  std::vector<Case> (*find_cases)(const std::string& folder, const Description& description,
                                  std::vector<Problem>& problems);
};

/// All importers. The first one that recognises a data set imports it.
std::span<const Importer* const> all_importers();

/// Reads the description of a data set and finds its cases, annotations, posteriors and folds.
Dataset scan_dataset(const std::string& folder, std::vector<Problem>& problems);

/// The image files of a folder by case name. Two files of one case are an error. Foreign files, hidden files
/// and subfolders are ignored.
std::map<std::string, std::string> volumes_of(const std::string& folder, std::vector<Problem>& problems);
/// The annotations FOLDER/RATER/CASE.nii.gz by case name, sorted by rater.
std::map<std::string, std::vector<Annotation>> annotations_of(const std::string& folder,
                                                              std::vector<Problem>& problems);

}  // namespace voxgrad
