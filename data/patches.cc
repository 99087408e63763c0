#include "data/patches.h"

#include <algorithm>
#include <numeric>

#include "data/augment.h"
#include "tensor/core/parallel.h"

namespace voxgrad {
namespace {

/// The case of the `index`-th example since the start of training. Each epoch has its own permutation.
size_t case_of(uint64_t seed, int64_t index, size_t cases) {
  const int64_t n = static_cast<int64_t>(cases);
  const Philox g{seed, Stream::order, static_cast<uint32_t>(index / n)};
  std::vector<size_t> order(cases);
  std::iota(order.begin(), order.end(), size_t{0});
  for (int64_t i = n - 1; i > 0; --i)
    std::swap(order[static_cast<size_t>(i)],
              order[static_cast<size_t>(g.below(static_cast<uint64_t>(i), i + 1))]);
  return order[static_cast<size_t>(index % n)];
}

/// As in nnU-Net, the last third of a batch, rounded (one of two). With batch size 1, every third example.
bool wants_foreground(int example, int batch_size, int64_t index) {
  if (batch_size == 1) return index % 3 == 0;
  return example >= (2 * batch_size + 1) / 3;
}

// Slots of an example in Stream::patch. origin_of uses the first five.
constexpr uint64_t kSlots = 8, kRaterSlot = 5;

/// First voxel of a patch in the padded case.
Triple origin_of(const PreparedCase& c, const Triple& patch, bool foreground, const Philox& g,
                 uint64_t first) {
  const auto [padded, pad_begin] = padding(c.content, patch);
  Triple room{}, origin{};
  for (size_t a = 0; a < 3; ++a) room[a] = padded[a] - patch[a];
  std::vector<size_t> present;
  for (size_t k = 1; foreground && k < c.class_voxels.size(); ++k)
    if (c.class_voxels[k].numel() > 0) present.push_back(k);
  if (present.empty()) {
    for (size_t a = 0; a < 3; ++a) origin[a] = g.below(first + a, room[a] + 1);
    return origin;
  }
  const Tensor& voxels =
      c.class_voxels[present[static_cast<size_t>(g.below(first + 3, static_cast<int64_t>(present.size())))]];
  const int64_t v = voxels.data<int64_t>()[g.below(first + 4, voxels.numel())];
  const int64_t width = c.content[2], height = c.content[1];
  const Triple centre{v / width / height, v / width % height, v % width};
  for (size_t a = 0; a < 3; ++a)
    origin[a] = std::clamp<int64_t>(centre[a] + pad_begin[a] - patch[a] / 2, 0, room[a]);
  return origin;
}

}  // namespace

Batch training_batch(const std::vector<PreparedCase>& cases, const Plan& plan, const AugmentOptions& augment,
                     uint64_t seed, int64_t step, LabelSource source) {
  require(!cases.empty() && step >= 0, "[batch] expected cases and a step of at least 0");
  const Triple& patch = plan.patch;
  Batch batch;
  batch.image = Tensor::empty({plan.batch_size, patch[0], patch[1], patch[2], plan.channels()});
  batch.label = Tensor::empty({plan.batch_size, patch[0], patch[1], patch[2]}, DType::i32);
  const Philox places{seed, Stream::patch, static_cast<uint32_t>(step)};
  const Philox changes{seed, Stream::augment, static_cast<uint32_t>(step)};
  const size_t examples = static_cast<size_t>(plan.batch_size);
  batch.cases.resize(examples);
  batch.origin.resize(examples);
  batch.raters.assign(examples, -1);
  const auto make = [&](int64_t i) {
    const int example = static_cast<int>(i);
    const int64_t index = step * plan.batch_size + i;
    const size_t which = case_of(seed, index, cases.size());
    const PreparedCase& c = cases[which];
    require(c.label.defined(), "[batch] case ", c.name, ": expected a label");
    c.verify();
    const Triple origin = origin_of(c, patch, wants_foreground(example, plan.batch_size, index), places,
                                    static_cast<uint64_t>(i) * kSlots);
    int rater = -1;
    if (source == LabelSource::raters && !c.annotations.empty())
      rater = static_cast<int>(places.below(static_cast<uint64_t>(i) * kSlots + kRaterSlot,
                                            static_cast<int64_t>(c.annotations.size())));
    const Augmentation a = draw_augmentation(augment, plan, changes, example);
    Tensor image = batch.image.rows(i, 1).reshape({patch[0], patch[1], patch[2], plan.channels()});
    read_patch(c, rater < 0 ? c.label : c.annotations[static_cast<size_t>(rater)], origin, patch, a,
               image.mutable_data<float>(), batch.label.rows(i, 1).mutable_data<int32_t>());
    c.check();
    augment_values(image, a, changes, example, plan.dims == 2 || plan.anisotropic);
    batch.cases[static_cast<size_t>(i)] = static_cast<int>(which);
    batch.origin[static_cast<size_t>(i)] = origin;
    batch.raters[static_cast<size_t>(i)] = rater;
  };
  // For small patches each example gets one thread, because distributing rows would cost more than copying
  // them. The bits are the same.
  constexpr int64_t kSmall = 1 << 18;
  if (patch[0] * patch[1] * patch[2] * plan.channels() <= kSmall)
    parallel_for(plan.batch_size, make);
  else
    for (int64_t i = 0; i < plan.batch_size; ++i) make(i);
  return batch;
}

}  // namespace voxgrad
