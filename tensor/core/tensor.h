// The tensor: elements of one type in memory, with a shape.
//
// A tensor is storage, offset, shape and type. It is dense, with channels last, and has no strides: the
// elements lie in memory in the order of the shape. Copies of a Tensor share its storage.
//
// This is the base of all of voxgrad. tensor/core/README.md lists the other files of this folder. Each family
// of kernels has a folder beside it (tensor/conv, tensor/gemm, tensor/norm, ...) with public headers. Their
// functions check the tensors and choose an implementation (tensor/core/kernel.h).
#pragma once
#include <cstring>
#include <memory>
#include <vector>

#include "tensor/core/device.h"
#include "tensor/core/dtype.h"
#include "tensor/core/shape.h"

namespace voxgrad {

/// A block of memory on a device. It is freed when its last owner is destroyed.
class Storage {
 public:
  explicit Storage(size_t bytes, const Device& device = Device::cpu());
  /// Host memory that belongs to `owner`. Nobody may write to it.
  Storage(std::shared_ptr<const void> owner, const void* data, size_t bytes);
  ~Storage();
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;
  void* data() const { return data_; }
  size_t bytes() const { return bytes_; }
  const Device& device() const { return device_; }

 private:
  void* data_;
  size_t bytes_;
  Device device_;
  std::shared_ptr<const void> owner_;  // owner of memory that Storage did not allocate
};

class Tensor {
 public:
  Tensor() = default;  ///< undefined: no storage
  /// Uninitialised, on default_device(). zeros() and full() use that device too.
  static Tensor empty(const Shape& shape, DType dtype = DType::f32);
  static Tensor empty_on(const Device& device, const Shape& shape, DType dtype = DType::f32);
  static Tensor zeros(const Shape& shape, DType dtype = DType::f32);
  static Tensor full(const Shape& shape, double value, DType dtype = DType::f32);
  /// A tensor on the CPU with these values. Throws ErrorCode::internal unless their number fits the shape.
  template <class T>
  static Tensor from(const Shape& shape, const std::vector<T>& values) {
    require(static_cast<int64_t>(values.size()) == shape.numel(), "[tensor] expected ", shape.numel(),
            " values for shape ", shape, ", got ", values.size());
    Tensor t = empty_on(Device::cpu(), shape, dtype_of<T>());
    if (!values.empty()) std::memcpy(t.raw(), values.data(), t.nbytes());
    return t;
  }

  /// A tensor over memory on the CPU that `owner` holds (a mapped file), for reading only. The owner lives as
  /// long as the last such tensor. Throws ErrorCode::internal unless `data` is aligned to the element type.
  static Tensor over(std::shared_ptr<const void> owner, const void* data, const Shape& shape, DType dtype);

  bool defined() const { return storage_ != nullptr; }
  const Shape& shape() const { return shape_; }
  int64_t dim(int axis) const { return shape_[axis]; }
  int rank() const { return shape_.rank(); }
  DType dtype() const { return dtype_; }
  Device device() const { return storage_ ? storage_->device() : Device::cpu(); }
  int64_t numel() const { return shape_.numel(); }
  size_t nbytes() const { return static_cast<size_t>(numel()) * size_of(dtype_); }

  /// Elements for reading. Throws ErrorCode::internal unless T is the element type, and ErrorCode::device if
  /// the tensor is not on the CPU.
  template <class T>
  const T* data() const {
    return mutable_data<T>();
  }
  /// Elements for writing; throws as data() does. Only the owner of a fresh tensor (or an optimizer) writes.
  template <class T>
  T* mutable_data() const {
    require(defined(), "[tensor] expected a defined tensor");
    require(dtype_ == dtype_of<T>(), "[tensor] expected ", dtype_of<T>(), ", got ", dtype_);
    if (device().is_cuda()) refuse_host_access();
    return static_cast<T*>(raw());
  }
  /// The same for any device, for code that passes the pointer to the tensor's device.
  template <class T>
  T* mutable_data_on_device() const {
    require(defined(), "[tensor] expected a defined tensor");
    require(dtype_ == dtype_of<T>(), "[", current_op(), "] expected ", dtype_of<T>(), ", got ", dtype_);
    return static_cast<T*>(raw());
  }
  void* raw() const { return static_cast<char*>(storage_->data()) + offset_ * size_of(dtype_); }

  /// The same elements with another shape of equal size. Shares storage.
  Tensor reshape(const Shape& shape) const;
  /// shape.numel() elements, from flat element `first` on. Shares storage.
  Tensor view(int64_t first, const Shape& shape) const;
  /// Rows [first, first + count) of axis 0. Shares storage.
  Tensor rows(int64_t first, int64_t count) const;
  Tensor clone() const;
  /// A converted copy, or this tensor itself if it has the type. On a CUDA device it converts only between
  /// f32 and bf16.
  Tensor to(DType dtype) const;
  /// A copy on a device, or this tensor itself if it is there.
  Tensor to(const Device& device) const;
  /// Overwrites the elements with those of a tensor of the same shape and type, on any device.
  void copy_from(const Tensor& from) const;
  /// The single element of a one-element tensor. On a CUDA device this waits for it.
  double item() const;
  template <class T>
  std::vector<T> to_vector() const {
    const Tensor host = to(Device::cpu());
    return std::vector<T>(host.data<T>(), host.data<T>() + numel());
  }
  long use_count() const { return storage_.use_count(); }

 private:
  /// Throws ErrorCode::device. A tensor is never copied to another device silently.
  [[noreturn]] void refuse_host_access() const;
  std::shared_ptr<Storage> storage_;
  int64_t offset_ = 0;  // first element of this tensor in the storage
  Shape shape_;
  DType dtype_ = DType::f32;
};

}  // namespace voxgrad
