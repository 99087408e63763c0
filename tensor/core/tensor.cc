#include "tensor/core/tensor.h"

#include "tensor/core/allocator.h"
#include "tensor/core/convert.h"
#include "tensor/core/gpu.h"
#include "tensor/core/reduce.h"

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

Storage::Storage(size_t bytes, const Device& device) : data_(nullptr), bytes_(bytes), device_(device) {
  if (!device.is_cuda())
    data_ = allocate(bytes);
  else
    gpu::check(gpu::module().memory.allocate(gpu::context(device), current_op(), bytes, &data_));
}

Storage::Storage(std::shared_ptr<const void> owner, const void* data, size_t bytes)
    : data_(const_cast<void*>(data)), bytes_(bytes), device_(Device::cpu()), owner_(std::move(owner)) {}

Storage::~Storage() {
  if (owner_) return;
  if (!device_.is_cuda())
    deallocate(data_, bytes_);
  else
    (void)gpu::module().memory.deallocate(gpu::context(device_), data_);
}

Tensor Tensor::empty(const Shape& shape, DType dtype) { return empty_on(default_device(), shape, dtype); }

Tensor Tensor::empty_on(const Device& device, const Shape& shape, DType dtype) {
  Tensor t;
  t.storage_ = std::make_shared<Storage>(static_cast<size_t>(shape.numel()) * size_of(dtype), device);
  t.shape_ = shape;
  t.dtype_ = dtype;
  return t;
}

Tensor Tensor::over(std::shared_ptr<const void> owner, const void* data, const Shape& shape, DType dtype) {
  require(owner != nullptr, "[tensor] expected an owner of the memory");
  require(reinterpret_cast<uintptr_t>(data) % size_of(dtype) == 0, "[tensor] expected memory aligned to ",
          size_of(dtype), " bytes");
  Tensor t;
  t.storage_ =
      std::make_shared<Storage>(std::move(owner), data, static_cast<size_t>(shape.numel()) * size_of(dtype));
  t.shape_ = shape;
  t.dtype_ = dtype;
  return t;
}

Tensor Tensor::zeros(const Shape& shape, DType dtype) {
  Tensor t = empty(shape, dtype);
  if (t.device().is_cuda())
    gpu::zero(t);
  else
    std::memset(t.raw(), 0, t.nbytes());
  return t;
}

Tensor Tensor::full(const Shape& shape, double value, DType dtype) {
  Tensor t = empty(shape, dtype);
  if (t.device().is_cuda()) return fill(t, value), t;
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
  Tensor t = empty_on(device(), shape_, dtype_);
  if (device().is_cuda())
    gpu::copy(*this, t);
  else
    std::memcpy(t.raw(), raw(), nbytes());
  return t;
}

Tensor Tensor::to(DType dtype) const {
  if (dtype == dtype_) return *this;
  Tensor t = empty_on(device(), shape_, dtype);
  if (device().is_cuda()) return voxgrad::convert(*this, t), t;
  visit(dtype_, [&]<class From>(From*) {
    visit(dtype, [&]<class To>(To*) {
      const From* in = data<From>();
      To* out = t.mutable_data<To>();
      for (int64_t i = 0, n = numel(); i < n; ++i) out[i] = convert<To>(in[i]);
    });
  });
  return t;
}

Tensor Tensor::to(const Device& where) const {
  if (!defined() || where == device()) return *this;
  const Tensor t = empty_on(where, shape_, dtype_);
  t.copy_from(*this);
  return t;
}

void Tensor::copy_from(const Tensor& from) const {
  require(defined() && from.defined() && shape_ == from.shape_ && dtype_ == from.dtype_,
          "[copy] expected tensors of one shape and type, got ", shape_, " and ", from.shape_);
  if (device().is_cuda() || from.device().is_cuda())
    gpu::copy(from, *this);
  else if (raw() != from.raw())
    std::memcpy(raw(), from.raw(), nbytes());
}

void Tensor::refuse_host_access() const {
  fail(ErrorCode::device, "[", current_op(), "] has no implementation for ", device().str(),
       ": it would read a ", dtype_, " tensor ", shape_,
       " on the CPU; move the tensors to the CPU, or leave this operation out");
}

double Tensor::item() const {
  require(numel() == 1, "[item] expected one element, got shape ", shape_);
  if (device().is_cuda()) return gpu::read_item(*this);
  double v = 0;
  visit(dtype_, [&]<class T>(T*) { v = convert<double>(*data<T>()); });
  return v;
}

}  // namespace voxgrad
