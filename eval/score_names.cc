#include "eval/score_names.h"

namespace voxgrad {

const std::vector<ScoreName>& score_names() {
  static const std::vector<ScoreName> names{
      {"dsc.mean_foreground", "Dice", "", 3, true, true,
       "2|A\u2229B| / (|A|+|B|), mean over the foreground classes. A class that is absent in both truth and "
       "prediction is left out."},
      {"nsd.mean_foreground", "NSD", "", 3, true, true,
       "Share of the surface voxels of truth and prediction that are within the tolerance of the other "
       "surface, mean over the foreground classes. A surface voxel has a face neighbour outside its class."},
      {"hd95.mean_foreground", "HD95", "mm", 2, false, true,
       "The larger of the two directed 95th percentiles of the distance between the surfaces. A class that "
       "is absent in truth or prediction is left out."},
      {"nll", "NLL", "nats", 4, false, true,
       "Mean over voxels of \u2212log p, where p is the probability of the true class, at least "
       "10\u207b\u00b9\u2070."},
      {"nll_foreground", "NLL, foreground", "nats", 4, false, true,
       "NLL over the voxels near the true foreground."},
      {"ece_top15", "ECE", "", 5, false, true,
       "Top-label expected calibration error of a case, 15 bins (b/15, (b+1)/15]."},
      {"ece_top15_foreground", "ECE, foreground", "", 4, false, true,
       "Top-label ECE over the voxels near the true foreground."},
      {"ece_marginal20", "Class ECE", "", 5, false, true,
       "Calibration error of each class's probability, 20 bins, mean over all classes."},
      {"brier", "Brier", "", 4, false, false,
       "Mean over voxels of \u03a3 (p \u2212 truth)\u00b2; from 0 to 2."},
      {"ged_squared", "GED\u00b2", "", 3, false, false,
       "Squared generalised energy distance between samples and raters, with d = 1 \u2212 IoU. Pairs of a "
       "mask with itself are included, so compare only equal numbers of samples and raters."},
      {"hm_iou", "HM-IoU", "", 3, true, false,
       "Mean IoU of the best one-to-one matching of samples and raters."},
      {"nll_excess", "NLL excess", "nats", 4, false, false,
       "NLL minus the NLL of the exact posterior. In expectation, no method is better than the exact "
       "posterior."},
      {"kl_posterior", "KL to exact posterior", "nats", 4, false, false,
       "Mean over voxels of KL(posterior \u2016 prediction)."},
      {"uncertainty_auroc_foreground", "Error AUROC", "", 3, true, false,
       "Probability that a wrong voxel has more entropy than a right one, near the foreground."},
      {"uncertainty_spearman_foreground", "Error Spearman", "", 3, true, false,
       "Rank correlation of entropy and error over the voxels near the foreground."},
      {"entropy_foreground", "Entropy, foreground", "nats", 3, false, false,
       "Mean entropy of the voxels near the true foreground. It describes the prediction and does not grade "
       "it."},
  };
  return names;
}

}  // namespace voxgrad
