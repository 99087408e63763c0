// Shape: the extents of a dense tensor, slowest axis first. Volumes are [N, D, H, W, C].
#pragma once
#include <array>
#include <cstdint>
#include <initializer_list>
#include <string>

#include "tensor/core/error.h"

namespace voxgrad {

/// Three extents or positions along D (z), H (y), W (x).
using Triple = std::array<int64_t, 3>;

class Shape {
 public:
  static constexpr int kMaxRank = 8;

  Shape() = default;
  Shape(std::initializer_list<int64_t> dims) {
    for (int64_t d : dims) push_back(d);
  }

  int rank() const { return rank_; }
  /// The extent of axis i. A negative i counts from the end.
  int64_t operator[](int i) const { return dims_[static_cast<size_t>(axis(i))]; }
  void set(int i, int64_t extent) { dims_[static_cast<size_t>(axis(i))] = extent; }
  void push_back(int64_t extent) {
    require(rank_ < kMaxRank, "[shape] expected at most ", kMaxRank, " axes");
    require(extent >= 0, "[shape] expected an extent of at least 0, got ", extent);
    dims_[static_cast<size_t>(rank_++)] = extent;
  }
  /// The product of all extents; 1 for a scalar (rank 0).
  int64_t numel() const {
    int64_t n = 1;
    for (int i = 0; i < rank_; ++i) n *= dims_[static_cast<size_t>(i)];
    return n;
  }
  bool operator==(const Shape& o) const {
    if (rank_ != o.rank_) return false;
    for (size_t i = 0; i < static_cast<size_t>(rank_); ++i)
      if (dims_[i] != o.dims_[i]) return false;
    return true;
  }
  const int64_t* begin() const { return dims_.data(); }
  const int64_t* end() const { return dims_.data() + rank_; }
  std::string str() const {
    std::string s = "[";
    for (int i = 0; i < rank_; ++i) s += (i ? ", " : "") + std::to_string(dims_[static_cast<size_t>(i)]);
    return s + "]";
  }

 private:
  int axis(int i) const {
    const int a = i < 0 ? i + rank_ : i;
    require(a >= 0 && a < rank_, "[shape] expected an axis of a rank-", rank_, " shape, got ", i);
    return a;
  }
  std::array<int64_t, kMaxRank> dims_{};
  int rank_ = 0;
};

inline std::ostream& operator<<(std::ostream& out, const Shape& s) { return out << s.str(); }

}  // namespace voxgrad
