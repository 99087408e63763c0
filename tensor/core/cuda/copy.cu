// Copies of columns. Elements are moved as words of memory, whatever their type. The words are the widest
// ones that the start and the length of every row are multiples of.
#include "tensor/core/cuda/copy.h"

#include "tensor/core/cuda/device.cuh"

namespace voxgrad::cuda {
namespace {

// Copies `count` words of each row. A thread copies one word.
template <class W>
struct CopyWord {
  const W* x;
  W* y;
  int64_t count, x_width, y_width;
  __device__ void operator()(int64_t i) const {
    const int64_t r = i / count, k = i - r * count;
    y[r * y_width + k] = x[r * x_width + k];
  }
};

// Copies in words of type W. If the length of a row or an address is no multiple of the word, it does nothing
// and returns false.
template <class W>
bool copy_as(Context& c, int64_t rows, const char* x, int64_t x_bytes, char* y, int64_t y_bytes,
             int64_t bytes) {
  const int64_t w = sizeof(W);
  const auto fits = [&](int64_t v) { return v % w == 0; };
  if (!fits(bytes) || !fits(x_bytes) || !fits(y_bytes) || !fits(reinterpret_cast<int64_t>(x)) ||
      !fits(reinterpret_cast<int64_t>(y)))
    return false;
  for_each(c, rows * bytes / w,
           CopyWord<W>{reinterpret_cast<const W*>(x), reinterpret_cast<W*>(y), bytes / w, x_bytes / w,
                       y_bytes / w});
  return true;
}

}  // namespace

void copy_columns(Context& c, DType type, int64_t rows, const void* x, int64_t x_width, int64_t from, void* y,
                  int64_t y_width, int64_t to, int64_t count) {
  const auto e = static_cast<int64_t>(size_of(type));
  const char* const in = as<char>(x) + from * e;
  char* const out = as<char>(y) + to * e;
  (void)(copy_as<uint4>(c, rows, in, x_width * e, out, y_width * e, count * e) ||
         copy_as<uint64_t>(c, rows, in, x_width * e, out, y_width * e, count * e) ||
         copy_as<uint32_t>(c, rows, in, x_width * e, out, y_width * e, count * e) ||
         copy_as<uint16_t>(c, rows, in, x_width * e, out, y_width * e, count * e) ||
         copy_as<uint8_t>(c, rows, in, x_width * e, out, y_width * e, count * e));
}

}  // namespace voxgrad::cuda
