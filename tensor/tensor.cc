#include "tensor/tensor.h"

#include "tensor/allocator.h"

namespace voxgrad {
namespace {

// Calls f with a null pointer of the element type of t.
template <class F>
void visit(DType t, F&& f) {
  switch (t) {
    case DType::f32:
      return f(static_cast<float*>(nullptr));
    case DType::f64:
      return f(static_cast<double*>(nullptr));
    case DType::bf16:
      return f(static_cast<bf16*>(nullptr));
    case DType::i64:
      return f(static_cast<int64_t*>(nullptr));
    case DType::i32:
      return f(static_cast<int32_t*>(nullptr));
    case DType::u8:
      return f(static_cast<uint8_t*>(nullptr));
  }
}

template <class To, class From>
To convert(From v) {
  if constexpr (std::is_same_v<From, bf16>)
    return static_cast<To>(static_cast<float>(v));
  else if constexpr (std::is_same_v<To, bf16>)
    return bf16(static_cast<float>(v));
  else
    return static_cast<To>(v);
}

}  // namespace

Storage::Storage(size_t bytes) : data_(allocate(bytes)), bytes_(bytes) {}
Storage::~Storage() { deallocate(data_, bytes_); }

Tensor Tensor::empty(const Shape& shape, DType dtype) {
  Tensor t;
  t.storage_ = std::make_shared<Storage>(static_cast<size_t>(shape.numel()) * size_of(dtype));
  t.shape_ = shape;
  t.dtype_ = dtype;
  return t;
}

Tensor Tensor::zeros(const Shape& shape, DType dtype) {
  Tensor t = empty(shape, dtype);
  std::memset(t.raw(), 0, t.nbytes());
  return t;
}

Tensor Tensor::full(const Shape& shape, double value, DType dtype) {
  Tensor t = empty(shape, dtype);
  visit(dtype, [&]<class T>(T*) {
    T* p = t.mutable_data<T>();
    const T v = convert<T>(value);
    for (int64_t i = 0, n = t.numel(); i < n; ++i) p[i] = v;
  });
  return t;
}

Tensor Tensor::reshape(const Shape& shape) const {
  require(shape.numel() == numel(), "[reshape] expected ", numel(), " elements, got shape ", shape);
  Tensor t = *this;
  t.shape_ = shape;
  return t;
}

Tensor Tensor::view(int64_t first, const Shape& shape) const {
  require(first >= 0 && first + shape.numel() <= numel(), "[view] expected at most ", numel(),
          " elements, got ", first, " + ", shape.numel());
  Tensor t = *this;
  t.offset_ += first;
  t.shape_ = shape;
  return t;
}

Tensor Tensor::rows(int64_t first, int64_t count) const {
  require(rank() > 0, "[rows] expected a tensor of rank 1 or more");
  Shape s = shape_;
  s.set(0, count);
  return view(first * (dim(0) ? numel() / dim(0) : 0), s);
}

Tensor Tensor::clone() const {
  if (!defined()) return {};
  Tensor t = empty(shape_, dtype_);
  std::memcpy(t.raw(), raw(), nbytes());
  return t;
}

Tensor Tensor::to(DType dtype) const {
  if (dtype == dtype_) return *this;
  Tensor t = empty(shape_, dtype);
  visit(dtype_, [&]<class From>(From*) {
    visit(dtype, [&]<class To>(To*) {
      const From* in = data<From>();
      To* out = t.mutable_data<To>();
      for (int64_t i = 0, n = numel(); i < n; ++i) out[i] = convert<To>(in[i]);
    });
  });
  return t;
}

double Tensor::item() const {
  require(numel() == 1, "[item] expected one element, got shape ", shape_);
  double v = 0;
  visit(dtype_, [&]<class T>(T*) { v = convert<double>(*data<T>()); });
  return v;
}

}  // namespace voxgrad
