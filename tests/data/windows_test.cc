// Windows cover the volume, and blending gives back what every window says.
#include <gtest/gtest.h>

#include "data/patches.h"
#include "tensor/core/random.h"
#include "tensor/layout/window.h"

namespace voxgrad {
namespace {

TEST(Windows, CoverEveryVoxelWithOverlap) {
  for (const Triple& shape :
       {Triple{40, 56, 40}, Triple{41, 100, 33}, Triple{5, 64, 63}, Triple{1, 21, 21}, Triple{16, 17, 31}})
    for (const Triple& patch : {Triple{16, 16, 16}, Triple{40, 56, 40}, Triple{1, 24, 24}}) {
      Tensor seen = Tensor::zeros({1, shape[0], shape[1], shape[2], 1});
      const Tensor one = Tensor::full({patch[0], patch[1], patch[2]}, 1);
      for (const Window& w : sliding_windows(shape, patch)) {
        for (size_t a = 0; a < 3; ++a) {
          if (shape[a] >= patch[a]) {
            ASSERT_GE(w.begin[a], 0);
            ASSERT_LE(w.begin[a] + patch[a], shape[a]);
          } else {
            ASSERT_EQ(w.begin[a], -((patch[a] - shape[a]) / 2));
          }
        }
        add_window(one.reshape({1, patch[0], patch[1], patch[2], 1}), one, w.begin, seen);
      }
      const Tensor weight = sum_of_weights(shape, sliding_windows(shape, patch), one);
      for (const float n : weight.to_vector<float>()) ASSERT_GE(n, 1);
      EXPECT_EQ(seen.to_vector<float>(), weight.to_vector<float>());
    }
}

TEST(Windows, AreHalfAPatchApartAtMost) {
  const auto windows = sliding_windows({1, 1, 100}, {1, 1, 16});
  for (size_t i = 1; i < windows.size(); ++i) {
    EXPECT_LE(windows[i].begin[2] - windows[i - 1].begin[2], 8 + 1);  // rounding to whole voxels
    EXPECT_GT(windows[i].begin[2], windows[i - 1].begin[2]);
  }
  EXPECT_EQ(windows.back().begin[2], 84);
  EXPECT_EQ(sliding_windows({8, 8, 8}, {8, 8, 8}).size(), 1u);
  EXPECT_EQ(sliding_windows({8, 8, 16}, {8, 8, 8}).size(), 3u);
  EXPECT_EQ(sliding_windows({16, 24, 24}, {1, 24, 24}).size(), 16u);  // a slice once
}

TEST(Windows, TheGaussianIsSymmetricPositiveAndOneAtItsTop) {
  const Tensor w = gaussian_window({8, 5, 16});
  const auto v = w.to_vector<float>();
  for (size_t i = 0; i < v.size(); ++i) {
    EXPECT_GT(v[i], 0);
    EXPECT_EQ(v[i], v[v.size() - 1 - i]);
  }
  EXPECT_EQ(*std::max_element(v.begin(), v.end()), 1.0f);
  // One sigma (two voxels of sixteen) from the centre.
  EXPECT_NEAR(v[(4 * 5 + 2) * 16 + 10] / v[(4 * 5 + 2) * 16 + 8],
              std::exp(-0.5 * (2.5 * 2.5 - 0.5 * 0.5) / 4), 1e-6);
}

TEST(Windows, BlendingGivesBackTheVolume) {
  const Triple shape{19, 30, 21}, patch{8, 12, 32};
  const Tensor image = random_normal({shape[0], shape[1], shape[2], 2}, {1, Stream::test, 0});
  Tensor sum = Tensor::zeros({1, shape[0], shape[1], shape[2], 2});
  const Tensor weight = gaussian_window(patch);
  const auto windows = sliding_windows(shape, patch);
  for (const Window& w : windows) add_window(gather_windows(image, {w}, patch), weight, w.begin, sum);
  divide_places(sum, sum_of_weights(shape, windows, weight));
  for (int64_t i = 0; i < image.numel(); ++i)
    ASSERT_NEAR(sum.data<float>()[i], image.data<float>()[i], 2e-6f * (1 + std::abs(image.data<float>()[i])));
}

TEST(Windows, OutsideTheVolumeIsZero) {
  const Tensor image = Tensor::full({2, 2, 2, 1}, 3);
  const Tensor w = gather_windows(image, {{{-1, -1, -1}}, {{0, 0, 5}}}, {4, 4, 4});
  ASSERT_EQ(w.shape(), (Shape{2, 4, 4, 4, 1}));
  const auto v = w.to_vector<float>();
  for (int64_t i = 0; i < 64; ++i) {
    const auto inside = [](int64_t at) { return at == 1 || at == 2; };
    EXPECT_EQ(v[static_cast<size_t>(i)], inside(i / 16) && inside(i / 4 % 4) && inside(i % 4) ? 3 : 0);
    EXPECT_EQ(v[static_cast<size_t>(64 + i)], 0);
  }
}

}  // namespace
}  // namespace voxgrad
