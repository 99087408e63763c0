// A U-Net that segments: network, loss, and probabilities of patches and volumes. What a method adds to it,
// and under which name it is trained, is the method's.
#pragma once
#include <optional>

#include "methods/method.h"
#include "nn/losses.h"
#include "nn/unet.h"

namespace voxgrad {

struct SegmenterOptions {
  StageOptions stage{.steps = 4000, .learning_rate = 3e-3};
  SegmentationLoss loss;
  bool deep_supervision = true;
  /// The keys of a table.
  void declare(OptionTable table);
};

/// UNetConfig of a plan with so many input channels.
UNetConfig unet_config(const Plan& plan, const Runtime& runtime, int64_t in_channels);

class Segmenter {
 public:
  /// `name` is the first part of the parameters' names and of the keys. ErrorCode::usage where both weights
  /// of the loss are 0. `plan` outlives the network.
  Segmenter(const std::string& name, const SegmenterOptions& options, const Plan& plan,
            const UNetConfig& config);
  Segmenter(const Segmenter&) = delete;
  Segmenter& operator=(const Segmenter&) = delete;

  Parameters& parameters() { return params_; }
  Device device() const { return net_.device(); }
  const Plan& plan() const { return plan_; }
  /// Dice and cross-entropy of inputs [N, D, H, W, *], read side by side, against label i32 [N, D, H, W],
  /// with dropout where the network has some.
  Loss loss(const std::vector<Var>& x, const Tensor& label, const StepRandom& random) const;
  /// The stage that trains it with Dice and cross-entropy on `cases`. What they refer to outlives the stage.
  Stage stage(const std::vector<PreparedCase>& cases, const AugmentOptions& augment);
  /// softmax(logits / temperature) of a batch [N, D, H, W, C] -> [N, D, H, W, K], where the network computes.
  /// `random`: of dropout; null: without.
  Tensor batch_probabilities(const Tensor& image, double temperature,
                             const StepRandom* random = nullptr) const;
  /// The same of a whole case, windows blended: [D, H, W, K], where the network computes. `random`: a
  /// window's number is the step of its dropout; null: without.
  Tensor volume_probabilities(const Tensor& image, double temperature, const Work& work,
                              std::optional<uint64_t> random = {}) const;

 private:
  std::string name_;
  SegmenterOptions options_;
  const Plan& plan_;
  Parameters params_;
  UNet net_;
  Heads heads_;
};

/// Temperature of a segmenter on cases with labels (least NLL); 1 where there are none.
double fit_segmenter_temperature(const Segmenter& segmenter, const std::vector<PreparedCase>& cases,
                                 const Work& work);

}  // namespace voxgrad
