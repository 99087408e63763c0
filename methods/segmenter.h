// A segmentation U-Net: network, loss, and probabilities of patches and volumes. A method that uses it
// chooses its name, which is also the name of its training stage.
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
  /// Declares the keys in a table.
  void declare(OptionTable table);
};

/// The network of a plan, with `in_channels` input channels and the activation precision of `runtime`.
UNetConfig unet_config(const Plan& plan, const Runtime& runtime, int64_t in_channels);

class Segmenter {
 public:
  /// `name` is the first part of the parameters' names and of the option keys. ErrorCode::usage if both
  /// weights of the loss are 0. `plan` must outlive the network.
  Segmenter(const std::string& name, const SegmenterOptions& options, const Plan& plan,
            const UNetConfig& config);
  Segmenter(const Segmenter&) = delete;
  Segmenter& operator=(const Segmenter&) = delete;

  Parameters& parameters() { return params_; }
  Device device() const { return net_.device(); }
  const Plan& plan() const { return plan_; }
  /// Dice and cross-entropy loss of inputs [N, D, H, W, *], concatenated along the channels, against label
  /// i32 [N, D, H, W]. Dropout is active if the network has it.
  Loss loss(const std::vector<Var>& x, const Tensor& label, const StepRandom& random) const;
  /// The stage that trains the network with loss() on `cases`. `cases` must outlive the stage.
  Stage stage(const std::vector<PreparedCase>& cases, const AugmentOptions& augment,
              LabelSource source = LabelSource::label);
  /// softmax(logits / temperature) of a batch [N, D, H, W, C] -> [N, D, H, W, K], on the network's device.
  /// `random`: random numbers of the dropout; null: no dropout.
  Tensor batch_probabilities(const Tensor& image, double temperature,
                             const StepRandom* random = nullptr) const;
  /// The same for a whole case, with blended windows: [D, H, W, K], on the network's device. `random`: seed
  /// of the dropout, with the number of a window as its step; without a value there is no dropout.
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

/// The temperature of a segmenter with the least negative log-likelihood on the cases that have labels; 1 if
/// no case has a label.
double fit_segmenter_temperature(const Segmenter& segmenter, const std::vector<PreparedCase>& cases,
                                 const Work& work);

}  // namespace voxgrad
