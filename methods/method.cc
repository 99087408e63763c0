#include "methods/method.h"

#include <algorithm>

#include "methods/registry.h"
#include "tensor/core/seed.h"

namespace voxgrad {

void CommonOptions::declare(OptionList& options) {
  plan.declare(options);
  augment.declare(options);
  options.table("train")
      .integer("max_steps", max_steps, 0, 1e7, "upper limit of the steps of every stage; 0: no limit")
      .integer("checkpoint_every", checkpoint_every, 1, 1e7, "steps between checkpoints")
      .flag("recompute", recompute,
            "compute activations again in the backward pass instead of keeping them: needs a quarter less "
            "memory and a few per cent more time; gives the same bits")
      .integer("fold", fold, 0, 1000, "which fold is left out for validation")
      .integer("max_scored", max_scored, 0, 1e6,
               "largest number of validation cases that are scored at the end; 0: all")
      .integer("keep_cases", keep_cases, 0, 1000,
               "number of scored cases whose maps are kept in RUN/validation for the report; chosen by Dice: "
               "the worst, the median, the best, and others between them");
  runtime.declare(options);
}

Config Method::config(std::function<void(const std::string&)> no_effect) const {
  Config config(options_);
  std::set<std::string> foreign;
  for (const std::string& key : all_option_keys())
    if (!config.has(key)) foreign.insert(key);
  config.accept_foreign(std::move(foreign), std::move(no_effect));
  return config;
}

void Method::build(const Plan& plan, const Runtime& runtime) {
  plan_ = plan;
  runtime_ = runtime;
  make_networks();
}

std::vector<std::pair<std::string, Parameters*>> Method::networks() {
  const TrainingData none;
  std::vector<std::pair<std::string, Parameters*>> all;
  for (const Stage& s : stages(none, {})) all.emplace_back(s.name, s.parameters);
  return all;
}

void Method::move_to_device() {
  for (const auto& [name, p] : networks())
    if (p->allocated() && p->values().device() != runtime_.device()) p->move_to(runtime_.device());
}

std::unique_ptr<Method> make_method(const MethodRecord& record) {
  std::unique_ptr<Method> method = record.make();
  method->name_ = record.name;
  method->common.declare(method->options_);
  method->declare(method->options_);
  return method;
}

const EstimateInfo& own_estimate(const std::vector<EstimateInfo>& all) {
  for (size_t i = 0; i < all.size(); ++i)
    require((all[i].role == RowRole::method) == (i + 1 == all.size()),
            "[method] expected the method's own estimate once, as the last, got ", all[i].key);
  require(!all.empty(), "[method] expected an estimate");
  return all.back();
}

uint64_t sample_seed(const std::string& case_name, uint64_t seed, int64_t m) {
  return Seed{seed}.child("cases").child(case_name).child("sample", static_cast<uint64_t>(m)).value;
}

double Method::constant(const std::string& name) const {
  const auto it = constants.find(name);
  if (it == constants.end()) fail(ErrorCode::data, "[", name_, "] constants: expected ", name, ", got none");
  return it->second;
}

void Method::check_constants(const Constants& found, const std::string& where) const {
  for (const ConstantRange& range : constant_ranges())
    if (const auto it = found.find(range.name);
        it != found.end() && !(it->second >= range.low && it->second <= range.high))
      fail(ErrorCode::data, where, ": constants.", range.name, ": expected a number from ", range.low, " to ",
           range.high, ", got ", it->second);
}

std::function<Tensors(uint64_t, int64_t)> patches_of(const std::vector<PreparedCase>& cases, const Plan& plan,
                                                     const AugmentOptions& augment, LabelSource source) {
  return [&cases, &plan, augment, source](uint64_t seed, int64_t step) {
    const Batch b = training_batch(cases, plan, augment, seed, step, source);
    return Tensors{b.image, b.label};
  };
}

int64_t group_size(int64_t memory, int64_t voxels, int64_t features, int64_t kept) {
  // The memory peak of a U-Net without a tape is at full resolution. It holds the skip, the upsampled tensor,
  // a block's input and output and the convolution's padded copies, each with `features` channels in f32. The
  // coarser levels together add less than a third.
  const int64_t each = voxels * std::max<int64_t>(features, 8) * 4 * 8 + kept;
  return std::clamp<int64_t>(memory / std::max<int64_t>(each, 1), 1, 64);
}

}  // namespace voxgrad
