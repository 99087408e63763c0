// The pointers of a call (tensor/core/kernel.h) by element type, for the CPU and for CUDA sources.
#pragma once

namespace voxgrad {

/// A pointer of a call, as a pointer to elements of type T.
template <class T>
T* as(void* p) {
  return static_cast<T*>(p);
}
template <class T>
const T* as(const void* p) {
  return static_cast<const T*>(p);
}

}  // namespace voxgrad
