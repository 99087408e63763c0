// data/ reads data sets, checks them, plans their preprocessing, prepares them and makes training patches.
//
// dataset.h (this file): cases, and data sets in nnU-Net raw and Decathlon layout.
// inspect.h: finds problems of cases. audit.h: `voxgrad check`. plan.h: the plan by nnU-Net's rules.
// plan_file.h: plans that users edit. preprocess.h: crop, normalise, resample, and back to the input's grid.
// case_store.h: prepared data on disk. patches.h: training batches and sliding windows. augment.h,
// resample.h. grid.h: when two images are on one grid. orientation.h: turning images. channels.h: names and
// normalisation. labels.h: reading label maps and probabilities. phantom.h: the built-in data set. Internal:
// importer.h (each layout has one file: import_nnunet.cc, import_decathlon.cc), description.h, files.h,
// case_reader.h, nonzero.h, prepared_file.h, phantom_anatomy.h, phantom_modality.h.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "io/nifti.h"

namespace voxgrad {

/// A label map that one rater drew for a case.
struct Annotation {
  std::string rater;  ///< name of the rater's folder
  std::string file;   ///< label map
};

struct Case {
  std::string name;                 ///< for example "hippocampus_001"
  std::vector<std::string> images;  ///< one file for each channel (nnU-Net), or one 4-D file (Decathlon)
  std::string label;                ///< empty if there is none
  std::vector<Annotation> annotations = {};  ///< sorted by the raters' names
  std::string posterior = {};  ///< 4-D file with the exact distribution of the label; empty if unknown
};

/// An error or warning about a data set.
struct Problem {
  bool error = true;  ///< an error makes the data set unusable, a warning does not
  /// Errors: description (dataset.json), missing-file, foreign-file, duplicate, orphan-file, no-cases,
  /// splits, unreadable, channels, empty, grid-mismatch, non-finite, label-fractional, label-range,
  /// annotation, posterior, rgb-range, and the errors of geometry_problems (data/grid.h).
  /// Warnings: case-count, orphan-file (a file that is not in the Decathlon's list, or an annotation without
  /// a case), foreign-file (a file beside the raters' folders), constant, no-foreground, missing-class,
  /// untrained-class (no training case of a fold has the class), missing-annotation, no-background (class 0
  /// has another name), channel-name (data/channels.h), unused-class, same-image, air-not-zero,
  /// foreground-in-air, mixed-spacing, mixed-orientation, and the warnings of geometry_problems
  /// (data/grid.h).
  std::string kind;
  std::string case_name;  ///< empty if the problem concerns the whole data set
  std::string file;       ///< empty if the problem is not about a file
  std::string text;       ///< one sentence

  /// "kind: case: file: text"
  std::string line() const;
};

struct Dataset {
  std::string folder, name;
  std::string layout;  ///< "nnU-Net raw" or "Medical Segmentation Decathlon"
  std::vector<std::string> channel_names;
  std::vector<std::string> label_names;  ///< index = class; 0 is the background
  std::vector<Case> cases;               ///< training cases, sorted by name
  /// Names of the validation cases of each fold, from splits_final.json; may be empty.
  std::vector<std::vector<std::string>> splits;
  /// Names of the training cases of each fold, like `splits`.
  std::vector<std::vector<std::string>> training_splits;

  std::vector<Problem> warnings;  ///< about the whole data set, from open_dataset

  int classes() const { return static_cast<int>(label_names.size()); }
  bool is_ct() const;  ///< whether a channel is normalised as CT
};

/// Opens a folder with dataset.json in nnU-Net raw or Decathlon layout. ErrorCode::data, naming file and
/// field, for missing or duplicate files and for labels that are not consecutive from 0.
Dataset open_dataset(const std::string& folder);
/// The cases of single image files and of folders of images with nnU-Net's file names (CASE_0000.nii.gz,
/// ...), for `predict`.
std::vector<Case> find_cases(const std::vector<std::string>& files_or_folders, int channels);

// Finding files in other folders by the naming rules of data sets.

/// The volumes of a folder by case name (CASE.nii.gz, CASE.nii, CASE.hdr). Empty if the folder does not
/// exist. ErrorCode::data if a case has two files.
std::map<std::string, std::string> find_volumes(const std::string& folder);
/// The annotations FOLDER/RATER/CASE.nii.gz by case name, sorted by rater. Empty if the folder does not
/// exist.
std::map<std::string, std::vector<Annotation>> find_annotations(const std::string& folder);
/// The names of the classes in FOLDER/dataset.json, by class. Empty if the file does not exist.
/// ErrorCode::data if open_dataset would refuse the file.
std::vector<std::string> find_label_names(const std::string& folder);

/// The indices of the training and validation cases of a fold. If splits_final.json exists, it defines both;
/// cases in neither are left out. Otherwise the validation cases are those whose index in the order of names
/// has index mod 5 == fold, and the others are training cases. With fewer than 5 cases, the validation case
/// of fold f is the (f + 1)-th from the end. Fold -1: all cases are training cases. ErrorCode::usage for a
/// fold that does not exist.
constexpr int kFolds = 5;  ///< the number of folds without splits_final.json
struct Split {
  std::vector<int> train, validation;
};
Split split(const Dataset& dataset, int fold);

/// A case in memory, on its own grid.
struct LoadedCase {
  std::string name;
  NiftiHeader header;  ///< header of the first channel
  Tensor image;        ///< f32 [D, H, W, C]
  Tensor label;        ///< i32 [D, H, W]; undefined if there is none
  std::vector<Problem> warnings;
};
/// Reads a case. ErrorCode::data unless channels and label share one grid (data/grid.h), all values are
/// finite, and all labels are integers from 0 to `classes` - 1.
LoadedCase load_case(const Case& c, int channels, int classes);
/// Describes which raters have not annotated which of these cases, and the effect on scores. Empty if each
/// rater has annotated all of these cases or none of them.
std::string missing_annotations(const std::vector<Case>& cases);
/// The annotations of a case, i32 [D, H, W] each, in the order of Case::annotations. `grid`: header of the
/// case's image. ErrorCode::data for an annotation on another grid and for a value that is not a label.
std::vector<Tensor> load_annotations(const Case& c, int classes, const NiftiHeader& grid);
/// The exact posterior of a case, f32 [D, H, W, K], on the grid of its image; undefined if there is none.
/// ErrorCode::data if it is not a distribution over `classes` classes or is on another grid.
Tensor load_posterior(const Case& c, int classes, const NiftiHeader& grid);

}  // namespace voxgrad
