// data/: dataset.h (cases and folders in nnU-Net raw and Decathlon layout), inspect.h (what may be odd about
// cases), audit.h (`voxgrad check`), plan.h (what nnU-Net's rules make of a data set), plan_file.h (plans
// that users edit), preprocess.h (crop, normalise, resample, and back), case_store.h (prepared data on disk),
// resample.h, grid.h, augment.h, patches.h (sampling, sliding windows), phantom.h (the built-in data set),
// channels.h (names and normalisation), orientation.h (turning images). Internal:
// importer.h (one file a layout: import_nnunet.cc, import_decathlon.cc), description.h, files.h,
// case_reader.h, nonzero.h, prepared_file.h, phantom_anatomy.h, phantom_modality.h.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "io/nifti.h"

namespace voxgrad {

/// What one rater drew of a case.
struct Annotation {
  std::string rater;  ///< name of the rater's folder
  std::string file;   ///< label map
};

struct Case {
  std::string name;                          ///< "hippocampus_001"
  std::vector<std::string> images;           ///< one file a channel (nnU-Net), or one 4-D file (Decathlon)
  std::string label;                         ///< empty where there is none
  std::vector<Annotation> annotations = {};  ///< of several raters, sorted by their names
  std::string posterior = {};  ///< the exact distribution of the label, 4-D; empty where it is not known
};

/// What is wrong or odd, found by whoever reads a data set.
struct Problem {
  bool error = true;  ///< an error makes the data set unusable, a warning does not
  /// Errors: description (dataset.json), missing-file, foreign-file, duplicate, orphan-file, no-cases,
  /// splits, unreadable, channels, empty, grid-mismatch, non-finite, label-fractional, label-range,
  /// annotation, posterior, rgb-range. Warnings: case-count, orphan-file (not in the Decathlon's list, or an
  /// annotation without a case), foreign-file (beside the raters' folders), constant, no-foreground,
  /// missing-class, untrained-class (in no training case of a fold), missing-annotation, no-background (class
  /// 0 has another name), channel-name (data/channels.h), unused-class, same-image, air-not-zero,
  /// foreground-in-air, mixed-spacing, mixed-orientation, and those of geometry_problems (data/grid.h).
  std::string kind;
  std::string case_name;  ///< empty where it concerns the whole data set
  std::string file;       ///< empty where no file is at fault
  std::string text;       ///< one sentence

  /// "kind: case: file: text"
  std::string line() const;
};

struct Dataset {
  std::string folder, name;
  std::string layout;  ///< "nnU-Net raw", "Medical Segmentation Decathlon"
  std::vector<std::string> channel_names;
  std::vector<std::string> label_names;  ///< index = class; 0 is the background
  std::vector<Case> cases;               ///< training cases, sorted by name
  std::vector<std::vector<std::string>>
      splits;  ///< validation names a fold, from splits_final.json; may be empty
  std::vector<std::vector<std::string>> training_splits;  ///< training names a fold, beside `splits`

  std::vector<Problem> warnings;  ///< about the whole, of open_dataset

  int classes() const { return static_cast<int>(label_names.size()); }
  bool is_ct() const;  ///< a channel that nnU-Net normalises as CT
};

/// Opens a folder with dataset.json in nnU-Net raw or Decathlon layout. Missing or duplicate files and labels
/// that are not consecutive from 0 are ErrorCode::data, naming file and field.
Dataset open_dataset(const std::string& folder);
/// Cases of a folder of images in nnU-Net naming (CASE_0000.nii.gz, ...), or of single files; for `predict`.
std::vector<Case> find_cases(const std::vector<std::string>& files_or_folders, int channels);

// What stands beside images and masks, found by the rules of data sets.

/// Volumes of a folder by case name (CASE.nii.gz, CASE.nii, CASE.hdr); none where there is no such folder.
/// ErrorCode::data where a case is there twice.
std::map<std::string, std::string> find_volumes(const std::string& folder);
/// FOLDER/RATER/CASE.nii.gz by case name, sorted by rater; none where there is no such folder.
std::map<std::string, std::vector<Annotation>> find_annotations(const std::string& folder);
/// The names of the classes in FOLDER/dataset.json, by class; none where there is no such file.
/// ErrorCode::data where open_dataset would refuse it.
std::vector<std::string> find_label_names(const std::string& folder);

/// The indices of a fold's cases. Where splits_final.json is, it decides both parts (cases in neither are
/// left out); else sorted index mod 5 == fold is validation and the rest training (below 5 cases fold f holds
/// the f-th last). Fold -1: all cases are training cases. ErrorCode::usage for a fold that is not there.
constexpr int kFolds = 5;  ///< without splits_final.json
struct Split {
  std::vector<int> train, validation;
};
Split split(const Dataset& dataset, int fold);

/// A case in memory, on its own grid.
struct LoadedCase {
  std::string name;
  NiftiHeader header;  ///< of the first channel
  Tensor image;        ///< f32 [D, H, W, C]
  Tensor label;        ///< i32 [D, H, W]; undefined where there is none
  std::vector<Problem> warnings;
};
/// Reads a case. Channels and label must share one grid (data/grid.h), values be finite and
/// labels be integers below `classes`: otherwise ErrorCode::data.
LoadedCase load_case(const Case& c, int channels, int classes);
/// Which raters have not annotated which of these cases, and what that does to scores; empty where each rater
/// has all cases or none.
std::string missing_annotations(const std::vector<Case>& cases);
/// The annotations of a case, i32 [D, H, W] each, in their order. `grid`: of the case's image, which must be
/// theirs; ErrorCode::data otherwise, and where a value is no label.
std::vector<Tensor> load_annotations(const Case& c, int classes, const NiftiHeader& grid);
/// The exact posterior of a case, f32 [D, H, W, K], on the grid of its image; undefined where there is none.
/// ErrorCode::data where it is no distribution over `classes` classes.
Tensor load_posterior(const Case& c, int classes, const NiftiHeader& grid);

}  // namespace voxgrad
