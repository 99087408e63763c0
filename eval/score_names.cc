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
      {"nll_raters", "NLL, raters", "nats", 4, false, false,
       "Mean over the raters of a case of the NLL on their annotation. Cases with fewer than two raters "
       "are left out."},
      {"ece_top15_raters", "ECE, raters", "", 5, false, false,
       "Mean over the raters of a case of the ECE on their annotation. Cases with fewer than two raters "
       "are left out."},
      {"average_ce_top15", "Average CE", "", 4, false, false,
       "Mean of |accuracy \u2212 confidence| over the bins of the ECE that have voxels, all with the same "
       "weight."},
      {"adaptive_ce_top15", "Adaptive ECE", "", 5, false, false,
       "Top-label ECE with 15 bins that have equal numbers of voxels."},
      {"mce_top15", "MCE", "", 4, false, false,
       "Largest |accuracy \u2212 confidence| of the bins of the ECE that have at least 100 voxels."},
      {"root_skce", "Root SKCE", "", 5, false, false,
       "Root of the top-label squared kernel calibration error, kernel "
       "exp(\u2212|c \u2212 c\u2032| / 0.2), without bins."},
      {"brier", "Brier", "", 4, false, false,
       "Mean over voxels of \u03a3 (p \u2212 truth)\u00b2; from 0 to 2."},
      {"root_brier", "Root Brier", "", 4, false, false, "Square root of the Brier score of a case."},
      {"ged_squared", "GED\u00b2", "", 3, false, false,
       "Squared generalised energy distance between samples and raters, with d = 1 \u2212 IoU. Pairs of a "
       "mask with itself are included, so compare only equal numbers of samples and raters."},
      {"ged_squared_unbiased", "GED\u00b2, unbiased", "", 3, false, false,
       "GED\u00b2 without the pairs of a mask with itself. It compares different numbers of samples. It may "
       "be below 0."},
      {"hm_iou", "HM-IoU", "", 3, true, false,
       "Mean IoU of the best one-to-one matching of samples and raters."},
      {"nll_excess", "NLL excess", "nats", 4, false, false,
       "NLL minus the NLL of the exact posterior. In expectation, no method is better than the exact "
       "posterior."},
      {"kl_posterior", "KL to exact posterior", "nats", 4, false, false,
       "Mean over voxels of KL(posterior \u2016 prediction)."},
      {"curvas_dice", "CURVAS Dice", "", 3, true, false,
       "CURVAS 2025: Dice of p > t and of the raters\u2019 mean > t, mean over six thresholds from 0.1 to "
       "0.8."},
      {"curvas_dice.mean_foreground", "CURVAS Dice", "", 3, true, false,
       "CURVAS 2024: Dice where the raters agree, mean over the classes."},
      {"curvas_confidence.mean_foreground", "CURVAS confidence", "", 3, true, false,
       "CURVAS 2024: (mean p where all raters mark the class + 1 \u2212 mean p where none does) / 2, mean "
       "over the classes."},
      {"curvas_ece", "CURVAS ECE", "", 4, false, false,
       "Top-label ECE with the bins and the box of CURVAS, mean over the raters."},
      {"curvas_crps", "CURVAS CRPS", "voxels", 1, false, false,
       "CURVAS 2025: CRPS of the sum of p against a normal fitted to the raters\u2019 volumes."},
      {"curvas_crps.mean_foreground", "CURVAS CRPS", "voxels", 1, false, false,
       "CURVAS 2024: CRPS of the sum of p against a normal fitted to the raters\u2019 volumes, mean over the "
       "classes."},
      {"uncertainty_auroc_foreground", "Error AUROC", "", 3, true, false,
       "Probability that a wrong voxel has more entropy than a right one, near the foreground."},
      {"uncertainty_spearman_foreground", "Error Spearman", "", 3, true, false,
       "Rank correlation of entropy and error over the voxels near the foreground."},
      {"aurc_foreground", "AURC, foreground", "", 4, false, false,
       "Area under the selective risk of the voxels near the true foreground: the error rate of the most "
       "confident ones, mean over all shares of them."},
      {"augrc_foreground", "AUGRC, foreground", "", 4, false, false,
       "Area under the generalised risk of the voxels near the true foreground: the share that is accepted "
       "and wrong, mean over all accepted shares."},
      {"entropy_foreground", "Entropy, foreground", "nats", 3, false, false,
       "Mean entropy of the voxels near the true foreground. It describes the prediction and does not grade "
       "it."},
  };
  return names;
}

}  // namespace voxgrad
