#include "nn/parameters.h"

#include <algorithm>
#include <cmath>

#include "tensor/core/random.h"
#include "tensor/core/reduce.h"

namespace voxgrad {

Init Init::kaiming(int64_t fan_in, double slope) {
  return {normal, std::sqrt(2.0 / ((1 + slope * slope) * static_cast<double>(fan_in)))};
}

size_t Parameters::add(const std::string& name, const Shape& shape, const Init& init) {
  require(!allocated(), "[parameters] ", name, " was added after allocate()");
  for (const Slot& s : slots_) require(s.name != name, "[parameters] ", name, " was added twice");
  int64_t size = 1;  // elements of the parameter
  for (const int64_t extent : shape)
    if (__builtin_mul_overflow(size, extent, &size)) size = INT64_MAX;
  if (size > INT64_MAX / 16 - size_)
    fail(ErrorCode::memory, "[parameters] ", name, " ", shape, ": more parameters than can be counted");
  slots_.push_back({name, shape, init, size_});
  size_ += (shape.numel() + 15) / 16 * 16;  // each parameter starts on a cache line
  return slots_.size() - 1;
}

void Parameters::allocate(uint64_t seed, DType dtype) {
  const DeviceScope cpu(Device::cpu());  // the same values for any device that is used later
  values_ = Tensor::zeros({size_}, dtype);
  grads_ = Tensor::zeros({size_}, dtype);
  for (size_t i = 0; i < slots_.size(); ++i) {
    const Slot& s = slots_[i];
    if (s.init.kind == Init::constant) {
      std::memcpy(values_.view(s.offset, s.shape).raw(), Tensor::full(s.shape, s.init.value, dtype).raw(),
                  static_cast<size_t>(s.shape.numel()) * size_of(dtype));
      continue;
    }
    const Tensor z = random_normal(s.shape, {seed, Stream::init, static_cast<uint32_t>(i)});
    visit_float(dtype, "parameters", [&](auto zero) {
      using T = decltype(zero);
      T* p = values_.view(s.offset, s.shape).mutable_data<T>();
      for (int64_t k = 0; k < s.shape.numel(); ++k)
        p[k] = static_cast<T>(s.init.value) * static_cast<T>(z.data<float>()[k]);
    });
  }
  use(values_);
}

void Parameters::use(const Tensor& flat) {
  require(flat.numel() == size_, "[parameters] expected a flat buffer of ", size_, ", got ", flat.shape());
  values_ = flat;
  vars_.clear();
  for (const Slot& s : slots_)
    vars_.push_back(Var::leaf(flat.view(s.offset, s.shape), grads_.view(s.offset, s.shape)));
}

void Parameters::move_to(const Device& device) {
  require(allocated(), "[parameters] expected allocate() before move_to()");
  grads_ = grads_.to(device);
  use(values_.to(device));
}

void Parameters::zero_grads() { fill(grads_, 0); }

int64_t Parameters::count() const {
  int64_t n = 0;
  for (const Slot& s : slots_) n += s.shape.numel();
  return n;
}

std::map<std::string, Tensor> Parameters::named(const Tensor& flat) const {
  std::map<std::string, Tensor> m;
  for (const Slot& s : slots_) m[s.name] = flat.view(s.offset, s.shape);
  return m;
}

void Parameters::expect(const std::map<std::string, Tensor>& from, const std::string& prefix,
                        const std::string& where, DType dtype) const {
  for (const Slot& s : slots_) {
    const auto it = from.find(prefix + s.name);
    if (it == from.end())
      fail(ErrorCode::data, "[parameters] ", where, ": expected a tensor ", prefix + s.name);
    if (it->second.shape() != s.shape || it->second.dtype() != dtype)
      fail(ErrorCode::data, "[parameters] ", where, ": ", prefix + s.name, ": expected ", dtype, " ", s.shape,
           ", got ", it->second.dtype(), " ", it->second.shape());
  }
}

void Parameters::read(const Tensor& flat, const std::map<std::string, Tensor>& from,
                      const std::string& prefix, const std::string& where) const {
  expect(from, prefix, where, flat.dtype());
  for (const Slot& s : slots_) flat.view(s.offset, s.shape).copy_from(from.at(prefix + s.name));
}

}  // namespace voxgrad
